package core

// What a session may have is asked when a message comes to it, and asked anew before
// the message is sent where the answer may have changed meanwhile: the rules were
// changed, or the client was away and may come back from elsewhere. Nothing is sent
// past a message about which the question is open.

// stillVetted says whether the answer for c holds; if not, it has all that waits asked
// about. With the session's lock held: the rules are never asked under it.
func (g *Gateway) stillVetted(s *Session, c *cell) bool {
	if c.vetted == uint32(g.chain.version()) {
		return true
	}
	if m := s.rarely(); !m.vetting {
		m.vetting = true
		g.done.call(func(t *Turn) { g.vet(t, s) })
	}
	return false
}

// vet asks about what waits in s's ring, and lets it flow again.
func (g *Gateway) vet(t *Turn, s *Session) {
	s.mu.Lock()
	epoch := s.epoch
	var from uint64
	var waiting []*Message // nil for what needs no answer
	if r := s.ring; r != nil {
		from = r.base // with priorities, what waits lies between what was sent
		waiting = make([]*Message, r.end-r.base)
		for i := range waiting {
			if c := r.at(from + uint64(i)); c.state == cellQueued {
				waiting[i] = c.msg
			}
		}
	}
	s.mu.Unlock()
	version := uint32(g.chain.version())
	may := make([]bool, len(waiting))
	for i, m := range waiting {
		may[i] = m == nil || g.authorize(t, s, epoch, ActionDeliver, m.Topic)
	}
	s.mu.Lock()
	s.more.vetting = false
	if s.epoch == epoch && s.ring != nil {
		for i, m := range waiting {
			g.settleVet(t, s, from+uint64(i), m, may[i], version)
		}
	}
	g.pump(t, s)
	hungry := s.hungry()
	s.mu.Unlock()
	if hungry { // there is room now, and nobody else may come by
		g.feedRetained(t, s)
	}
}

// settleVet takes the answer about one message, if it still waits.
func (g *Gateway) settleVet(t *Turn, s *Session, seq uint64, m *Message, may bool, version uint32) {
	r := s.ring
	if m == nil || seq < r.base || seq >= r.end {
		return
	}
	c := r.at(seq)
	switch {
	case c.state != cellQueued || c.msg != m:
	case may:
		c.vetted = version
	default:
		g.withhold(t, s, c, seq)
	}
}

// vetFetched asks about what came back from the store: nobody knows under which rules
// it was queued.
func (g *Gateway) vetFetched(t *Turn, s *Session, epoch uint64, got []QueuedMessage) (may []bool, version uint32) {
	version = uint32(g.chain.version())
	may = make([]bool, len(got))
	for i := range got {
		m := got[i].Msg
		may[i] = m == nil || got[i].Released || g.authorize(t, s, epoch, ActionDeliver, m.Topic)
	}
	return may, version
}

// withhold drops a message that waits, for the client may not have it any more. One of
// QoS 2 that may have been sent before is released instead: the client that has it must
// not wait with its Packet Identifier. With the session's lock held.
func (g *Gateway) withhold(t *Turn, s *Session, c *cell, seq uint64) {
	if c.flags&cellDup != 0 && c.qos == 2 {
		t.counters.reason(DeliverNotAuthorized)
		g.record(t, DeliverNotAuthorized, s.id, c.msg)
		s.ring.bytes -= c.msg.Size()
		c.msg, c.subIDs = nil, nil
		c.state = cellReleasing
		t.keepReleased(s, seq, nil)
		return
	}
	g.drop(t, c.msg, s.id, DeliverNotAuthorized)
	s.ring.free(c)
	g.forget(t, s, seq)
}
