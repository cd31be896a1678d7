package route

import "math/bits"

// A ref names a cell of a heap: the page in the upper bits, the cell's offset
// in units of 4 bytes in the lower ones. 0 names nothing.
type ref uint32

const (
	offsetBits = 14
	pageUnits  = 1 << offsetBits // 64 KiB, the size of a page that holds many cells
	maxPages   = 1 << (32 - offsetBits)

	stepUnits  = 32   // up to here there is a class for every size
	largeUnits = 2048 // above, a cell has a page of its own
	classCount = stepUnits + 8*6
	ownPage    = classCount // the "class" of pages with a single large cell

	// idlePages is how many empty pages keep their memory, against churn.
	idlePages = 16
)

// heap hands out cells of bytes or of words from pages that hold no pointers.
// Each page serves one size class; an empty page can serve another, so that
// changing sizes cost at most a few part-filled pages a class. The owner of the
// heap serialises changes; cells never move while they are in use.
type heap[T byte | uint32] struct {
	unit    int                // elements of T in a unit of 4 bytes
	cells   [][]T              // memory of each page; apart from pages, for a look-up needs only this
	pages   []page             // page 0 is no page
	partial [classCount]uint32 // first page of the class with a free cell; 0: none
	idle    []uint32           // empty pages that still have memory
	vacant  []uint32           // numbers of pages without memory
	bytes   int                // memory of all pages
}

// page is what the heap knows about a page.
type page struct {
	class      int
	units      uint32 // size of its cells
	live       uint32 // cells in use
	fresh      uint32 // units never used so far begin here
	free       uint32 // offset+1 of the first free cell, in units; linked through their first bytes
	prev, next uint32 // neighbours in the class's list of partial pages
	listed     bool   // stands in that list
}

func (p *page) full() bool { return p.free == 0 && p.fresh+p.units > pageUnits }

func newHeap[T byte | uint32](unit int) *heap[T] {
	return &heap[T]{unit: unit, cells: make([][]T, 1), pages: make([]page, 1)}
}

// classOf returns the size class for a cell of n units: every size up to
// stepUnits, then eight classes for each doubling, so that at most an eighth of
// a cell is wasted.
func classOf(n int) int {
	if n <= stepUnits {
		return n - 1
	}
	if n > largeUnits {
		return ownPage
	}
	shift := bits.Len(uint(n-1)) - 4
	return stepUnits + (shift-2)*8 + (n-1)>>shift - 8
}

// classUnits returns the units a cell of the class has.
func classUnits(class int) int {
	if class < stepUnits {
		return class + 1
	}
	class -= stepUnits
	return (class%8 + 9) << (class/8 + 2)
}

// alloc returns a cell of at least n units, n > 0; its content is arbitrary.
func (h *heap[T]) alloc(n int) ref {
	n = max(n, 2/h.unit) // the link of a free cell takes two elements
	class := classOf(n)
	if class == ownPage {
		id := h.newPage(ownPage, n, n)
		h.pages[id].live, h.pages[id].fresh = 1, uint32(n)
		return ref(id << offsetBits)
	}
	id := h.partial[class]
	if id == 0 {
		id = h.newPage(class, classUnits(class), pageUnits)
		h.list(id)
	}
	p := &h.pages[id]
	offset := h.take(id)
	p.live++
	if p.full() {
		h.unlist(id)
	}
	return ref(id<<offsetBits | offset)
}

// take removes a free cell from a page and returns its offset in units.
func (h *heap[T]) take(id uint32) uint32 {
	p := &h.pages[id]
	if p.free == 0 {
		p.fresh += p.units
		return p.fresh - p.units
	}
	offset := p.free - 1
	c := h.cells[id][int(offset)*h.unit:]
	p.free = uint32(c[0])&0xff | uint32(c[1])<<8&0xff00
	return offset
}

