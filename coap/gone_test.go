package coap

import (
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
)

// TestGoneWhileConnecting: what core grants to a peer that is gone is given back, whatever
// comes first, the end or the answer.
func TestGoneWhileConnecting(t *testing.T) {
	for _, order := range []string{"stop closed done", "stop done closed", "closed done"} {
		fd := newRig(t).feeder(t, 1)
		var a protocols.Actions
		fd.turn.Begin(time.UnixMilli(fd.now))
		fd.datagram(build(t, "CON PUT 1 /mqtt/t?c=a 'x'"), &a)
		if fd.m.waiting != forConnect || !a.Pause {
			t.Fatal("it does not wait for core")
		}
		for _, step := range split(order) {
			a.Reset()
			switch step {
			case "stop":
				fd.m.Stop(fd.turn, core.ServerShuttingDown, &a)
			case "closed":
				fd.m.Closed(fd.turn, core.ConnectionLost)
			case "done":
				fd.m.Complete(fd.turn, core.Completion{Op: core.OpConnect, Connect: fd.gw.result()}, &a)
			}
		}
		if fd.gw.links != 0 {
			t.Errorf("%s: %d links are left", order, fd.gw.links)
		}
	}
}

// TestQoS2IsReleased: the answer to a QoS 2 publication is the end of its exchange.
func TestQoS2IsReleased(t *testing.T) {
	fd := newRig(t).feeder(t, 0)
	var a protocols.Actions
	fd.turn.Begin(time.UnixMilli(fd.now))
	fd.datagram(build(t, "CON PUT 1 /ps/t?c=a&q=2 'x'"), &a)
	if got := a.Datagrams(); len(got) != 1 || show(got[0]) != "ACK 2.04 1" {
		t.Fatalf("answered %x", got)
	}
	if len(fd.gw.released) != 1 || fd.gw.released[0] != fd.m.packetID {
		t.Errorf("released %v, want %d", fd.gw.released, fd.m.packetID)
	}
}
