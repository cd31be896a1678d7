package core_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// small bounds every queue to n messages.
func small(n int, drop string) func(*core.Options) {
	return func(o *core.Options) { o.Config.MaxQueued, o.Config.QueueDrop = n, drop }
}

// window makes a connect request of a client that takes n messages at once.
func window(n uint16, change func(*core.ConnectRequest)) func(*core.ConnectRequest) {
	return func(r *core.ConnectRequest) {
		if change != nil {
			change(r)
		}
		r.ReceiveMaximum = n
	}
}

// payloads are those of the messages in ds.
func payloads(ds []core.Delivery) string {
	var out []string
	for _, d := range ds {
		if d.Kind == core.DeliverMessage {
			out = append(out, string(d.Msg.Payload))
		}
	}
	return strings.Join(out, " ")
}

// drain acknowledges at QoS 1 all that comes, and gives the payloads.
func drain(c *coretest.Client) string {
	var all []core.Delivery
	for {
		synctest.Wait()
		got := c.Now()
		if len(got) == 0 {
			return payloads(all)
		}
		all = append(all, got...)
		for _, d := range got {
			if d.QoS == 1 {
				c.Ack(core.AckReceived1, d.PacketID)
			}
		}
	}
}

func sendSome(c *coretest.Client, topic string, from, n int) {
	for i := range n {
		c.Publish(pub(topic, fmt.Sprint(from+i), 1, uint16(from+i)))
		synctest.Wait() // committed, and sent if the window has room
	}
	c.Now()
}

func TestFullQueueDropsAsConfigured(t *testing.T) {
	for drop, want := range map[string]string{core.DropNewest: "1 2 3 4", core.DropOldest: "1 6 7 8"} {
		for kind, change := range map[string]func(*core.ConnectRequest){"clean": nil, "durable": durable} {
			t.Run(drop+"/"+kind, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					g := coretest.Start(t, nil, small(3, drop))
					a, b := g.Connect("a", nil), g.Connect("b", window(1, change))
					b.Subscribe(1, "x")
					sendSome(a, "x", 1, 8) // 1 is under way: it never gives way
					balanced(t, g, 4)
					if got := drain(b); got != want {
						t.Errorf("got %s, want %s", got, want)
					}
					balanced(t, g, 0)
					if n := g.Stats().Reasons[core.QueueFull]; n != 4 {
						t.Errorf("queue_full %d, want 4", n)
					}
					if n := g.Store.Queued("b"); n != 0 {
						t.Errorf("the store still holds %d", n)
					}
					records := g.Explain(10, func(r *core.Record) bool { return r.Reason == core.QueueFull })
					if len(records) != 4 || records[0].Topic != "x" || records[0].ClientID != "b" {
						t.Errorf("explained as %+v", records)
					}
				})
			})
		}
	}
}

// TestOldestOfAStoredQueue: a session that is away keeps the newest, in the store too,
// and what was under way when it left.
func TestOldestOfAStoredQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, small(4, core.DropOldest))
		a, b := g.Connect("a", nil), g.Connect("b", window(1, durable))
		b.Subscribe(2, "x")
		a.Publish(pub("x", "half", 2, 900))
		expect(t, b, "[x=half q2 id1]")
		b.Ack(core.AckReceived2, 1)
		expect(t, b, "[release 1 success]")
		b.Disconnect(core.ConnectionLost)
		sendSome(a, "x", 1, 20)
		balanced(t, g, 4)
		if n := g.Store.Queued("b"); n != 4 {
			t.Errorf("the store holds %d, want 4", n)
		}
		b = g.Connect("b", window(9, durable))
		expect(t, b, "[release 1 success][x=18 q1 id19][x=19 q1 id20][x=20 q1 id21]")
		if n := g.Stats().Reasons[core.QueueFull]; n != 17 {
			t.Errorf("queue_full %d, want 17", n)
		}
	})
}

// TestOldestAfterARestart: what may have been under way before is bounded by the
// window, all else gives way.
func TestOldestAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := coretest.NewMemStore()
		options := func(o *core.Options) {
			small(6, core.DropOldest)(o)
			o.Config.MaxInflight = 2
		}
		g := coretest.Start(t, store, options)
		a, b := g.Connect("a", nil), g.Connect("b", durable)
		b.Subscribe(1, "x")
		b.Disconnect(core.ConnectionLost)
		sendSome(a, "x", 1, 6)
		g2 := coretest.Start(t, store, options)
		a = g2.Connect("a", nil)
		sendSome(a, "x", 7, 3)
		balanced(t, g2, 6)
		b = g2.Connect("b", durable)
		if got := drain(b); got != "1 2 6 7 8 9" {
			t.Errorf("got %s", got)
		}
		balanced(t, g2, 0)
		if n := store.Queued("b"); n != 0 {
			t.Errorf("the store still holds %d", n)
		}
	})
}