// release frees the cell r.
func (h *heap[T]) release(r ref) {
	id := uint32(r) >> offsetBits
	p := &h.pages[id]
	p.live--
	if p.class != ownPage {
		c := h.at(r)
		c[0], c[1] = T(p.free&0xff), T(p.free>>8)
		p.free = uint32(r)&(pageUnits-1) + 1
		if !p.listed {
			h.list(id)
		}
	}
	if p.live == 0 {
		h.retire(id)
	}
}

// at returns the cell r and all that follows it in its page; the caller knows
// how much of it is the cell's.
func (h *heap[T]) at(r ref) []T {
	return h.cells[r>>offsetBits][int(r&(pageUnits-1))*h.unit:]
}

// room returns how many units the cell r has.
func (h *heap[T]) room(r ref) int { return int(h.pages[r>>offsetBits].units) }

// cellFrom returns the first cell at or behind r that is or once was in use, 0
// for none.
func (h *heap[T]) cellFrom(r ref) ref {
	offset := uint32(r) & (pageUnits - 1)
	for id := int(r >> offsetBits); id < len(h.pages); id++ {
		if p := &h.pages[id]; p.live > 0 {
			offset = (offset + p.units - 1) / p.units * p.units
			if offset < p.fresh {
				return ref(id<<offsetBits) | ref(offset)
			}
		}
		offset = 0
	}
	return 0
}

// newPage returns the number of an empty page for cells of so many units.
func (h *heap[T]) newPage(class, cell, units int) uint32 {
	fresh := page{class: class, units: uint32(cell)}
	if n := len(h.idle); class != ownPage && n > 0 {
		id := h.idle[n-1]
		h.idle = h.idle[:n-1]
		h.pages[id] = fresh
		return id
	}
	cells := make([]T, units*h.unit)
	h.bytes += units * 4
	if n := len(h.vacant); n > 0 {
		id := h.vacant[n-1]
		h.vacant = h.vacant[:n-1]
		h.pages[id], h.cells[id] = fresh, cells
		return id
	}
	if len(h.pages) == maxPages {
		panic("route: heap is full: 262,144 pages of filters or subscribers")
	}
	h.pages, h.cells = append(h.pages, fresh), append(h.cells, cells)
	return uint32(len(h.pages) - 1)
}

// retire takes an empty page out of use and gives its memory back unless few
// pages are idle.
func (h *heap[T]) retire(id uint32) {
	p := &h.pages[id]
	if p.listed {
		h.unlist(id)
	}
	if p.class != ownPage && len(h.idle) < idlePages {
		h.idle = append(h.idle, id)
		return
	}
	h.bytes -= len(h.cells[id]) / h.unit * 4
	h.cells[id] = nil
	h.vacant = append(h.vacant, id)
}

// list puts a page with free cells into its class's list.
func (h *heap[T]) list(id uint32) {
	p := &h.pages[id]
	p.prev, p.next, p.listed = 0, h.partial[p.class], true
	if p.next != 0 {
		h.pages[p.next].prev = id
	}
	h.partial[p.class] = id
}

// unlist takes a page out of its class's list.
func (h *heap[T]) unlist(id uint32) {
	p := &h.pages[id]
	if p.next != 0 {
		h.pages[p.next].prev = p.prev
	}
	if p.prev != 0 {
		h.pages[p.prev].next = p.next
	} else {
		h.partial[p.class] = p.next
	}
	p.listed = false
}

// storeText writes a text of at most 65,535 bytes into a cell: its length in
// two bytes, then itself.
func storeText(h *heap[byte], text string) ref {
	r := h.alloc((2 + len(text) + 3) / 4)
	c := h.at(r)
	c[0], c[1] = byte(len(text)), byte(len(text)>>8)
	copy(c[2:], text)
	return r
}

// textAt returns the text in a cell; the bytes are the heap's own.
func textAt(h *heap[byte], r ref) []byte {
	c := h.at(r)
	n := int(c[0]) | int(c[1])<<8
	return c[2 : 2+n]
}
