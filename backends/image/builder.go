package image

import (
	"fmt"

	"github.com/fairlead-iot/fairlead/core"
)

// inlineMessage is the size in bytes up to which a message lies inside its queue
// entry when only one receiver has it. A larger one lies apart, so that reading
// through the queues at a start does not read the payloads.
const inlineMessage = 416

// longestKey bounds ClientIDs, Topic Filters and Topic Names: no protocol has
// longer ones.
const longestKey = 65535

// Writer takes what batches become. Keys and values are valid until a method returns.
type Writer interface {
	Set(key, value []byte)
	Delete(key []byte)
	// DeleteEntry deletes the queue entry seq, which is no longer among those of s.
	DeleteEntry(s *Session, seq uint64, key []byte)
	// DeleteBody deletes the body id, to which nothing refers any more.
	DeleteBody(id uint64, key []byte)
	// DeleteSession deletes everything below s but the bodies that its queue referred
	// to; fresh says that the present group wrote below it.
	DeleteSession(s *Session, fresh bool)
}

// Builder turns batches into writes. It belongs to one goroutine.
type Builder struct {
	im     *Image
	out    Writer
	group  uint64 // counts groups
	key    []byte
	value  []byte
	shared [4]sharedBody // bodies of this group that may be wanted again
	next   int           // the place in shared to use next
	seen   []seenSession // scratch of conflict
}

type sharedBody struct {
	msg *core.Message
	id  uint64
}

type seenSession struct {
	id    string
	epoch uint64 // 0: does not exist
}

// Begin starts a group that is written to out, im being what the groups before it left.
func (w *Builder) Begin(im *Image, out Writer) {
	w.im, w.out = im, out
	w.group++
	w.shared = [4]sharedBody{}
}

// Group counts the groups begun.
func (w *Builder) Group() uint64 { return w.group }

// Add writes b's operations and changes the image, or gives the reason why none of them
// was: core.ErrConflict, or what no store can take.
func (w *Builder) Add(b *core.Batch) error {
	if err := w.check(b); err != nil {
		return err
	}
	for i := range b.Ops {
		w.emit(b, i)
	}
	return nil
}

// Put writes body as a record under key, which is none of a batch's.
func (w *Builder) Put(key, body []byte) {
	w.open(append(w.key[:0], key...))
	w.value = append(w.value, body...)
	w.set()
}

// check finds everything that could stop b half-way, before a thing is changed.
func (w *Builder) check(b *core.Batch) error {
	fenced := false
	for i := range b.Ops {
		op := &b.Ops[i]
		if fault := faultOf(op); fault != "" {
			return fmt.Errorf("store: operation %d of the batch (kind %d, session %q): %s", i, op.Kind, op.Session, fault)
		}
		fenced = fenced || op.Kind == core.OpPutSession
	}
	if fenced {
		return w.conflict(b)
	}
	return nil
}

// faultOf says what an operation lacks, "" for nothing.
func faultOf(op *core.Op) string {
	if len(op.Session) > longestKey || len(op.Filter) > longestKey {
		return "the name is longer than 65,535 bytes"
	}
	switch op.Kind {
	case core.OpPutSession:
		if op.Record == nil {
			return "no Record"
		}
		if op.Record.Epoch == 0 {
			return "Record.Epoch is 0, which means that there is no session"
		}
	case core.OpPutSubscription:
		if op.Subscription == nil {
			return "no Subscription"
		}
		if len(op.Subscription.Filter) > longestKey {
			return "the Topic Filter is longer than 65,535 bytes"
		}
	case core.OpPutDelayed:
		if op.Delayed == nil || op.Delayed.Msg == nil {
			return "no message"
		}
	case core.OpEnqueue:
		if op.Entry.Msg == nil && !op.Entry.Released {
			return "no message"
		}
	case core.OpPutRetained:
		if op.Msg == nil {
			return "no message"
		}
		if len(op.Msg.Topic) > longestKey {
			return "the Topic Name is longer than 65,535 bytes"
		}
	}
	return ""
}

