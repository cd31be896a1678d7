package core_test

import (
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

func TestExclusiveHasOneHolder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, b, c := g.Connect("a", nil), g.Connect("b", nil), g.Connect("c", nil)
		c.Subscribe(0, "x/+")
		if r := a.Subscribe(0, "$exclusive/x/+"); r != core.Success {
			t.Fatalf("the first: %s", r)
		}
		if r := b.Subscribe(0, "$exclusive/x/+"); r != core.ExclusiveTaken {
			t.Errorf("the second: %s", r)
		}
		if r := a.Subscribe(1, "$exclusive/x/+"); r != core.Success {
			t.Errorf("the holder again: %s", r)
		}
		if r := b.Subscribe(0, "$exclusive/x/1"); r != core.Success {
			t.Errorf("another filter: %s", r)
		}
		c.Publish(pub("x/2", "v", 0, 0))
		expect(t, a, "[x/2=v q0]")
		expect(t, b, "")
		expect(t, c, "[x/2=v q0]")
		rs := g.Explain(10, func(r *core.Record) bool { return r.Reason == core.ExclusiveTaken })
		if len(rs) != 1 || rs[0].ClientID != "b" || rs[0].Detail != "subscribe $exclusive/x/+" {
			t.Errorf("explain: %+v", rs)
		}
		if s := g.Stats(); s.Reasons[core.ExclusiveTaken] != 1 || s.Get(core.SubscribesRefused) != 1 {
			t.Errorf("counted %d and %d, want 1", s.Reasons[core.ExclusiveTaken], s.Get(core.SubscribesRefused))
		}
		if r := a.Subscribe(0, "$exclusive/$share/g/x"); r != core.TopicFilterInvalid {
			t.Errorf("exclusive and shared: %s", r)
		}
	})
}

func TestExclusiveIsReleased(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, b := g.Connect("a", nil), g.Connect("b", durable)
		a.Subscribe(0, "$exclusive/x")
		if r := a.Unsubscribe("x"); r[0] != core.NoSubscriptionExisted {
			t.Errorf("unsubscribe without the prefix: %s", r[0])
		}
		if r := b.Subscribe(0, "$exclusive/x"); r != core.ExclusiveTaken {
			t.Errorf("still held: %s", r)
		}
		a.Unsubscribe("$exclusive/x")
		if r := b.Subscribe(0, "$exclusive/x"); r != core.Success {
			t.Errorf("after unsubscribe: %s", r)
		}
		b.Disconnect(core.NormalDisconnect)
		if r := a.Subscribe(0, "$exclusive/x"); r != core.ExclusiveTaken {
			t.Errorf("its durable holder is away: %s", r)
		}
		b = g.Connect("b", nil) // a clean start: the durable session ends
		if r := a.Subscribe(0, "$exclusive/x"); r != core.Success {
			t.Errorf("after the session's end: %s", r)
		}
		a.Disconnect(core.ConnectionLost)
		if r := b.Subscribe(0, "$exclusive/x"); r != core.Success {
			t.Errorf("after the end of a clean session: %s", r)
		}
	})
}

func TestExclusiveIsAuthorizedByItsFilter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &rules{allowed: map[string]bool{"sub ok": true}}
		g := coretest.Start(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{r} })
		a, b := g.Connect("a", nil), g.Connect("b", nil)
		if why := a.Subscribe(0, "$exclusive/secret"); why != core.NotAuthorized {
			t.Errorf("not allowed: %s", why)
		}
		r.allowed["sub secret"] = true
		r.version++
		if why := b.Subscribe(0, "$exclusive/secret", "$exclusive/ok"); why != core.Success {
			t.Errorf("a refused subscription holds the filter: %s", why)
		}
	})
}

func TestExclusiveSurvivesRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := coretest.NewMemStore()
		g := coretest.Start(t, store, nil)
		g.Connect("a", durable).Subscribe(1, "$exclusive/x")
		store.Crash()
		g = coretest.Start(t, store, nil)
		b := g.Connect("b", durable)
		if r := b.Subscribe(1, "$exclusive/x"); r != core.ExclusiveTaken {
			t.Errorf("after the restart: %s", r)
		}
		g.Connect("a", durable).Unsubscribe("$exclusive/x")
		synctest.Wait()
		if r := b.Subscribe(1, "$exclusive/x"); r != core.Success {
			t.Errorf("after unsubscribe: %s", r)
		}
	})
}

// A crash between the memory's hand-over and the store's leaves two holders.
func TestExclusiveStoredTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := coretest.NewMemStore()
		g := coretest.Start(t, store, nil)
		g.Connect("a", durable).Subscribe(1, "$exclusive/x")
		g.Connect("b", durable).Subscribe(1, "y")
		second := &core.Batch{Ops: []core.Op{{Kind: core.OpPutSubscription, Session: "b",
			Subscription: &core.SubscriptionRecord{Filter: "$exclusive/x"}}}}
		if err := store.Commit(second, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for range 2 {
			store.Crash()
			g = coretest.Start(t, store, nil)
			synctest.Wait()
		}
		if n := g.Stats(); n.Subscriptions != 2 || n.Reasons[core.ExclusiveTaken] != 0 {
			t.Errorf("%d subscriptions, %d refused in the second start: want 2 and 0", n.Subscriptions, n.Reasons[core.ExclusiveTaken])
		}
	})
}
