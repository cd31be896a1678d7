package interop

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// checkRetained asks a fresh client for the retained messages: of each topic that has
// them the last one that was sent, since all of them were acknowledged by now.
func (r *killRun) checkRetained(ctx context.Context, t *testing.T) {
	t.Helper()
	want := map[string]int{}
	for _, p := range r.publishers {
		if p.retain {
			for _, topic := range p.topics() {
				want[topic] = r.ledger.lanes[topic].sent - 1
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	at := r.gateway.endpoint(t, "tcp")
	c, err := devices.Dial(ctx, at.deviceURL(), devices.Options{Version: packet.V5, Buffer: len(want)})
	if err != nil {
		t.Errorf("retained messages: %v", err)
		return
	}
	defer c.Close()
	if _, err := c.Subscribe(ctx, 0, devices.Subscription{Filter: "kill/#", QoS: 0}); err != nil {
		t.Errorf("retained messages: %v", err)
		return
	}
	found := len(want)
	for len(want) > 0 {
		select {
		case m := <-c.Messages():
			last, ok := want[m.Topic]
			if n := int(binary.BigEndian.Uint32(m.Payload)); !ok || !m.Retain || n != last {
				t.Errorf("retained on %s is number %d (retain %v), the last one sent is %d", m.Topic, n, m.Retain, last)
			}
			delete(want, m.Topic)
		case <-ctx.Done():
			t.Errorf("%d of %d topics lack their retained message: %v", len(want), found, want)
			return
		}
	}
	t.Logf("%d retained messages, each the last one sent", found)
}
