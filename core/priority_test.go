package core_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// ranked sets rules of priorities.
func ranked(rules ...string) func(*core.Options) {
	return func(o *core.Options) { o.Config.Priorities = rules }
}

var fireFirst = []string{"fire/# = 200", "meter/+ = 5", "meter/# = 7"}

func TestPrioritiesOrderWhatWaits(t *testing.T) {
	for name, change := range map[string]func(*core.ConnectRequest){"clean": nil, "durable": durable} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := coretest.Start(t, nil, ranked(fireFirst...))
				a, b := g.Connect("a", nil), g.Connect("b", window(1, change))
				b.Subscribe(1, "#")
				for i, topic := range []string{"other", "other", "meter/1", "fire/1", "meter/1", "meter/1/2", "fire/2", "other"} {
					sendSome(a, topic, i+1, 1)
				}
				// The first was sent before the others came.
				if got := drain(b); got != "1 4 7 6 3 5 2 8" {
					t.Errorf("got %s", got)
				}
				balanced(t, g, 0)
			})
		})
	}
}

func TestPriorityDefaultHighest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) {
			ranked("bulk/# = 255")(o)
			o.Config.PriorityDefault = core.PriorityHighest
		})
		a, b := g.Connect("a", nil), g.Connect("b", window(1, nil))
		b.Subscribe(1, "#")
		for i, topic := range []string{"bulk/1", "bulk/2", "x", "bulk/3", "y"} {
			sendSome(a, topic, i+1, 1)
		}
		if got := drain(b); got != "1 3 5 2 4" {
			t.Errorf("got %s", got)
		}
	})
}

// TestPrioritiesOfAStoredQueue: the queue of a session that was away is ordered too,
// after a restart as well, and what was under way comes first, under its identifier.
func TestPrioritiesOfAStoredQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := coretest.NewMemStore()
		g := coretest.Start(t, store, ranked(fireFirst...))
		a, b := g.Connect("a", nil), g.Connect("b", window(2, durable))
		b.Subscribe(1, "#")
		sendSome(a, "meter/1", 1, 3)
		expect(t, b, "[meter/1=1 q1 id1][meter/1=2 q1 id2]")
		sendSome(a, "fire/1", 4, 1)
		b.Ack(core.AckReceived1, 1)
		expect(t, b, "[fire/1=4 q1 id4]")
		b.Disconnect(core.ConnectionLost)
		sendSome(a, "other", 5, 2)
		sendSome(a, "fire/1", 7, 2)
		b = g.Connect("b", window(9, durable))
		expect(t, b, "[meter/1=2 q1 id2 dup][fire/1=4 q1 id4 dup][fire/1=7 q1 id7][fire/1=8 q1 id8][meter/1=3 q1 id3][other=5 q1 id5][other=6 q1 id6]")
		b.Disconnect(core.ConnectionLost)
		synctest.Wait()

		g = coretest.Start(t, store, ranked(fireFirst...))
		sendSome(g.Connect("a", nil), "fire/9", 9, 1)
		b = g.Connect("b", window(1, durable))
		if got := drain(b); got != "4 7 8 9 2 3 5 6" {
			t.Errorf("after a restart %s", got)
		}
		balanced(t, g, 0)
		if n := store.Queued("b"); n != 0 {
			t.Errorf("the store still holds %d", n)
		}
	})
}

// TestPrioritiesReachTheirSpan: of a long queue in the store a message overtakes at
// least priority_span others, and all come, in order within their rank.
func TestPrioritiesReachTheirSpan(t *testing.T) {
	const n, span = 9000, 3000
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) {
			ranked(fireFirst...)(o)
			o.Config.PrioritySpan = span
		})
		a, b := g.Connect("a", nil), g.Connect("b", durable)
		b.Subscribe(1, "#")
		b.Disconnect(core.ConnectionLost)
		topics := make([]string, n)
		for i := range n {
			topics[i] = "other"
			if i%100 == 99 {
				topics[i] = "fire/1"
			}
			a.Publish(pub(topics[i], fmt.Sprint(i), 1, uint16(i%60000+1)))
			if i%500 == 0 { // below the Receive Maximum
				synctest.Wait()
				a.Now()
			}
		}
		synctest.Wait()
		b = g.Connect("b", window(1, durable))
		got := strings.Fields(drain(b))
		last := map[string]int{}
		sentBefore := 0 // others
		for _, p := range got {
			var i int
			fmt.Sscan(p, &i)
			if i < last[topics[i]] {
				t.Fatalf("%d after %d of %s", i, last[topics[i]], topics[i])
			}
			last[topics[i]] = i
			if topics[i] == "other" {
				sentBefore++
			} else if others := i - i/100; others-sentBefore < min(others, span/2) {
				t.Fatalf("message %d overtook %d others only", i, others-sentBefore)
			}
		}
		if len(got) != n {
			t.Errorf("%d of %d came", len(got), n)
		}
		balanced(t, g, 0)
	})
}

// TestLowRankIsNotStarvedForEver: what waits lowest has its turn before the others'
// Packet Identifiers would meet its own, and no identifier is in use twice.
func TestLowRankIsNotStarvedForEver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, ranked("fire = 9"))
		a, b := g.Connect("a", nil), g.Connect("b", window(2, nil))
		b.Subscribe(1, "#")
		b.Block(true)
		sendSome(a, "fire", 1, 2)
		sendSome(a, "low", 3, 1)
		b.Block(false)
		open := map[uint16]bool{}
		low := -1
		for i := range 70_000 {
			a.Publish(pub("fire", "x", 1, uint16(i%60000+1)))
			a.Now()
			for _, d := range b.Now() {
				if open[d.PacketID] {
					t.Fatalf("identifier %d is in use twice", d.PacketID)
				}
				open[d.PacketID] = true
				if d.Msg.Topic == "low" {
					low = i
				}
			}
			for id := range open { // one of them, so that the window never runs empty
				delete(open, id)
				b.Ack(core.AckReceived1, id)
				break
			}
		}
		if low < 60_000 || low > 65_600 {
			t.Errorf("the low one came after %d", low)
		}
	})
}

