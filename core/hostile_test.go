package core_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// heap gives the live bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestReplaysAreBounded: a repeated subscription has one replay, however often it
// is repeated.
func TestReplaysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		p := g.Connect("p", nil)
		for i := range 200 {
			p.Publish(core.Publish{Topic: fmt.Sprint("r/", i), Payload: []byte("x"), QoS: 1, PacketID: uint16(i + 1), Retain: true})
		}
		c := g.Connect("c", func(r *core.ConnectRequest) { r.ReceiveMaximum = 1 })
		before := heap()
		for range 200_000 {
			c.Subscribe(1, "r/#")
		}
		if grown := heap() - before; grown > 4<<20 {
			t.Errorf("200,000 repeated subscriptions hold %d MiB", grown>>20)
		}
	})
}

// TestKnownClientsComeBack: a full table of sessions keeps new clients out, not
// those who have a session.
func TestKnownClientsComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Config.MaxSessions = 2 })
		g.Connect("a", durable).Disconnect(core.ConnectionLost)
		g.Connect("b", durable).Disconnect(core.ConnectionLost)
		if r := g.Connect("a", durable).Result.Reason; r != core.Success {
			t.Errorf("a known client: %v", r)
		}
		if r := g.Connect("c", durable).Result.Reason; r != core.ServerBusy {
			t.Errorf("a new client: %v", r)
		}
	})
}

// TestTakeoverIsExplained: who asks why a client was thrown out gets an answer.
func TestTakeoverIsExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		g.Connect("a", nil)
		g.Connect("a", nil)
		if len(g.Explain(10, func(r *core.Record) bool { return r.Reason == core.SessionTakenOver && r.ClientID == "a" })) == 0 {
			t.Error("no record of the takeover")
		}
	})
}

// TestOneGroupTwice: a session that is in a shared group by two kinds of filters
// leaves it one by one.
func TestOneGroupTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		c, p := g.Connect("c", nil), g.Connect("p", nil)
		c.Subscribe(0, "$share/a/f", "$local/$share/a/f")
		c.Unsubscribe("$share/a/f")
		p.Publish(core.Publish{Topic: "f", Payload: []byte("x")})
		if n := len(c.Now()); n != 1 {
			t.Errorf("%d messages to the subscription that is left", n)
		}
		c.Disconnect(core.NormalDisconnect)
		if n := g.Stats().Subscriptions; n != 0 {
			t.Errorf("%d subscriptions are left", n)
		}
	})
}

// TestQueueCountsWhatItHolds: what waits for one session is bounded by what it really
// holds, in whatever part of a message it stands, and for both kinds of queues
// together.
func TestQueueCountsWhatItHolds(t *testing.T) {
	const bound = 1 << 20
	text := strings.Repeat("p", 120)
	for _, c := range []struct {
		name string
		p    core.Publish
	}{
		{"payload", core.Publish{Payload: make([]byte, 10_000)}},
		{"small", core.Publish{Payload: []byte("x")}},
		{"properties", core.Publish{Payload: []byte("x"), Properties: &core.Properties{User: slices.Repeat([]core.UserProperty{{Name: "k", Value: text}}, 60)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := coretest.Start(t, nil, func(o *core.Options) { o.Config.MaxQueuedBytes = bound })
				b := g.Connect("b", func(r *core.ConnectRequest) { r.ReceiveMaximum = 1 })
				b.Block(true)
				b.Subscribe(1, "q")
				a := g.Connect("a", nil)
				before := heap()
				for i := range 20_000 {
					p := c.p
					p.Topic, p.Payload = "q", slices.Clone(p.Payload)
					if p.Properties != nil {
						p.Properties = &core.Properties{User: slices.Clone(p.Properties.User)}
						for k := range p.Properties.User { // as a packet's own
							p.Properties.User[k].Value = strings.Clone(text)
						}
					}
					if p.QoS = uint8(i % 2); p.QoS > 0 {
						p.PacketID = uint16(i%1000) + 1
					}
					a.Publish(p)
					if i%200 == 0 {
						synctest.Wait()
						a.Now()
					}
				}
				grown := heap() - before
				t.Logf("%d KiB", grown>>10)
				if grown > 2*bound {
					t.Errorf("%d KiB wait where %d are allowed", grown>>10, bound>>10)
				}
				runtime.KeepAlive(b)
			})
		})
	}
}
