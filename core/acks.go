package core

// ackQueue holds the answers to a client's own QoS 1 and 2 packets in the order
// in which the packets came; an answer leaves once it and all before it are
// settled. [MQTT-4.6.0-2] [MQTT-4.6.0-3]
type ackQueue struct {
	slots []ackSlot
	first uint64 // number of slots[0]
}

type ackSlot struct {
	d       Delivery
	settled bool
}

// answer puts d into the session's answers: at once when nothing is before it
// and c is nil, else when c is committed. With the session's lock held.
func (s *Session) answer(t *Turn, d Delivery, c *commit) {
	if c == nil && (s.more == nil || len(s.more.acks.slots) == 0) {
		s.push(t, d)
		return
	}
	n := s.slot(d, c == nil)
	if c != nil {
		c.acks = append(c.acks, ackRef{link: Link{Session: s, Epoch: s.epoch}, slot: n, kind: d.Kind, id: d.PacketID})
	}
}

// answerLater puts d behind a step of QoS 2 that is under way.
func (s *Session) answerLater(d Delivery) { s.slot(d, false) }

func (s *Session) slot(d Delivery, settled bool) (number uint64) {
	q := &s.rarely().acks
	q.slots = append(q.slots, ackSlot{d: d, settled: settled})
	return q.first + uint64(len(q.slots)) - 1
}

// settleAnswer ends the wait of an answer, and of its resends, and sends what may
// go. With the session's lock held.
func (s *Session) settleAnswer(t *Turn, a ackRef, r Reason) {
	if a.kind != DeliverAck {
		s.stepCommitted(a.kind, a.id, r)
	}
	if s.conn == nil {
		return
	}
	q := &s.more.acks
	for i := range q.slots {
		o := &q.slots[i]
		mine := a.kind != DeliverAck && o.d.Kind == a.kind && o.d.PacketID == a.id
		if mine || (a.link.Epoch == s.epoch && q.first+uint64(i) == a.slot) {
			o.settled = true
			if r != Success {
				o.d.Reason = r
			}
		}
	}
	n := 0
	for n < len(q.slots) && q.slots[n].settled {
		s.push(t, q.slots[n].d)
		n++
	}
	q.first += uint64(n)
	q.slots = q.slots[:copy(q.slots, q.slots[n:])]
	if len(q.slots) == 0 {
		q.slots = nil
	}
	s.maybeReadable(t)
}

// pending is how many answers the client waits for.
func (s *Session) pendingAcks() int {
	if s.more == nil {
		return 0
	}
	return len(s.more.acks.slots)
}

// maybeReadable lets a paused connection read on once half of its answers left.
func (s *Session) maybeReadable(t *Turn) {
	if s.paused && s.asking == 0 && s.conn != nil && s.pendingAcks() <= pauseAt/2 {
		s.paused = false
		t.complete(s.conn, Completion{Op: OpReadable})
	}
}

// pauseAt is how many unanswered QoS 1 and 2 packets stop a connection's
// reading: clients before MQTT 5 know no Receive Maximum.
const pauseAt = 1024
