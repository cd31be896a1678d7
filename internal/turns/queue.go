package turns

import (
	"net/netip"
	"slices"
)

// Queue is what waits, in a line for each address; [Block] says what counts as one. The zero
// value is empty. It has no bound and no lock of its own: its user has both.
type Queue[T any] struct {
	lines map[netip.Addr]line[T] // of the addresses in turns
	turns []netip.Addr           // each once, who is next first
	count int
}

// line is what waits for one address, the oldest first but for those in front.
type line[T any] struct {
	waits []T
	front int // how many of them were added to the front
}

// Block is what counts as one address: a whole IPv6 /64 belongs to one customer, who could
// otherwise use a fresh address each time.
func Block(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, err := a.Prefix(64)
		if err == nil {
			return p.Addr()
		}
	}
	return a
}

// Len is how many wait.
func (q *Queue[T]) Len() int { return q.count }

// Waiting is how many wait for the address.
func (q *Queue[T]) Waiting(from netip.Addr) int { return len(q.lines[Block(from)].waits) }

// Add puts v at the end of the address's line; with front, before all that was not added so.
// An address without a line gets the last turn.
func (q *Queue[T]) Add(from netip.Addr, v T, front bool) {
	from = Block(from)
	l, in := q.lines[from]
	if !in {
		q.turns = append(q.turns, from)
	}
	if front {
		l.waits = slices.Insert(l.waits, l.front, v)
		l.front++
	} else {
		l.waits = append(l.waits, v)
	}
	if q.lines == nil {
		q.lines = map[netip.Addr]line[T]{}
	}
	q.lines[from] = l
	q.count++
}

// Next takes out the first of the address whose turn it is; false: nobody waits.
func (q *Queue[T]) Next() (v T, ok bool) {
	for len(q.turns) > 0 && !ok {
		from := pop(&q.turns)
		l := q.lines[from]
		if ok = len(l.waits) > 0; ok {
			v = pop(&l.waits)
			l.front = max(0, l.front-1)
			q.count--
		}
		if len(l.waits) == 0 {
			delete(q.lines, from)
			continue
		}
		q.lines[from] = l
		q.turns = append(q.turns, from)
	}
	return v, ok
}

// Remove takes the first that is the one meant out of the address's line; false: it has none.
// A line that gets empty so keeps its turn until that comes.
func (q *Queue[T]) Remove(from netip.Addr, is func(T) bool) bool {
	from = Block(from)
	l := q.lines[from]
	i := slices.IndexFunc(l.waits, is)
	if i < 0 {
		return false
	}
	l.waits = slices.Delete(l.waits, i, i+1)
	if i < l.front {
		l.front--
	}
	q.lines[from] = l
	q.count--
	return true
}

func pop[E any](s *[]E) E {
	var none E
	first := (*s)[0]
	(*s)[0] = none
	*s = (*s)[1:]
	return first
}
