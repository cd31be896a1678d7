package core

import (
	"errors"
	"log/slog"
	"sync"
)

// commit is what one turn wants the store to keep, and who waits for it. The
// store applies it as a whole; its completion runs on the completer's turn.
//
// A publisher whose answer waits for sinks has a commit of its own without operations:
// what they are slow with, or refuse, is nobody else's matter.
type commit struct {
	g     *Gateway
	batch Batch
	room  *room        // that batch, acks and cells grew in, nil while there is none
	acks  []ackRef     // answers to publishers
	cells []cellRef    // queue entries that are added, released or gone
	after []afterwards // connects and subscribes that wait
	asked int          // waits begun; the turn's own count
	sinks bool         // it is a publisher's own

	tickets [2]*ticket // of the session's delete and put in it, or one of them, or none

	mu   sync.Mutex
	left int // what it waits for: the store and peers; or sinks, and another commit
	err  error
}

// ackRef is one answer that waits: by its place for a QoS 1 PUBLISH, by its
// identifier for the steps of QoS 2, whose state outlives the connection.
type ackRef struct {
	link Link
	slot uint64
	kind DeliveryKind
	id   uint16
	keep bool // the store must have the identifier first
}

// cellRef is one change of a session's queue under way.
type cellRef struct {
	s      *Session
	seq    uint64
	msg    *Message
	gen    uint32 // the session's generation of fetches when it was handed over
	change OpKind // OpEnqueue, OpReleased or OpAck
}

// afterwards is something larger that waits for a commit.
type afterwards interface {
	committed(t *Turn, err error)
}

// keeping gives the turn's commit, begun on demand. It waits for commitNow from the
// start: a peer may confirm before that comes.
func (t *Turn) keeping() *commit {
	if t.commit == nil {
		t.commit = &commit{g: t.g, left: 1}
	}
	return t.commit
}

func (t *Turn) op(o Op) *commit {
	c := t.keeping()
	if c.room == nil {
		c.furnish()
	}
	c.batch.Ops = append(c.batch.Ops, o)
	return c
}

// room is what a commit grew in that is over: one turn's commit is much like the next.
type room struct {
	ops   []Op
	acks  []ackRef
	cells []cellRef
}

// furnish gives c the room of another.
func (c *commit) furnish() {
	if c.room, _ = c.g.rooms.Get().(*room); c.room == nil {
		c.room = new(room)
	}
	c.batch.Ops = append(c.room.ops, c.batch.Ops...)
	c.acks = append(c.room.acks, c.acks...)
	c.cells = append(c.room.cells, c.cells...)
}

// vacate gives the room of c, which is over, to another. Its operations were the store's
// until it was done.
func (c *commit) vacate() {
	r := c.room
	if r == nil {
		return
	}
	*r = room{ops: emptied(c.batch.Ops, maxScratch), acks: emptied(c.acks, maxScratch), cells: emptied(c.cells, maxScratch)}
	c.room, c.batch.Ops, c.acks, c.cells = nil, nil, nil, nil
	c.g.rooms.Put(r)
}

// keep stores a queue entry; it becomes deliverable once it is committed. With
// the session's lock held.
func (t *Turn) keep(s *Session, seq uint64, c *cell) {
	e := QueuedMessage{Seq: seq, Msg: c.msg, QoS: c.qos, Retain: c.flags&cellRetain != 0}
	if c.subIDs != nil {
		e.SubIDs = *c.subIDs
	} else if c.subID != 0 {
		e.SubIDs = []uint32{c.subID}
	}
	t.change(s, OpEnqueue, e)
}

// keepAck lets the store forget an entry; nobody waits for it: a lost one costs a
// repeated delivery after a crash, which QoS 1 allows and QoS 2's identifiers absorb.
func (t *Turn) keepAck(s *Session, seq uint64) {
	t.change(s, OpAck, QueuedMessage{Seq: seq})
}

