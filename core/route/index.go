package route

const (
	segmentSlots = 1023                 // with its head, a segment has 8 KiB
	segmentFull  = segmentSlots * 7 / 8 // slots in use that make it split
	maxDepth     = 22
)

// slot maps a tag, 32 bits of a hash, to the number of a cell; id 0 is free.
type slot struct{ tag, id uint32 }

// segment is an open addressing table of fixed size for the tags that agree in
// their lowest depth bits. A tag's place comes from its highest bits.
type segment struct {
	used  uint32
	depth uint32
	slots [segmentSlots]slot
}

// index maps tags to cells whose owner tells whether it is the right one: tags
// are not unique. A full segment is split in two, the only thing that ever
// moves slots, so an insertion costs some microseconds at worst; memory is
// given back only with the index. The owner serialises changes.
type index struct {
	dir      []*segment // by the lowest bits of the tag; length 1<<depth
	depth    uint32
	segments int
	used     int
}

func newIndex() *index {
	return &index{dir: []*segment{new(segment)}, segments: 1}
}

func (x *index) bytes() int { return x.segments*8192 + len(x.dir)*8 }

// home returns where in its segment the search for a tag begins.
func home(tag uint32) int { return int((tag >> 16) * segmentSlots >> 16) }

func (x *index) segment(tag uint32) *segment { return x.dir[tag&uint32(len(x.dir)-1)] }

// probe walks the cells under one tag.
type probe struct {
	seg *segment
	i   int
	tag uint32
}

func (x *index) probe(tag uint32) probe {
	return probe{seg: x.segment(tag), i: home(tag), tag: tag}
}

// next returns the next cell under the tag, 0 when there is none left.
func (p *probe) next() uint32 {
	for {
		s := p.seg.slots[p.i]
		p.i++
		if p.i == segmentSlots {
			p.i = 0
		}
		if s.id == 0 || s.tag == p.tag {
			return s.id
		}
	}
}

// touch reads where the search for a tag begins, so that the line of memory is
// on its way when the search comes. Its result means nothing.
func (x *index) touch(tag uint32) uint32 { return x.segment(tag).slots[home(tag)].tag }

// add puts the cell id under the tag.
func (x *index) add(tag, id uint32) {
	seg := x.segment(tag)
	for seg.used >= segmentFull && seg.depth < maxDepth {
		x.split(seg, tag)
		seg = x.segment(tag)
	}
	if seg.used == segmentSlots-1 {
		panic("route: index is full") // above 3.7 billion cells
	}
	seg.put(slot{tag, id})
	x.used++
}

// put stores a slot; there is room.
func (s *segment) put(v slot) {
	i := home(v.tag)
	for s.slots[i].id != 0 {
		i = after(i)
	}
	s.slots[i] = v
	s.used++
}

func after(i int) int {
	if i++; i == segmentSlots {
		return 0
	}
	return i
}

// split moves the slots of seg, which holds tag, into two new segments by one
// more bit of their tags. The directory doubles when seg was its only entry.
func (x *index) split(seg *segment, tag uint32) {
	if seg.depth == x.depth {
		x.dir = append(x.dir, x.dir...)
		x.depth++
	}
	halves := [2]*segment{{depth: seg.depth + 1}, {depth: seg.depth + 1}}
	x.segments++
	for _, v := range seg.slots {
		if v.id != 0 {
			halves[v.tag>>seg.depth&1].put(v)
		}
	}
	step := uint32(1) << seg.depth
	for i := tag & (step - 1); i < uint32(len(x.dir)); i += step {
		x.dir[i] = halves[i>>seg.depth&1]
	}
}

// remove takes the cell id from under the tag; it stands there.
func (x *index) remove(tag, id uint32) {
	seg := x.segment(tag)
	i := home(tag)
	for seg.slots[i].id != id {
		i = after(i)
	}
	x.used--
	seg.used--
	// Close the gap: a later slot moves into it unless its home lies behind.
	for j := after(i); seg.slots[j].id != 0; j = after(j) {
		h := home(seg.slots[j].tag)
		if (j-h+segmentSlots)%segmentSlots >= (j-i+segmentSlots)%segmentSlots {
			seg.slots[i] = seg.slots[j]
			i = j
		}
	}
	seg.slots[i] = slot{}
}
