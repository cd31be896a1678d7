package route

// Tx changes a Table; it is valid inside the function given to Update.
type Tx struct{ t *Table }

// Add gives the filter the value v. first tells that the filter had no value
// before; added is false when it had v already. A filter above 65,535 bytes is
// refused: Entry 0.
func (tx *Tx) Add(filter string, v uint32) (e Entry, first, added bool) {
	e = tx.enter(filter)
	if e == 0 {
		return 0, false, false
	}
	es := tx.t.entries
	r := es.at(e)
	l := r.list()
	first = l.kind == none
	l, added = es.values.add(l, v)
	r.setList(l)
	if added {
		es.valueCount++
	}
	return e, first, added
}

// Remove takes the value v from the entry. last tells that it has no value any
// longer, removed that it had v. The handle dies with its last value and node.
func (tx *Tx) Remove(e Entry, v uint32) (last, removed bool) {
	es := tx.t.entries
	r := es.live(e)
	if r == nil {
		return false, false
	}
	l, removed := es.values.remove(r.list(), v)
	if !removed {
		return false, false
	}
	r.setList(l)
	es.valueCount--
	tx.leaveIfEmpty(e)
	return l.kind == none, true
}

// Find returns the entry of the filter.
func (tx *Tx) Find(filter string) (Entry, bool) {
	e := tx.lookup(filter)
	return e, e != 0
}

// AddNode gives the filter a node of the cluster, 0 ≤ node < 2^25, and reports
// whether that is new. What is out of bounds is refused: Entry 0.
func (tx *Tx) AddNode(filter string, node int) (e Entry, added bool) {
	if node < 0 || node > maxNode {
		return 0, false
	}
	if e = tx.enter(filter); e == 0 {
		return 0, false
	}
	es := tx.t.entries
	return e, es.addNode(es.at(e), uint32(node))
}

// RemoveNode takes a node from the filter and reports whether it had it.
func (tx *Tx) RemoveNode(filter string, node int) bool {
	e := tx.lookup(filter)
	if e == 0 || node < 0 || node > maxNode {
		return false
	}
	es := tx.t.entries
	removed := es.removeNode(es.at(e), uint32(node))
	tx.leaveIfEmpty(e)
	return removed
}

// SetNodes makes the nodes 0 to 63 of the filter those of the mask, and leaves
// higher ones as they are. It returns 0 when the filter then has neither value
// nor node, or is too long.
func (tx *Tx) SetNodes(filter string, mask uint64) Entry {
	e := tx.lookup(filter)
	if e == 0 && mask != 0 {
		e = tx.enter(filter)
	}
	if e == 0 {
		return 0
	}
	es := tx.t.entries
	r := es.at(e)
	for node := range uint32(maskNodes) {
		if mask>>node&1 != 0 {
			es.addNode(r, node)
		} else {
			es.removeNode(r, node)
		}
	}
	if tx.leaveIfEmpty(e) {
		return 0
	}
	return e
}

// Filter returns the entry's filter, a copy; "" when e is no entry.
func (tx *Tx) Filter(e Entry) string {
	if tx.t.entries.live(e) == nil {
		return ""
	}
	return string(tx.t.entries.text(e))
}

// Values sets it to the values of the entry; it is valid until the next change.
func (tx *Tx) Values(e Entry, it *Iter) {
	*it = Iter{}
	if r := tx.t.entries.live(e); r != nil {
		it.set(tx.t.entries.values, r.list())
	}
}

// Nodes returns the mask of the entry's nodes 0 to 63.
func (tx *Tx) Nodes(e Entry) uint64 {
	r := tx.t.entries.live(e)
	if r == nil {
		return 0
	}
	mask, _ := tx.t.entries.nodes(r)
	return mask
}

func (tx *Tx) lookup(filter string) Entry {
	if isWildcard(filter) {
		return tx.t.trie.find(filter)
	}
	return tx.t.find(filter, tx.t.hash.text(filter))
}

// enter returns the entry of the filter, a new one if there is none.
func (tx *Tx) enter(filter string) Entry {
	if len(filter) > maxFilter {
		return 0
	}
	if e := tx.lookup(filter); e != 0 {
		return e
	}
	t, wild := tx.t, isWildcard(filter)
	e := t.entries.create(filter, wild)
	if wild {
		t.trie.add(filter, e)
	} else {
		t.exact.add(tag(t.hash.text(filter)), uint32(e))
	}
	t.epochs.bump(t.hash, filter, wild)
	return e
}

// leaveIfEmpty removes an entry that has neither values nor nodes and reports
// whether it did.
func (tx *Tx) leaveIfEmpty(e Entry) bool {
	t := tx.t
	r := t.entries.at(e)
	if !r.empty() {
		return false
	}
	filter, wild := string(t.entries.text(e)), r.state()&wildFlag != 0
	if wild {
		t.trie.remove(filter, e)
	} else {
		t.exact.remove(tag(t.hash.text(filter)), uint32(e))
	}
	t.entries.destroy(e)
	t.epochs.bump(t.hash, filter, wild)
	return true
}
