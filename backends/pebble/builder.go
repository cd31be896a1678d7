package pebble

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fairlead-iot/fairlead/core"
)

// inlineMessage is the size in bytes up to which a message lies inside its queue
// entry when only one receiver has it. A larger one lies apart, so that reading
// through the queues at a start does not read the payloads.
const inlineMessage = 416

// longestKey bounds ClientIDs, Topic Filters and Topic Names: no protocol has
// longer ones.
const longestKey = 65535

// builder turns batches into writes. It belongs to the committer.
type builder struct {
	t      *table
	db     *pebble.DB // what the groups before this one wrote
	out    *pebble.Batch
	group  uint64 // number of the group
	key    []byte
	value  []byte
	shared [4]sharedBody // bodies of this group that may be wanted again
	next   int           // the place in shared to use next
	seen   []seenSession // scratch of conflict
	keys   []byte        // scratch of deleteEach: keys, one behind the other
	ends   []int         // where each of keys ends
}

type sharedBody struct {
	msg *core.Message
	id  uint64
}

type seenSession struct {
	id    string
	epoch uint64 // 0: does not exist
}

// begin starts a group that is written to out, for db.
func (w *builder) begin(t *table, db *pebble.DB, out *pebble.Batch) {
	w.t, w.db, w.out = t, db, out
	w.group++
	w.shared = [4]sharedBody{}
}

// add writes b's operations, or gives the reason why none of them was.
func (w *builder) add(b *core.Batch) error {
	if err := w.check(b); err != nil {
		return err
	}
	for i := range b.Ops {
		w.emit(b, i)
	}
	return nil
}

