package main

// window is a publisher's share of the messages that may be under way in a closed loop.
type window struct {
	slots    []slot
	free     []uint32 // slots without a message
	progress int64    // when a message last left the window, or entered it while it was empty; ns
}

// slot is one message under way.
type slot struct {
	sequence uint64
	left     int // deliveries that have not come
}

func newWindow(size int) window {
	w := window{slots: make([]slot, size), free: make([]uint32, 0, size)}
	w.reset()
	return w
}

// reset gives up everything that is under way.
func (w *window) reset() {
	w.free = w.free[:0]
	for i := range w.slots {
		w.slots[i] = slot{}
		w.free = append(w.free, uint32(i))
	}
}

func (w *window) empty() bool { return len(w.free) == len(w.slots) }

// enter gives the message a slot; there must be a free one.
func (w *window) enter(sequence uint64, copies int, now int64) uint32 {
	if w.empty() {
		w.progress = now
	}
	n := w.free[len(w.free)-1]
	w.free = w.free[:len(w.free)-1]
	w.slots[n] = slot{sequence: sequence, left: copies}
	return n
}

// arrived books one delivery of the message and tells whether it was the last. Messages that were given up by reset
// are not found here any more.
func (w *window) arrived(n uint32, sequence uint64, now int64) (last bool) {
	if n >= uint32(len(w.slots)) {
		return false
	}
	s := &w.slots[n]
	if s.left == 0 || s.sequence != sequence {
		return false
	}
	s.left--
	if s.left > 0 {
		return false
	}
	w.free = append(w.free, n)
	w.progress = now
	return true
}

// share is publisher i's part of a window of total messages.
func share(total, publishers, i int) int {
	n := total / publishers
	if i < total%publishers {
		n++
	}
	return n
}

// pace says which messages are due: rate a second from the moment of start, evenly.
type pace struct {
	rate  int64
	start int64 // ns
	done  int64 // messages handed out
}

// at is the moment at which message n is due.
func (p *pace) at(n int64) int64 {
	const second = 1_000_000_000
	return p.start + n/p.rate*second + n%p.rate*second/p.rate
}

// next tells when the next message is due.
func (p *pace) next() int64 { return p.at(p.done) }
