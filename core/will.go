package core

// mayLeaveWill says whether who is about to connect may publish its Will to name now; it is
// asked again when the Will is sent.
func (g *Gateway) mayLeaveWill(r *ConnectRequest, name, clientID, user string, grant *Grant) bool {
	id := Identity{ClientID: clientID, Username: user, Listener: r.Listener, Peer: r.Conn.Peer().Addr(), Grant: grant}
	return g.chain.decide(&id, ActionPublish, name)
}

// publishWill publishes w as id, if id still may and is not banned. over says that nobody
// has anything of it. [MQTT-3.1.2-8]
func (g *Gateway) publishWill(t *Turn, id *Identity, w *Will) (over bool) {
	return !g.holdWill(id, w) && g.publishWillNow(t, id, w)
}

func (g *Gateway) publishWillNow(t *Turn, id *Identity, w *Will) (over bool) {
	m := &Message{
		Topic: w.Topic, Payload: w.Payload, QoS: w.QoS, Retain: w.Retain, Properties: w.Properties,
		Publisher: id.ClientID, Username: id.Username, ID: g.newMessageID(), Published: t.now,
	}
	if w.HasExpiry {
		m.Expires = t.now + int64(w.Expiry)*1000
	}
	t.Count(MessagesReceived, 1)
	delay, name, reason, detail := g.parseDelayed(w.Topic)
	m.Topic = name
	if why := g.mayPublishLater(t, id, name); reason == Success && why != Success {
		if why == NotAuthorized {
			why = WillNotAuthorized
		}
		t.Count(MessagesRefused, 1)
		g.record(t, why, id.ClientID, m)
		t.counters.reason(why)
		return false
	}
	if reason == Success && delay > 0 {
		reason, detail = g.delayAs(t, id, m, delay)
	} else if reason == Success {
		t.Count(WillsPublished, 1)
		over = !g.dispatch(t, m) && !m.Retain && g.sinks.kinds&(EventPublish|EventDropped) == 0
	}
	if reason != Success {
		g.refuseDelayed(t, m, reason, detail)
	}
	return over
}

// willOnTakeover sends the Will of a connection that is taken over, unless it has
// a delay: the client is back before it passed. With the session's lock held.
func (g *Gateway) willOnTakeover(t *Turn, s *Session) {
	m := s.more
	if m == nil || m.will == nil {
		return
	}
	if m.will.Delay == 0 {
		w, id := m.will, g.identityLocked(s)
		// The lock is held: publishing waits for the completer's turn.
		g.done.call(func(t *Turn) { g.publishWill(t, &id, w) })
	}
	m.will, m.willAt = nil, 0
}

// sendDueWill publishes the Will of a parked session whose time has come. The
// store forgets it after the message is on its way: a crash between repeats it.
func (g *Gateway) sendDueWill(t *Turn, s *Session) {
	s.mu.Lock()
	m := s.more
	if s.ended || s.conn != nil || m == nil || m.will == nil || m.willAt > t.now {
		s.mu.Unlock()
		return
	}
	id, w := g.identityLocked(s), s.takeWill()
	op := g.putOp(s)
	s.mu.Unlock()
	g.publishWill(t, &id, w)
	t.commitAlone([]Op{op}, nil)
}
