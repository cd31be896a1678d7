package core

import (
	"slices"
	"strings"

	"github.com/fairlead-iot/fairlead/core/topic"
)

// readingKey begins the key of an attachment that says of a subscription of a durable
// session, from the same commit on, that a sink has not offered yet all that it kept for
// it. The value is the Topic Filter. It outlives an UNSUBSCRIBE: what is acknowledged
// after that must not tell either that all before was read.
const readingKey = "core.reading/"

// Beyond these a session has one such attachment for all, which lasts as long as it.
const (
	maxReading       = 1000
	maxReadingFilter = 4096
)

// AllOffered tells that the sink of that name, a [Reader], has offered all that it kept
// for the subscription of e, an EventSubscribed.
func (g *Gateway) AllOffered(t *Turn, sink string, e *Event) {
	s := g.clients.get(e.ClientID)
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := Attachment{Key: readingKey + sink + "/" + e.Filter}
	if s.more != nil && s.more.attach(a) && s.durable {
		t.op(s.attachmentOp(a))
	}
}

// reading are the attachments that a durable session gets with its new subscriptions.
func (w *subscribing) reading() (list []Attachment) {
	s := w.link.Session
	s.mu.Lock()
	defer s.mu.Unlock()
	left := maxReading
	if s.more != nil {
		left -= len(s.more.attachments)
	}
	for i := range w.accept {
		e := Event{Kind: EventSubscribed, ClientID: s.id, Username: s.user}
		w.accept[i].describe(&e)
		for j := range w.g.sinks.sinks {
			sink := &w.g.sinks.sinks[j]
			if r, ok := sink.Sink.(Reader); !ok || !r.Reads(&e) {
				continue
			}
			a := Attachment{Key: readingKey + sink.Name() + "/" + e.Filter, Value: []byte(e.Topic)}
			if len(list) >= left || len(e.Filter) > maxReadingFilter {
				a = Attachment{Key: readingKey, Value: []byte("#")}
			}
			list = append(list, a)
		}
	}
	return list
}

// begins notes what the store has with new subscriptions: from now on who reads sees to
// it that nothing is skipped.
func (s *Session) begins(list []Attachment) {
	if len(list) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.rarely()
	for _, a := range list {
		m.attach(a)
		m.unread = slices.DeleteFunc(m.unread, func(o Attachment) bool { return o.Key == a.Key && a.Key != readingKey })
	}
}

// restoreReading notes what was not read to its end before the start.
func (m *rare) restoreReading() {
	for _, a := range m.attachments {
		if strings.HasPrefix(a.Key, readingKey) {
			m.unread = append(m.unread, a)
		}
	}
}

// noteAcked notes that the client has a message. With the session's lock held.
func (g *Gateway) noteAcked(t *Turn, s *Session, m *Message) {
	e := g.note(t, EventAcked, s, m)
	if e == nil || s.more == nil {
		return
	}
	for i := range s.more.unread {
		if topic.Match(string(s.more.unread[i].Value), m.Topic) {
			e.Unread = true
			return
		}
	}
}
