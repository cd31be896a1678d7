package core

// receivedID is one message of the client's own at QoS 2, from its PUBLISH to its
// PUBREL. It belongs to the session, not the connection: a resend is recognised
// on whatever connection it comes, and answered no sooner than the first.
type receivedID struct {
	id    uint16
	state receivedState
}

type receivedState uint8

const (
	receivedCommitting receivedState = iota // its way to the receivers, then its commit: no PUBREC yet
	receivedKept                            // PUBREC may be sent, again and again
	receivedReleasing                       // PUBREL came; its commit is under way: no PUBCOMP yet
)

// receivedOf finds the entry of id, or nil. With the session's lock held.
func (s *Session) receivedOf(id uint16) *receivedID {
	if s.more == nil {
		return nil
	}
	for i := range s.more.received {
		if s.more.received[i].id == id {
			return &s.more.received[i]
		}
	}
	return nil
}

func (s *Session) forgetReceived(id uint16) {
	rs := s.more.received
	for i := range rs {
		if rs[i].id == id {
			rs[i] = rs[len(rs)-1]
			s.more.received = rs[:len(rs)-1]
			return
		}
	}
}

// receive notes the identifier of a QoS 2 PUBLISH before the message goes on its
// way: a takeover in between must not make a resend a second message. [MQTT-4.3.3-10]
func (s *Session) receive(id uint16) {
	m := s.rarely()
	m.received = append(m.received, receivedID{id, receivedCommitting})
}

// received answers l for a QoS 2 PUBLISH that went its way: after wait, and after
// the store has the identifier. Where l was taken over meanwhile, only resends on
// its successor are answered.
func (s *Session) received(t *Turn, l Link, d Delivery, wait *commit) {
	r, keep := s.receivedOf(d.PacketID), false
	if r == nil || s.ended {
		return
	}
	switch {
	case !accepts(d.Reason):
		s.forgetReceived(d.PacketID) // refused: the identifier is free [MQTT-4.3.3]
	case s.durable && wait != nil && wait != t.commit:
		// Sinks come first: with the identifier in the store, a resend after a crash
		// would be answered although they lost the message.
		keep = true
	case s.durable:
		wait = t.op(s.packetOp(OpPutReceived, d.PacketID))
	case wait == nil:
		r.state = receivedKept
	}
	ref := ackRef{link: l, kind: d.Kind, id: d.PacketID}
	switch {
	case l.live():
		s.answer(t, d, wait)
	case wait != nil:
		wait.acks = append(wait.acks, ref)
	case accepts(d.Reason):
		s.settleAnswer(t, ref, Success)
	default:
		s.settleAnswer(t, ref, d.Reason)
	}
	if keep {
		wait.acks[len(wait.acks)-1].keep = true
	}
}

// beyond says that the client has max or more of its own QoS 1 and 2 messages under
// way: a QoS 2 message that waits for its PUBREC has an answer among the others, and
// is one message all the same.
func (s *Session) beyond(max int) bool {
	if s.more == nil || len(s.more.received)+s.pendingAcks() < max {
		return false
	}
	n := len(s.more.received)
	for i := range s.more.acks.slots {
		if s.more.acks.slots[i].d.Kind == DeliverAck {
			n++
		}
	}
	return n >= max
}

// receiveAgain answers a resend: at once if the first was kept, else with it.
func (s *Session) receiveAgain(t *Turn, d Delivery, r *receivedID) {
	if r.state == receivedCommitting {
		s.answerLater(d)
		return
	}
	s.answer(t, d, nil)
}

// release takes the client's PUBREL for a message that it published at QoS 2.
func (g *Gateway) release(t *Turn, s *Session, id uint16) {
	d := Delivery{Kind: DeliverComplete, PacketID: id}
	r := s.receivedOf(id)
	switch {
	case r == nil:
		d.Reason = PacketIDNotFound // [MQTT 3.7.2.1]: after a lost PUBCOMP this is no fault
		s.answer(t, d, nil)
	case r.state == receivedReleasing:
		s.answerLater(d)
	case s.durable:
		// The identifier must be free in the store before the client may use it
		// again, or its next message would look like a resend.
		r.state = receivedReleasing
		s.answer(t, d, t.op(s.packetOp(OpDeleteReceived, id)))
	default:
		s.forgetReceived(id)
		s.answer(t, d, nil)
	}
}

// stepCommitted moves a QoS 2 identifier on once its step is in the store, or
// back if it is not.
func (s *Session) stepCommitted(kind DeliveryKind, id uint16, reason Reason) {
	r := s.receivedOf(id)
	switch {
	case r == nil:
	case kind == DeliverReceived && reason == Success:
		if r.state == receivedCommitting {
			r.state = receivedKept
		}
	case kind == DeliverReceived:
		s.forgetReceived(id) // refused: the identifier is free [MQTT-4.3.3]
	case reason == Success:
		s.forgetReceived(id)
	default:
		r.state = receivedKept
	}
}
