package route

import (
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// looked is a search under way and what the oracle knows of it.
type looked struct {
	search Search
	topic  string
	begun  bool
	always map[string]bool // that match and were there since it began
}

// seeking is a machine with searches that are left and taken up between its changes.
type seeking struct {
	*machine
	own  []*Reader // that nothing else uses
	look [3]looked
}

// change does one change, and notes what went for the searches.
func (m *seeking) change(t *rapid.T) {
	filter, value := drawFilter(t), rapid.Uint32Range(0, 1).Draw(t, "value")
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		m.remove(t, filter, value)
	case 1:
		m.removeNode(t, filter, 5)
	case 2:
		m.addNode(t, filter, 5)
	case 3:
		if present := slices.Sorted(maps.Keys(m.oracle)); len(present) > 0 {
			filter = rapid.SampledFrom(present).Draw(t, "present")
			m.setNodes(t, filter, 0)
			m.remove(t, filter, 0)
			m.remove(t, filter, 1)
		}
	default:
		m.add(t, filter, value)
	}
	for i := range m.look {
		maps.DeleteFunc(m.look[i].always, func(f string, _ bool) bool { return m.oracle[f] == nil })
	}
}

func (m *seeking) begin(t *rapid.T, l *looked) {
	l.topic, l.begun, l.always = drawTopic(t), true, map[string]bool{}
	if l.search.Topic() == l.topic {
		l.search = Search{} // that one began earlier
	}
	for f := range m.oracle.match(l.topic) {
		l.always[f] = true
	}
}

// seek gives a search a few steps, and compares what it found where that was the last.
func (m *seeking) seek(t *rapid.T) {
	l := &m.look[rapid.IntRange(0, len(m.look)-1).Draw(t, "search")]
	r := m.own[rapid.IntRange(0, 1).Draw(t, "reader")]
	if !l.begun || rapid.IntRange(0, 9).Draw(t, "drop") == 0 {
		m.begin(t, l)
	}
	known := r.Known(l.topic)
	if !known || l.search.Unfinished() {
		if _, done := r.Seek(l.topic, &l.search, rapid.IntRange(1, 4).Draw(t, "steps")); !done {
			if !l.search.Unfinished() || l.search.Topic() != l.topic {
				t.Fatalf("topic %q: not done, and nothing is kept of it", l.topic)
			}
			return
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "changes") {
		m.change(t)
	}
	m.found(t, l, r)
	l.begun = false
}

func (m *seeking) found(t *rapid.T, l *looked, r *Reader) {
	got := matchedBy(t, l.topic, m.collide, func(fn func(*Matches)) { r.Found(l.topic, &l.search, fn) })
	want := m.oracle.match(l.topic)
	for f := range l.always {
		if _, ok := got[f]; !ok {
			t.Fatalf("topic %q: %q was there all the time and is not found", l.topic, f)
		}
	}
	for f := range got { // what came meanwhile may be found
		if diff := cmp.Diff(want[f], got[f]); diff != "" || m.oracle[f] == nil {
			t.Fatalf("topic %q: %q there %v: -want +got\n%s", l.topic, f, m.oracle[f] != nil, diff)
		}
	}
	if l.search.Unfinished() || l.search.walk != nil && l.search.walk.topic == l.topic {
		t.Fatalf("topic %q: something is left of the search", l.topic)
	}
}

func runSeeking(mask uint64, cache int) func(t *rapid.T) {
	seed := maphash.MakeSeed()
	return func(t *rapid.T) {
		m := &seeking{machine: newMachine(seed, mask, cache)}
		m.own = []*Reader{m.table.NewReader(), m.table.NewReader()}
		for range 20 {
			m.change(t)
		}
		t.Repeat(map[string]func(*rapid.T){
			"change": m.change,
			"seek":   m.seek,
			"seek 2": m.seek,
			"match":  func(t *rapid.T) { m.match(t, drawTopic(t), rapid.IntRange(0, 1).Draw(t, "reader")) },
			// What a search left behind must not be taken for a match of now.
			"match own": func(t *rapid.T) {
				topic := drawTopic(t)
				if diff := cmp.Diff(m.oracle.match(topic), matched(t, m.own[0], topic, m.collide)); diff != "" {
					t.Fatalf("match %q: -want +got\n%s", topic, diff)
				}
			},
		})
	}
}

// TestSearchAgainstOracle: searches that are left after any step, with any changes in
// between, find each filter once that was there all the time, and none that is not there.
func TestSearchAgainstOracle(t *testing.T) {
	t.Run("cached", rapid.MakeCheck(runSeeking(^uint64(0), 4)))
	t.Run("uncached", rapid.MakeCheck(runSeeking(^uint64(0), -1)))
	t.Run("all hashes collide", rapid.MakeCheck(runSeeking(0, 4)))
	t.Run("many hashes collide", rapid.MakeCheck(runSeeking(3<<40, -1)))
}

// overlapping adds every mix of a and + in so many levels below x.
func overlapping(table *Table, levels int) (topic string) {
	for mix := range 1 << levels {
		filter := "x"
		for l := range levels {
			filter += []string{"/a", "/+"}[mix>>l&1]
		}
		table.Update(func(tx *Tx) { tx.Add(filter, uint32(mix)) })
	}
	return "x" + strings.Repeat("/a", levels)
}

// TestSearchPieces: each call does what it may and no more, all calls together do what a
// match does, and what is remembered is searched no more.
func TestSearchPieces(t *testing.T) {
	for _, c := range []struct {
		name      string
		o         Options
		levels    int
		truncated bool
	}{
		{"few", Options{}, 7, false}, // 128 are remembered
		{"many", Options{}, 12, false},
		{"many, no cache", Options{CacheEntries: -1}, 12, false},
		{"too many", Options{MaxMatchWork: 5000}, 12, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := New(c.o)
			topic := overlapping(table, c.levels)
			r := table.NewReader()
			var want, got []string
			var work, all, calls int
			var truncated bool
			take := func(to *[]string) func(m *Matches) {
				return func(m *Matches) {
					work, truncated = m.Work, m.Truncated
					for i := range m.Entries() {
						*to = append(*to, string(m.AppendFilter(nil, i)))
					}
					slices.Sort(*to)
				}
			}
			table.NewReader().Match(topic, take(&want))
			whole := work
			var s Search
			const steps = 100
			for done := false; !done; calls++ {
				var n int
				if n, done = r.Seek(topic, &s, steps); n > steps+3 {
					t.Fatalf("%d steps in a call that may do %d", n, steps)
				}
				all += n
			}
			r.Found(topic, &s, take(&got))
			if !slices.Equal(got, want) || truncated != c.truncated || all != whole || calls < whole/(steps+3) {
				t.Errorf("found %d of %d by %d calls, work %d of %d, truncated %v", len(got), len(want), calls, all, whole, truncated)
			}
			n, done := r.Seek(topic, &s, steps)
			if cached := len(want) <= mostEntries; n != 0 && cached || !done && cached {
				t.Errorf("%d matches are not remembered: done %v after %d steps", len(want), done, n)
			}
		})
	}
}

