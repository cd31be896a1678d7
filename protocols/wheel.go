package protocols

import (
	"math/bits"
	"time"
)

// tickLength is the resolution of the edge's timers.
const tickLength = 100 * time.Millisecond

// wheelSize is the number of buckets, a power of two. A longer period waits in
// the farthest bucket and is looked at once a round: with ticks of 100 ms, an
// idle connection costs one visit in 102 seconds.
const wheelSize = 1024

// wheel is a lazy hashed timer wheel over slots 0…n-1: 16 bytes a slot without
// pointers, and activity is one store. It is not safe for concurrent use; time
// is in ticks that the owner counts from 1.
type wheel struct {
	entries []wheelEntry
	heads   [wheelSize]uint32      // slot+1 of each bucket's first entry, 0 for none
	marks   [wheelSize / 64]uint64 // a bit for each bucket that is not empty
	now     uint32                 // tick up to which buckets were visited
	clock   uint32                 // the present tick: now, or later until advance caught up
	fired   []uint32
}

// wheelEntry is one slot's timer.
type wheelEntry struct {
	next   uint32 // slot+1, 0 for none
	prev   uint32 // slot+1, or atHead|bucket
	last   uint32 // tick of the last activity
	period uint32 // ticks without activity until it fires; 0: not in the wheel
}

const atHead = 1 << 31

// grow makes room for slots below n.
func (w *wheel) grow(n int) {
	for len(w.entries) < n {
		w.entries = append(w.entries, wheelEntry{})
	}
}

// set makes slot fire once period ticks passed since its last activity, which
// is now; 0 stops it.
func (w *wheel) set(slot, period uint32) {
	w.unlink(slot)
	if period == 0 {
		return
	}
	e := &w.entries[slot]
	e.last, e.period = w.clock, period
	w.link(slot)
}

// touch notes activity.
func (w *wheel) touch(slot uint32) { w.entries[slot].last = w.clock }

// idleSince says that slot's timer runs, fired at tick, and has seen nothing since.
func (w *wheel) idleSince(slot, tick uint32) bool {
	e := &w.entries[slot]
	return e.period != 0 && e.last == tick
}

// link puts slot into the bucket where it is due, or as near as the wheel goes.
func (w *wheel) link(slot uint32) {
	e := &w.entries[slot]
	wait := e.last + e.period - w.now
	if wait == 0 || wait > wheelSize-1 {
		wait = wheelSize - 1
	}
	bucket := (w.now + wait) % wheelSize
	e.next, e.prev = w.heads[bucket], atHead|bucket
	if e.next != 0 {
		w.entries[e.next-1].prev = slot + 1
	}
	w.heads[bucket] = slot + 1
	w.marks[bucket/64] |= 1 << (bucket % 64)
}

// unlink takes slot out if it is in.
func (w *wheel) unlink(slot uint32) {
	e := &w.entries[slot]
	if e.period == 0 {
		return
	}
	if e.next != 0 {
		w.entries[e.next-1].prev = e.prev
	}
	if e.prev&atHead != 0 {
		bucket := e.prev &^ atHead
		w.heads[bucket] = e.next
		if e.next == 0 {
			w.marks[bucket/64] &^= 1 << (bucket % 64)
		}
	} else {
		w.entries[e.prev-1].next = e.next
	}
	*e = wheelEntry{}
}

// advance moves the clock to now and gives the slots that were idle for their
// period; they start a new one. The slice is valid until the next call. A clock that was
// read before w's own, by a loop that takes over from another, changes nothing: what was
// touched later than it would seem idle for ages.
func (w *wheel) advance(now uint32) []uint32 {
	w.fired = w.fired[:0]
	if now < w.now {
		return w.fired
	}
	steps := min(now-w.now, wheelSize)
	for tick := now - steps + 1; tick != now+1; tick++ {
		bucket := tick % wheelSize
		if w.heads[bucket] == 0 {
			continue
		}
		w.visit(bucket, now)
	}
	w.now, w.clock = now, now
	return w.fired
}

// visit empties a bucket: what is due fires, all of it is linked anew.
func (w *wheel) visit(bucket, now uint32) {
	w.now, w.clock = now, now
	slot := w.heads[bucket]
	w.heads[bucket] = 0
	w.marks[bucket/64] &^= 1 << (bucket % 64)
	for slot != 0 {
		e := &w.entries[slot-1]
		next := e.next
		if now-e.last >= e.period {
			w.fired = append(w.fired, slot-1)
			e.last = now
		}
		w.link(slot - 1)
		slot = next
	}
}

// next is the number of ticks until a bucket that is not empty comes by, and
// whether there is one.
func (w *wheel) next() (ticks uint32, ok bool) {
	const words = uint32(len(w.marks))
	start := (w.now + 1) % wheelSize
	word, shift := start/64, start%64
	for i := range words + 1 {
		m := w.marks[(word+i)%words]
		if i == 0 {
			m &= ^uint64(0) << shift
		}
		if i == words {
			m &= 1<<shift - 1
		}
		if m != 0 {
			bucket := (word+i)%words*64 + uint32(bits.TrailingZeros64(m))
			return (bucket-start)%wheelSize + 1, true
		}
	}
	return 0, false
}

// ticks is d on the wheel: rounded up, and one more as the present tick has
// partly passed.
func ticks(d time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	return uint32(min((d+tickLength-1)/tickLength, 1<<30)) + 1
}
