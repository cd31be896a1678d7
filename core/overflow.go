package core

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
)

// What happens when a session's queue is full: the message that comes is dropped
// (newest), or those that wait longest give way to it (oldest). What was, or may
// have been, sent already never gives way: its receiver may hold its Packet
// Identifier.

// The answers to queue_drop.
const (
	DropNewest = "newest"
	DropOldest = "oldest"
)

func checkQueueDrop(v string) error {
	if v != DropNewest && v != DropOldest {
		return fmt.Errorf("queue_drop: %q must be newest or oldest", v)
	}
	return nil
}

// overflowSlack is how many messages a queue may be beyond its bound while its oldest
// are read from the store, to be dropped by name.
const overflowSlack = 1024

// crowdedAt is how many items wait in an outbox before the queue adds no more.
const crowdedAt = 1024

// crowded says that the connection has enough to write: Take goes on with the queue.
func (s *Session) crowded() bool {
	return s.box != nil && s.box.len() >= crowdedAt
}

// makeRoom lets the oldest message give way to one of this rank, or says that none can.
// With the session's lock held, as all of this file.
func (g *Gateway) makeRoom(t *Turn, s *Session, rank uint8) bool {
	if g.cfg.QueueDrop != DropOldest {
		return false
	}
	if g.dropOldest(t, s, rank, QueueFull) {
		return true
	}
	// All that could give way is in the store: it is read once this message is there,
	// too.
	return s.spilled && s.waiting() < g.cfg.MaxQueued+overflowSlack
}

// makeRoomFor is makeRoom for the bytes of a queue in memory.
func (g *Gateway) makeRoomFor(t *Turn, s *Session, rank uint8, size int) bool {
	if g.cfg.QueueDrop != DropOldest || size > g.cfg.MaxQueuedBytes {
		return false
	}
	for s.held()+size > g.cfg.MaxQueuedBytes {
		if !g.dropOldest(t, s, rank, QueueBytesFull) {
			return false
		}
	}
	return true
}

// dropOldest drops the message that waits longest in memory, of the lowest rank and of
// none above most; false where none may be dropped.
func (g *Gateway) dropOldest(t *Turn, s *Session, most uint8, r Reason) bool {
	if s.ring == nil {
		return false
	}
	c, seq := s.ring.oldest(most)
	if c == nil {
		return false
	}
	g.drop(t, c.msg, s.id, r)
	s.noteSkipped(t, c.msg, r)
	if c.state == cellCommitting {
		s.more.doomed = append(s.more.doomed, seq)
	}
	s.ring.free(c)
	g.forget(t, s, seq)
	return true
}

// forgetDoomed says whether seq was dropped while its commit was under way. It ends now.
func (s *Session) forgetDoomed(seq uint64) bool {
	i := slices.Index(s.more.doomed, seq) // commits end in order: the first, if any
	if i < 0 {
		return false
	}
	s.more.doomed = slices.Delete(s.more.doomed, i, i+1)
	return true
}

// oldest is the cell that waits longest and may be dropped, or nil.
func (r *ring) oldest(most uint8) (*cell, uint64) {
	if r.levels != nil {
		return r.lowest(most)
	}
	for r.spared = max(r.spared, r.send); r.spared < r.end; r.spared++ {
		c := r.at(r.spared)
		if c.state == cellCommitting || c.state == cellQueued {
			return c, r.spared
		}
	}
	return nil, 0
}

// dropExcess brings a queue back to its bound that grew while it was read.
func (g *Gateway) dropExcess(t *Turn, s *Session) {
	for g.cfg.QueueDrop == DropOldest && s.waiting() > g.cfg.MaxQueued && g.dropOldest(t, s, g.ranks.again, QueueFull) {
	}
}

// trim begins to drop the oldest of a backlog that grew beyond its bound and that
// nobody fetches, as the session is disconnected. What is read is what is dropped, so
// that each has its name.
func (g *Gateway) trim(s *Session) {
	m := s.more
	if g.cfg.QueueDrop != DropOldest || !s.spilled || s.conn != nil || s.ended || m.trimming || s.waiting() <= g.cfg.MaxQueued {
		return
	}
	m.trimming = true
	id, from, epoch := s.id, max(m.stored, m.trimmed), s.epoch
	want := s.waiting() - g.cfg.MaxQueued
	if m.unsure {
		want += g.cfg.MaxInflight
	} else {
		from = max(from, m.exempt)
	}
	g.fetches.submit(netip.Addr{}, func(ctx context.Context) {
		got, err := g.store.Fetch(ctx, id, from, want, fetchBytes, nil)
		g.done.call(func(t *Turn) { g.trimmed(t, s, epoch, got, err) })
	})
}

// trimmed drops what a trim has read, as far as the queue is beyond its bound.
func (g *Gateway) trimmed(t *Turn, s *Session, epoch uint64, got []QueuedMessage, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.more
	m.trimming = false
	if s.ended || s.epoch != epoch || s.conn != nil {
		return
	}
	if err != nil {
		g.log.Error("store: the oldest of a full queue cannot be read; newer messages are dropped", "client_id", s.id, "err", err)
		return
	}
	m.narrow(got, g.cfg.MaxInflight)
	for i := range got {
		q := &got[i]
		if s.waiting() <= g.cfg.MaxQueued {
			return
		}
		if q.Seq < m.exempt || q.Seq < m.trimmed || q.Released || m.underWay(q.Seq) {
			continue
		}
		m.trimmed = q.Seq + 1
		g.drop(t, q.Msg, s.id, QueueFull)
		s.noteSkipped(t, q.Msg, QueueFull)
		g.forget(t, s, q.Seq)
	}
	if len(got) > 0 {
		g.trim(s)
	}
}

// narrow settles after a restart how far messages may be under way: no more than fit
// the window. got is the front of the queue.
func (m *rare) narrow(got []QueuedMessage, window int) {
	if !m.unsure {
		return
	}
	if len(got) >= window {
		m.exempt = min(m.exempt, got[window-1].Seq+1)
	}
	m.unsure = false
}
