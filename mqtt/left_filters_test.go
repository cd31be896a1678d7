package mqtt

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/protocols"
)

// thousand gives a SUBSCRIBE and an UNSUBSCRIBE of a thousand filters that begin with name,
// and what answers them. Every tenth filter is none.
func thousand(t *testing.T, name string) (subscribe, suback, unsubscribe, unsuback string) {
	subscribe, unsubscribe = "82 .. 0001 00", "a2 .. 0002 00"
	suback, unsuback = "90 .. 0001 00", "b0 .. 0002 00"
	for i := range 1000 {
		f, code, uncode := fmt.Sprint(name, "/", i), "01", "00"
		if i%10 == 9 {
			f, code, uncode = name+"/#/"+fmt.Sprint(i), "8f", "8f"
		}
		text := fmt.Sprintf("%04x%x", len(f), f)
		subscribe, suback = subscribe+text+"01", suback+code
		unsubscribe, unsuback = unsubscribe+text, unsuback+uncode
	}
	return unhexed(t, subscribe), suback, unhexed(t, unsubscribe), unsuback
}

// sessionKinds are properties of a CONNECT, without Reason Strings, for a session that ends
// with its connection and one that is stored.
func sessionKinds() map[string]string {
	return map[string]string{"transient": "02 17 00", "durable": "07 17 00 11 ffffffff"}
}

// TestLeftFilters: a SUBSCRIBE or UNSUBSCRIBE of a thousand filters stays where it is, with
// all behind it, while other connections are served, and is answered once. [MQTT-3.8.4-6]
func TestLeftFilters(t *testing.T) {
	for kind, props := range sessionKinds() {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gw := coretest.Start(t, nil, nil)
				many := dial(t, gw, connectAs("c1", "02", props), granted5)
				other := dial(t, gw, connectAs("c2", "02", "00"), granted5)
				subscribe, suback, unsubscribe, unsuback := thousand(t, "f")
				ping := unhexed(t, "c0 00")
				before := gw.Stats().Counters
				served := 0
				many.feedLeft(subscribe+ping, func() {
					if other.send("30 .. 0003 662f30 00 31"); served > 0 { // f/0 is there
						many.expect("30 .. 0003 662f30 00 31")
					}
					served++
				})
				many.expect(suback)
				many.expect("d0 00")
				other.send("30 .. 0005 662f393938 00 32") // f/998
				many.expect("30 .. 0005 662f393938 00 32")
				many.feedLeft(unsubscribe+ping, func() { many.expect("") })
				many.expect(unsuback)
				many.expect("d0 00")
				other.send("30 .. 0005 662f393938 00 33")
				many.expect("")
				after := gw.Stats().Counters
				for c, want := range map[core.Counter]uint64{core.Subscribes: 1000, core.SubscribesRefused: 100, core.Unsubscribes: 1000} {
					if n := after[c] - before[c]; n != want {
						t.Errorf("%s: %d, want %d", c, n, want)
					}
				}
				if many.m.rare != nil && many.m.rare.begun.subscribe != nil {
					t.Error("something is left of the request")
				}
			})
		})
	}
}

// feedLeft feeds what is left again and again, with between in between; it is left at least
// once.
func (l *line) feedLeft(s string, between func()) {
	l.t.Helper()
	left := 0
	for b := []byte(s); len(b) > 0; left++ {
		var a protocols.Actions
		rest := l.piece(b, &a)
		if len(rest) == len(b) && a.Again {
			between()
		} else if len(rest) == 0 && left == 0 {
			l.t.Fatal("all was done in one call")
		}
		b = rest
		for a.Pause {
			c := l.completion()
			a.Reset()
			l.m.Complete(l.gw.T, c, &a)
			l.apply(&a)
		}
		if left > 100 {
			l.t.Fatal("no end")
		}
	}
}

// TestLeftFiltersOfOneWhoLeaves: nothing is kept of the request, and nobody fails.
func TestLeftFiltersOfOneWhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := coretest.Start(t, nil, nil)
		l := dial(t, gw, connectAs("c1", "02", "00"), granted5)
		subscribe, _, _, _ := thousand(t, "f")
		var a protocols.Actions
		for range 2 {
			if rest := l.piece([]byte(subscribe), &a); len(rest) == 0 {
				t.Fatal("all was done")
			}
		}
		l.lose()
		if l.m.rare.begun.subscribe != nil {
			t.Error("something is left of the request")
		}
		if n := gw.Stats().Subscriptions; n != 0 {
			t.Errorf("%d subscriptions are left", n)
		}
	})
}

// TestLeftFiltersOnStreams: each stream has a request that is left, and each is answered for its own filters.
func TestLeftFiltersOnStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := coretest.Start(t, nil, nil)
		l := begin(t, gw)
		l.m = New(DefaultConfig(), gw.Gateway).NewStreamMachine(&protocols.ConnInfo{Peer: l.Peer()}, l).(*Machine)
		l.send(connectAs("c2", "02", "02 17 00"))
		l.expect(granted5)
		var rest [3][]byte
		var wants [3]string
		for s := range rest {
			subscribe, suback, unsubscribe, unsuback := thousand(t, string(rune('a'+s)))
			rest[s], wants[s] = []byte(subscribe), suback
			if s == 1 { // beside one that takes away
				rest[s], wants[s] = []byte(unsubscribe), unsuback[:13]+strings.Repeat("111111111111111111"+"8f", 100)
			}
		}
		for round := 0; len(rest[0])+len(rest[1])+len(rest[2]) > 0; round++ {
			for s := range rest {
				if len(rest[s]) == 0 {
					continue
				}
				var a protocols.Actions
				if s == 0 {
					rest[s] = rest[s][l.m.Input(gw.T, rest[s], &a):]
				} else {
					rest[s] = rest[s][l.m.InputStream(gw.T, protocols.Stream(s), rest[s], &a):]
				}
				l.apply(&a)
				if len(rest[s]) == 0 {
					l.expect(wants[s])
				}
			}
			if round > 100 {
				t.Fatal("no end")
			}
		}
		if n := gw.Stats().Subscriptions; n != 1800 {
			t.Errorf("%d subscriptions, want 1800", n)
		}
	})
}

// TestLeftFiltersRefused: the answer to what is left has in it what was never put to core.
func TestLeftFiltersRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := coretest.Start(t, nil, nil)
		cfg := DefaultConfig()
		cfg.SharedAvailable = false
		l := begin(t, gw)
		l.m = New(cfg, gw.Gateway).NewMachine(&protocols.ConnInfo{Peer: l.Peer()}, l).(*Machine)
		l.send(connect3As("c1", "02"))
		l.expect(connack3)
		subscribe, suback := "82 .. 0001", "90 .. 0001"
		for i := range 1000 {
			f, code := fmt.Sprint("f/", i), "01"
			if i%7 == 3 {
				f, code = fmt.Sprint("$share/g/", i), "80"
			}
			subscribe, suback = subscribe+fmt.Sprintf("%04x%x01", len(f), f), suback+code
		}
		l.feedLeft(unhexed(t, subscribe), func() { l.expect("") })
		l.expect(suback)
		l.send("82 .. 0001 0001 61 01")
		l.expect("90 03 0001 01")
	})
}
