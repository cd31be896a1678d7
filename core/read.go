package core

import (
	"github.com/fairlead-iot/fairlead/core/route"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// Read gives the retained message of a topic to l's client, as a subscription to it
// would, for protocols that ask instead of waiting. Success without a message says
// that there is none. It never blocks.
func (g *Gateway) Read(t *Turn, l Link, name string) (*Message, Reason) {
	if _, err := g.limits.ParseName(name); err != nil {
		return nil, TopicNameInvalid
	}
	s := l.Session
	at, reason := g.asked(s, name)
	if reason != Success {
		return nil, reason
	}
	if !g.authorize(t, s, l.Epoch, ActionSubscribe, at) || !g.authorize(t, s, l.Epoch, ActionDeliver, at) {
		g.Refuse(t, Refusal{Reason: NotAuthorized, ClientID: s.id, Detail: "read " + clip(at)})
		return nil, NotAuthorized
	}
	if m := g.retained.get(at, t.now); m != nil {
		return g.seen(s, m), Success
	}
	return nil, Success
}

// asked gives the filter that a client means by text: as a subscription's, rewritten
// and below its mount point.
func (g *Gateway) asked(s *Session, text string) (string, Reason) {
	filter, err := g.limits.ParseFilter(text)
	if err != nil {
		return "", TopicFilterInvalid
	}
	if !g.filterGoesElsewhere(s) {
		return text, Success
	}
	who := s.placer()
	p, reason, _ := g.placeFilter(&who, topic.Subscription{Raw: text, Filter: filter})
	return string(p.Filter), reason
}

// seen gives m with the topic that the client shall see.
func (g *Gateway) seen(s *Session, m *Message) *Message {
	n := g.mounts.length(s)
	if n == 0 {
		return m
	}
	return &Message{Topic: m.Topic[n:], Payload: m.Payload, QoS: m.QoS, Retain: m.Retain, Properties: m.Properties,
		Publisher: m.Publisher, Username: m.Username, ID: m.ID, Published: m.Published, Expires: m.Expires}
}

// get gives the message retained for name, or nil.
func (r *retainedStore) get(name string, now int64) *Message {
	r.mu.RLock()
	defer r.mu.RUnlock()
	i, ok := r.index.Get(name)
	if !ok || r.lapsed(r.slots[i], now) {
		return nil
	}
	return r.slots[i]
}

// Waiting says whether Take would give something to l's connection: for adapters
// that do not take where they are woken.
func (g *Gateway) Waiting(l Link) bool {
	s := l.Session
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.live() && s.box != nil
}

// Allowed says whether Publish would take p: Success, or why not; late: nobody knows yet,
// Publish asks; see Publish.Answer. It changes and counts nothing: for protocols that
// answer at QoS 0, too.
func (g *Gateway) Allowed(t *Turn, l Link, p *Publish) (r Reason, late bool) {
	w := way{}
	if g.goesElsewhere(l.Session, p.Topic) {
		placed, away := g.place(l.Session, p)
		p, w = &placed, away
	}
	if len(g.chain.preparers) > 0 {
		id := g.identity(l.Session)
		if g.chain.unprepared(&id, wish{ActionPublish, p.Topic}) {
			return Success, true
		}
	}
	return g.mayPublish(t, l, p, &w), false
}

// List gives at most max retained messages that filter matches and l's client may have.
// The slice is the caller's. It never blocks.
func (g *Gateway) List(t *Turn, l Link, filter string, max int) ([]*Message, Reason) {
	s := l.Session
	filter, reason := g.asked(s, filter)
	if reason != Success {
		return nil, reason
	}
	if !g.authorize(t, s, l.Epoch, ActionSubscribe, filter) {
		g.Refuse(t, Refusal{Reason: NotAuthorized, ClientID: s.id, Detail: "list " + clip(filter)})
		return nil, NotAuthorized
	}
	var kept []*Message
	cur := new(route.Cursor)
	for done := false; !done && len(kept) < max; {
		t.found, done = g.retained.scan(filter, cur, min(max-len(kept), retainedSlice), t.found[:0])
		for i, m := range t.found {
			t.found[i] = nil
			if !g.retained.lapsed(m, t.now) && g.authorize(t, s, l.Epoch, ActionDeliver, m.Topic) {
				kept = append(kept, g.seen(s, m))
			}
		}
	}
	return kept, Success
}
