package route

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

func plain(add func()) { add() }

// TestTableAtSize fills a table until everything in it has split many times,
// takes half out at random and looks up every filter.
func TestTableAtSize(t *testing.T) {
	f := fleet{exact: 20_000, wild: 10_000}
	table := New(Options{})
	f.add(table, f.exactFilter, 0, f.exact, plain)
	f.add(table, f.wildFilter, 0, f.wild, plain)
	gone := map[string]bool{}
	rng := rand.New(rand.NewPCG(3, 3))
	table.Update(func(tx *Tx) {
		for i := range f.exact {
			for k, filter := range []string{f.exactFilter(i), f.wildFilter(i % f.wild)} {
				if rng.IntN(2) == 0 || gone[filter] || k == 1 && i >= f.wild {
					continue
				}
				e, ok := tx.Find(filter)
				if last, removed := tx.Remove(e, uint32(i)); !ok || !last || !removed {
					t.Fatalf("Remove(%q): %v, %v, %v", filter, ok, last, removed)
				}
				gone[filter] = true
			}
		}
		for i := range f.exact {
			checkFind(t, tx, f.exactFilter(i), !gone[f.exactFilter(i)])
		}
		for i := range f.wild {
			checkFind(t, tx, f.wildFilter(i), !gone[f.wildFilter(i)])
		}
	})
	if s := table.Stats(); s.Exact+s.Wildcard != f.exact+f.wild-len(gone) || s.Odd != 0 {
		t.Errorf("%+v after %d removals", s, len(gone))
	}
}

func checkFind(t *testing.T, tx *Tx, filter string, want bool) {
	if e, ok := tx.Find(filter); ok != want || ok && tx.Filter(e) != filter {
		t.Fatalf("Find(%q): %v", filter, ok)
	}
}

// TestChurnLosesNoMemory subscribes and unsubscribes whole fleets with changing
// names.
func TestChurnLosesNoMemory(t *testing.T) {
	table := New(Options{})
	var first int
	for round := range 8 {
		name := func(kind string, i int) string {
			return fmt.Sprintf("%s/round%d/%s/%d/+", kind, round, strings.Repeat("x", round*3), i)
		}
		table.Update(func(tx *Tx) {
			for i := range 2000 {
				tx.Add(name("w", i), 1)
				tx.Add(strings.TrimSuffix(name("e", i), "/+"), 1)
				tx.Add(name("w", i%10), uint32(i)) // long lists
				tx.AddNode(name("w", i), i%100)
				tx.AddNode(name("w", i), 99)
			}
		})
		if round == 0 {
			first = table.Stats().Bytes
		}
		table.Update(func(tx *Tx) { emptyTable(tx) })
		s := table.Stats()
		if s.Exact+s.Wildcard+s.Values+s.Nodes+s.TrieNodes+s.Odd != 0 {
			t.Fatalf("round %d: not empty: %+v", round, s)
		}
	}
	if now := table.Stats().Bytes; now > 3*first {
		t.Errorf("%d bytes after all rounds, %d in the first", now, first)
	}
}

// emptyTable removes everything by handle.
func emptyTable(tx *Tx) {
	es := tx.t.entries
	for c := es.cells.cellFrom(0); c != 0; c = es.cells.cellFrom(c + 1) {
		e := Entry(c)
		filter := tx.Filter(e)
		mask, above := es.nodes(es.at(e))
		for n := range 64 {
			if mask>>n&1 != 0 {
				tx.RemoveNode(filter, n)
			}
		}
		for _, n := range valuesOf(es.values, above) {
			tx.RemoveNode(filter, int(n))
		}
		if es.live(e) == nil {
			continue
		}
		var it Iter
		tx.Values(e, &it)
		for _, v := range drain(&it) {
			tx.Remove(e, v)
		}
	}
}

func TestTxRefuses(t *testing.T) {
	table := New(Options{})
	table.Update(func(tx *Tx) {
		long := strings.Repeat("a", maxFilter+1)
		if e, first, added := tx.Add(long, 1); e != 0 || first || added {
			t.Error("took a filter that is too long")
		}
		if e := tx.SetNodes(long, 1); e != 0 {
			t.Error("took nodes of a filter that is too long")
		}
		for _, n := range []int{-1, maxNode + 1} {
			if e, added := tx.AddNode("a", n); e != 0 || added || tx.RemoveNode("a", n) {
				t.Errorf("took node %d", n)
			}
		}
		if e, _ := tx.AddNode(long, 1); e != 0 {
			t.Error("took a node of a filter that is too long")
		}
		e, _, _ := tx.Add(long[1:], 1)
		if tx.Filter(e) != long[1:] {
			t.Error("lost the longest filter")
		}
		tx.Remove(e, 1)
		for _, dead := range []Entry{0, e, e + 1, 1, ^Entry(0)} {
			if _, removed := tx.Remove(dead, 1); removed || tx.Filter(dead) != "" || tx.Nodes(dead) != 0 {
				t.Errorf("entry %d lives", dead)
			}
		}
	})
	if s := table.Stats(); s.Exact != 0 {
		t.Errorf("%d filters", s.Exact)
	}
}

func TestTxReads(t *testing.T) {
	table := New(Options{})
	table.Update(func(tx *Tx) {
		e := tx.SetNodes("a/+", 1<<63|2)
		tx.AddNode("a/+", 70)
		tx.Add("a/+", 9)
		var it Iter
		tx.Values(e, &it)
		if got := drain(&it); len(got) != 1 || got[0] != 9 || tx.Nodes(e) != 1<<63|2 {
			t.Errorf("values %v, nodes %x", got, tx.Nodes(e))
		}
		if tx.SetNodes("a/+", 0) != e || tx.SetNodes("none", 0) != 0 {
			t.Error("SetNodes")
		}
	})
}

