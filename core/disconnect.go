package core

// Disconnect ends l's connection. NormalDisconnect discards the Will
// [MQTT-3.14.4-3]; every other reason sends it, after its delay [MQTT-3.1.2-8].
// expiry, if not nil, is the client's last word on its Session Expiry Interval.
// The adapter calls it exactly once for a successful Connect.
func (g *Gateway) Disconnect(t *Turn, l Link, r Reason, expiry *uint32) {
	s := l.Session
	if r <= IdentityExpired { // faults were counted where they were refused
		t.counters.reason(r)
	}
	s.mu.Lock()
	if !l.live() {
		s.mu.Unlock()
		return // taken over: the new connection has the session
	}
	if e := g.note(t, EventDisconnected, s, nil); e != nil {
		e.Peer, e.Reason = peerAddr(s.conn), r
	}
	g.noteEnd(t, s.id, s.conn, r)
	if expiry != nil && s.expiry != 0 {
		s.expiry = g.expiry(*expiry)
	}
	if m := s.more; m != nil && r == NormalDisconnect {
		m.will = nil
	}
	if s.expiry == 0 || !s.durable {
		s.mu.Unlock()
		if ops, ok := g.endSession(t, s, r, false, l.Epoch); ok && len(ops) > 0 {
			t.commitAlone(ops, nil)
		}
		return
	}
	if r == ServerShuttingDown && g.sleepOn(t, s) {
		op := g.putOp(s)
		s.mu.Unlock()
		t.commitAlone([]Op{op}, nil)
		return
	}
	g.detach(t, s, Success)
	op := g.park(t, s, r)
	s.mu.Unlock()
	t.commitAlone([]Op{op}, nil)
	g.sendDueWill(t, s)
}

// park leaves a durable session without connection: its Will and its expiry get
// their times, the store learns of it.
func (g *Gateway) park(t *Turn, s *Session, r Reason) Op {
	m := s.more
	m.left = t.now
	if m.will != nil {
		m.willAt = t.now + int64(m.will.Delay)*1000
		if s.expiry != NeverExpires { // [MQTT-3.1.3-9]: the end of the session is sooner
			m.willAt = min(m.willAt, t.now+int64(s.expiry)*1000)
		}
		if r == ServerShuttingDown {
			m.willAt = max(m.willAt, t.now+1) // the next start sends it [MQTT 3.1.2.5]
		}
		g.timers.add(m.willAt, timerWill, s, s.epoch)
	}
	if s.expiry != NeverExpires {
		g.timers.add(t.now+int64(s.expiry)*1000, timerExpiry, s, s.epoch)
	}
	return g.putOp(s)
}

// putOp stores a durable session's record as it is, if the store has the epoch that it
// should.
func (g *Gateway) putOp(s *Session) Op {
	expect := s.more.inStore
	s.more.inStore = s.epoch
	s.more.putting++
	o := s.op(OpPutSession)
	o.Expect, o.Record, o.ticket = expect, g.recordLocked(s), g.order.take(s.id)
	return o
}

// leave undoes a Connect that was attached but cannot be granted.
func (g *Gateway) leave(t *Turn, l Link) {
	s := l.Session
	s.mu.Lock()
	if m := s.more; m != nil && l.live() {
		if g.sleepOn(t, s) {
			s.mu.Unlock()
			return
		}
		m.will = nil
		if s.unstored() { // the client knows of none to go on with [MQTT-3.2.2-3]
			s.expiry = 0
		}
	}
	s.mu.Unlock()
	g.Disconnect(t, l, NormalDisconnect, nil)
}

// detach takes the connection off a session. close, unless Success, is what the
// old connection is told. With the session's lock held.
func (g *Gateway) detach(t *Turn, s *Session, close Reason) {
	if s.conn == nil {
		return
	}
	if close != Success {
		t.closeLater(s.conn, close)
	}
	if close == SessionTakenOver {
		g.record(t, close, s.id, nil)
		g.noteEnd(t, s.id, s.conn, close)
	}
	if s.more != nil {
		s.more.sleep.seconds = 0
		s.more.replays = replays{}
		s.more.fetch = nil
		if len(s.more.acks.slots) > 0 { // nobody is left to answer
			s.more.acks = ackQueue{first: s.more.acks.first + uint64(len(s.more.acks.slots))}
		}
	}
	s.conn, s.ready, s.dirty, s.paused, s.asking = nil, false, false, false, 0
	s.asleep, s.fetching = false, false
	g.dropOutbox(t, s)
	if s.durable && s.ring != nil {
		g.spill(s)
	}
	s.noteCredit(g.window(s))
}

// dropOutbox ends what was not yet taken: QoS 0 is lost with the connection, QoS 1
// and 2 stay in the queue.
func (g *Gateway) dropOutbox(t *Turn, s *Session) {
	o := s.box
	if o == nil {
		return
	}
	s.box = nil
	reason := SessionEnded
	if s.durable {
		reason = OfflineQoS0
	}
	for _, d := range o.items[o.next:] {
		if d.Kind == DeliverMessage && d.QoS == 0 {
			g.drop(t, d.Msg, s.id, reason)
		}
	}
	t.boxes.put(o)
}

// endSession ends s for good. replaced says that the caller puts another session
// in its place in the directory: its connection, if any, is told so. ops is what
// the store must forget. ok is false when it had ended already, or when epoch
// (unless 0) is no longer its own.
func (g *Gateway) endSession(t *Turn, s *Session, r Reason, replaced bool, epoch uint64) (ops []Op, ok bool) {
	s.mu.Lock()
	if s.ended || (epoch != 0 && s.epoch != epoch) {
		s.mu.Unlock()
		return nil, false
	}
	s.ended = true
	if s.conn != nil && replaced {
		t.Count(Takeovers, 1)
		g.detach(t, s, r)
	} else if s.conn != nil {
		g.detach(t, s, Success)
	}
	// [MQTT-3.1.2-8], [MQTT-3.1.3-9]: with the session ends the delay of its Will
	will, id := s.takeWill(), g.identityLocked(s)
	s.ring, s.spilled = nil, false
	s.noteCredit(g.window(s))
	if s.durable {
		o := s.op(OpDeleteSession)
		o.ticket = g.order.take(s.id)
		ops = []Op{o}
	}
	left := s.pending
	s.pending = 0
	s.mu.Unlock()

	t.Count(SessionsEnded, 1)
	g.note(t, EventSessionEnded, s, nil)
	g.dropMany(t, s.id, SessionEnded, uint64(left))
	if !replaced {
		g.clients.swap(s.id, s, nil)
		g.clients.users.remove(s.user)
	}
	t.leaveRoutes(s)
	if g.peers != nil {
		g.peers.Disown(s.id, s.epoch)
	}
	if will != nil && g.publishWill(t, &id, will) {
		t.spareWill(will)
	}
	return ops, true
}

// takeWill takes the Will out of the session. With its lock held.
func (s *Session) takeWill() *Will {
	if s.more == nil {
		return nil
	}
	w := s.more.will
	s.more.will, s.more.willAt = nil, 0
	return w
}