// keepReleased stores that PUBREC came for m: no more of it than names it to the data
// backend that has it, nothing for others.
func (t *Turn) keepReleased(s *Session, seq uint64, m *Message) {
	e := QueuedMessage{Seq: seq}
	if m != nil && m.Stored != nil {
		e.Msg = &Message{Topic: m.Topic, Publisher: m.Publisher, ID: m.ID, Published: m.Published, QoS: m.QoS, Retain: m.Retain, Stored: m.Stored}
	}
	t.change(s, OpReleased, e)
}

func (t *Turn) change(s *Session, k OpKind, e QueuedMessage) {
	m := s.rarely()
	m.committing++
	o := s.op(k)
	o.Entry = e
	c := t.op(o)
	c.cells = append(c.cells, cellRef{s: s, seq: e.Seq, msg: e.Msg, gen: m.generation, change: k})
}

// commitNow hands the turn's commits to the store.
func (t *Turn) commitNow() {
	t.closeCommit()
	for i, c := range t.commits {
		t.commits[i] = nil
		t.handOver(c)
	}
	t.commits = t.commits[:0]
}

// closeCommit lets what follows begin another commit. This one goes to the store at the
// next Flush, after the events of before it: its completion, on another turn, may tell
// sinks of what comes after those.
func (t *Turn) closeCommit() {
	if t.commit != nil {
		t.commits = append(t.commits, t.commit)
		t.commit = nil
	}
}

// awaited takes what the answer to the PUBLISH at work waits for, nil for nothing: its
// sinks, and the turn's commit where that has grown since it had before operations.
func (t *Turn) awaited(before int) *commit {
	own := t.own
	t.own = nil
	if t.opCount() <= before {
		return own
	}
	if own == nil {
		return t.commit
	}
	own.left++ // nobody ends a wait before the turn ends
	t.commit.after = append(t.commit.after, publisher{own})
	return own
}

// publisher is a commit of a publisher's own behind that of a turn.
type publisher struct{ own *commit }

func (p publisher) committed(_ *Turn, err error) { p.own.done(err) }

// opCount tells whether something was added to the commit meanwhile.
func (t *Turn) opCount() int {
	if t.commit == nil {
		return 0
	}
	return len(t.commit.batch.Ops) + t.commit.asked
}

// commitAlone commits ops apart from the turn's, so that a conflict or fault of
// theirs fails nothing else; what the turn gathered before goes first.
func (t *Turn) commitAlone(ops []Op, a afterwards) {
	t.closeCommit()
	c := t.keeping()
	c.batch.Ops = ops
	n := 0
	for i := range ops {
		if k := ops[i].ticket; k != nil {
			c.tickets[n] = k
			n++
		}
	}
	if a != nil {
		c.after = append(c.after, a)
	}
	t.closeCommit()
}

// wait makes the commit wait for one thing more; the returned function ends it,
// from any goroutine, once.
func (c *commit) wait() func(error) {
	c.asked++
	c.mu.Lock()
	c.left++
	c.mu.Unlock()
	return c.done
}

// done ends one wait; the last lets the completer finish the commit.
func (c *commit) done(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.left--
	last := c.left == 0
	c.mu.Unlock()
	if last {
		c.g.done.push(c)
	}
}

// finish tells everyone who waits.
func (c *commit) finish(t *Turn) {
	reason := storeReason(c.err)
	if errors.Is(c.err, ErrConflict) {
		t.g.log.Debug("store: a session moved on before its record was stored", "operations", len(c.batch.Ops))
	} else if reason != Success && c.sinks {
		c.explain(t, reason)
	} else if reason != Success {
		t.Count(StoreFailures, 1)
		t.g.complain.commits.log(t.g.log, slog.LevelError, t.now, "store: commit failed", "err", c.err, "operations", len(c.batch.Ops))
	}
	c.puts()
	for _, r := range c.cells {
		t.g.changeCommitted(t, r, reason)
	}
	for _, a := range c.acks {
		a.settle(t, reason)
	}
	for _, a := range c.after {
		a.committed(t, c.err)
	}
	c.vacate()
}

