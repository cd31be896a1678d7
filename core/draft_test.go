package core_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// madeLater counts how often the properties of a message were made.
type madeLater struct{ times int }

func (m *madeLater) Size() int { return 10 }

func (m *madeLater) Properties() *core.Properties {
	m.times++
	return &core.Properties{ContentType: "text/plain"}
}

// TestNobodyWantsIt: nothing is made of a message that nobody takes, and it is counted.
func TestNobodyWantsIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, b := g.Connect("a", nil), g.Connect("b", nil)
		var later madeLater
		p := pub("x", "nobody", 1, 1)
		p.Later = &later
		a.Publish(p)
		stats := g.Stats()
		if n := stats.Get(core.MessagesUnmatched); n != 1 || later.times != 0 {
			t.Errorf("%d unmatched, properties made %d times", n, later.times)
		}
		b.Subscribe(1, "x")
		p = pub("x", "b", 1, 2)
		p.Later = &later
		a.Publish(p)
		got := b.Now()
		if payloads(got) != "b" || later.times != 1 || got[0].Msg.Properties == nil || got[0].Msg.Properties.ContentType != "text/plain" {
			t.Errorf("got %s, properties made %d times", show(got), later.times)
		}
	})
}

// TestNobodyHasRoomForIt: nothing is made of a message that its receivers drop, each drop
// is told, and what is taken is no part of the publisher's buffer.
func TestNobodyHasRoomForIt(t *testing.T) {
	for name, qos := range map[string]uint8{"QoS 0": 0, "QoS 1": 1} {
		for kind, change := range map[string]func(*core.ConnectRequest){"clean": nil, "durable": durable} {
			for _, size := range []int{1, 2 << 10} {
				t.Run(fmt.Sprint(name, "/", kind, "/", size), func(t *testing.T) { bubble(t, func(t *testing.T) { noRoom(t, size, qos, change) }) })
			}
		}
	}
}

func noRoom(t *testing.T, size int, qos uint8, change func(*core.ConnectRequest)) {
	g := coretest.Start(t, nil, func(o *core.Options) {
		o.Config.MaxQueuedBytes, o.Config.MaxQueued, o.Config.MaxOutgoing = 4<<10, 4, 4
	})
	a, b := g.Connect("a", nil), g.Connect("b", window(1, change))
	b.Subscribe(qos, "x")
	b.Block(true)
	var later madeLater
	buffer := make([]byte, size)
	const count = 20
	for i := range count {
		for j := range buffer {
			buffer[j] = byte('a' + i)
		}
		p := core.Publish{Topic: "x", Payload: buffer, QoS: qos, PacketID: uint16(i + 1), Later: &later}
		a.Publish(p)
		synctest.Wait() // committed: from then on the first one is under way and takes no room
	}
	clear(buffer)
	// A durable session's messages are in the store, however many bytes they are.
	if later.times == 0 || later.times > 6 {
		t.Errorf("properties were made %d times", later.times)
	}
	b.Block(false)
	got := b.Now()
	for i, d := range got {
		if d.Kind == core.DeliverMessage && !bytes.Equal(d.Msg.Payload, bytes.Repeat([]byte{byte('a' + i)}, size)) {
			t.Errorf("message %d begins with %q", i, d.Msg.Payload[:1])
		}
	}
	stats, unknown := g.Stats(), 0
	if size < 1<<10 {
		unknown = 1 // until one was dropped nobody asks for the sake of so little
	}
	if n := stats.Get(core.Dropped); int(n) != count-later.times+unknown {
		t.Errorf("%d of %d were dropped, %d made", n, count, later.times)
	}
}