// conflict plays b's changes of sessions through and compares the epochs.
func (w *Builder) conflict(b *core.Batch) error {
	w.seen = w.seen[:0]
	for i := range b.Ops {
		op := &b.Ops[i]
		switch op.Kind {
		case core.OpPutSession:
			at := w.see(op.Session)
			if w.seen[at].epoch != op.Expect {
				return core.ErrConflict
			}
			w.seen[at].epoch = op.Record.Epoch
		case core.OpDeleteSession:
			w.seen[w.see(op.Session)].epoch = 0
		}
	}
	return nil
}

func (w *Builder) see(clientID string) int {
	for i := range w.seen {
		if w.seen[i].id == clientID {
			return i
		}
	}
	s := seenSession{id: clientID}
	if known := w.im.sessions[clientID]; known != nil {
		s.epoch = known.epoch
	}
	w.seen = append(w.seen, s)
	return len(w.seen) - 1
}

// emit writes operation i of b. What concerns a session that does not exist is
// passed over: whoever removed it wanted it so.
func (w *Builder) emit(b *core.Batch, i int) {
	op := &b.Ops[i]
	switch op.Kind {
	case core.OpPutRetained:
		w.open(appendRetainedKey(w.key[:0], op.Msg.Topic))
		w.value = appendMessage(w.value, op.Msg)
		w.set()
		w.im.noteRetained(op.Msg.Topic, true)
		return
	case core.OpDeleteRetained:
		w.remove(appendRetainedKey(w.key[:0], op.Filter))
		w.im.noteRetained(op.Filter, false)
		return
	case core.OpPutDelayed:
		id := op.Delayed.Msg.ID
		w.open(appendDelayedKey(w.key[:0], id))
		w.value = appendDelayedRecord(w.value, op.Delayed)
		w.set()
		w.im.noteDelayed(id, true)
		return
	case core.OpDeleteDelayed:
		w.remove(appendDelayedKey(w.key[:0], op.MessageID))
		w.im.noteDelayed(op.MessageID, false)
		return
	case core.OpPutSession:
		w.putSession(op)
		return
	}
	s := w.im.sessions[op.Session]
	if s == nil {
		return
	}
	if op.Kind == core.OpDeleteSession {
		w.deleteSession(op.Session, s)
		return
	}
	s.group = w.group
	switch op.Kind {
	case core.OpPutSubscription:
		w.open(appendSubscriptionKey(w.key[:0], s.sid, op.Subscription.Filter, op.Subscription.Proxy))
		w.value = appendSubscriptionRecord(w.value, op.Subscription)
		w.set()
	case core.OpDeleteSubscription:
		w.remove(appendSubscriptionKey(w.key[:0], s.sid, op.Filter, op.Proxy))
	case core.OpEnqueue:
		w.enqueue(s, &op.Entry, w.body(b, i))
	case core.OpAck:
		w.ack(s, op.Entry.Seq)
	case core.OpReleased:
		w.released(s, &op.Entry)
	case core.OpPutReceived:
		w.open(appendReceivedKey(w.key[:0], s.sid, op.PacketID))
		w.set()
	case core.OpPutRegistration:
		w.open(appendRegistrationKey(w.key[:0], s.sid, op.PacketID))
		w.value = AppendString(w.value, op.Filter)
		w.set()
	case core.OpDeleteReceived:
		w.remove(appendReceivedKey(w.key[:0], s.sid, op.PacketID))
	case core.OpPutAttachment:
		w.open(appendAttachmentKey(w.key[:0], s.sid, op.Filter))
		w.value = append(w.value, op.Value...)
		w.set()
	case core.OpDeleteAttachment:
		w.remove(appendAttachmentKey(w.key[:0], s.sid, op.Filter))
	}
}

// open begins a record under key; what follows is appended to w.value.
func (w *Builder) open(key []byte) {
	w.key = key
	w.value = openRecord(w.value)
}

