package sessions

import (
	"slices"

	"github.com/fairlead-iot/fairlead/backends/image"
)

// writer is the image.Writer of one group: it gathers the writes, whose bytes it holds.
type writer struct {
	im     *image.Image
	writes []Write
	room   []byte // where the next bytes go
	part   []byte // scratch
}

var _ image.Writer = (*writer)(nil)

// What a writer keeps from one group to the next.
const (
	roomBytes  = 256 << 10
	roomWrites = 16 << 10
)

// begin forgets the group before; nobody may use its bytes any more.
func (w *writer) begin(im *image.Image) {
	w.im = im
	clear(w.writes)
	w.writes, w.room = w.writes[:0], w.room[:0]
	if cap(w.writes) > roomWrites {
		w.writes = nil
	}
	if cap(w.room) != roomBytes {
		w.room = make([]byte, 0, roomBytes)
	}
}

// hold copies b. What was held before stays where it is.
func (w *writer) hold(b []byte) []byte {
	if len(w.room)+len(b) > cap(w.room) {
		if len(b) > roomBytes/8 {
			return slices.Clone(b)
		}
		// Another size than the first, so that begin goes back to one.
		w.room = make([]byte, 0, 2*roomBytes)
	}
	at := len(w.room)
	w.room = append(w.room, b...)
	return w.room[at:len(w.room):len(w.room)]
}

// Set implements image.Writer.
func (w *writer) Set(key, value []byte) {
	part, rest := place(w.part[:0], key)
	w.part = part
	w.writes = append(w.writes, Write{Kind: Set, Part: w.hold(part), Key: w.hold(rest), Value: w.hold(value)})
}

// Delete implements image.Writer.
func (w *writer) Delete(key []byte) {
	part, rest := place(w.part[:0], key)
	w.part = part
	w.writes = append(w.writes, Write{Kind: Delete, Part: w.hold(part), Key: w.hold(rest)})
}

// DeleteEntry implements image.Writer: the last entry goes with its part.
func (w *writer) DeleteEntry(s *image.Session, seq uint64, key []byte) {
	if s.EmptyBlock(seq) {
		w.deleteLast(key)
		return
	}
	w.Delete(key)
}

// DeleteBody implements image.Writer.
func (w *writer) DeleteBody(id uint64, key []byte) {
	if w.im.EmptyBlock(id) {
		w.deleteLast(key)
		return
	}
	w.Delete(key)
}

// DeleteSession implements image.Writer.
func (w *writer) DeleteSession(s *image.Session, _ bool) {
	w.deletePart(image.AppendSession(w.part[:0], s.SID()))
	s.Blocks(func(first uint64) { w.deletePart(appendQueuePart(w.part[:0], s.SID(), first)) })
}

// deleteLast deletes the part of a key which is the last there.
func (w *writer) deleteLast(key []byte) {
	part, rest := place(w.part[:0], key)
	w.part = part
	w.writes = append(w.writes, Write{Kind: DeletePart, Part: w.hold(part), Key: w.hold(rest)})
}

func (w *writer) deletePart(part []byte) {
	w.part = part
	w.writes = append(w.writes, Write{Kind: DeletePart, Part: w.hold(part)})
}
