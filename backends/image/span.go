package image

import "slices"

// span is a run of consecutive queue entries.
type span struct {
	first, count uint64
	bodies       []uint64 // one an entry, 0 for inline; nil when all are inline
}

func (p *span) end() uint64 { return p.first + p.count }

// body is that of the entry at, 0 for inline.
func (p *span) body(at uint64) uint64 {
	if p.bodies == nil {
		return 0
	}
	return p.bodies[at]
}

// spans is what a session's queue holds, in order and without overlap. A queue
// that is acknowledged in order is one span, whatever its length.
type spans []span

// find gives the index of the span that holds seq, or of the first one behind it.
func (ps spans) find(seq uint64) (i int, found bool) {
	// Nearly every look-up is at one of the two ends.
	if n := len(ps); n == 0 || seq >= ps[n-1].end() {
		return n, false
	}
	if seq < ps[0].end() {
		return 0, seq >= ps[0].first
	}
	return slices.BinarySearchFunc(ps, seq, func(p span, seq uint64) int {
		switch {
		case p.end() <= seq:
			return -1
		case p.first > seq:
			return 1
		}
		return 0
	})
}

// add notes the entry seq with its body (0 for inline). If there was one at seq,
// it gives that one's body and replaced.
func (ps *spans) add(seq, body uint64) (was uint64, replaced bool) {
	i, found := ps.find(seq)
	if found {
		p := &(*ps)[i]
		was = p.swap(seq-p.first, body)
		return was, true
	}
	if i > 0 && (*ps)[i-1].end() == seq {
		(*ps)[i-1].push(body)
		ps.join(i - 1)
		return 0, false
	}
	p := span{first: seq}
	p.push(body)
	*ps = slices.Insert(*ps, i, p)
	ps.join(i)
	return 0, false
}

// join melts the span i with the one behind it, if they meet.
func (ps *spans) join(i int) {
	s := *ps
	if i+1 >= len(s) || s[i].end() != s[i+1].first {
		return
	}
	if s[i].bodies != nil || s[i+1].bodies != nil {
		s[i].bodies = append(s[i].all(), s[i+1].all()...)
	}
	s[i].count += s[i+1].count
	*ps = slices.Delete(s, i+1, i+2)
}

// remove takes the entry seq out and gives its body; found is false for an
// unknown entry.
func (ps *spans) remove(seq uint64) (body uint64, found bool) {
	i, found := ps.find(seq)
	if !found {
		return 0, false
	}
	p := &(*ps)[i]
	at := seq - p.first
	if p.bodies != nil {
		body = p.bodies[at]
	}
	switch {
	case p.count == 1:
		*ps = slices.Delete(*ps, i, i+1)
		if len(*ps) == 0 {
			*ps = nil // an idle session holds nothing
		}
	case at == 0:
		p.first++
		p.count--
		if p.bodies != nil {
			p.bodies = p.bodies[1:]
		}
	case at == p.count-1:
		p.count--
		if p.bodies != nil {
			p.bodies = p.bodies[:at]
		}
	default:
		*ps = slices.Insert(*ps, i+1, p.split(at))
	}
	return body, true
}

// split cuts p before its entry at and gives what stood behind that entry.
func (p *span) split(at uint64) span {
	tail := span{first: p.first + at + 1, count: p.count - at - 1}
	if p.bodies != nil {
		tail.bodies = p.bodies[at+1:]
		p.bodies = p.bodies[:at:at] // appending here must not reach the tail
	}
	p.count = at
	return tail
}

func (p *span) push(body uint64) {
	if body != 0 && p.bodies == nil {
		p.bodies = make([]uint64, p.count, p.count+1)
	}
	if p.bodies != nil {
		p.bodies = append(p.bodies, body)
	}
	p.count++
}

// swap sets the body of the entry at and gives the former one.
func (p *span) swap(at, body uint64) uint64 {
	if p.bodies == nil {
		if body == 0 {
			return 0
		}
		p.bodies = make([]uint64, p.count)
	}
	was := p.bodies[at]
	p.bodies[at] = body
	return was
}

// all gives the bodies, zeros where the entries are inline.
func (p *span) all() []uint64 {
	if p.bodies == nil {
		return make([]uint64, p.count)
	}
	return p.bodies
}

func (ps spans) length() uint64 {
	n := uint64(0)
	for i := range ps {
		n += ps[i].count
	}
	return n
}

// Entry is where a queue entry is, and its body (0 for inline).
type Entry struct{ Seq, Body uint64 }

// Window appends the entries of the queue from the number from on, at most n.
func (s *Session) Window(dst []Entry, from uint64, n int) []Entry {
	i, _ := s.queue.find(from)
	for ; i < len(s.queue) && n > 0; i++ {
		p := &s.queue[i]
		for at := max(from, p.first) - p.first; at < p.count && n > 0; at++ {
			dst = append(dst, Entry{p.first + at, p.body(at)})
			n--
		}
	}
	return dst
}

// EmptyBlock tells whether the queue has no entry in the Block of seq.
func (s *Session) EmptyBlock(seq uint64) bool {
	first := seq - seq%Block
	i, found := s.queue.find(first)
	return !found && (i == len(s.queue) || s.queue[i].first/Block != seq/Block)
}

// Blocks calls f with the first number of each Block that has an entry, in order.
func (s *Session) Blocks(f func(first uint64)) {
	next := uint64(0)
	for i := range s.queue {
		p := &s.queue[i]
		for b := max(next, p.first/Block); b <= (p.end()-1)/Block; b++ {
			f(b * Block)
			next = b + 1
		}
	}
}