// TestDroppedWhileCommitting: a message that gives way before the store has answered
// is dropped once, whatever the answer is.
func TestDroppedWhileCommitting(t *testing.T) {
	for _, fail := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			g := coretest.Start(t, nil, small(2, core.DropOldest))
			a, b := g.Connect("a", nil), g.Connect("b", durable)
			b.Subscribe(1, "x")
			g.Store.Hold()
			for i := range 5 {
				a.Publish(pub("x", fmt.Sprint(i), 1, uint16(i+1)))
			}
			if fail {
				g.Store.Fail(core.ErrStoreFull)
			}
			g.Store.Release()
			want := "3 4"
			if fail {
				want = ""
			}
			if got := drain(b); got != want {
				t.Errorf("fail=%v: got %q", fail, got)
			}
			if fail {
				return // the store forgot nothing, and could not: see TestStoreFailureIsTold
			}
			balanced(t, g, 0)
			if n := g.Store.Queued("b"); n != 0 {
				t.Errorf("the store still holds %d", n)
			}
		})
	}
}

func TestOldestByBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) {
			o.Config.QueueDrop, o.Config.MaxQueuedBytes = core.DropOldest, 3300
		})
		a, b := g.Connect("a", nil), g.Connect("b", window(1, nil))
		b.Subscribe(1, "x")
		for i := range 6 {
			a.Publish(pub("x", fmt.Sprint(i)+strings.Repeat(".", 800), 1, uint16(i+1)))
		}
		var got []string
		for _, p := range strings.Fields(drain(b)) {
			got = append(got, p[:1])
		}
		if s := strings.Join(got, " "); s != "0 4 5" {
			t.Errorf("got %s", s)
		}
		balanced(t, g, 0)
		if n := g.Stats().Reasons[core.QueueBytesFull]; n != 3 {
			t.Errorf("queue_bytes_full %d, want 3", n)
		}
	})
}

// TestQueuedQoS0: with queue_qos0, QoS 0 messages wait in the queue, take no place in
// the window, and are done with once they are taken.
func TestQueuedQoS0(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Config.QueueQoS0, o.Config.MaxInflight = true, 1 })
		a, b := g.Connect("a", nil), g.Connect("b", durable)
		b.Subscribe(1, "x")
		b.Disconnect(core.ConnectionLost)
		for i := range 3000 {
			a.Publish(pub("x", fmt.Sprint(i), 0, 0))
		}
		a.Publish(pub("x", "last", 1, 1))
		balanced(t, g, 3001)
		b = g.Connect("b", durable)
		synctest.Wait()
		got := b.Now()
		if len(got) != 3001 || got[0].PacketID != 0 || got[0].Dup || string(got[3000].Msg.Payload) != "last" || got[3000].QoS != 1 {
			t.Fatalf("%d deliveries, first %s, last %s", len(got), show(got[:1]), show(got[len(got)-1:]))
		}
		b.Ack(core.AckReceived1, got[3000].PacketID)
		balanced(t, g, 0)
		if n := g.Store.Queued("b"); n != 0 {
			t.Errorf("the store still holds %d", n)
		}
	})
}

// TestOldestAgreesWithOracle drives one queue at random beside a plain list.
func TestOldestAgreesWithOracle(t *testing.T) {
	for seed := range 200 {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) { runOldest(t, rand.New(rand.NewPCG(uint64(seed), 9)), seed%2 == 0) })
		})
	}
}

func runOldest(t *testing.T, rnd *rand.Rand, keep bool) {
	most, span := 1+rnd.IntN(12), 1+rnd.IntN(4)
	g := coretest.Start(t, nil, small(most, core.DropOldest))
	var change func(*core.ConnectRequest)
	if keep {
		change = durable
	}
	a, b := g.Connect("a", nil), g.Connect("b", window(uint16(span), change))
	b.Subscribe(1, "x")
	var under, waits, away []string // the oracle: under way, waiting, under way when it left
	ids := map[string]uint16{}
	connected, next := true, 0
	fill := func() {
		for connected && len(under) < span && len(away)+len(waits) > 0 {
			if len(away) > 0 {
				under, away = append(under, away[0]), away[1:]
			} else {
				under, waits = append(under, waits[0]), waits[1:]
			}
		}
	}
	for range 300 {
		switch n := rnd.IntN(10); {
		case n < 5:
			next++
			a.Publish(pub("x", fmt.Sprint(next), 1, uint16(next)))
			waits = append(waits, fmt.Sprint(next))
			fill()
			for dropped := false; len(away)+len(waits) > most && len(waits) > 0 && !(connected && dropped); dropped = true {
				waits = waits[1:] // what left under way counts as waiting until it is back
			}
		case n < 8 && connected && len(under) > 0:
			i := rnd.IntN(len(under))
			b.Ack(core.AckReceived1, ids[under[i]])
			under = slices.Delete(under, i, i+1)
			fill()
		case n == 8 && connected && keep:
			b.Disconnect(core.ConnectionLost)
			away, under, connected = append(under, away...), nil, false
		case n == 9 && !connected:
			b = g.Connect("b", window(uint16(span), change))
			connected = true
			fill()
		}
		synctest.Wait()
		for _, d := range b.Now() {
			ids[string(d.Msg.Payload)] = d.PacketID
			if !slices.Contains(under, string(d.Msg.Payload)) {
				t.Fatalf("%s was delivered; the oracle has %v under way, %v waiting", d.Msg.Payload, under, waits)
			}
		}
		balanced(t, g, int64(len(under)+len(waits)+len(away)))
		if t.Failed() {
			t.Fatalf("queue bound %d, window %d: the oracle has %v under way, %v to be sent again, %v waiting; connected %v", most, span, under, away, waits, connected)
		}
	}
}
