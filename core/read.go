package core

import "github.com/fairlead-iot/fairlead/core/topic"

// Read gives the retained message of a topic to l's client, as a subscription to it
// would, for protocols that ask instead of waiting. Success without a message says
// that there is none. pending: the message is elsewhere, or the right to it must be asked
// for; OpRead with the token answers, ServerUnavailable after auth_timeout. It never blocks.
func (g *Gateway) Read(t *Turn, l Link, token uint32, name string) (m *Message, r Reason, pending bool) {
	if _, err := g.limits.ParseName(name); err != nil {
		return nil, TopicNameInvalid, false
	}
	at, reason := g.asked(l.Session, name)
	if reason != Success {
		return nil, reason, false
	}
	w := reading{g: g, link: l, token: token, verb: "read", filter: at, max: 1, name: true}
	if r = w.judge(t); r != Success {
		return nil, r, false
	}
	if !w.rights {
		if m = w.get(t); m != nil || !w.look {
			return m, Success, false
		}
	}
	r, pending = w.later(t)
	return nil, r, pending
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

// List gives at most max retained messages that filter matches and l's client may have;
// pending as for Read. The slice is the caller's. It never blocks.
func (g *Gateway) List(t *Turn, l Link, token uint32, filter string, max int) (ms []*Message, r Reason, pending bool) {
	filter, reason := g.asked(l.Session, filter)
	if reason != Success {
		return nil, reason, false
	}
	w := reading{g: g, link: l, token: token, verb: "list", filter: filter, max: max}
	if r = w.judge(t); r != Success {
		return nil, r, false
	}
	if !w.rights {
		if ms = w.list(t); len(ms) >= max || !w.look {
			return ms, Success, false
		}
	}
	r, pending = w.later(t)
	return nil, r, pending
}
