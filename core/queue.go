package core

// enqueue gives s one more QoS 1 or 2 message, and says Success or why it was
// dropped. With the session's lock held.
func (g *Gateway) enqueue(t *Turn, s *Session, m *Message, tg *target, qos uint8) Reason {
	paced := tg.flags&subPaced != 0
	if !paced && s.waiting() >= g.cfg.MaxQueued {
		return QueueFull
	}
	s.pending++
	c := cell{msg: m, subID: tg.subID, subIDs: tg.subIDs, qos: qos, retain: tg.retained(m), vetted: tg.vetted, state: cellQueued}
	full := s.ring != nil && s.held()+m.Size() > g.cfg.MaxQueuedBytes
	if s.durable {
		return g.enqueueDurable(t, s, c, full)
	}
	if full && !paced {
		s.pending--
		return QueueBytesFull
	}
	if s.ring == nil {
		s.ring = t.rings.get(s.seq)
	}
	s.ring.push(c)
	s.seq++
	g.pump(t, s)
	return Success
}

// held is how many bytes of messages wait for s in memory.
func (s *Session) held() (n int) {
	if s.ring != nil {
		n = s.ring.bytes
	}
	if s.box != nil {
		n += s.box.bytes
	}
	return n
}

// waiting is how many messages wait to be sent the first time (for a backlog in
// the store: are kept).
func (s *Session) waiting() int {
	switch {
	case s.ring != nil:
		return int(s.seq - s.ring.send)
	case s.spilled:
		return int(s.seq - s.more.stored)
	}
	return 0
}

// pump moves messages from the queue into the outbox while the client's window
// has room. What a former connection left unacknowledged stands in front, with
// its old Packet Identifier [MQTT-4.4.0-1]. With the session's lock held.
func (g *Gateway) pump(t *Turn, s *Session) {
	r := s.ring
	if !s.ready {
		return
	}
	if r == nil {
		g.settle(t, s)
		return
	}
	window := g.window(s)
	for r.inflight < window && r.send < r.end && r.send-r.base < maxWindow {
		c, seq := r.at(r.send), r.send
		if s.beyondFetching(seq) {
			break
		}
		if c.state == cellCommitting || c.state == cellQueued && !g.stillVetted(s, c) {
			break // order: nothing overtakes it
		}
		r.send++
		switch c.state {
		case cellQueued:
			g.sendMessage(t, s, c, seq)
		case cellReleased: // of a former connection [MQTT-4.4.0-1]
			r.inflight++
			s.push(t, Delivery{Kind: DeliverRelease, PacketID: packetID(seq)})
		case cellReleasing: // its release follows its commit
			r.inflight++
		}
	}
	g.settle(t, s)
}

// settle gives an empty ring back, or asks for more of a backlog.
func (g *Gateway) settle(t *Turn, s *Session) {
	g.maybeAsleep(t, s)
	if s.spilled && s.ready && (s.ring == nil || s.ring.waiting() == 0) {
		g.fetchMore(t, s)
	}
	if s.ring != nil && s.ring.empty() && !s.spilled {
		t.rings.put(s.ring)
		s.ring = nil
	}
	s.noteCredit(g.window(s))
}

func (g *Gateway) sendMessage(t *Turn, s *Session, c *cell, seq uint64) {
	if c.msg.Expired(t.now) && !c.dup { // [MQTT-3.3.2-5]
		g.expire(t, s, c, seq)
		return
	}
	if c.qos == 0 { // kept for a client that was away (queue_qos0): nothing answers it
		d := c.delivery(seq)
		d.PacketID = 0
		g.forget(t, s, c, seq)
		s.push(t, d)
		return
	}
	c.state = cellSent
	s.ring.inflight++
	s.push(t, c.delivery(seq))
}

func (c *cell) delivery(seq uint64) Delivery {
	return Delivery{Msg: c.msg, SubID: c.subID, SubIDs: c.subIDs, PacketID: packetID(seq), QoS: c.qos, Retain: c.retain, Dup: c.dup}
}

// finish ends a sent message that was acknowledged or refused: its place in the
// window is free, the store forgets it.
func (g *Gateway) finish(t *Turn, s *Session, c *cell, seq uint64) {
	s.ring.inflight--
	s.pending--
	s.ring.free(c)
	if s.durable {
		t.keepAck(s, seq)
	}
	g.pump(t, s)
}

// expire ends a message that lapsed while it waited.
func (g *Gateway) expire(t *Turn, s *Session, c *cell, seq uint64) {
	t.Count(Expired, 1)
	g.record(t, MessageExpired, s.id, c.msg)
	g.forget(t, s, c, seq)
}

// forget takes a message that was not sent off the queue.
func (g *Gateway) forget(t *Turn, s *Session, c *cell, seq uint64) {
	s.pending--
	s.ring.free(c)
	if s.durable {
		t.keepAck(s, seq)
	}
}

// Acknowledge takes an acknowledgement of the client. k says which; r is Success,
// or ReceiverRefused where the client answered with an error code.
func (g *Gateway) Acknowledge(t *Turn, l Link, k AckKind, id uint16, r Reason) {
	s := l.Session
	s.mu.Lock()
	if l.live() {
		g.takeAck(t, s, k, id, r)
	}
	hungry := s.hungry()
	s.mu.Unlock()
	if hungry {
		g.feedRetained(t, s)
	}
}

func (g *Gateway) takeAck(t *Turn, s *Session, k AckKind, id uint16, r Reason) {
	if k == AckRelease {
		g.release(t, s, id)
		return
	}
	var c *cell
	var seq uint64
	if s.ring != nil {
		c, seq = s.ring.find(id)
	}
	switch {
	case k == AckReceived1 && c != nil && c.state == cellSent && c.qos == 1,
		k == AckComplete && c != nil && c.state == cellReleased:
		g.acknowledged(t, s, c, seq, r)
	case k == AckReceived2 && c != nil && c.state == cellSent && c.qos == 2:
		g.receivedByClient(t, s, c, seq, r)
	case k == AckReceived2 && c != nil && c.state == cellReleased:
		s.push(t, Delivery{Kind: DeliverRelease, PacketID: id}) // a repeated PUBREC
	case k == AckReceived2 && c != nil && c.state == cellReleasing:
	case k == AckReceived2:
		s.push(t, Delivery{Kind: DeliverRelease, PacketID: id, Reason: PacketIDNotFound})
	}
}

func (g *Gateway) acknowledged(t *Turn, s *Session, c *cell, seq uint64, r Reason) {
	if r == ReceiverRefused && c.msg != nil {
		g.drop(t, c.msg, s.id, r)
	} else {
		t.Count(Delivered, 1)
		g.event(t, EventAcked, s, c.msg)
	}
	g.finish(t, s, c, seq)
}

// receivedByClient is the first half of a QoS 2 delivery: from here only PUBREL
// may be sent for it [MQTT-4.3.3-5]; a durable session's store knows first.
func (g *Gateway) receivedByClient(t *Turn, s *Session, c *cell, seq uint64, r Reason) {
	if r == ReceiverRefused { // [MQTT-4.3.3-4]: an error code ends it
		g.acknowledged(t, s, c, seq, r)
		return
	}
	g.event(t, EventAcked, s, c.msg)
	s.ring.bytes -= c.msg.Size()
	c.msg, c.subIDs = nil, nil
	if s.durable {
		c.state = cellReleasing
		t.keepReleased(s, seq)
		return
	}
	c.state = cellReleased
	s.push(t, Delivery{Kind: DeliverRelease, PacketID: packetID(seq)})
}
