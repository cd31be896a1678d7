package route

import "encoding/binary"

// Entry is the handle of a filter in a Table. It stays the same while the
// filter has a value or a node; later another filter may get it. 0 is none.
type Entry uint32

// maxFilter is the longest filter in bytes, the specification's limit.
const maxFilter = 65535

// record is the cell of an entry, all it knows in one place: a look-up finds
// its text and its only value in the same line of memory. A word (its kind
// stands in state) and the state take four bytes each, the length of the text
// two; then comes the text. The entry's handle is the cell's own number.
type record []byte

const (
	stateAt  = 4
	lengthAt = 8
	filterAt = 10
)

// The parts of a record's state: what its node payload means, what its word
// means, and flags.
const (
	payloadBits = 25
	payloadMask = 1<<payloadBits - 1

	nodeShift = payloadBits // node kind, two bits
	nodeMask  = 3 << nodeShift
	noNodes   = 0 << nodeShift
	oneNode   = 1 << nodeShift // the payload is its number
	manyNodes = 2 << nodeShift // the payload is a cell of sets

	kindShift = 27 // kind of the word, two bits
	kindMask  = 3 << kindShift

	oddFlag  = 1 << 29 // a wildcard filter that stands beside the trie
	wildFlag = 1 << 30
	liveFlag = 1 << 31
)

func (r record) word() uint32      { return binary.LittleEndian.Uint32(r) }
func (r record) state() uint32     { return binary.LittleEndian.Uint32(r[stateAt:]) }
func (r record) setState(s uint32) { binary.LittleEndian.PutUint32(r[stateAt:], s) }

func (r record) list() list { return list{kind(r.state() & kindMask >> kindShift), r.word()} }

func (r record) setList(l list) {
	binary.LittleEndian.PutUint32(r, l.word)
	r.setState(r.state()&^kindMask | uint32(l.kind)<<kindShift)
}

// filter returns the text; the bytes are the record's own.
func (r record) filter() []byte {
	n := int(binary.LittleEndian.Uint16(r[lengthAt:]))
	return r[filterAt : filterAt+n]
}

func (r record) empty() bool { return r.state()&(kindMask|nodeMask) == 0 }

// entries holds the records of all filters. Its owner, a Table, serialises
// changes.
type entries struct {
	cells  *heap[byte]
	values lists
	sets   slab[nodeSet, *nodeSet]

	exact, wild int // filters
	valueCount  int
	nodeCount   int // pairs of a filter and a node
}

func newEntries() *entries {
	return &entries{cells: newHeap[byte](4), values: newLists()}
}

// at returns the record of an entry that lives.
func (es *entries) at(e Entry) record { return record(es.cells.at(ref(e))) }

// text returns the filter of an entry that lives.
func (es *entries) text(e Entry) []byte { return es.at(e).filter() }

// create makes an entry without values or nodes.
func (es *entries) create(filter string, wild bool) Entry {
	e := Entry(es.cells.alloc((filterAt + len(filter) + 3) / 4))
	r := es.at(e)
	r.setState(liveFlag)
	r.setList(list{})
	binary.LittleEndian.PutUint16(r[lengthAt:], uint16(len(filter)))
	copy(r[filterAt:], filter)
	if wild {
		r.setState(r.state() | wildFlag)
		es.wild++
	} else {
		es.exact++
	}
	return e
}

// destroy frees an entry that has neither values nor nodes.
func (es *entries) destroy(e Entry) {
	r := es.at(e)
	if r.state()&wildFlag != 0 {
		es.wild--
	} else {
		es.exact--
	}
	r.setState(0)
	es.cells.release(ref(e))
}

// live returns the record of e, or nil when e is no entry.
func (es *entries) live(e Entry) record {
	id := uint32(e) >> offsetBits
	if e == 0 || int(id) >= len(es.cells.pages) {
		return nil
	}
	p := &es.cells.pages[id]
	offset := uint32(e) & (pageUnits - 1)
	if p.live == 0 || offset >= p.fresh || offset%p.units != 0 {
		return nil
	}
	if r := es.at(e); r.state()&liveFlag != 0 {
		return r
	}
	return nil
}

// bytes returns the memory of all parts.
func (es *entries) bytes() int {
	return es.cells.bytes + es.values.bytes + es.sets.bytes()
}