// set writes the record that open began.
func (w *Builder) set() {
	sealRecord(w.key, w.value)
	w.out.Set(w.key, w.value)
}

func (w *Builder) remove(key []byte) {
	w.key = key
	w.out.Delete(key)
}

func (w *Builder) putSession(op *core.Op) {
	s := w.im.sessions[op.Session]
	if s == nil {
		s = w.im.create(op.Session)
	}
	s.group = w.group
	w.im.setEpoch(s, op.Record.Epoch)
	w.open(appendRecordKey(w.key[:0], s.sid, op.Session))
	w.value = appendSessionRecord(w.value, op.Record)
	w.set()
}

func (w *Builder) deleteSession(clientID string, s *Session) {
	for i := range s.queue {
		for _, body := range s.queue[i].bodies {
			w.release(body)
		}
	}
	w.im.remove(clientID, s)
	w.out.DeleteSession(s, s.group == w.group)
}

// body decides whether the message of the enqueue i lies apart, and writes it
// the first time; 0 means inline.
func (w *Builder) body(b *core.Batch, i int) uint64 {
	m := b.Ops[i].Entry.Msg
	if m == nil {
		return 0
	}
	for _, have := range w.shared {
		if have.msg == m && w.im.bodies[have.id] > 0 {
			return have.id
		}
	}
	if m.Length() <= inlineMessage && !wantedAgain(b, i) {
		return 0
	}
	w.im.lastBody++
	id := w.im.lastBody
	w.im.sized(id, int64(m.Length()))
	w.shared[w.next] = sharedBody{msg: m, id: id}
	w.next = (w.next + 1) % len(w.shared)
	w.open(AppendBodyKey(w.key[:0], id))
	w.value = appendMessage(w.value, m)
	w.set()
	return id
}

// wantedAgain says whether the next enqueues of b have the same message: that is
// how a message for several sessions looks. One that is missed is stored twice.
func wantedAgain(b *core.Batch, i int) bool {
	const ahead = 4
	m := b.Ops[i].Entry.Msg
	for j := i + 1; j < min(i+1+ahead, len(b.Ops)); j++ {
		if b.Ops[j].Kind == core.OpEnqueue && b.Ops[j].Entry.Msg == m {
			return true
		}
	}
	return false
}

func (w *Builder) enqueue(s *Session, e *core.QueuedMessage, body uint64) {
	w.im.refer(body)
	w.release(w.im.enqueue(s, e.Seq, body))
	w.open(AppendEntryKey(w.key[:0], s.sid, e.Seq))
	w.value = appendEntry(w.value, e, body)
	w.set()
	if e.Seq >= s.reserved {
		w.im.reserve(s, e.Seq+seqBlock)
		w.open(appendReservedKey(w.key[:0], s.sid))
		w.value = AppendUvarint(w.value, s.reserved)
		w.set()
	}
}

func (w *Builder) ack(s *Session, seq uint64) {
	if body, found := w.im.dequeue(s, seq); found {
		w.release(body)
	}
	// One that is not known may still lie there, damaged.
	w.key = AppendEntryKey(w.key[:0], s.sid, seq)
	w.out.DeleteEntry(s, seq, w.key)
}

// released leaves the marker that a PUBREL is owed, with no more of the message than e has.
func (w *Builder) released(s *Session, e *core.QueuedMessage) {
	seq := e.Seq
	if _, found := s.queue.find(seq); !found {
		return
	}
	w.release(w.im.enqueue(s, seq, 0))
	marker := core.QueuedMessage{Seq: seq, QoS: 2, Released: true, Msg: e.Msg}
	w.open(AppendEntryKey(w.key[:0], s.sid, seq))
	w.value = appendEntry(w.value, &marker, 0)
	w.set()
}

// release gives a reference to a body back and removes the body with its last.
func (w *Builder) release(body uint64) {
	if body != 0 && w.im.release(body) {
		w.key = AppendBodyKey(w.key[:0], body)
		w.out.DeleteBody(body, w.key)
	}
}
