package route

import (
	"slices"
	"strings"
)

// walk is one match: it collects the entries whose filters match a topic. A
// reader uses one again and again, so that its slices need no new memory. It may be
// left after some work and taken up later, however the table has changed meanwhile:
// what it has to look at yet are paths, and each node is found anew by its path.
type walk struct {
	t         *Table
	topic     string
	hash      uint64
	levels    []uint64 // hashes of its levels, those that have been asked for
	next      int      // where the level after them begins; above len(topic): none
	work      int
	limit     int // the work at which it is left
	found     []Entry
	rest      []stop // to be visited yet, the deepest last
	truncated bool
	whole     bool // nothing is left to be visited
	done      bool // as a Search
	dated     bool // stamps and stamp are set
	sifted    bool // what came since it began may be missing
	stamps    stamps
	stamp     uint64 // the topic's when it began, or was sifted
	touched   uint32 // keeps the compiler from dropping a touch
}

// stop is a path of so many levels.
type stop struct {
	path  uint64
	depth int
}

// textStep is how much of a filter's text is compared in a step of work, in bytes.
const textStep = 64

// begin begins the matches of a topic, and leaves off when its work is limit.
func (w *walk) begin(topic string, hash uint64, limit int) {
	w.topic, w.hash, w.levels, w.next = topic, hash, w.levels[:0], 0
	w.found, w.rest, w.work = w.found[:0], w.rest[:0], 0
	w.truncated, w.whole, w.done, w.dated, w.sifted = false, false, false, false, false
	w.limit = min(limit, w.t.maxWork)
	w.touched = w.t.exact.touch(tag(hash)) // it comes last and need not wait then
	tr := w.t.trie
	for _, e := range tr.odd {
		w.check(uint32(e))
	}
	hidden := strings.HasPrefix(topic, "$")
	if !hidden && tr.root.multi != 0 {
		w.check(tr.root.multi)
	}
	w.descend(&tr.root, tr.root.hash, 0, !hidden)
	w.settle(0)
}

// goOn takes up a walk that was left, for so much more work.
func (w *walk) goOn(work int) {
	w.limit = min(w.work+work, w.t.maxWork)
	for n := len(w.rest); n > 0 && w.work < w.limit; n = len(w.rest) {
		next := w.rest[n-1]
		w.rest = w.rest[:n-1]
		w.visit(next.path, next.depth)
		w.settle(n - 1)
	}
}

// settle ends a piece of the walk: the stops behind the first n were left in it.
func (w *walk) settle(n int) {
	if w.truncated {
		w.rest = w.rest[:0]
	}
	if len(w.rest) > 0 {
		slices.Reverse(w.rest[n:]) // they came with the deepest first
		return
	}
	if e := w.t.find(w.topic, w.hash); e != 0 {
		w.found = append(w.found, e)
	}
	w.whole = true
}

// leave notes that a path is not visited now, or not at all where all work is done.
func (w *walk) leave(path uint64, depth int) {
	if w.work >= w.t.maxWork {
		w.truncated = true
		return
	}
	w.rest = append(w.rest, stop{path, depth})
}

// check adds e if its filter matches the topic.
func (w *walk) check(e uint32) {
	if w.work >= w.t.maxWork {
		w.truncated = true
		return
	}
	filter := w.t.entries.text(Entry(e))
	w.work += 1 + len(filter)/textStep
	if matches(filter, w.topic) {
		w.found = append(w.found, Entry(e))
	}
}

// descend goes on from a node to those that the topic's level at the depth
// leads to; plus tells whether '+' may stand for it.
func (w *walk) descend(n *node, path uint64, depth int, plus bool) {
	if n.lit|n.plus == 0 {
		return
	}
	level, ok := w.level(depth)
	if !ok {
		return
	}
	h := w.t.hash
	if n.lit != 0 {
		w.visit(h.step(path, level), depth+1)
	}
	if plus && n.plus != 0 {
		w.visit(h.step(path, h.plus), depth+1)
	}
}

// visit looks at the node with the path's hash, if there is one.
func (w *walk) visit(path uint64, depth int) {
	if w.work >= w.limit {
		w.leave(path, depth)
		return
	}
	w.work++
	n := w.t.trie.nodes.find(path)
	if n == nil {
		return
	}
	if n.lit == onlyTail {
		w.check(n.end)
		return
	}
	if n.multi != 0 {
		w.check(n.multi)
	}
	if _, more := w.level(depth); !more {
		if n.end != 0 {
			w.check(n.end)
		}
		return
	}
	w.descend(n, path, depth, true)
}

// level returns the hash of the topic's level at the depth; ok is false when it
// has none. Levels are hashed in order and when first asked for.
func (w *walk) level(depth int) (hash uint64, ok bool) {
	for depth >= len(w.levels) {
		if w.next > len(w.topic) {
			return 0, false
		}
		rest := w.topic[w.next:]
		text, _, _ := cut(rest)
		w.levels = append(w.levels, w.t.hash.text(text))
		w.next += len(text) + 1
	}
	return w.levels[depth], true
}

// buckets returns the epochs that concern the topic.
func (w *walk) buckets() (s stamps) {
	b := bucket(w.hash)
	s = stamps{b, b, b, b}
	path := w.t.hash.root
	for i := range prefixLevels {
		level, ok := w.level(i)
		if !ok {
			break
		}
		path = w.t.hash.step(path, level)
		s[1+i] = bucket(path)
	}
	return s
}
