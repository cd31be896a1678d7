package image

// changeKind is what a change did.
type changeKind uint8

const (
	inserted      changeKind = iota // the session id
	removed                         // session, under id
	epochSet                        // of session, from number
	reservation                     // of session, from number
	enqueued                        // the entry number of session
	replaced                        // the entry number of session, which had body
	dequeued                        // the entry number of session, which had body
	referred                        // to body
	released                        // body, of number bytes if it is large
	retainedNoted                   // the hash number came or went
	delayedNoted                    // the message number came or went
)

// change is one change of an image, with what it takes to undo it.
type change struct {
	kind    changeKind
	id      string
	session *Session
	number  uint64
	body    uint64
}

// journal is what Undo takes back.
type journal struct {
	on      bool
	changes []change
}

func (im *Image) note(c change) {
	if im.journal.on {
		im.journal.changes = append(im.journal.changes, c)
	}
}

// Remember makes Undo take back what changes from here on. Numbers of sessions and bodies
// that were given out meanwhile are not given out again.
func (im *Image) Remember() {
	im.journal.on = true
	clear(im.journal.changes)
	im.journal.changes = im.journal.changes[:0]
	const roomy = 1 << 16
	if cap(im.journal.changes) > roomy {
		im.journal.changes = nil // a rare burst must not keep its memory
	}
}

// Undo takes back what changed since Remember, and remembers from here on.
func (im *Image) Undo() {
	changes := im.journal.changes
	im.journal.on = false
	for i := len(changes) - 1; i >= 0; i-- {
		im.undo(&changes[i])
	}
	im.Remember()
}

func (im *Image) undo(c *change) {
	s := c.session
	switch c.kind {
	case inserted:
		im.remove(c.id, im.sessions[c.id])
	case removed:
		im.queued += int64(s.queue.length())
		im.insert(c.id, s)
	case epochSet:
		s.epoch = c.number
	case reservation:
		s.reserved = c.number
	case enqueued:
		im.dequeue(s, c.number)
	case replaced:
		im.enqueue(s, c.number, c.body)
	case dequeued:
		im.enqueue(s, c.number, c.body)
	case referred:
		im.release(c.body)
	case released:
		im.refer(c.body)
		im.sized(c.body, int64(c.number))
	case retainedNoted:
		toggle(im.retained, c.number)
	case delayedNoted:
		toggle(im.delayed, c.number)
	}
}

func toggle(set map[uint64]struct{}, number uint64) {
	if _, present := set[number]; present {
		delete(set, number)
	} else {
		set[number] = struct{}{}
	}
}