// TestOldestOfTheLowestRank: a full queue drops the oldest of the lowest rank, and of
// none above the message that comes.
func TestOldestOfTheLowestRank(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) {
			small(3, core.DropOldest)(o)
			ranked(fireFirst...)(o)
		})
		a, b := g.Connect("a", nil), g.Connect("b", window(1, nil))
		b.Subscribe(1, "#")
		for i, topic := range []string{"other", "fire/1", "other", "other", "fire/2", "other", "fire/3", "other"} {
			sendSome(a, topic, i+1, 1)
		}
		if got := drain(b); got != "1 2 5 7" {
			t.Errorf("got %s", got)
		}
		balanced(t, g, 0)
	})
}

// TestPrioritiesAgreeWithOracle drives a queue at random, over disconnects, beside a
// plain list: the next to come is always the longest waiting of the highest rank.
func TestPrioritiesAgreeWithOracle(t *testing.T) {
	for seed := range 100 {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) { runRanked(t, rand.New(rand.NewPCG(uint64(seed), 4))) })
		})
	}
}

type rankedMessage struct {
	payload string
	rank    int
	sent    bool
}

func runRanked(t *testing.T, rnd *rand.Rand) {
	span := 1 + rnd.IntN(3)
	g := coretest.Start(t, nil, ranked("r/2 = 20", "r/1 = 10"))
	connect := func() *coretest.Client { return g.Connect("b", window(uint16(span), durable)) }
	a, b := g.Connect("a", nil), connect()
	b.Subscribe(1, "#")
	var under, waits []rankedMessage
	ids := map[string]uint16{}
	connected, next := true, 0
	fill := func() {
		for connected && len(under) < span && len(waits) > 0 {
			best := 0
			for i, m := range waits {
				if m.sent && !waits[best].sent || m.sent == waits[best].sent && !m.sent && m.rank > waits[best].rank {
					best = i
				}
			}
			m := waits[best]
			m.sent = true
			under, waits = append(under, m), slices.Delete(waits, best, best+1)
		}
	}
	for range 300 {
		switch n := rnd.IntN(10); {
		case n < 5:
			next++
			m := rankedMessage{payload: fmt.Sprint(next), rank: rnd.IntN(3)}
			a.Publish(pub(fmt.Sprint("r/", m.rank), m.payload, 1, uint16(next)))
			waits = append(waits, m)
		case n < 8 && connected && len(under) > 0:
			i := rnd.IntN(len(under))
			b.Ack(core.AckReceived1, ids[under[i].payload])
			under = slices.Delete(under, i, i+1)
		case n == 8 && connected:
			b.Disconnect(core.ConnectionLost)
			waits, under, connected = append(under, waits...), nil, false
			slices.SortFunc(waits, func(a, b rankedMessage) int { return int(ids[a.payload]) - int(ids[b.payload]) })
			slices.SortStableFunc(waits, func(a, b rankedMessage) int { return number(a.payload) - number(b.payload) })
		case n == 9 && !connected:
			b, connected = connect(), true
		}
		fill()
		synctest.Wait()
		for _, d := range b.Now() {
			p := string(d.Msg.Payload)
			if id, known := ids[p]; known && id != d.PacketID || known != d.Dup {
				t.Fatalf("%s came again as %d, dup %v, was %d", p, d.PacketID, d.Dup, id)
			}
			ids[p] = d.PacketID
			if !slices.ContainsFunc(under, func(m rankedMessage) bool { return m.payload == p }) {
				t.Fatalf("%s was delivered; the oracle has %v under way, %v waiting", p, under, waits)
			}
		}
		balanced(t, g, int64(len(under)+len(waits)))
	}
}

func number(s string) (n int) {
	fmt.Sscan(s, &n)
	return n
}

func TestPriorityRulesAreChecked(t *testing.T) {
	c := core.DefaultConfig()
	c.Priorities = []string{"a/# = 1", "a/b=255", "a = 0", "a = 256", "a", "a/#/b = 3", " = 1", "x=y=7"}
	c.PriorityDefault, c.QueueDrop = "middle", "all"
	err := c.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"rule 3", "rule 4", "rule 5", "rule 6", "rule 7", "queue_drop", "priority_default"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing of %s in: %v", want, err)
		}
	}
	for _, not := range []string{"rule 1,", "rule 2,", "rule 8,"} {
		if strings.Contains(err.Error(), not) {
			t.Errorf("%s refused: %v", not, err)
		}
	}
}

// BenchmarkPriorities measures a queue of 10,000 that is filled and drained, with and
// without ranks.
func BenchmarkPriorities(b *testing.B) {
	for name, rules := range map[string][]string{"none": nil, "three": fireFirst} {
		b.Run(name, func(b *testing.B) {
			g := coretest.Start(b, nil, ranked(rules...))
			p, s := connectSink(g, "p", 0), connectSink(g, "s", 1, "#")
			payload := make([]byte, 64)
			topics := []string{"fire/1", "meter/1", "meter/1/2", "other"}
			b.ReportAllocs()
			for b.Loop() {
				g.T.Begin(time.Now())
				for i := range 10_000 {
					g.Gateway.Publish(g.T, p.link, &core.Publish{Topic: topics[i%4], Payload: payload, QoS: 1, PacketID: uint16(i + 1)})
				}
				g.T.End()
			}
			if s.n == 0 {
				b.Fatal("nothing came")
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*10_000), "ns/message")
		})
	}
}
