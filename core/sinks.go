package core

import "github.com/fairlead-iot/fairlead/core/topic"

// sinkSet hands events to the sinks, in batches at the end of a turn.
type sinkSet struct {
	sinks []sink
	kinds EventKind // what any of them wants
	sync  EventKind // what any of them confirms
}

type sink struct {
	Sink
	kinds   EventKind
	filters []string
	sync    bool
}

func newSinkSet(sinks []Sink) (set sinkSet) {
	for _, s := range sinks {
		k, f := s.Wants()
		set.sinks = append(set.sinks, sink{s, k, f, s.Sync()})
		set.kinds |= k
		if s.Sync() {
			set.sync |= k
		}
	}
	return set
}

func (s *sink) wants(e *Event) bool {
	if s.kinds&e.Kind == 0 {
		return false
	}
	if len(s.filters) == 0 || e.Topic == "" {
		return true
	}
	for _, f := range s.filters {
		if topic.Match(f, e.Topic) {
			return true
		}
	}
	return false
}

// note notes that k happened to s or m; nil, and free, where no sink wants it.
func (g *Gateway) note(t *Turn, k EventKind, s *Session, m *Message) *Event {
	if g.sinks.kinds&k == 0 {
		return nil
	}
	e := Event{Kind: k, Time: t.now, Msg: m}
	if s != nil {
		e.ClientID, e.Username, e.Protocol = s.id, s.user, g.origins.get(s.origin).protocol
	} else if m != nil {
		e.ClientID, e.Username = m.Publisher, m.Username
	}
	if m != nil {
		e.Topic, e.QoS = m.Topic, m.QoS
	}
	t.events = append(t.events, e)
	return &t.events[len(t.events)-1]
}

// tellSubscribed notes the subscriptions that hold from now on.
func (w *subscribing) tellSubscribed(t *Turn) {
	for i := range w.accept {
		a := &w.accept[i]
		e := w.g.note(t, EventSubscribed, w.link.Session, nil)
		if e == nil {
			return // nobody wants to know
		}
		a.describe(e)
		e.Before = w.g.nextMessage.Load()
	}
}

func (a *accepted) describe(e *Event) {
	e.Topic, e.Filter, e.QoS = string(a.parsed.Filter), a.parsed.Raw, a.qos
	e.Fresh, e.Proxy, e.Retained = a.fresh, a.proxy, a.wantsRetained()
}

// tellUnsubscribed notes a subscription that is no more.
func (g *Gateway) tellUnsubscribed(t *Turn, s *Session, p *topic.Subscription, proxy bool) {
	if e := g.note(t, EventUnsubscribed, s, nil); e != nil {
		e.Topic, e.Filter, e.Proxy = string(p.Filter), p.Raw, proxy
	}
}

// notePublished notes a message whose publisher, s, is answered. Where sinks confirm it,
// that answer waits for them, and nothing else does: t.own.
func (g *Gateway) notePublished(t *Turn, s *Session, m *Message) {
	e := g.note(t, EventPublish, nil, m)
	if e == nil || m.QoS == 0 || g.sinks.sync&EventPublish == 0 {
		return
	}
	for i := range g.sinks.sinks {
		sink := &g.sinks.sinks[i]
		if !sink.sync || !sink.wants(e) {
			continue
		}
		if t.own == nil {
			t.own = &commit{g: g, sinks: true}
			e.Done, e.Patient = t.own.done, !g.refusable(s)
		}
		t.own.left++
	}
}

// refusable says whether the publisher can be told that a message was not kept.
func (g *Gateway) refusable(s *Session) bool {
	o := g.origins.get(s.origin)
	return o.protocol != "mqtt" || o.version >= 5
}

func (g *Gateway) eventDropped(t *Turn, m *Message, clientID string, r Reason) {
	if g.sinks.kinds&EventDropped == 0 || m == nil {
		return
	}
	t.events = append(t.events, Event{Kind: EventDropped, Time: t.now, ClientID: clientID, Topic: m.Topic, QoS: m.QoS, Reason: r, Msg: m})
}

// emitEvents gives every sink its share of the turn's events. What a sink does
// not take is counted and explained under its name.
func (t *Turn) emitEvents() {
	if len(t.events) == 0 {
		return
	}
	var share []Event
	for i := range t.g.sinks.sinks {
		s := &t.g.sinks.sinks[i]
		share = share[:0]
		for j := range t.events {
			if !s.wants(&t.events[j]) {
				continue
			}
			if share = append(share, t.events[j]); !s.sync {
				share[len(share)-1].Done = nil
			}
		}
		if len(share) == 0 {
			continue
		}
		if n := s.Take(share); n < len(share) {
			t.reasons.add(int(QuotaExceeded), uint64(len(share)-n))
			t.explain.add(Record{Time: t.now, Reason: QuotaExceeded, Topic: share[n].Topic, Count: uint64(len(share) - n), Detail: "sink " + s.Name() + " is full"})
			for _, e := range share[n:] {
				if e.Done != nil {
					e.Done(ErrSinkFull)
				}
			}
		}
	}
	clear(t.events)
	t.events = t.events[:0]
}
