package turns

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

func TestBlock(t *testing.T) {
	for _, c := range []struct{ name, a, b string }{
		{"same /64", "2001:db8::1", "2001:db8::ffff"},
		{"mapped", "::ffff:192.0.2.1", "192.0.2.1"},
		{"zone", "fe80::1%eth0", "fe80::2%eth1"},
	} {
		if Block(netip.MustParseAddr(c.a)) != Block(netip.MustParseAddr(c.b)) {
			t.Errorf("%s: %s and %s count apart", c.name, c.a, c.b)
		}
	}
	if Block(netip.MustParseAddr("2001:db8::1")) == Block(netip.MustParseAddr("2001:db8:0:1::1")) {
		t.Error("two /64 count as one")
	}
	if Block(netip.Addr{}).IsValid() {
		t.Error("no address became one")
	}
}

// naive is the oracle: all that waits in one list, and the turns in another.
type naive struct {
	waits []wait
	turns []int
}

type wait struct {
	from, v int
	front   bool
}

// first is where the first of an address stands; -1 for nobody.
func (n *naive) first(from int) int {
	of := func(front bool) int {
		return slices.IndexFunc(n.waits, func(w wait) bool { return w.from == from && w.front == front })
	}
	if i := of(true); i >= 0 {
		return i
	}
	return of(false)
}

func (n *naive) add(w wait) {
	if !slices.Contains(n.turns, w.from) {
		n.turns = append(n.turns, w.from)
	}
	n.waits = append(n.waits, w)
}

func (n *naive) next() (v int, ok bool) {
	for len(n.turns) > 0 && !ok {
		from := n.turns[0]
		n.turns = n.turns[1:]
		if i := n.first(from); i >= 0 {
			v, ok = n.waits[i].v, true
			n.waits = slices.Delete(n.waits, i, i+1)
		}
		if n.first(from) >= 0 {
			n.turns = append(n.turns, from)
		}
	}
	return v, ok
}

func (n *naive) remove(v int) {
	n.waits = slices.DeleteFunc(n.waits, func(w wait) bool { return w.v == v })
}

// TestQueueIsTheNaiveOne, whatever is asked of both.
func TestQueueIsTheNaiveOne(t *testing.T) {
	addresses := make([][]netip.Addr, 4) // some by two names
	for i, names := range [][]string{{"10.0.0.1", "::ffff:10.0.0.1"}, {"10.0.0.2"}, {"2001:db8::1", "2001:db8::2"}, {"2001:db8:0:1::1"}} {
		for _, name := range names {
			addresses[i] = append(addresses[i], netip.MustParseAddr(name))
		}
	}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		var q Queue[int]
		var n naive
		likely := 2 + r.IntN(4) // of 6, that it gets longer
		for v := range 1000 {
			from := r.IntN(len(addresses))
			name := addresses[from][r.IntN(len(addresses[from]))]
			switch do := r.IntN(8); {
			case do < likely:
				w := wait{from, v, r.IntN(3) == 0}
				q.Add(name, w.v, w.front)
				n.add(w)
			case do < 6 || len(n.waits) == 0:
				same(t, &q, &n)
			case do == 6:
				gone := n.waits[r.IntN(len(n.waits))]
				q.Remove(addresses[gone.from][0], func(v int) bool { return v == gone.v })
				n.remove(gone.v)
			default:
				q.Remove(name, func(v int) bool { return v < 0 }) // who is not there
			}
			waiting := 0
			for _, w := range n.waits {
				if w.from == from {
					waiting++
				}
			}
			if q.Waiting(name) != waiting || q.Len() != len(n.waits) {
				t.Fatalf("seed %d, step %d: %d wait, %d of %s; want %d and %d", seed, v, q.Len(), q.Waiting(name), name, len(n.waits), waiting)
			}
		}
		for len(n.turns) > 0 {
			same(t, &q, &n)
		}
		if len(q.lines) != 0 || len(q.turns) != 0 || q.Len() != 0 {
			t.Fatalf("seed %d: left: %+v", seed, q)
		}
	}
}

func same(t *testing.T, q *Queue[int], n *naive) {
	t.Helper()
	got, ok := q.Next()
	want, there := n.next()
	if got != want || ok != there {
		t.Fatalf("next is %d, %v; want %d, %v", got, ok, want, there)
	}
}

func BenchmarkQueue(b *testing.B) {
	from := netip.MustParseAddr("10.0.0.1")
	var q Queue[*int]
	b.ReportAllocs()
	for b.Loop() {
		q.Add(from, nil, false)
		q.Next()
	}
}
