package route

import "unsafe"

const (
	slabBits  = 10
	slabCells = 1 << slabBits // cells of one chunk
)

// cell is what a slab holds; link is the field that chains free cells.
type cell[T any] interface {
	*T
	link() *uint32
}

// slab hands out numbered cells of one type from chunks of fixed size. The
// number of a cell stays while it is in use; 0 names none. The owner of the
// slab serialises changes.
type slab[T any, P cell[T]] struct {
	chunks []*[slabCells]T
	top    uint32 // numbers given out so far, 0 included
	free   uint32 // first free cell
	live   int
}

// at returns the cell i, which must have been given out.
func (s *slab[T, P]) at(i uint32) *T { return &s.chunks[i>>slabBits][i&(slabCells-1)] }

// alloc returns the number of a zeroed cell.
func (s *slab[T, P]) alloc() uint32 {
	s.live++
	if i := s.free; i != 0 {
		c := s.at(i)
		s.free = *P(c).link()
		var zero T
		*c = zero
		return i
	}
	if s.top == 0 {
		s.top = 1
	}
	if int(s.top>>slabBits) == len(s.chunks) {
		s.chunks = append(s.chunks, new([slabCells]T))
	}
	s.top++
	return s.top - 1
}

// release frees the cell i.
func (s *slab[T, P]) release(i uint32) {
	s.live--
	c := s.at(i)
	var zero T
	*c = zero
	*P(c).link() = s.free
	s.free = i
}

// bytes returns the memory of all chunks.
func (s *slab[T, P]) bytes() int {
	var zero T
	return len(s.chunks) * slabCells * int(unsafe.Sizeof(zero))
}