// check finds everything that could stop b half-way, before a thing is changed.
func (w *builder) check(b *core.Batch) error {
	fenced := false
	for i := range b.Ops {
		op := &b.Ops[i]
		if fault := faultOf(op); fault != "" {
			return fmt.Errorf("pebble: operation %d of the batch (kind %d, session %q): %s", i, op.Kind, op.Session, fault)
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
func (w *builder) conflict(b *core.Batch) error {
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

func (w *builder) see(clientID string) int {
	for i := range w.seen {
		if w.seen[i].id == clientID {
			return i
		}
	}
	s := seenSession{id: clientID}
	if known := w.t.sessions[clientID]; known != nil {
		s.epoch = known.epoch
	}
	w.seen = append(w.seen, s)
	return len(w.seen) - 1
}

// emit writes operation i of b. What concerns a session that does not exist is
// passed over: whoever removed it wanted it so.
func (w *builder) emit(b *core.Batch, i int) {
	op := &b.Ops[i]
	switch op.Kind {
	case core.OpPutRetained:
		w.open(appendRetainedKey(w.key[:0], op.Msg.Topic))
		w.value = appendMessage(w.value, op.Msg)
		w.set()
		w.t.noteRetained(op.Msg.Topic, true)
		return
	case core.OpDeleteRetained:
		w.remove(appendRetainedKey(w.key[:0], op.Filter))
		w.t.noteRetained(op.Filter, false)
		return
	case core.OpPutDelayed:
		id := op.Delayed.Msg.ID
		w.open(appendDelayedKey(w.key[:0], id))
		w.value = appendDelayedRecord(w.value, op.Delayed)
		w.set()
		w.t.delayed[id] = struct{}{}
		return
	case core.OpDeleteDelayed:
		w.remove(appendDelayedKey(w.key[:0], op.MessageID))
		delete(w.t.delayed, op.MessageID)
		return
	case core.OpPutSession:
		w.putSession(op)
		return
	}
	s := w.t.sessions[op.Session]
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
		w.released(s, op.Entry.Seq)
	case core.OpPutReceived:
		w.open(appendReceivedKey(w.key[:0], s.sid, op.PacketID))
		w.set()
	case core.OpPutRegistration:
		w.open(appendRegistrationKey(w.key[:0], s.sid, op.PacketID))
		w.value = appendString(w.value, op.Filter)
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
func (w *builder) open(key []byte) {
	w.key = key
	w.value = openRecord(w.value)
}

// set writes the record that open began. Writing to a batch in memory cannot
// fail but for a batch of 4 GiB, which check's bounds and the group's exclude.
func (w *builder) set() {
	sealRecord(w.key, w.value)
	_ = w.out.Set(w.key, w.value, nil)
}

// stamp writes the number of the group.
func (w *builder) stamp(s stamp) {
	w.open(append(w.key[:0], groupKey()...))
	w.value = appendStamp(w.value, s)
	w.set()
}

func (w *builder) remove(key []byte) {
	w.key = key
	_ = w.out.Delete(key, nil)
}

func (w *builder) putSession(op *core.Op) {
	s := w.t.sessions[op.Session]
	if s == nil {
		s = w.t.create(op.Session)
	}
	s.epoch, s.group = op.Record.Epoch, w.group
	w.open(appendRecordKey(w.key[:0], s.sid, op.Session))
	w.value = appendSessionRecord(w.value, op.Record)
	w.set()
}

func (w *builder) deleteSession(clientID string, s *session) {
	for i := range s.queue {
		for _, body := range s.queue[i].bodies {
			w.release(body)
		}
	}
	w.t.queued -= int64(s.queue.length())
	w.t.remove(clientID)
	w.key = appendSession(w.key[:0], s.sid)
	w.value = appendSession(w.value[:0], s.sid+1)
	if s.group == w.group || !w.deleteEach() {
		_ = w.out.DeleteRange(w.key, w.value, nil)
	}
}

// fewKeys is how many keys are deleted one by one. Pebble sorts all range
// deletions of a memtable anew for the reader that follows one: ten thousand of
// them cost each such reading 14 ms.
const fewKeys = 256

// deleteEach deletes the keys from w.key up to w.value one by one; false when they
// are too many, or cannot be read: then none is.
func (w *builder) deleteEach() bool {
	it, err := w.db.NewIter(&pebble.IterOptions{LowerBound: w.key, UpperBound: w.value})
	if err != nil {
		return false
	}
	defer it.Close()
	w.keys, w.ends = w.keys[:0], w.ends[:0]
	for ok := it.First(); ok; ok = it.Next() {
		if len(w.ends) == fewKeys {
			return false
		}
		w.keys = append(w.keys, it.Key()...)
		w.ends = append(w.ends, len(w.keys))
	}
	if it.Error() != nil {
		return false
	}
	start := 0
	for _, end := range w.ends {
		_ = w.out.Delete(w.keys[start:end], nil)
		start = end
	}
	return true
}

// body decides whether the message of the enqueue i lies apart, and writes it
// the first time; 0 means inline.
func (w *builder) body(b *core.Batch, i int) uint64 {
	m := b.Ops[i].Entry.Msg
	if m == nil {
		return 0
	}
	for _, have := range w.shared {
		if have.msg == m && w.t.bodies[have.id] > 0 {
			return have.id
		}
	}
	if m.Length() <= inlineMessage && !wantedAgain(b, i) {
		return 0
	}
	w.t.lastBody++
	id := w.t.lastBody
	w.shared[w.next] = sharedBody{msg: m, id: id}
	w.next = (w.next + 1) % len(w.shared)
	w.open(appendBodyKey(w.key[:0], id))
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

func (w *builder) enqueue(s *session, e *core.QueuedMessage, body uint64) {
	w.t.refer(body)
	was, replaced := s.queue.add(e.Seq, body)
	w.release(was)
	if !replaced {
		w.t.queued++
	}
	w.open(appendEntryKey(w.key[:0], s.sid, e.Seq))
	w.value = appendEntry(w.value, e, body)
	w.set()
	if e.Seq >= s.reserved {
		s.reserved = e.Seq + seqBlock
		w.open(appendReservedKey(w.key[:0], s.sid))
		w.value = appendUvarint(w.value, s.reserved)
		w.set()
	}
}

func (w *builder) ack(s *session, seq uint64) {
	body, found := s.queue.remove(seq)
	if found {
		w.t.queued--
		w.release(body)
	}
	// One that is not known may still lie there, damaged.
	w.remove(appendEntryKey(w.key[:0], s.sid, seq))
}

// released leaves the marker that a PUBREL is owed, without the message.
func (w *builder) released(s *session, seq uint64) {
	if _, found := s.queue.find(seq); !found {
		return
	}
	was, _ := s.queue.add(seq, 0)
	w.release(was)
	marker := core.QueuedMessage{Seq: seq, QoS: 2, Released: true}
	w.open(appendEntryKey(w.key[:0], s.sid, seq))
	w.value = appendEntry(w.value, &marker, 0)
	w.set()
}

// release gives a reference to a body back and removes the body with its last.
func (w *builder) release(body uint64) {
	if body != 0 && w.t.release(body) {
		w.remove(appendBodyKey(w.key[:0], body))
	}
}
