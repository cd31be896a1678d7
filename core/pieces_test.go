package core_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// manyFilters are more than one share of a turn works off, some of them wrong or taken.
func manyFilters() (all []string) {
	for i := range 1200 {
		f := fmt.Sprint("f/", i)
		switch i % 100 {
		case 7:
			f = "a/#/b"
		case 8:
			f = "$exclusive/taken"
		case 9:
			f = "$share/g/s/" + fmt.Sprint(i)
		}
		all = append(all, f)
	}
	return all
}

func requestFor(inPieces bool, filters []string) *core.SubscribeRequest {
	r := &core.SubscribeRequest{Pieces: core.Pieces{Allowed: inPieces}, Token: 1}
	for i, f := range filters {
		r.Filters = append(r.Filters, core.FilterRequest{Filter: f, SubscribeOptions: core.SubscribeOptions{QoS: uint8(i % 3)}})
	}
	return r
}

// kinds are a session without a store and one with.
func kinds() map[string]func(*core.ConnectRequest) {
	return map[string]func(*core.ConnectRequest){"transient": nil, "durable": durable}
}

// TestPiecesAnswerLikeTheWhole: the same filters get the same answers, in the same order,
// whether at once or in pieces, and lead to the same subscriptions.
func TestPiecesAnswerLikeTheWhole(t *testing.T) {
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := coretest.Start(t, nil, nil)
				g.Connect("holder", nil).Subscribe(0, "$exclusive/taken")
				whole, some := g.Connect("whole", kind), g.Connect("some", kind)
				wantGranted, want := whole.SubscribeWith(requestFor(false, manyFilters()))
				r := requestFor(true, manyFilters())
				some.SubscribeSome(r)
				if !r.Unfinished() {
					t.Fatal("all was done in one call")
				}
				granted, reasons := some.SubscribeWith(r)
				if !slices.Equal(granted, wantGranted) || !slices.Equal(reasons, want) {
					t.Errorf("answers differ: %v %v, want %v %v", granted, reasons, wantGranted, want)
				}
				sameSubscriptions(t, g.Gateway, 1176)

				want = whole.Unsubscribe(manyFilters()...)
				u := &core.UnsubscribeRequest{Pieces: core.Pieces{Allowed: true}, Token: 2, Filters: manyFilters()}
				some.UnsubscribeSome(u)
				if !u.Unfinished() {
					t.Fatal("all was taken away in one call")
				}
				if reasons := some.UnsubscribeWith(u); !slices.Equal(reasons, want) {
					t.Errorf("answers differ: %v, want %v", reasons, want)
				}
				sameSubscriptions(t, g.Gateway, 0)
			})
		})
	}
}

func sameSubscriptions(t *testing.T, g *core.Gateway, n int) {
	t.Helper()
	a, _ := g.Subscriptions("whole", 5000)
	b, _ := g.Subscriptions("some", 5000)
	if len(a) != n || !slices.Equal(a, b) {
		t.Errorf("%d and %d subscriptions, want %d equal ones", len(a), len(b), n)
	}
}

// TestPiecesServeOthers: between the calls a client publishes, also to what is subscribed.
func TestPiecesServeOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, b := g.Connect("a", nil), g.Connect("b", nil)
		r := requestFor(true, manyFilters())
		a.SubscribeSome(r)
		b.Publish(pub("f/0", "m", 0, 0))
		expect(t, a, "[f/0=m q0]")
		b.Publish(pub("f/1199", "m", 0, 0))
		expect(t, a, "")
		a.SubscribeWith(r)
		b.Publish(pub("f/1199", "m", 0, 0))
		expect(t, a, "[f/1199=m q0]")
	})
}

// TestPiecesOfOneTakenOver: the rest of a SUBSCRIBE, or UNSUBSCRIBE, does nothing to what the
// session's next connection has.
func TestPiecesOfOneTakenOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		again := func(r *core.ConnectRequest) { durable(r); r.CleanStart = false }
		a := g.Connect("a", durable)
		r := requestFor(true, manyFilters())
		a.SubscribeSome(r)
		next := g.Connect("a", again)
		_, reasons := a.SubscribeWith(r)
		if n := len(reasons); n != 1200 || reasons[0] != core.Success || reasons[n-1] != core.SessionTakenOver {
			t.Errorf("%d answers, %s to %s", n, reasons[0], reasons[n-1])
		}
		if next.Unsubscribe("f/1199")[0] != core.NoSubscriptionExisted {
			t.Error("subscribed for the next connection")
		}
		next.Subscribe(0, manyFilters()...)
		u := &core.UnsubscribeRequest{Pieces: core.Pieces{Allowed: true}, Filters: manyFilters()}
		next.UnsubscribeSome(u)
		last := g.Connect("a", again)
		next.UnsubscribeWith(u)
		if last.Unsubscribe("f/1199")[0] != core.Success {
			t.Error("taken from the next connection")
		}
	})
}

// TestPiecesAreStored: what SUBACK and UNSUBACK promise is there after a kill.
func TestPiecesAreStored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a := g.Connect("a", durable)
		a.SubscribeWith(requestFor(true, manyFilters()))
		a.UnsubscribeWith(&core.UnsubscribeRequest{Pieces: core.Pieces{Allowed: true}, Filters: manyFilters()[:1100]})
		want, _ := g.Subscriptions("a", 5000)
		g = coretest.Start(t, g.Store.Kill(0), nil)
		got, _ := g.Subscriptions("a", 5000)
		if len(got) == 0 || len(got) != len(want) {
			t.Errorf("%d subscriptions after a kill, want %d", len(got), len(want))
		}
	})
}

// TestPiecesWaitForTheStore: nothing is promised before the store has all of it, and what it
// refused is refused.
func TestPiecesWaitForTheStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a := g.Connect("a", durable)
		r := requestFor(true, manyFilters())
		g.Store.Hold()
		a.SubscribeSome(r)
		_, _, pending := a.SubscribeSome(r)
		for r.Unfinished() {
			_, _, pending = a.SubscribeSome(r)
		}
		synctest.Wait()
		if !pending || a.Answered() {
			t.Fatalf("pending %v, answered before the store", pending)
		}
		g.Store.Release()
		synctest.Wait()
		if !a.Answered() {
			t.Error("no answer")
		}

		b := g.Connect("b", durable)
		r = requestFor(true, manyFilters())
		b.SubscribeSome(r)
		synctest.Wait()
		g.Store.Fail(errors.New("gone"))
		_, reasons := b.SubscribeWith(r)
		if reasons[0] != core.Success || reasons[1199] != core.StoreUnavailable {
			t.Errorf("the first %s, the last %s", reasons[0], reasons[1199])
		}
		g.Store.Fail(nil)
		if b.Unsubscribe("f/1199")[0] != core.NoSubscriptionExisted {
			t.Error("what the store refused is subscribed")
		}
	})
}