// TestMatchWorkIsBounded matches a topic that 4,096 filters match.
func TestMatchWorkIsBounded(t *testing.T) {
	const work = 100
	for _, cache := range []int{-1, 16} {
		table := New(Options{MaxMatchWork: work, CacheEntries: cache})
		table.Update(func(tx *Tx) {
			for bits := range 4096 {
				filter := "x"
				for l := range 12 {
					filter += []string{"/a", "/+"}[bits>>l&1]
				}
				tx.Add(filter, 1)
			}
		})
		r := table.NewReader()
		for range 2 { // the second is answered by the cache
			r.Match("x"+strings.Repeat("/a", 12), func(m *Matches) {
				if !m.Truncated || m.Entries() > work {
					t.Errorf("truncated %v, %d entries", m.Truncated, m.Entries())
				}
			})
		}
		if r.walk.work > work {
			t.Errorf("work %d", r.walk.work)
		}
		r.Match("x/a", func(m *Matches) {
			if m.Truncated {
				t.Error("a harmless topic is truncated")
			}
		})
	}
}

func TestWalkStopsAndGoesOn(t *testing.T) {
	f := fleet{exact: 1000, wild: 1000}
	table := New(Options{})
	f.add(table, f.exactFilter, 0, f.exact, plain)
	n := 0
	table.Walk(func(string, []uint32, uint64) bool { n++; return n < 10 })
	if n != 10 {
		t.Errorf("%d calls after false at the 10th", n)
	}
	// Filters come and go while it walks, those of f stay.
	seen := map[string]int{}
	i := 0
	table.Walk(func(filter string, _ []uint32, _ uint64) bool {
		seen[filter]++
		table.Update(func(tx *Tx) {
			e, _, _ := tx.Add(fmt.Sprintf("passing/%d/%s", i, strings.Repeat("y", i%300)), 1)
			if i++; i%2 == 0 {
				tx.Remove(e, 1)
			}
		})
		return i < 5000
	})
	for i := range f.exact {
		if seen[f.exactFilter(i)] != 1 {
			t.Fatalf("%q reported %d times", f.exactFilter(i), seen[f.exactFilter(i)])
		}
	}
}

// TestWalkHoldsTheLockShortly looks at what one piece of a Walk copies.
func TestWalkHoldsTheLockShortly(t *testing.T) {
	table := New(Options{})
	table.Update(func(tx *Tx) {
		for i := range 1000 {
			for v := range uint32(100) {
				tx.Add(fmt.Sprintf("a/%d", i), v)
			}
		}
	})
	var b batch
	pieces, filters := 0, 0
	for next, more := ref(0), true; more; pieces++ {
		next, more = table.collect(&b, next)
		filters += len(b.items)
		if len(b.items) > walkEntries || len(b.values) > walkValues+100 {
			t.Fatalf("%d filters, %d values under one lock", len(b.items), len(b.values))
		}
	}
	if filters != 1000 || pieces < 6 {
		t.Errorf("%d filters in %d pieces", filters, pieces)
	}
}

// TestReadersSeeWholeUpdates moves one value between two filters.
func TestReadersSeeWholeUpdates(t *testing.T) {
	table := New(Options{CacheEntries: 8})
	table.Update(func(tx *Tx) { tx.Add("a/+", 0) })
	stop := make(chan struct{})
	var readers, writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			table.Update(func(tx *Tx) { move(tx, i) })
		}
	})
	for range 3 {
		readers.Go(func() { watch(t, table) })
	}
	readers.Wait()
	close(stop)
	writer.Wait()
	if s := table.Stats(); s.Readers != 0 || s.Values != 1 {
		t.Errorf("%+v", s)
	}
}

var roads = [...]string{"a/+", "a/b", "#", "a/b/#"}

// move takes the only value from one filter to the next.
func move(tx *Tx, i int) {
	from, to := roads[i%len(roads)], roads[(i+1)%len(roads)]
	e, _ := tx.Find(from)
	tx.Remove(e, uint32(i))
	tx.Add(to, uint32(i+1))
}

// watch sees exactly one value whenever it looks.
func watch(t *testing.T, table *Table) {
	r := table.NewReader()
	defer r.Close()
	for range 2000 {
		r.Match("a/b", func(m *Matches) {
			if m.Entries() != 1 || m.Count(0) != 1 {
				t.Errorf("%d entries", m.Entries())
			}
		})
		if s, ok := r.Intern([]byte("a/b")); ok && s != "a/b" {
			t.Errorf("interned %q", s)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add([]byte("aa/b\x00a+/b\x00ma/b\x00ra/b\x00aa/#\x00ma\x00w\x00na/+\x00"))
	f.Fuzz(func(t *testing.T, script []byte) {
		m := newMachine(newHasher(Options{}.Seed).seed, ^uint64(0), 4)
		for i, line := range strings.Split(string(script), "\x00") {
			if i > 200 || len(line) == 0 || len(line) > 200 {
				break
			}
			switch what, arg := line[0], line[1:]; what {
			case 'a':
				m.add(t, arg, uint32(i%7))
			case 'r':
				m.remove(t, arg, uint32(i%7))
			case 'n':
				m.addNode(t, arg, i*9)
			case 'x':
				m.setNodes(t, arg, uint64(i))
			case 'm':
				if !isWildcard(arg) {
					m.match(t, arg, i%2)
				}
			case 'w':
				m.walkAll(t)
			}
			m.check(t)
		}
	})
}
