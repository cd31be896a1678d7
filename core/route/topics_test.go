package route

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// slowScan is a scan under way while the tree changes.
type slowScan struct {
	filter  string
	cur     Cursor
	staying map[string]bool // matching names that have been there all the time
	seen    map[string]int
	calls   int
}

// topicsMachine runs Topics and a Go map side by side.
type topicsMachine struct {
	topics *Topics
	oracle map[string]uint32
	scans  []*slowScan
}

func newTopicsMachine() *topicsMachine {
	return &topicsMachine{topics: NewTopics(), oracle: map[string]uint32{}}
}

func (m *topicsMachine) put(t rapid.TB, name string, v uint32) {
	wantOld, want := m.oracle[name]
	if old, replaced := m.topics.Put(name, v); replaced != want || old != wantOld {
		t.Fatalf("Put(%q): %d, %v; want %d, %v", name, old, replaced, wantOld, want)
	}
	m.oracle[name] = v
}

func (m *topicsMachine) remove(t rapid.TB, name string) {
	wantOld, want := m.oracle[name]
	if old, ok := m.topics.Delete(name); ok != want || old != wantOld {
		t.Fatalf("Delete(%q): %d, %v; want %d, %v", name, old, ok, wantOld, want)
	}
	delete(m.oracle, name)
	for _, s := range m.scans {
		delete(s.staying, name)
	}
}

func (m *topicsMachine) get(t rapid.TB, name string) {
	want, wantOK := m.oracle[name]
	if v, ok := m.topics.Get(name); ok != wantOK || v != want {
		t.Fatalf("Get(%q): %d, %v; want %d, %v", name, v, ok, want, wantOK)
	}
}

// scan compares a scan in pieces of the given size.
func (m *topicsMachine) scan(t rapid.TB, filter string, piece int) {
	want := map[string]uint32{}
	for name, v := range m.oracle {
		if naiveMatch(filter, name) {
			want[name] = v
		}
	}
	got := map[string]uint32{}
	var cur Cursor
	for done := false; !done; {
		done = m.topics.Scan(filter, &cur, piece, func(name string, v uint32) bool {
			if _, twice := got[name]; twice {
				t.Fatalf("scan %q: %q twice", filter, name)
			}
			got[name] = v
			return len(got)%3 != 0
		})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("scan %q: -want +got\n%s", filter, diff)
	}
}

func (m *topicsMachine) startScan(filter string) {
	s := &slowScan{filter: filter, staying: map[string]bool{}, seen: map[string]int{}}
	for name := range m.oracle {
		if naiveMatch(filter, name) {
			s.staying[name] = true
		}
	}
	m.scans = append(m.scans, s)
}

// stepScan takes the scan i one piece further and checks it when it is done.
func (m *topicsMachine) stepScan(t rapid.TB, i, piece int) {
	s := m.scans[i]
	if s.calls++; s.calls > 10_000 {
		t.Fatalf("scan %q does not end", s.filter)
	}
	if s.calls%2 == 0 { // another cursor goes on there
		var other Cursor
		if err := other.Restore(s.filter, s.cur.Append(nil)); err != nil {
			t.Fatalf("scan %q: %v", s.filter, err)
		}
		s.cur = other
	}
	if !m.topics.Scan(s.filter, &s.cur, piece, func(name string, v uint32) bool {
		if want, ok := m.oracle[name]; !ok || v != want || !naiveMatch(s.filter, name) {
			t.Fatalf("scan %q: %q = %d; want %d, %v", s.filter, name, v, want, ok)
		}
		s.seen[name]++
		return true
	}) {
		return
	}
	for name := range s.staying {
		if s.seen[name] != 1 {
			t.Fatalf("scan %q: %q, there all the time, reported %d times", s.filter, name, s.seen[name])
		}
	}
	m.scans = slices.Delete(m.scans, i, i+1)
}

func (m *topicsMachine) check(t rapid.TB) {
	if m.topics.Len() != len(m.oracle) {
		t.Fatalf("Len %d, want %d", m.topics.Len(), len(m.oracle))
	}
	if len(m.oracle) == 0 && m.topics.nodes.live != 1 {
		t.Fatalf("%d places of no names", m.topics.nodes.live-1)
	}
}

func drawPresent(t *rapid.T, m *topicsMachine) string {
	names := slices.Sorted(maps.Keys(m.oracle))
	if len(names) == 0 {
		t.Skip("nothing there")
	}
	return rapid.SampledFrom(names).Draw(t, "present")
}

func TestTopicsAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newTopicsMachine()
		piece := rapid.IntRange(0, 5)
		put := func(t *rapid.T) { m.put(t, drawTopic(t), rapid.Uint32().Draw(t, "v")) }
		t.Repeat(map[string]func(*rapid.T){
			"put": put, "putMore": put, "putStill": put,
			"delete":    func(t *rapid.T) { m.remove(t, drawTopic(t)) },
			"deleteOne": func(t *rapid.T) { m.remove(t, drawPresent(t, m)) },
			"get":       func(t *rapid.T) { m.get(t, drawTopic(t)) },
			"scan":      func(t *rapid.T) { m.scan(t, drawFilter(t), piece.Draw(t, "piece")) },
			"startScan": func(t *rapid.T) { m.startScan(drawFilter(t)) },
			"stepScan": func(t *rapid.T) {
				if len(m.scans) == 0 {
					t.Skip("no scan")
				}
				m.stepScan(t, rapid.IntRange(0, len(m.scans)-1).Draw(t, "scan"), piece.Draw(t, "piece"))
			},
			"": func(t *rapid.T) { m.check(t) },
		})
		for len(m.scans) > 0 {
			m.stepScan(t, 0, 3)
		}
	})
}

