package core

import (
	"net/netip"
	"time"
)

// A client may sleep: it is away, says for how long, and counts as connected all the
// while. Nothing is delivered to it; QoS 1 and 2, and QoS 0 where queue_qos0 says so,
// go to its queue, which for a durable session lies in the store. It wakes up to fetch
// what has gathered, and sleeps on. One that does not wake in time has lost its
// connection, with all that follows: its Will above all.
//
// That a durable session sleeps, and how long at a time, is stored: after a start
// it sleeps on without a connection, and gets its whole time anew.

// sleep is what a session knows of it. Guarded by the session's lock.
type sleep struct {
	seconds uint32 // it may sleep at a time, 0 for a session that does not
	until   uint64 // sequence number at which the present fetching ends
	end     int64  // when it is lost, Unix milliseconds
	timer   int64  // when the timer under way fires, 0 for none
	port    uint16 // of its address when it last connected, beside rare.peer
}

// away says whether messages must wait for the client. With the session's lock held.
func (s *Session) away() bool { return s.conn == nil || s.asleep }

// Sleep lets l's client sleep: most is the time from now, and from each end of a
// fetching, until it is taken for lost; it counts in whole seconds, rounded up, and at
// least one; 0 is as long as the last time. For a durable session the answer is pending: OpSleep completes it once
// the store knows. The connection stays; only Awake, Disconnect and Resume after a new
// Connect make sense on it until then.
func (g *Gateway) Sleep(t *Turn, l Link, most time.Duration) (r Reason, pending bool) {
	s := l.Session
	s.mu.Lock()
	if !l.live() {
		s.mu.Unlock()
		return SessionTakenOver, false
	}
	m := s.rarely()
	again := most <= 0 && m.sleep.seconds != 0
	if !again {
		m.sleep.seconds = uint32(max(1, min((most+time.Second-1)/time.Second, 1<<31)))
	}
	g.dropUnsent(t, s)
	g.fallAsleep(t, s)
	if !s.durable || again {
		s.mu.Unlock()
		return Success, false
	}
	op := g.putOp(s)
	s.mu.Unlock()
	t.commitAlone([]Op{op}, &sleeping{link: l})
	return Success, true
}

// sleeping is a Sleep that waits for the store.
type sleeping struct{ link Link }

func (w *sleeping) committed(t *Turn, err error) {
	t.answer(w.link, Completion{Op: OpSleep, Reasons: []Reason{storeReason(err)}})
}

// fallAsleep ends delivering. What was sent and not acknowledged is sent again when
// the client wakes. With the session's lock held.
func (g *Gateway) fallAsleep(t *Turn, s *Session) {
	m := s.more
	s.asleep, s.fetching, s.ready = true, false, false
	m.fetch = nil
	switch {
	case s.ring == nil:
	case s.durable:
		g.spill(s)
	default:
		s.ring.rewind()
	}
	m.sleep.end = t.now + int64(m.sleep.seconds)*1000
	g.watchSleep(s)
	s.noteCredit(g.window(s))
}

// spill leaves the queue of a durable session to the store. With its lock held.
func (g *Gateway) spill(s *Session) {
	if !s.ring.empty() {
		s.more.noteSent(s.ring)
		s.more.stored, s.spilled = s.ring.base, true
	}
	s.ring = nil
}

// rewind makes everything unacknowledged ready to be sent again.
func (r *ring) rewind() {
	for seq := r.base; seq < r.end; seq++ {
		c := r.at(seq)
		if c.flags&cellOut == 0 {
			continue
		}
		c.flags &^= cellOut
		if c.state == cellSent {
			c.state = cellQueued
			c.flags |= cellDup
		}
		if r.levels != nil && c.waits() {
			r.enter(c, seq)
			l := &r.levels[c.rank]
			l.next = min(l.next, seq)
		}
	}
	r.send, r.inflight = r.base, 0
}

// dropUnsent ends QoS 0 messages and repeated deliveries that the connection did not
// take yet; answers to the client's own packets stay.
func (g *Gateway) dropUnsent(t *Turn, s *Session) {
	o := s.box
	if o == nil {
		return
	}
	keep := o.items[:o.next]
	for _, d := range o.items[o.next:] {
		switch {
		case d.Kind == DeliverMessage && d.QoS == 0:
			g.drop(t, d.Msg, s.id, OfflineQoS0)
			fallthrough
		case d.Kind == DeliverMessage:
			o.bytes -= d.loose()
		case d.Kind != DeliverRelease && d.Kind != DeliverAsleep:
			keep = append(keep, d)
		}
	}
	clear(o.items[len(keep):])
	o.items = keep
}

// watchSleep sees that somebody looks when the sleep is over. Timers are lazy: one
// fires, and goes on if the sleep was prolonged.
func (g *Gateway) watchSleep(s *Session) {
	m := &s.more.sleep
	if m.timer != 0 && m.timer <= m.end {
		return
	}
	m.timer = m.end
	g.timers.add(m.end, timerSleep, s, s.epoch)
}

