package core

import (
	"context"
	"log/slog"
	"net/netip"
)

// A durable session's queue lives in the store; the ring in memory is its front.
// While the session is disconnected there is no ring. When it resumes, or when
// its ring ran empty while more is in the store, a fetch brings the next part
// back: it begins once everything enqueued before it is committed, and what is
// enqueued meanwhile gathers in the fetch's tail, so that no order is lost and
// the ring catches up even under load.
type fetch struct {
	epoch  uint64
	target uint64 // fetched up to here; the tail begins here
	wait   int    // changes handed over before it began and still under way
	tail   []cell
	bytes  int
	cut    bool // the tail outgrew its bound: what follows is in the store only
}

// Bounds of one fetch.
const (
	fetchMost  = 1024
	fetchBytes = 4 << 20
)

// enqueueDurable stores c and keeps it in memory where its turn is near.
func (g *Gateway) enqueueDurable(t *Turn, s *Session, c cell, full bool) Reason {
	c.state = cellCommitting
	seq := s.seq
	s.seq++
	t.keep(s, seq, &c)
	switch {
	case s.spilled && s.more.fetch != nil && !s.more.fetch.cut:
		f := s.more.fetch
		if f.bytes += c.msg.Size(); f.bytes > g.cfg.MaxQueuedBytes || len(f.tail) >= 8*fetchMost {
			f.cut, f.tail = true, nil
			break
		}
		f.tail = append(f.tail, c)
	case s.spilled:
	case s.away() || full:
		s.spilled, s.more.stored = true, seq
	default:
		if s.ring == nil {
			s.ring = t.rings.get(seq)
		}
		s.ring.push(c)
	}
	return Success
}

// changeCommitted ends one change of a session's queue.
func (g *Gateway) changeCommitted(t *Turn, r cellRef, reason Reason) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.more
	m.committing--
	switch r.change {
	case OpEnqueue:
		g.cellCommitted(t, r, reason)
		g.trim(s)
	case OpReleased:
		g.cellReleasedInStore(t, r, reason)
	case OpAck:
		if reason != Success && !s.ended { // the store still has it, and gives it again
			s.pending++
			t.Count(Restored, 1)
		}
	}
	if f := m.fetch; f != nil && r.gen < m.generation {
		if f.wait--; f.wait == 0 {
			g.beginFetch(s, f)
		}
	}
	g.pump(t, s)
}

// cellCommitted makes a stored message deliverable, or drops it when the store
// could not keep it.
func (g *Gateway) cellCommitted(t *Turn, r cellRef, reason Reason) {
	s := r.s
	if !s.forgetDoomed(r.seq) && reason != Success && !s.ended {
		s.pending--
		g.drop(t, r.msg, s.id, reason)
	}
	c := s.committingCell(r.seq)
	switch {
	case c == nil:
	case reason == Success:
		c.state = cellQueued
	case s.ring != nil && r.seq < s.ring.end:
		s.ring.free(c)
	default:
		*c = cell{}
	}
}

// committingCell finds the cell of seq where it is kept in memory.
func (s *Session) committingCell(seq uint64) *cell {
	var c *cell
	switch f := s.fetchOf(); {
	case s.ring != nil && seq >= s.ring.base && seq < s.ring.end:
		c = s.ring.at(seq)
	case f != nil && seq >= f.target && seq-f.target < uint64(len(f.tail)):
		c = &f.tail[seq-f.target]
	}
	if c != nil && c.state == cellCommitting {
		return c
	}
	return nil
}

func (s *Session) fetchOf() *fetch {
	if s.more == nil {
		return nil
	}
	return s.more.fetch
}

// cellReleasedInStore sends PUBREL once the store noted that PUBREC came.
func (g *Gateway) cellReleasedInStore(t *Turn, r cellRef, reason Reason) {
	s := r.s
	if s.ring == nil || r.seq < s.ring.base || r.seq >= s.ring.end {
		return
	}
	c := s.ring.at(r.seq)
	if c.state != cellReleasing {
		return
	}
	if reason != Success {
		// Not noted: the client is not released. It keeps the message and asks
		// again on its next connection.
		if s.conn != nil {
			t.closeLater(s.conn, reason)
		}
		return
	}
	c.state = cellReleased
	if s.ready && r.seq < s.ring.send {
		s.push(t, Delivery{Kind: DeliverRelease, PacketID: packetID(r.seq)})
	}
}

