package core_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// endOf ends a client's session, and flushes nothing.
func endOf(g *coretest.Gateway, c *coretest.Client) {
	g.T.Begin(time.Now())
	g.Disconnect(g.T, c.Result.Link, core.NormalDisconnect, nil)
}

func subscribeMany(c *coretest.Client, n int, more ...string) {
	all := more
	for i := range n {
		all = append(all, fmt.Sprint("f/", i))
	}
	c.Subscribe(0, all...)
}

// TestManySubscriptionsLeaveInPieces: a session that ends with thousands of subscriptions
// holds nobody up.
func TestManySubscriptionsLeaveInPieces(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a := g.Connect("a", nil)
		subscribeMany(a, 2000)
		endOf(g, a)
		left, flushes := g.Stats().Subscriptions, 1
		for g.T.Flush(100) {
			if n := g.Stats().Subscriptions; n >= left || n < left-500 {
				t.Fatalf("%d of %d are left after a flush", n, left)
			} else {
				left = n
			}
			flushes++
		}
		if n := g.Stats().Subscriptions; n != 0 || flushes < 5 {
			t.Errorf("%d are left after %d flushes", n, flushes)
		}
	})
}

// TestLeavingSessionIsOver: nothing reaches a session while its subscriptions go, and what
// it held exclusively is free.
func TestLeavingSessionIsOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, b := g.Connect("a", nil), g.Connect("b", nil)
		subscribeMany(a, 2000, "$exclusive/x", "$share/g/s")
		b.Subscribe(0, "$share/g/s")
		endOf(g, a)
		slow := g.T
		g.T = g.NewTurn()
		defer slow.Close()
		if r := b.Subscribe(0, "$exclusive/x"); r != core.Success {
			t.Errorf("what nobody holds: %s", r)
		}
		for range 4 {
			b.Publish(pub("s", "m", 0, 0))
		}
		expect(t, b, "[s=m q0][s=m q0][s=m q0][s=m q0]")
		a = g.Connect("a", nil)
		if r := a.Subscribe(0, "$exclusive/x"); r != core.ExclusiveTaken {
			t.Errorf("what b holds: %s", r)
		}
		slow.End() // the former holder's record goes, not b's place
		if r := a.Subscribe(0, "$exclusive/x"); r != core.ExclusiveTaken {
			t.Errorf("what b still holds: %s", r)
		}
	})
}

// TestManySessionsLeave: what is left of ended sessions is bounded.
func TestManySessionsLeave(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		var all []*coretest.Client
		for i := range 80 {
			c := g.Connect(fmt.Sprint("c", i), nil)
			subscribeMany(c, 200)
			all = append(all, c)
		}
		for _, c := range all {
			endOf(g, c)
		}
		if n := g.Stats().Subscriptions; n > 64*100 {
			t.Errorf("%d subscriptions are left", n)
		}
		g.T.End()
		if n := g.Stats().Subscriptions; n != 0 {
			t.Errorf("%d subscriptions in the end", n)
		}
	})
}
