package core

// enqueue gives s one more QoS 1 or 2 message, and says Success or why it was
// dropped. With the session's lock held.
func (g *Gateway) enqueue(t *Turn, s *Session, m *Message, tg *target, qos uint8) Reason {
	paced := tg.flags&subPaced != 0
	rank := g.rank(t, m)
	if !paced && s.waiting() >= g.cfg.MaxQueued && !g.makeRoom(t, s, rank) {
		return QueueFull
	}
	full := g.fills(s, m.Size())
	if full && !paced && !s.durable && !g.makeRoomFor(t, s, rank, m.Size()) {
		return QueueBytesFull
	}
	s.pending++
	c := cell{msg: m, subID: tg.subID, subIDs: tg.subIDs, qos: qos, vetted: tg.vetted, state: cellQueued, rank: rank}
	if tg.retained(m) {
		c.flags = cellRetain
	}
	if s.durable {
		return g.enqueueDurable(t, s, c, full)
	}
	if s.ring == nil {
		s.ring = t.rings.get(s.seq)
	}
	s.ring.push(c)
	s.seq++
	g.pump(t, s)
	return Success
}

// fills says that so many bytes more are beyond what s may hold in memory.
func (g *Gateway) fills(s *Session, size int) bool {
	return s.ring != nil && s.held()+size > g.cfg.MaxQueuedBytes
}

// beyond says which bound of its queue keeps s from taking a message of this size where
// nothing gives way, or Success. With the session's lock held.
func (g *Gateway) beyond(s *Session, size int) Reason {
	switch {
	case s.waiting() >= g.cfg.MaxQueued:
		return QueueFull
	case !s.durable && g.fills(s, size):
		return QueueBytesFull
	}
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

// waiting is how many messages wait to be sent on this connection, or on the next.
func (s *Session) waiting() int {
	if s.ring == nil {
		return int(s.pending)
	}
	return int(s.pending) - s.ring.inflight
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
	for r.inflight < window && !s.crowded() && !g.gathers(s) {
		c, seq := r.next()
		if c == nil || s.beyondFetching(seq) || c.state == cellQueued && !g.stillVetted(s, c) {
			break // order: nothing overtakes it
		}
		r.take(c, seq)
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
	if s.spilled && s.ready && g.hungry(s) {
		g.fetchMore(t, s)
	}
	if s.ring != nil && s.ring.empty() && !s.spilled {
		t.rings.put(s.ring)
		s.ring = nil
	}
	s.noteCredit(g.window(s))
}

func (g *Gateway) sendMessage(t *Turn, s *Session, c *cell, seq uint64) {
	if c.msg.Expired(t.now) && c.flags&cellDup == 0 { // [MQTT-3.3.2-5]
		g.expire(t, s, c, seq)
		return
	}
	if c.qos == 0 { // nobody acknowledges it: Take counts it as delivered
		d := c.delivery(seq)
		d.Skip = uint16(g.mounts.length(s))
		s.push(t, d)
		s.ring.free(c)
		g.forget(t, s, seq)
		return
	}
	c.state = cellSent
	s.ring.inflight++
	d := c.delivery(seq)
	d.Skip = uint16(g.mounts.length(s))
	s.push(t, d)
}

func (c *cell) delivery(seq uint64) Delivery {
	d := Delivery{Msg: c.msg, SubID: c.subID, SubIDs: c.subIDs, QoS: c.qos, Retain: c.flags&cellRetain != 0}
	if c.qos > 0 { // [MQTT-2.2.1-2] [MQTT-3.3.1-2]
		d.PacketID, d.Dup = packetID(seq), c.flags&cellDup != 0
	}
	return d
}

// forget ends a message of the queue, here and in the store.
func (g *Gateway) forget(t *Turn, s *Session, seq uint64) {
	s.pending--
	if s.durable {
		t.keepAck(s, seq)
	}
}

// finish ends a sent message that was acknowledged or refused: its place in the
// window is free, the store forgets it.
func (g *Gateway) finish(t *Turn, s *Session, c *cell, seq uint64) {
	s.ring.inflight--
	s.ring.free(c)
	g.forget(t, s, seq)
	g.pump(t, s)
}

// expire ends a message that lapsed while it waited.
func (g *Gateway) expire(t *Turn, s *Session, c *cell, seq uint64) {
	t.Count(Expired, 1)
	g.record(t, MessageExpired, s.id, c.msg)
	s.ring.free(c)
	g.forget(t, s, seq)
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
		if c.msg != nil { // else PUBREC told of it
			g.noteAcked(t, s, c.msg)
		}
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
	g.noteAcked(t, s, c.msg)
	m := c.msg
	s.ring.bytes -= m.Size()
	c.msg, c.subIDs = nil, nil
	if s.durable {
		c.state = cellReleasing
		t.keepReleased(s, seq, m)
		return
	}
	c.state = cellReleased
	s.push(t, Delivery{Kind: DeliverRelease, PacketID: packetID(seq)})
}
