package route

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The oracle: filters in a Go map, matched by the specification's wording.

type oracleEntry struct {
	values map[uint32]bool
	nodes  map[int]bool
}

type oracle map[string]*oracleEntry

func (o oracle) enter(filter string) *oracleEntry {
	if o[filter] == nil {
		o[filter] = &oracleEntry{map[uint32]bool{}, map[int]bool{}}
	}
	return o[filter]
}

func (o oracle) tidy(filter string) {
	if e := o[filter]; e != nil && len(e.values)+len(e.nodes) == 0 {
		delete(o, filter)
	}
}

// result is one matching filter as either side sees it.
type result struct {
	Values []uint32
	Mask   uint64
	Above  []uint32
}

func (e *oracleEntry) result() result {
	r := result{Values: slices.Sorted(maps.Keys(e.values))}
	for _, n := range slices.Sorted(maps.Keys(e.nodes)) {
		if n < 64 {
			r.Mask |= 1 << n
		} else {
			r.Above = append(r.Above, uint32(n))
		}
	}
	return r
}

func (o oracle) match(topic string) map[string]result {
	got := map[string]result{}
	for filter, e := range o {
		if naiveMatch(filter, topic) {
			got[filter] = e.result()
		}
	}
	return got
}

// naiveMatch compares level by level.
func naiveMatch(filter, topic string) bool {
	f, n := strings.Split(filter, "/"), strings.Split(topic, "/")
	if strings.HasPrefix(topic, "$") && (f[0] == "+" || filter == "#") {
		return false // [MQTT-4.7.2-1]
	}
	if f[len(f)-1] == "#" {
		f = f[:len(f)-1]
		if len(n) < len(f) {
			return false
		}
		n = n[:len(f)]
	}
	return slices.EqualFunc(f, n, func(f, n string) bool { return f == "+" || f == n })
}

func drain(it *Iter) (all []uint32) {
	for {
		piece, ok := it.Next()
		if !ok {
			return all
		}
		all = append(all, piece...)
	}
}

// matched reads all a match says. A filter that stands there twice is an error
// unless hashes are made to collide.
func matched(t rapid.TB, r *Reader, topic string, collide bool) map[string]result {
	return matchedBy(t, topic, collide, func(fn func(*Matches)) { r.Match(topic, fn) })
}

func matchedBy(t rapid.TB, topic string, collide bool, match func(fn func(*Matches))) map[string]result {
	got := map[string]result{}
	match(func(m *Matches) {
		if m.Truncated || m.Topic() != topic {
			t.Errorf("topic %q: truncated %v, topic %q", topic, m.Truncated, m.Topic())
		}
		var it Iter
		for i := range m.Entries() {
			res := result{Mask: m.Nodes(i)}
			m.Values(i, &it)
			res.Values = drain(&it)
			m.NodesAbove(i, &it)
			res.Above = drain(&it)
			filter := string(m.AppendFilter(nil, i))
			if _, twice := got[filter]; twice && !collide {
				t.Errorf("topic %q: %q twice", topic, filter)
			}
			if m.Count(i) != len(res.Values) {
				t.Errorf("filter %q: Count %d, %d values", filter, m.Count(i), len(res.Values))
			}
			got[filter] = res
		}
	})
	return got
}

// Small alphabets make filters meet.
func drawFilter(t *rapid.T) string {
	levels := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "", "$a", "+", "+"}), 0, 4).Draw(t, "filter")
	if len(levels) == 0 || rapid.IntRange(0, 3).Draw(t, "multi") == 0 {
		levels = append(levels, "#")
	}
	return strings.Join(levels, "/")
}

func drawTopic(t *rapid.T) string {
	levels := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "", "$a", "c"}), 1, 5).Draw(t, "topic")
	return strings.Join(levels, "/")
}

// machine runs a Table and its oracle side by side.
type machine struct {
	table   *Table
	readers []*Reader
	oracle  oracle
	handles map[string]Entry
	collide bool
}

func newMachine(seed maphash.Seed, mask uint64, cache int) *machine {
	t := newTable(Options{CacheEntries: cache}, maskedHasher(seed, mask))
	return &machine{table: t, readers: []*Reader{t.NewReader(), t.NewReader()}, oracle: oracle{},
		handles: map[string]Entry{}, collide: mask != ^uint64(0)}
}

func (m *machine) add(t rapid.TB, filter string, v uint32) {
	o := m.oracle.enter(filter)
	wantFirst, wantAdded := len(o.values) == 0, !o.values[v]
	o.values[v] = true
	m.table.Update(func(tx *Tx) {
		e, first, added := tx.Add(filter, v)
		if first != wantFirst || added != wantAdded {
			t.Fatalf("Add(%q, %d): first %v, added %v", filter, v, first, added)
		}
		m.checkHandle(t, tx, filter, e)
	})
}

func (m *machine) checkHandle(t rapid.TB, tx *Tx, filter string, e Entry) {
	if old, ok := m.handles[filter]; ok && old != e || tx.Filter(e) != filter {
		t.Fatalf("%q: handle %d, was %d, of %q", filter, e, old, tx.Filter(e))
	}
	m.handles[filter] = e
}

func (m *machine) remove(t rapid.TB, filter string, v uint32) {
	o := m.oracle[filter]
	wantRemoved := o != nil && o.values[v]
	wantLast := wantRemoved && len(o.values) == 1
	m.table.Update(func(tx *Tx) {
		e, ok := tx.Find(filter)
		if ok != (o != nil) {
			t.Fatalf("Find(%q): %v", filter, ok)
		}
		last, removed := tx.Remove(e, v)
		if last != wantLast || removed != wantRemoved {
			t.Fatalf("Remove(%q, %d): last %v, removed %v", filter, v, last, removed)
		}
	})
	if o != nil {
		delete(o.values, v)
	}
	m.tidy(filter)
}

