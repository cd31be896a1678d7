package core

import "strings"

// Registration is a topic and the number under which a client and its adapter speak of
// it. Those of a session live as long as the session, whatever connection it has: for a
// durable one they are stored.
type Registration struct {
	ID    uint16
	Topic string
	// Told says that the client did not ask for it and has not used it: its number may be
	// given to another topic where there is no room.
	Told bool
}

// toldMark stands before the topic of a stored Registration that is Told: no topic name
// begins so.
const toldMark = "#"

// stored is the topic as a store holds it.
func (r *Registration) stored() string {
	if r.Told {
		return toldMark + r.Topic
	}
	return r.Topic
}

// restoredRegistrations reads what stored wrote.
func restoredRegistrations(kept []Registration) (rs []Registration) {
	for _, r := range kept {
		topic, told := strings.CutPrefix(r.Topic, toldMark)
		rs = append(rs, Registration{ID: r.ID, Topic: topic, Told: told})
	}
	return rs
}

// Register notes a registration in l's session; one of the same number is replaced. With
// a token other than 0 and a durable session the answer is pending: OpRegister completes
// it once the store has it. With token 0 nobody waits, but what is committed later, such
// as a Subscribe, is committed after it. QuotaExceeded: the session holds as many as it
// may; TopicNameInvalid: the topic is longer or deeper than topics may be.
func (g *Gateway) Register(t *Turn, l Link, token uint32, r Registration) (why Reason, pending bool) {
	if g.beyondLimits(r.Topic) {
		return TopicNameInvalid, false
	}
	s := l.Session
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.live() {
		return SessionTakenOver, false
	}
	if !s.rarely().register(r, g.cfg.MaxRegistrations) {
		return QuotaExceeded, false
	}
	if !s.durable {
		return Success, false
	}
	o := s.packetOp(OpPutRegistration, r.ID)
	o.Filter = r.stored()
	c := t.op(o)
	if token == 0 {
		return Success, false
	}
	c.after = append(c.after, &registering{link: l, token: token})
	return Success, true
}

// register adds r or replaces what has its number; false where there is no room.
func (m *rare) register(r Registration, most int) bool {
	for i := range m.registrations {
		if m.registrations[i].ID == r.ID {
			m.registrations[i] = r
			return true
		}
	}
	if len(m.registrations) >= most {
		return false
	}
	m.registrations = append(m.registrations, r)
	return true
}

// registering is a Register that waits for the store.
type registering struct {
	link  Link
	token uint32
}

func (w *registering) committed(t *Turn, err error) {
	t.answer(w.link, Completion{Op: OpRegister, Token: w.token, Reasons: []Reason{storeReason(err)}})
}
