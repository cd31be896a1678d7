package core

import "strings"

// In MQTT a Will belongs to a connection. Elsewhere (MQTT-SN) it belongs to the session:
// it may be changed while the connection lasts, and a connection that brings none goes on
// with the one that the session kept, whether or not it was published meanwhile.

// beginWill settles the Will of a connection that begins; kept says that the store has it,
// too. With the session's lock held.
func (m *rare) beginWill(r *ConnectRequest, kept bool) {
	if kept && r.Will != nil {
		r.Will.spare = false
	}
	switch {
	case r.KeepWill:
		m.will = m.keptWill
	case r.WillLasts:
		m.will, m.keptWill = r.Will, r.Will
	default:
		m.will, m.keptWill = r.Will, nil
	}
}

// Will gives the Will that l's connection has at present, with the topic as the client
// sees it; nil for none. It is immutable.
func (g *Gateway) Will(l Link) *Will {
	s := l.Session
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.live() || s.more == nil {
		return nil
	}
	if s.more.will == nil {
		return nil
	}
	if s.more.will.spare {
		s.more.will.spare = false // somebody else has it from here on
	}
	if s.mount == 0 {
		return s.more.will
	}
	who := s.placer()
	seen := *s.more.will
	seen.Topic = strings.Replace(seen.Topic, g.mounts.prefix(&who), "", 1)
	return &seen
}

// SetWill replaces the Will of l's connection, which lasts with the session; nil deletes
// it. w belongs to core afterwards. For a durable session the answer is pending: OpWill
// completes it once the store has it.
func (g *Gateway) SetWill(t *Turn, l Link, w *Will) (r Reason, pending bool) {
	s := l.Session
	if w != nil {
		who := s.placer()
		placed, name, err := g.placeWill(&who, w)
		switch {
		case err != nil:
			return err.Reason, false
		case !g.authorize(t, s, l.Epoch, ActionPublish, name):
			g.Refuse(t, Refusal{Reason: NotAuthorized, ClientID: s.id, Detail: "will topic " + clip(name)})
			return NotAuthorized, false
		}
		w = placed
	}
	s.mu.Lock()
	if !l.live() {
		s.mu.Unlock()
		return SessionTakenOver, false
	}
	m := s.rarely()
	m.will, m.keptWill = w, w
	if !s.durable {
		s.mu.Unlock()
		return Success, false
	}
	op := g.putOp(s)
	s.mu.Unlock()
	t.commitAlone([]Op{op}, &willing{link: l})
	return Success, true
}

// willing is a SetWill that waits for the store.
type willing struct{ link Link }

func (w *willing) committed(t *Turn, err error) {
	t.answer(w.link, Completion{Op: OpWill, Reasons: []Reason{storeReason(err)}})
}