// sleepDue ends a sleep that lasted too long: the connection is lost, or what is left
// of it after a start.
func (g *Gateway) sleepDue(t *Turn, s *Session, at int64) {
	s.mu.Lock()
	m := &s.more.sleep
	if m.timer != at || s.ended {
		s.mu.Unlock()
		return
	}
	m.timer = 0
	switch {
	case !s.asleep: // it fetches; with its end a new timer begins
	case t.now < m.end:
		g.watchSleep(s)
	case s.conn != nil:
		t.closeLater(s.conn, KeepAliveTimeout)
	default:
		m.seconds, s.asleep = 0, false
		op := g.park(t, s, KeepAliveTimeout)
		s.mu.Unlock()
		t.counters.reason(KeepAliveTimeout)
		g.record(t, KeepAliveTimeout, s.id, nil)
		t.commitAlone([]Op{op}, nil)
		g.sendDueWill(t, s)
		return
	}
	s.mu.Unlock()
}

// Awake lets a sleeping client fetch what gathered until now. Once all of it is sent
// and acknowledged the connection takes a DeliverAsleep, and the client sleeps again,
// for as long as the last time. False: it does not sleep, or l is stale. While it
// fetches already nothing changes.
func (g *Gateway) Awake(t *Turn, l Link) bool {
	s := l.Session
	s.mu.Lock()
	if !l.live() || s.more == nil || s.more.sleep.seconds == 0 {
		s.mu.Unlock()
		return false
	}
	if s.asleep {
		s.asleep, s.fetching, s.ready = false, true, true
		s.more.sleep.until = s.seq
		if s.box != nil && s.box.len() > 0 {
			s.wake(t)
		}
		g.pump(t, s)
	}
	hungry := s.hungry()
	s.mu.Unlock()
	if hungry {
		g.feedRetained(t, s)
	}
	return true
}

// beyondFetching tells that the message of number seq waits for the next time. With
// priorities what came later may go first, so it is given, too.
func (s *Session) beyondFetching(seq uint64) bool {
	return s.fetching && seq >= s.more.sleep.until && s.ring.levels == nil
}

// maybeAsleep ends a fetching that has all it wanted. With the session's lock held.
func (g *Gateway) maybeAsleep(t *Turn, s *Session) {
	if !s.fetching || s.hungry() {
		return
	}
	until := s.more.sleep.until
	if s.ring != nil && s.ring.base < min(until, s.ring.end) || s.spilled && (s.ring == nil || s.ring.end < until) {
		return
	}
	s.push(t, Delivery{Kind: DeliverAsleep})
	g.fallAsleep(t, s)
}

// address is where the session's client is, or was when it last connected.
func (s *Session) address() netip.AddrPort {
	if s.conn != nil {
		return s.conn.Peer()
	}
	return netip.AddrPortFrom(s.more.peer, s.more.sleep.port)
}

// awaken gives a connection to a session that sleeps without the one on which it fell
// asleep: after a start of the gateway, or at another address. It sleeps on until Awake.
func (g *Gateway) awaken(t *Turn, s *Session, r *ConnectRequest, res *ConnectResult, grant *Grant) ([]Op, *Error) {
	if s == nil {
		return nil, Errorf(SessionEnded, "no session has this client id")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended || s.more == nil || s.more.sleep.seconds == 0:
		return nil, Errorf(SessionEnded, "the client does not sleep")
	case !r.AnyAddress && s.address() != r.Conn.Peer():
		return nil, Errorf(NotAuthorized, "the client fell asleep at another address")
	}
	m := s.more
	will, kept, seconds := m.will, m.keptWill, m.sleep.seconds
	if s.conn != nil {
		t.Count(Takeovers, 1)
		g.detachAsleep(t, s)
	}
	res.Expiry, res.SessionPresent = s.expiry, true
	g.attach(t, s, r, res, grant)
	m.will, m.keptWill, m.sleep.seconds = will, kept, seconds
	g.fallAsleep(t, s)
	s.recheck.Store(true)
	if !s.durable {
		return nil, nil
	}
	return []Op{g.putOp(s)}, nil
}

// detachAsleep takes the connection off a session that goes on sleeping.
func (g *Gateway) detachAsleep(t *Turn, s *Session) {
	queue := s.ring // a session that is not durable has no other
	g.detach(t, s, SessionTakenOver)
	s.ring = queue
}

// sleepOn leaves a sleeping durable session as it is, without a connection: when the
// gateway stops, for it goes on after the next start; or where a wake-up failed. With
// the session's lock held; false where it does not apply.
func (g *Gateway) sleepOn(t *Turn, s *Session) bool {
	if !s.durable || s.more == nil || s.more.sleep.seconds == 0 {
		return false
	}
	was := s.more.sleep
	g.detach(t, s, Success)
	s.more.sleep, s.asleep = was, true
	return true
}