// explain tells why a publisher was refused; that a sink is full was told of the sink.
func (c *commit) explain(t *Turn, reason Reason) {
	for _, a := range c.acks {
		if s := a.link.Session; !errors.Is(c.err, ErrSinkFull) {
			t.counters.reason(reason)
			t.explain.add(Record{Time: t.now, Reason: reason, ClientID: s.id, Publisher: s.id, Detail: c.err.Error()})
		}
	}
}

// settle sends the answer, unless the store must have its identifier first.
func (a ackRef) settle(t *Turn, reason Reason) {
	s := a.link.Session
	s.mu.Lock()
	defer s.mu.Unlock()
	if !a.keep || reason != Success || s.ended || s.receivedOf(a.id) == nil {
		s.settleAnswer(t, a, reason)
		return
	}
	a.keep = false
	c := t.op(s.packetOp(OpPutReceived, a.id))
	c.acks = append(c.acks, a)
}

// puts remembers which epochs the store got. A put that failed has those fail that were
// under way behind it: what is put after the last of them expects what the store has.
func (c *commit) puts() {
	for i := range c.batch.Ops {
		op := &c.batch.Ops[i]
		if op.Kind != OpPutSession {
			continue
		}
		op.of.mu.Lock()
		m := op.of.more
		m.putting--
		if c.err == nil {
			m.confirmed = op.Record.Epoch
		}
		if m.putting == 0 {
			m.inStore = m.confirmed
		}
		op.of.mu.Unlock()
	}
}

// storeReason is how a store's error is told to clients.
func storeReason(err error) Reason {
	switch {
	case err == nil:
		return Success
	case errors.Is(err, ErrStoreFull):
		return StoreFull
	case errors.Is(err, ErrStoreBusy), errors.Is(err, ErrSinkFull):
		return QuotaExceeded
	case errors.Is(err, ErrConflict):
		return SessionTakenOver
	}
	return StoreUnavailable
}

// completer carries finished commits from the store's goroutine to a turn.
type completer struct {
	mu    sync.Mutex
	cond  *sync.Cond
	queue []*commit
	other []func(*Turn)
	ended bool
}

func (d *completer) init() { d.cond = sync.NewCond(&d.mu) }

func (d *completer) push(c *commit) {
	d.mu.Lock()
	d.queue = append(d.queue, c)
	d.mu.Unlock()
	d.cond.Signal()
}

// call runs fn on the completer's turn.
func (d *completer) call(fn func(*Turn)) {
	d.mu.Lock()
	d.other = append(d.other, fn)
	d.mu.Unlock()
	d.cond.Signal()
}

func (d *completer) close() {
	d.mu.Lock()
	d.ended = true
	d.mu.Unlock()
	d.cond.Signal()
}

// take gives the work there is, and waits for some unless busy. more is false at the
// end, once nothing is left.
func (d *completer) take(busy bool, commits []*commit, calls []func(*Turn)) ([]*commit, []func(*Turn), bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.queue) == 0 && len(d.other) == 0 && !d.ended && !busy {
		d.cond.Wait()
	}
	commits, d.queue = d.queue, commits[:0]
	calls, d.other = d.other, calls[:0]
	return commits, calls, busy || len(commits)+len(calls) > 0
}

// completerSlice is how many connections the completer wakes before it looks for
// answers that others wait for.
const completerSlice = 256

// completeLoop finishes commits until the completer is closed. What it holds is
// bounded by the store's queue.
func (g *Gateway) completeLoop() {
	t := g.NewTurn()
	defer t.Close()
	var commits []*commit
	var calls []func(*Turn)
	for busy := false; ; {
		var more bool
		commits, calls, more = g.done.take(busy, commits, calls)
		if !more {
			return
		}
		t.beginNow()
		for i, c := range commits {
			c.finish(t)
			commits[i] = nil
		}
		for i, fn := range calls {
			fn(t)
			calls[i] = nil
		}
		busy = t.Flush(completerSlice)
	}
}