// TestScanOfWideLevel scans a level with many children while a third of them go
// and others come.
func TestScanOfWideLevel(t *testing.T) {
	m := newTopicsMachine()
	for i := range 3000 {
		m.put(t, fmt.Sprintf("d/%d/state", i), uint32(i))
	}
	m.startScan("d/+/state")
	for i := 0; len(m.scans) > 0; i++ {
		m.stepScan(t, 0, 7)
		m.put(t, fmt.Sprintf("d/new%d/state", i), uint32(i))
		m.remove(t, fmt.Sprintf("d/%d/state", i*3%3000))
	}
	m.scan(t, "#", 100)
}

// TestScanEndsAgainstEndlessPuts puts faster than it scans.
func TestScanEndsAgainstEndlessPuts(t *testing.T) {
	m := newTopicsMachine()
	m.put(t, "a/0", 0)
	m.startScan("#")
	for i := 1; len(m.scans) > 0; i++ {
		m.put(t, fmt.Sprintf("a/%d", 2*i), 0)
		m.put(t, fmt.Sprintf("a/%d", 2*i+1), 0)
		m.stepScan(t, 0, 1)
	}
}

func TestScanBoundsWork(t *testing.T) {
	topics := NewTopics()
	for i := range 5000 {
		topics.Put(fmt.Sprintf("$x%d", i), 1)
		topics.Put(fmt.Sprintf("a/%d/x", i), 1)
	}
	for _, filter := range []string{"+", "#", "a/+/y", "$x7"} {
		var cur Cursor
		calls := 1
		for ; !topics.Scan(filter, &cur, 10, func(string, uint32) bool { return true }); calls++ {
		}
		if most := 15002/10 + 1; calls > most {
			t.Errorf("%s: %d calls, want ≤ %d", filter, calls, most)
		}
	}
}

func TestTopicsEdges(t *testing.T) {
	topics := NewTopics()
	if _, replaced := topics.Put(strings.Repeat("a", maxFilter+1), 1); replaced || topics.Len() != 0 {
		t.Error("took a name that is too long")
	}
	long := strings.Repeat("a", maxFilter)
	topics.Put(long, 7)
	if v, ok := topics.Get(long); v != 7 || !ok {
		t.Errorf("longest name: %d, %v", v, ok)
	}
	var cur Cursor
	topics.Scan("+", &cur, 1, func(string, uint32) bool { return false })
	cur.Reset()
	n := 0
	topics.Scan("+", &cur, 9, func(string, uint32) bool { n++; return true })
	if n != 1 {
		t.Errorf("after Reset %d names", n)
	}
	if topics.Bytes() == 0 {
		t.Error("no memory")
	}
}

// TestTopicsGiveMemoryBack changes all names many times over.
func TestTopicsGiveMemoryBack(t *testing.T) {
	topics := NewTopics()
	var first int
	for round := range 10 {
		for i := range 1000 {
			topics.Put(fmt.Sprintf("round%d/%d/%s", round, i, strings.Repeat("x", round)), 1)
		}
		if round == 0 {
			first = topics.Bytes()
		}
		for i := range 1000 {
			topics.Delete(fmt.Sprintf("round%d/%d/%s", round, i, strings.Repeat("x", round)))
		}
	}
	if now := topics.Bytes(); now > 3*first || topics.nodes.live != 1 {
		t.Errorf("%d bytes after all rounds, %d in the first; %d places", now, first, topics.nodes.live)
	}
}

func TestTopicsConcurrently(t *testing.T) {
	topics := NewTopics()
	for i := range 100 {
		topics.Put(fmt.Sprintf("stay/%d", i), uint32(i))
	}
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := range 3000 {
				topics.Put(fmt.Sprintf("come/%d/%d", w, i%50), 1)
				topics.Delete(fmt.Sprintf("come/%d/%d", w, (i+25)%50))
			}
		})
		wg.Go(func() {
			for range 30 {
				n := 0
				var cur Cursor
				for !topics.Scan("+/+", &cur, 9, func(string, uint32) bool { n++; return true }) {
				}
				if n != 100 {
					t.Errorf("saw %d of 100 names", n)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzTopics(f *testing.F) {
	f.Add([]byte("pa/b\x00pa/c\x00s+/#\x00da/b\x00s#\x00"))
	f.Fuzz(func(t *testing.T, script []byte) {
		m := newTopicsMachine()
		for i, line := range strings.Split(string(script), "\x00") {
			if i > 200 || len(line) < 2 || len(line) > 200 {
				break
			}
			switch what, arg := line[0], line[1:]; what {
			case 'p':
				m.put(t, arg, uint32(i))
			case 'd':
				m.remove(t, arg)
			case 'g':
				m.get(t, arg)
			case 's':
				m.scan(t, arg, i%5)
			case 'S':
				m.startScan(arg)
			default:
				if len(m.scans) > 0 {
					m.stepScan(t, 0, 1)
				}
			}
			m.check(t)
		}
	})
}

func BenchmarkTopics(b *testing.B) {
	const names = 100_000
	topics := NewTopics()
	text := make([]string, names)
	for i := range text {
		text[i] = fmt.Sprintf("fleet/tenant%d/device%06d/state", i%100, i)
		topics.Put(text[i], uint32(i))
	}
	b.Run("put", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			topics.Put(text[i%names], uint32(i))
		}
		b.ReportMetric(float64(topics.Bytes())/names, "B/name")
	})
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			topics.Get(text[i%names])
		}
	})
	b.Run("scan", func(b *testing.B) {
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			var cur Cursor
			for !topics.Scan("fleet/tenant7/+/state", &cur, 1000, func(string, uint32) bool { n++; return true }) {
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/name")
	})
}
