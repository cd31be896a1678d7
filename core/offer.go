package core

import (
	"github.com/fairlead-iot/fairlead/core/route"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// Offer gives messages that a data backend has kept to one subscription of one client,
// in order: e is the EventSubscribed, or one with its ClientID, Filter and Proxy. What
// the client may not have, or has itself sent and does not want, is left out by name:
// EventDropped tells.
// retained marks them as retained messages. [MQTT-3.3.1-8]
//
// taken is how many of ms were settled: fewer than all when the client has no room at
// present; offer the rest later. open is false when there is no such subscription (any
// more): nothing need be offered.
//
// The settled messages are the caller's no more; each needs an ID of its own, for example
// of [Gateway.NewMessageID].
func (g *Gateway) Offer(t *Turn, e *Event, ms []*Message, retained bool) (taken int, open bool) {
	s := g.clients.get(e.ClientID)
	if s == nil {
		return 0, false
	}
	tg, open := g.targetOf(s, e)
	if !open {
		return 0, false
	}
	tg.flags |= subPaced
	if retained {
		tg.flags |= subRetainAsPublished
	}
	for _, m := range ms {
		s.mu.Lock()
		room := s.hasRoom()
		s.mu.Unlock()
		if !room {
			return taken, true
		}
		taken++
		m.Retain = retained
		g.offerOne(t, &tg, m)
	}
	return taken, true
}

// NewMessageID gives an ID for a message that no publisher on this node sent.
func (g *Gateway) NewMessageID() uint64 { return g.newMessageID() }

// targetOf finds the subscription that e tells of.
func (g *Gateway) targetOf(s *Session, e *Event) (tg target, ok bool) {
	p, err := topic.ParseSubscription(e.Filter, unlimited())
	if err != nil || p.Shared() {
		return tg, false
	}
	g.routes.Update(func(tx *route.Tx) {
		if s.gone {
			return
		}
		if n := g.subs.find(tx, s, &p, e.Proxy); n != 0 {
			tg.take(g.subs.at(n))
			tg.session, ok = s, true
		}
	})
	return tg, ok
}

// hasRoom says that a client takes more of what is fed to it at its own pace. With the
// session's lock held.
func (s *Session) hasRoom() bool {
	switch {
	case s.ended, s.away():
		return false
	case s.waiting() >= retainedSlice, s.ring != nil && s.ring.bytes >= retainedSliceBytes:
		return false
	}
	return s.box == nil || s.box.len() < retainedSlice && s.box.bytes < retainedSliceBytes
}

func (g *Gateway) offerOne(t *Turn, tg *target, m *Message) {
	id := tg.session.id
	if tg.flags&subNoLocal != 0 && m.Publisher == id { // [MQTT-3.8.3-3]
		g.eventDropped(t, m, id, NoMatchingSubscribers)
		return
	}
	if tg.flags&subMounted != 0 && !g.below(tg, m) {
		g.eventDropped(t, m, id, DeliverNotAuthorized)
		return
	}
	t.Count(Matched, 1)
	if m.Expired(t.now) {
		t.Count(Expired, 1)
		g.record(t, MessageExpired, id, m)
		g.eventDropped(t, m, id, MessageExpired)
		return
	}
	one := *tg
	g.deliver(t, m, &one)
}