func (m *machine) tidy(filter string) {
	if m.oracle.tidy(filter); m.oracle[filter] == nil {
		delete(m.handles, filter)
	}
}

func (m *machine) addNode(t rapid.TB, filter string, node int) {
	o := m.oracle.enter(filter)
	want := !o.nodes[node]
	o.nodes[node] = true
	m.table.Update(func(tx *Tx) {
		e, added := tx.AddNode(filter, node)
		if added != want {
			t.Fatalf("AddNode(%q, %d): %v", filter, node, added)
		}
		m.checkHandle(t, tx, filter, e)
	})
}

func (m *machine) removeNode(t rapid.TB, filter string, node int) {
	want := m.oracle[filter] != nil && m.oracle[filter].nodes[node]
	m.table.Update(func(tx *Tx) {
		if tx.RemoveNode(filter, node) != want {
			t.Fatalf("RemoveNode(%q, %d): not %v", filter, node, want)
		}
	})
	if want {
		delete(m.oracle[filter].nodes, node)
	}
	m.tidy(filter)
}

func (m *machine) setNodes(t rapid.TB, filter string, mask uint64) {
	o := m.oracle.enter(filter)
	for n := range 64 {
		delete(o.nodes, n)
		if mask>>n&1 != 0 {
			o.nodes[n] = true
		}
	}
	m.tidy(filter)
	m.table.Update(func(tx *Tx) {
		e := tx.SetNodes(filter, mask)
		if (e != 0) != (m.oracle[filter] != nil) {
			t.Fatalf("SetNodes(%q, %x): %d", filter, mask, e)
		}
		if e != 0 {
			m.checkHandle(t, tx, filter, e)
		}
	})
}

func (m *machine) match(t rapid.TB, topic string, reader int) {
	got := matched(t, m.readers[reader], topic, m.collide)
	if diff := cmp.Diff(m.oracle.match(topic), got); diff != "" {
		t.Fatalf("match %q: -want +got\n%s", topic, diff)
	}
}

func (m *machine) check(t rapid.TB) {
	want := Stats{Readers: len(m.readers)}
	for filter, e := range m.oracle {
		if strings.ContainsAny(filter, "+#") {
			want.Wildcard++
		} else {
			want.Exact++
		}
		want.Values += len(e.values)
		want.Nodes += len(e.nodes)
	}
	got := m.table.Stats()
	if got.TrieNodes > 0 && got.Wildcard == 0 && !m.collide {
		t.Fatalf("%d trie nodes of no filters", got.TrieNodes)
	}
	got.TrieNodes, got.Odd, got.Bytes = 0, 0, 0
	if got != want {
		t.Fatalf("stats %+v, want %+v", got, want)
	}
}

// walkAll compares what Walk reports.
func (m *machine) walkAll(t rapid.TB) {
	got := map[string]result{}
	m.table.Walk(func(filter string, values []uint32, nodes uint64) bool {
		if _, twice := got[filter]; twice {
			t.Fatalf("walk: %q twice", filter)
		}
		got[filter] = result{Values: append([]uint32(nil), values...), Mask: nodes}
		return true
	})
	want := map[string]result{}
	for filter, e := range m.oracle {
		r := e.result()
		r.Above = nil
		want[filter] = r
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("walk: -want +got\n%s", diff)
	}
}

func runMachine(mask uint64, cache int) func(t *rapid.T) {
	seed := maphash.MakeSeed() // one for all, so that rapid can repeat a failure
	return func(t *rapid.T) {
		m := newMachine(seed, mask, cache)
		value := rapid.Uint32Range(0, 5)
		node := rapid.SampledFrom([]int{0, 1, 5, 63, 64, 65, 1000})
		t.Repeat(map[string]func(*rapid.T){
			"add":        func(t *rapid.T) { m.add(t, drawFilter(t), value.Draw(t, "value")) },
			"addMore":    func(t *rapid.T) { m.add(t, drawFilter(t), value.Draw(t, "value")|1<<31) },
			"remove":     func(t *rapid.T) { m.remove(t, drawFilter(t), value.Draw(t, "value")) },
			"removeSome": func(t *rapid.T) { m.removeSome(t) },
			"addNode":    func(t *rapid.T) { m.addNode(t, drawFilter(t), node.Draw(t, "node")) },
			"removeNode": func(t *rapid.T) { m.removeNode(t, drawFilter(t), node.Draw(t, "node")) },
			"setNodes":   func(t *rapid.T) { m.setNodes(t, drawFilter(t), rapid.Uint64Range(0, 3).Draw(t, "mask")) },
			"match":      func(t *rapid.T) { m.match(t, drawTopic(t), rapid.IntRange(0, 1).Draw(t, "reader")) },
			"walk":       func(t *rapid.T) { m.walkAll(t) },
			"":           func(t *rapid.T) { m.check(t) },
		})
	}
}

// removeSome removes a value that is there.
func (m *machine) removeSome(t *rapid.T) {
	filters := slices.Sorted(maps.Keys(m.oracle))
	if len(filters) == 0 {
		t.Skip("nothing there")
	}
	filter := rapid.SampledFrom(filters).Draw(t, "present")
	for v := range m.oracle[filter].values {
		m.remove(t, filter, v)
		return
	}
}

func TestTableAgainstOracle(t *testing.T) {
	t.Run("cached", rapid.MakeCheck(runMachine(^uint64(0), 4)))
	t.Run("uncached", rapid.MakeCheck(runMachine(^uint64(0), -1)))
	t.Run("all hashes collide", rapid.MakeCheck(runMachine(0, 4)))
	t.Run("many hashes collide", rapid.MakeCheck(runMachine(3<<40, -1)))
}
