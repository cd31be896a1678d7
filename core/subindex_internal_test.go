package core

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/fairlead-iot/fairlead/core/route"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// TestSubscriptionIndex holds the index against a map, while sessions subscribe,
// repeat, unsubscribe and end at random, under every kind of prefix.
func TestSubscriptionIndex(t *testing.T) {
	g := New(Options{Config: DefaultConfig()})
	rnd := rand.New(rand.NewPCG(1, 2))
	kinds := []string{"", "$local/", "$share/a/", "$share/b/", "$fastlane/", "$fastlane/$share/a/"}
	var sessions [4]*Session
	held := map[string]uint32{} // session and filter → record
	for step := range 60_000 {
		i := rnd.IntN(len(sessions))
		if sessions[i] == nil {
			sessions[i] = &Session{id: fmt.Sprint(i)}
			g.subs.enter(g.routes, sessions[i])
		}
		s := sessions[i]
		f := kinds[rnd.IntN(len(kinds))] + fmt.Sprint("f/", rnd.IntN(2000))
		key := fmt.Sprint(i, " ", f)
		p, err := topic.ParseSubscription(f, g.limits)
		if err != nil {
			t.Fatal(f, err)
		}
		var got uint32
		g.routes.Update(func(tx *route.Tx) { got = g.subs.find(tx, s, &p) })
		if got != held[key] {
			t.Fatalf("step %d: %s is record %d, want %d", step, key, got, held[key])
		}
		switch n := rnd.IntN(10_000); {
		case n == 0:
			g.subs.leave(g.routes, s, nil)
			sessions[i] = nil
			for k := range held {
				if k[0] == key[0] {
					delete(held, k)
				}
			}
		case n < 7000:
			a := accepted{request: &FilterRequest{Filter: f}, parsed: p}
			g.routes.Update(func(tx *route.Tx) {
				g.subs.subscribe(tx, s, &a, 0, g)
				held[key] = g.subs.find(tx, s, &p)
			})
		default:
			g.routes.Update(func(tx *route.Tx) { g.subs.unsubscribe(tx, s, &p, nil) })
			delete(held, key)
		}
	}
	for _, s := range sessions {
		if s != nil {
			g.subs.leave(g.routes, s, nil)
		}
	}
	if x := &g.subs.index; x.chosen != 0 || g.subs.live != 0 || longestChain(g) != 0 {
		t.Errorf("%d records in the index, %d live, when every session has ended", x.chosen, g.subs.live)
	}
}

func longestChain(g *Gateway) (most int) {
	ss := &g.subs
	for _, chunk := range ss.index.heads {
		for _, n := range chunk {
			length := 0
			for ; n != 0; n = ss.at(n).chain {
				length++
			}
			most = max(most, length)
		}
	}
	return most
}

// TestManySubscriptionsAreFoundAtOnce: what one session holds does not lengthen
// the way to any subscription, whether its filters differ or only their prefixes.
func TestManySubscriptionsAreFoundAtOnce(t *testing.T) {
	g := New(Options{Config: DefaultConfig()})
	s := &Session{id: "many"}
	g.subs.enter(g.routes, s)
	for i := range 100_000 {
		f := fmt.Sprint("f/", i)
		if i%2 == 0 {
			f = fmt.Sprint("$share/g", i, "/f")
		}
		p, err := topic.ParseSubscription(f, g.limits)
		if err != nil {
			t.Fatal(err)
		}
		a := accepted{request: &FilterRequest{Filter: f}, parsed: p}
		g.routes.Update(func(tx *route.Tx) { g.subs.subscribe(tx, s, &a, 0, g) })
	}
	if n := longestChain(g); n > 20 {
		t.Errorf("a subscription stands behind %d others", n)
	}
	if buckets := len(g.subs.index.heads) * chunkSize; buckets > 200_000 {
		t.Errorf("%d buckets for 100,000 subscriptions", buckets)
	}
}