// TestSearchSiftsApart: much that was found while the table changed is looked through in
// a call of its own.
func TestSearchSiftsApart(t *testing.T) {
	table := New(Options{})
	topic := overlapping(table, 12)
	r := table.NewReader()
	var s Search
	calls, changed := 0, false
	for done := false; !done; calls++ {
		_, done = r.Seek(topic, &s, 10_000)
		if !changed {
			changed = true
			table.Update(func(tx *Tx) {
				e, _ := tx.Find("x" + strings.Repeat("/+", 12))
				tx.Remove(e, 1<<12-1)
				tx.Add("#", 1)
			})
		}
	}
	n := 0
	r.Found(topic, &s, func(m *Matches) { n = m.Entries() })
	if calls != 3 || n < 1<<12-1 {
		t.Errorf("%d matches by %d calls", n, calls)
	}
}

// BenchmarkSeek is what a loop does for a message that may take pieces: its topic's
// string, whether it is known, else a search, and the filters.
func BenchmarkSeek(b *testing.B) {
	f := fleet{exact: 1000, wild: 1000}
	for _, cache := range []int{0, -1} {
		b.Run(fmt.Sprint("cache=", cache >= 0), func(b *testing.B) {
			table := New(Options{CacheEntries: cache})
			f.add(table, f.exactFilter, 0, f.exact, func(add func()) { add() })
			var topics [64][]byte
			r := table.NewReader()
			for i, topic := range f.topics("hot", len(topics)) {
				topics[i] = []byte(topic)
				r.Match(topic, func(*Matches) {})
			}
			found := 0
			var s Search
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				topic, ok := r.Intern(topics[i%len(topics)])
				if !ok {
					topic = string(topics[i%len(topics)])
				}
				if !r.Known(topic) {
					r.Seek(topic, &s, 500)
				}
				r.Found(topic, &s, func(m *Matches) { found += m.Entries() })
			}
		})
	}
}
