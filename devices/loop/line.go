package loop

import (
	"math/rand/v2"
	"time"
)

// line is one direction of a network with conditions: a queue of bytes with the
// time at which they come out. It is pure: time is what its caller says, in
// nanoseconds. Bytes leave at the rate of the bandwidth, one after another, and
// travel for latency and a random part of jitter; none overtakes another.
type line struct {
	latency, jitter int64
	bandwidth       int // bytes a second, 0 for no limit

	free   int64  // when the sender's end is free again
	last   int64  // when what was put in last comes out
	bytes  []byte // from head on
	head   int
	pieces []piece // from first on
	first  int
}

// piece is n bytes that come out together.
type piece struct {
	at int64
	n  int
}

// pieceTime is how long a piece takes to leave: long enough for few timers, short
// enough to look continuous.
const pieceTime = 10 * time.Millisecond

// push puts b in at now.
func (q *line) push(now int64, b []byte, rng *rand.Rand) {
	q.compact()
	q.bytes = append(q.bytes, b...)
	for n := len(b); n > 0; {
		size := n
		if q.bandwidth > 0 {
			size = min(n, max(q.bandwidth/int(time.Second/pieceTime), 1))
			q.free = max(q.free, now) + int64(size)*int64(time.Second)/int64(q.bandwidth)
		} else {
			q.free = now
		}
		q.last = max(q.last, q.free+q.latency+q.wobble(rng))
		q.append(q.last, size)
		n -= size
	}
}

func (q *line) wobble(rng *rand.Rand) int64 {
	if q.jitter <= 0 {
		return 0
	}
	return rng.Int64N(q.jitter + 1)
}

// append notes a piece; what comes out at the same time is one.
func (q *line) append(at int64, n int) {
	if len(q.pieces) > q.first && q.pieces[len(q.pieces)-1].at == at {
		q.pieces[len(q.pieces)-1].n += n
		return
	}
	q.pieces = append(q.pieces, piece{at, n})
}

// compact moves what is left to the front once more than half is void.
func (q *line) compact() {
	if q.head > len(q.bytes)/2 {
		q.bytes = q.bytes[:copy(q.bytes, q.bytes[q.head:])]
		q.head = 0
	}
	if q.first > len(q.pieces)/2 {
		q.pieces = q.pieces[:copy(q.pieces, q.pieces[q.first:])]
		q.first = 0
	}
}

// due takes out what has come through by now, in place: it is void after the next
// push.
func (q *line) due(now int64) []byte {
	n := 0
	for q.first < len(q.pieces) && q.pieces[q.first].at <= now {
		n += q.pieces[q.first].n
		q.first++
	}
	b := q.bytes[q.head : q.head+n]
	q.head += n
	if q.first == len(q.pieces) {
		// The memory stays for the next; after a burst it is given back.
		if cap(q.bytes) > keepBuffer {
			q.bytes, q.pieces = nil, nil
		}
		q.bytes, q.pieces, q.head, q.first = q.bytes[:0], q.pieces[:0], 0, 0
	}
	return b
}

// next is when something comes out.
func (q *line) next() (int64, bool) {
	if q.first == len(q.pieces) {
		return 0, false
	}
	return q.pieces[q.first].at, true
}

// size is how many bytes are under way.
func (q *line) size() int { return len(q.bytes) - q.head }

// clear loses what is under way.
func (q *line) clear() {
	q.bytes, q.pieces, q.head, q.first = nil, nil, 0, 0
}
