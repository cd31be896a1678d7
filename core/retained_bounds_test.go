package core_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

func keep(name, payload string, id uint16) core.Publish {
	p := pub(name, payload, 1, id)
	p.Retain = true
	return p
}

func TestRetainedBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := coretest.NewMemStore()
		bounds := func(n int) func(*core.Options) {
			return func(o *core.Options) { o.Config.MaxRetainedBytes = n }
		}
		g := coretest.Start(t, store, bounds(2*(96+3+10)))
		a := g.Connect("a", nil)
		ten := strings.Repeat("x", 10)
		p := keep("r/3", "", 5)
		p.Payload, p.Properties = []byte("1"), &core.Properties{User: []core.UserProperty{{Name: "n", Value: strings.Repeat("v", 100)}}}
		for _, p := range []core.Publish{
			keep("r/1", ten, 1), keep("r/2", ten, 2), keep("r/2", ten+"x", 3), keep("r/3", "", 4), p,
			keep("r/1", "", 6), keep("r/2", ten+"x", 7),
		} {
			a.Publish(p)
		}
		const full, good = " retained_limit]", " no_matching_subscribers]"
		expect(t, a, "[ack 1"+good+"[ack 2"+good+"[ack 3"+full+"[ack 4"+good+"[ack 5"+full+"[ack 6"+good+"[ack 7"+good)
		if n := g.Stats(); n.Reasons[core.RetainedLimit] != 2 || n.Get(core.MessagesRefused) != 2 || n.Retained != 1 {
			t.Errorf("%d and %d refused, want 2; %d retained, want 1", n.Reasons[core.RetainedLimit], n.Get(core.MessagesRefused), n.Retained)
		}

		a.Publish(pub("plain", strings.Repeat("x", 500), 1, 8)) // the bound is for what is kept
		expect(t, a, "[ack 8"+good)

		store.Crash() // the bound is lowered below what is held
		g = coretest.Start(t, store, bounds(1))
		a = g.Connect("a", nil)
		a.Publish(keep("r/2", ten+"xx", 1))
		a.Publish(keep("r/2", ten+"y", 2))
		expect(t, a, "[ack 1"+full+"[ack 2"+good)
		a.Subscribe(0, "r/#")
		expect(t, a, "[r/2="+ten+"y q0 retain]")
	})
}

// A Will passes no mayPublish when it is sent: it is delivered, and not retained.
func TestRetainedWillBeyondBounds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Config.MaxRetained = 0 })
		a := g.Connect("a", nil)
		a.Subscribe(0, "w")
		w := g.Connect("w", func(r *core.ConnectRequest) {
			r.Will = &core.Will{Topic: "w", Payload: []byte("gone"), Retain: true}
		})
		w.Disconnect(core.ConnectionLost)
		expect(t, a, "[w=gone q0]")
		rs := g.Explain(10, func(r *core.Record) bool { return r.Reason == core.RetainedLimit })
		if n := g.Stats(); n.Retained != 0 || n.Reasons[core.RetainedLimit] != 1 || len(rs) != 1 || rs[0].ClientID != "w" || rs[0].Topic != "w" {
			t.Errorf("%d retained, %d counted, explained %+v", n.Retained, n.Reasons[core.RetainedLimit], rs)
		}
		balanced(t, g, 0)
	})
}

func TestRetainedExpiryByConfiguration(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := coretest.NewMemStore()
		hour := func(o *core.Options) { o.Config.RetainedExpiry = time.Hour }
		g := coretest.Start(t, store, hour)
		a := g.Connect("a", nil)
		long := keep("r/own", "v", 1)
		long.HasExpiry, long.Expiry = true, 2*3600
		a.Publish(long)
		a.Publish(keep("r/def", "v", 2))
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		store.Crash()
		g = coretest.Start(t, store, hour)
		if n := g.Stats().Retained; n != 2 {
			t.Errorf("%d retained after 59 minutes, want 2", n)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := g.Stats().Retained; n != 1 {
			t.Errorf("%d retained after 61 minutes, want 1", n)
		}
		b := g.Connect("b", nil)
		b.Subscribe(0, "r/#")
		expect(t, b, "[r/own=v q0 retain]")
	})
}

// A client that takes few messages at a time gets all that is retained, no more is
// queued for it than a few slices, and others are served in between.
func TestRetainedToSlowReader(t *testing.T) {
	total := 100_000
	if testing.Short() {
		total = 5_000
	}
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		for i := range total {
			if err := g.PublishInternal(g.T, &core.Message{Topic: fmt.Sprintf("r/%d", i), Payload: []byte("v"), QoS: 1, Retain: true}); err != nil {
				t.Fatal(err)
			}
		}
		g.T.End()
		other := g.Connect("other", nil)
		other.Subscribe(0, "$local/between")
		slow := g.Connect("slow", func(r *core.ConnectRequest) { r.ReceiveMaximum = 100 })
		slow.Subscribe(1, "#")
		seen := make(map[string]bool, total)
		for round := 0; len(seen) < total; round++ {
			other.Publish(pub("between", fmt.Sprint(round), 0, 0))
			expect(t, other, fmt.Sprintf("[between=%d q0]", round))
			if n := g.Stats(); n.Pending() > 1000 {
				t.Fatalf("round %d: %d are under way to the slow reader", round, n.Pending())
			}
			if !takeRetained(t, slow, seen) {
				t.Fatalf("round %d: nothing came, %d of %d are missing", round, total-len(seen), total)
			}
		}
		synctest.Wait()
		takeRetained(t, slow, seen)
		balanced(t, g, 0)
	})
}

// takeRetained acknowledges what came, one window at most.
func takeRetained(t *testing.T, c *coretest.Client, seen map[string]bool) (some bool) {
	inWindow := 0
	for _, d := range c.Now() {
		if d.QoS == 0 {
			continue // what is published in between
		}
		if seen[d.Msg.Topic] {
			t.Fatalf("%s came twice", d.Msg.Topic)
		}
		seen[d.Msg.Topic] = true
		c.Ack(core.AckReceived1, d.PacketID)
		inWindow++
	}
	if inWindow > 100 {
		t.Fatalf("%d came at once, beyond the client's Receive Maximum", inWindow)
	}
	return inWindow > 0
}