// fetchMore begins to bring the next part of the backlog back. With the
// session's lock held, spilled set, and the ring empty or sent.
func (g *Gateway) fetchMore(t *Turn, s *Session) {
	m := s.rarely()
	if m.fetch != nil {
		return
	}
	f := &fetch{epoch: s.epoch, target: s.seq, wait: m.committing}
	m.fetch = f
	m.generation++
	// Changes under way must end before the store is read: what it shows is then
	// all that was enqueued before the target, and nothing that was acknowledged.
	if f.wait == 0 {
		g.beginFetch(s, f)
	}
}

func (g *Gateway) beginFetch(s *Session, f *fetch) {
	id, from := s.id, s.more.stored
	g.fetches.submit(netip.Addr{}, func(ctx context.Context) {
		got, err := g.store.Fetch(ctx, id, from, fetchMost, fetchBytes, nil)
		g.done.call(func(t *Turn) { g.fetched(t, s, f, got, err) })
	})
}

// fetched takes a part of the backlog into the ring.
func (g *Gateway) fetched(t *Turn, s *Session, f *fetch, got []QueuedMessage, err error) {
	may, version := g.vetFetched(t, s, f.epoch, got)
	covered := g.coveredAgain(s, got)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.more == nil || s.more.fetch != f {
		return
	}
	s.more.fetch = nil
	if f.epoch != s.epoch || s.conn == nil {
		return
	}
	if err != nil {
		g.complain.fetches.log(g.log, slog.LevelError, t.now, "store: queue not read; the client is disconnected and keeps its queue", "client_id", s.id, "err", err)
		t.closeLater(s.conn, storeReason(err))
		return
	}
	s.more.narrow(got, g.cfg.MaxInflight)
	last := uint64(0) // behind what was restored
	for i := range got {
		last = got[i].Seq + 1
		if last > f.target {
			break // the tail holds it, or a later fetch brings it
		}
		if covered != nil && covered[i] {
			g.tellRestored(t, s, &got[i])
		}
		g.restoreCell(t, s, &got[i], may[i], version)
	}
	switch {
	case len(got) > 0 && last < f.target:
		// More may follow: only an empty answer or the last number ends it.
		s.more.stored = last
	case f.cut:
		s.more.stored = f.target
		s.ring = g.padTo(s.ring, f.target)
	default:
		s.ring = g.padTo(s.ring, f.target)
		for i := range f.tail {
			s.ring.push(f.tail[i])
			s.ring.skipDone()
		}
		s.spilled = false
	}
	g.pump(t, s)
	g.dropExcess(t, s)
}

// restoreCell puts a stored entry into the ring, behind what is there, unless the
// client may not have it any more.
func (g *Gateway) restoreCell(t *Turn, s *Session, q *QueuedMessage, may bool, version uint32) {
	if s.ring != nil && q.Seq < s.ring.end {
		return
	}
	s.ring = g.padTo(s.ring, q.Seq)
	c := cell{msg: q.Msg, qos: q.QoS, vetted: version, state: cellQueued}
	if q.Retain {
		c.flags |= cellRetain
	}
	known := s.more.underWay(q.Seq)
	if known || q.Seq < s.more.sent {
		c.flags |= cellDup
	}
	switch {
	case q.Released || known:
		c.rank = g.ranks.again
	default:
		c.rank = g.rank(t, q.Msg)
	}
	s.ring.spared = max(s.ring.spared, s.more.exempt)
	if n := len(q.SubIDs); n == 1 {
		c.subID = q.SubIDs[0]
	} else if n > 1 {
		c.subIDs = &q.SubIDs
	}
	if q.Released {
		c.state, c.msg = cellReleased, nil
	}
	s.ring.push(c)
	if !may {
		g.withhold(t, s, s.ring.at(q.Seq), q.Seq)
	}
}

// padTo makes the ring end at seq: numbers between were acknowledged long ago.
func (g *Gateway) padTo(r *ring, seq uint64) *ring {
	switch {
	case r == nil:
		return newRing(seq, g.ranks.levels())
	case r.empty():
		r.restart(seq)
		return r
	}
	for r.end < seq {
		r.push(cell{})
		r.skipDone()
	}
	return r
}
