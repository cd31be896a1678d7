package core

import "strings"

// The Will of a client that comes and breaks off again and again is a large copy each time.
// Where nobody took it, and its session was never to outlive the connection, nothing refers
// to the payload any more, and the turn uses it for the next one.
const (
	leastSpare = 4 << 10 // smaller ones are not worth it
	mostSpare  = 64 << 10
	mostSpares = 8
)

// ownWill makes r's Will core's own.
func (t *Turn) ownWill(r *ConnectRequest) {
	if w := r.Will; w != nil && r.BorrowedWill {
		w.Topic, w.Payload = strings.Clone(w.Topic), t.copySpare(w.Payload)
		w.spare = !r.WillLasts
	}
	r.BorrowedWill = false
}

// copySpare copies b, into what is spare where that is not much too large.
func (t *Turn) copySpare(b []byte) []byte {
	for i, room := range t.spares {
		if n := cap(room); n >= len(b) && n <= len(b)+len(b)/4 {
			last := len(t.spares) - 1
			t.spares[i], t.spares[last] = t.spares[last], nil
			t.spares = t.spares[:last]
			return append(room, b...)
		}
	}
	return append([]byte(nil), b...)
}

// spareWill takes the payload of a Will that nobody has any more.
func (t *Turn) spareWill(w *Will) {
	room := w.Payload[:0]
	switch n := cap(room); {
	case !w.spare || n < leastSpare || n > mostSpare:
		return
	case len(t.spares) < mostSpares:
		t.spares = append(t.spares, room)
	default: // those of a size that nobody wants any more go in time
		t.spares[t.now%mostSpares] = room
	}
}
