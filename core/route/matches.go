package route

// Matches are the entries whose filters match a topic name, in no order. They
// are valid inside the function given to Match.
type Matches struct {
	t       *Table
	topic   string
	entries []Entry

	// Truncated tells that the match cost more than Options.MaxMatchWork and
	// was given up, so that entries may be missing.
	Truncated bool

	// Work is what the match cost, in steps; 0 when it was remembered.
	Work int
}

// Topic returns the topic name; unlike the Matches it may be kept.
func (m *Matches) Topic() string { return m.topic }

// Entries returns how many filters match.
func (m *Matches) Entries() int { return len(m.entries) }

// Entry returns the i-th of them.
func (m *Matches) Entry(i int) Entry { return m.entries[i] }

func (m *Matches) record(i int) record { return m.t.entries.at(m.entries[i]) }

// Count returns how many values the i-th entry has.
func (m *Matches) Count(i int) int { return m.t.entries.values.count(m.record(i).list()) }

// Values sets it to the values of the i-th entry.
func (m *Matches) Values(i int, it *Iter) {
	*it = Iter{}
	it.set(m.t.entries.values, m.record(i).list())
}

// Nodes returns the mask of the i-th entry's nodes 0 to 63.
func (m *Matches) Nodes(i int) uint64 {
	mask, _ := m.t.entries.nodes(m.record(i))
	return mask
}

// NodesAbove sets it to the i-th entry's nodes from 64 on.
func (m *Matches) NodesAbove(i int, it *Iter) {
	*it = Iter{}
	_, l := m.t.entries.nodes(m.record(i))
	it.set(m.t.entries.values, l)
}

// AppendFilter appends the i-th entry's filter to dst.
func (m *Matches) AppendFilter(dst []byte, i int) []byte {
	return append(dst, m.t.entries.text(m.entries[i])...)
}

// Iter hands out the numbers of a list in pieces, in ascending order. It
// allocates nothing and is valid as long as what it was taken from.
type Iter struct {
	ls     lists
	chunks []uint32
	piece  []uint32
	single [1]uint32
	alone  bool
}

// set makes the iterator begin at the start of l.
func (it *Iter) set(ls lists, l list) {
	switch l.kind {
	case one:
		it.single[0], it.alone = l.word, true
	case flat:
		it.piece = ls.array(l.word)
	case tall:
		it.ls, it.chunks = ls, ls.chunks(l.word)
	}
}

// Next returns the next piece, which belongs to the table and must not be
// changed; ok is false at the end.
func (it *Iter) Next() (values []uint32, ok bool) {
	switch {
	case it.alone:
		it.alone = false
		return it.single[:], true
	case len(it.piece) > 0:
		values, it.piece = it.piece, nil
		return values, true
	case len(it.chunks) > 0:
		values, it.chunks = it.ls.array(it.chunks[0]), it.chunks[1:]
		return values, true
	}
	return nil, false
}
