package main

import "math/bits"

// ledger keeps account of every message: what was published, and what came of it. It finds loss, duplicates and
// broken order without remembering the messages.
type ledger struct {
	plan      *plan
	published []uint64 // messages by publisher
	streams   []stream
	lanes     []uint64 // 1 + the highest sequence seen, 0: none
	faults    faults
	firsts    uint64 // deliveries that were the first of their kind
}

// faults are what a broker did wrong.
type faults struct {
	Lost       uint64 `json:"lost"`
	Duplicates uint64 `json:"duplicates"`
	OutOfOrder uint64 `json:"out_of_order"`
	Strays     uint64 `json:"strays"` // messages that the receiver should not have seen
}

func (f faults) any() bool { return f != faults{} }

func newLedger(p *plan) *ledger {
	return &ledger{
		plan:      p,
		published: make([]uint64, p.pubs),
		streams:   make([]stream, p.streams()),
		lanes:     make([]uint64, p.lanes()),
	}
}

// publish gives the publisher's next sequence number.
func (l *ledger) publish(publisher int) uint64 {
	l.published[publisher]++
	return l.published[publisher] - 1
}

// deliver books a delivery and tells whether it was the first of its message to this audience.
func (l *ledger) deliver(receiver, publisher int, sequence uint64) (first bool) {
	if publisher >= l.plan.pubs || sequence >= l.published[publisher] {
		l.faults.Strays++
		return false
	}
	n, ok := l.plan.stream(receiver, publisher)
	if !ok {
		l.faults.Strays++
		return false
	}
	if !l.streams[n].take(sequence) {
		l.faults.Duplicates++
		return false
	}
	l.firsts++
	if at := &l.lanes[l.plan.lane(receiver, publisher)]; sequence < *at {
		l.faults.OutOfOrder++
	} else {
		*at = sequence + 1
	}
	return true
}

// due is the number of deliveries that all published messages make.
func (l *ledger) due() uint64 {
	var n uint64
	for _, published := range l.published {
		n += published
	}
	return n * uint64(l.plan.copies)
}

// close gives the faults, counting as lost what has not come by now.
func (l *ledger) close() faults {
	f := l.faults
	f.Lost = l.due() - l.firsts
	return f
}

// reach is how far apart two messages of one stream may arrive and still be told apart from a duplicate for certain.
const reach = 1024

// stream knows which sequence numbers have come. Within reach of the highest one it knows each; below, it only knows
// how many never came.
type stream struct {
	base  uint64             // numbers below are out of reach
	holes uint64             // how many of those below base have not come
	seen  [reach / 64]uint64 // bit n%reach: n has come, for base <= n < base+reach
}

// take notes a number and tells whether it is new. A number from below base is taken for new while there are holes.
func (s *stream) take(n uint64) bool {
	if n < s.base {
		if s.holes == 0 {
			return false
		}
		s.holes--
		return true
	}
	if n >= s.base+reach {
		s.slide(n - reach + 1)
	}
	word, bit := &s.seen[n%reach/64], uint64(1)<<(n%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

// slide moves base up, counting as holes what has not come by then.
func (s *stream) slide(base uint64) {
	if base-s.base >= reach {
		s.holes += base - s.base
		for i, word := range s.seen {
			s.holes -= uint64(bits.OnesCount64(word))
			s.seen[i] = 0
		}
		s.base = base
		return
	}
	for ; s.base < base; s.base++ {
		word, bit := &s.seen[s.base%reach/64], uint64(1)<<(s.base%64)
		if *word&bit == 0 {
			s.holes++
		}
		*word &^= bit
	}
}
