package route

import "strings"

// walk is one match: it collects the entries whose filters match a topic. A
// reader uses one again and again, so that its slices need no new memory.
type walk struct {
	t         *Table
	topic     string
	levels    []uint64 // hashes of its levels, those that have been asked for
	next      int      // where the level after them begins; above len(topic): none
	work      int
	found     []Entry
	truncated bool
	touched   uint32 // keeps the compiler from dropping a touch
}

// run collects the matches of a topic.
func (w *walk) run(topic string, hash uint64) {
	w.topic, w.levels, w.next = topic, w.levels[:0], 0
	w.found, w.work, w.truncated = w.found[:0], 0, false
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
	if e := w.t.find(topic, hash); e != 0 {
		w.found = append(w.found, e)
	}
}

// spend counts a step of work; it returns false when there is none left.
func (w *walk) spend() bool {
	if w.work >= w.t.maxWork {
		w.truncated = true
		return false
	}
	w.work++
	return true
}

// check adds e if its filter matches the topic.
func (w *walk) check(e uint32) {
	if w.spend() && matches(w.t.entries.text(Entry(e)), w.topic) {
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
	if !w.spend() {
		return
	}
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

// buckets returns the epochs that concern the topic, whose hash is given.
func (w *walk) buckets(hash uint64) (s stamps) {
	b := bucket(hash)
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
