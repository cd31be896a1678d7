package route

// trie finds the wildcard filters that match a topic. Two paths may have the
// same hash, by a chance of 2^-64 a pair. Then they share a node, and a match may
// report a filter twice, if its topic leads through both; a filter whose place in
// such a node is taken stands in odd, which is looked through one by one. A
// filter that does not match is never reported, for its text decides.
type trie struct {
	nodes *trieNodes
	root  node // where paths begin
	odd   []Entry
	es    *entries
	hash  *hasher
}

func newTrie(es *entries, hash *hasher) *trie {
	return &trie{nodes: newTrieNodes(), es: es, hash: hash, root: node{hash: hash.root}}
}

func (w *trie) bytes() int { return w.nodes.bytes() + 4*cap(w.odd) }

// at returns the node whose path has so many levels and the hash; nil for none.
func (w *trie) at(depth int, hash uint64) *node {
	if depth == 0 {
		return &w.root
	}
	return w.nodes.find(hash)
}

// find returns the entry of the filter, 0 for none.
func (w *trie) find(filter string) Entry {
	n, hash, rest, more := &w.root, w.hash.root, filter, true
	for {
		if n.lit == onlyTail || !more {
			return w.same(n.end, filter)
		}
		var level string
		level, rest, more = cut(rest)
		if level == "#" && !more {
			return w.same(n.multi, filter)
		}
		hash = w.hash.step(hash, w.hash.text(level))
		if n = w.nodes.find(hash); n == nil {
			return w.findOdd(filter)
		}
	}
}

// same returns e if it is the filter's entry, else what odd knows.
func (w *trie) same(e uint32, filter string) Entry {
	if e != 0 && string(w.es.text(Entry(e))) == filter {
		return Entry(e)
	}
	return w.findOdd(filter)
}

func (w *trie) findOdd(filter string) Entry {
	for _, e := range w.odd {
		if string(w.es.text(e)) == filter {
			return e
		}
	}
	return 0
}

// add puts the entry of a filter that is not there yet into the trie.
func (w *trie) add(filter string, e Entry) {
	if !w.place(w.hash.root, 0, filter, true, e) {
		w.setOdd(e)
	}
}

func (w *trie) setOdd(e Entry) {
	w.odd = append(w.odd, e)
	r := w.es.at(e)
	r.setState(r.state() | oddFlag)
}

// place puts e below the node whose path has depth levels and the hash given;
// rest is what its filter says from there on, if more. It returns false and
// changes no count when another filter stands where e belongs.
func (w *trie) place(hash uint64, depth int, rest string, more bool, e Entry) bool {
	n := w.at(depth, hash)
	if n.lit == onlyTail {
		if n.plus != uint32(depth) {
			return false // two paths of different depth have the same hash
		}
		w.unfold(hash, depth)
		n = w.at(depth, hash)
	}
	if !more {
		return occupy(&n.end, e)
	}
	level, rest, more := cut(rest)
	if level == "#" && !more {
		return occupy(&n.multi, e)
	}
	next := w.hash.step(hash, w.hash.text(level))
	if w.nodes.find(next) == nil {
		w.nodes.add(node{hash: next, lit: onlyTail, plus: uint32(depth + 1), end: uint32(e)})
	} else if !w.place(next, depth+1, rest, more, e) {
		return false
	}
	*w.at(depth, hash).branch(level)++
	return true
}

// occupy writes e into a place of a node unless it is taken.
func occupy(place *uint32, e Entry) bool {
	if *place != 0 {
		return false
	}
	*place = uint32(e)
	return true
}

// unfold spells out one more level of the only filter that passes a node.
func (w *trie) unfold(hash uint64, depth int) {
	n := w.at(depth, hash)
	e := Entry(n.end)
	filter := string(w.es.text(e))
	rest, more := filter, true
	for range depth {
		_, rest, more = cut(rest)
	}
	n.lit, n.plus, n.end = 0, 0, 0
	if !w.place(hash, depth, rest, more, e) {
		w.uncount(filter, depth)
		w.setOdd(e)
	}
}

// uncount takes a filter out of the counts on its first depth levels.
func (w *trie) uncount(filter string, depth int) {
	hash := w.hash.root
	for at := range depth {
		level, rest, _ := cut(filter)
		*w.at(at, hash).branch(level)--
		hash = w.hash.step(hash, w.hash.text(level))
		filter = rest
	}
}

// remove takes the entry of a filter out.
func (w *trie) remove(filter string, e Entry) {
	if w.es.at(e).state()&oddFlag == 0 {
		w.take(w.hash.root, 0, filter, true)
		return
	}
	for i, o := range w.odd {
		if o == e {
			w.odd[i] = w.odd[len(w.odd)-1]
			w.odd = w.odd[:len(w.odd)-1]
			return
		}
	}
}

// take undoes place and frees the nodes nobody passes any longer.
func (w *trie) take(hash uint64, depth int, rest string, more bool) {
	n := w.at(depth, hash)
	if n.lit == onlyTail {
		n.lit, n.plus, n.end = 0, 0, 0
		return
	}
	if !more {
		n.end = 0
		return
	}
	level, rest, more := cut(rest)
	if level == "#" && !more {
		n.multi = 0
		return
	}
	next := w.hash.step(hash, w.hash.text(level))
	w.take(next, depth+1, rest, more)
	*w.at(depth, hash).branch(level)--
	// The path may have led to the same node twice, and it is gone already.
	if kid := w.nodes.find(next); kid != nil && kid.unused() {
		w.nodes.remove(next)
	}
}
