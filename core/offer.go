package core

import (
	"slices"

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
// of [Gateway.NewMessageID]. Those with Message.Stored are known again after a restart, see
// [EventRestored]: then they must be offered in the order in which they are stored, and
// nothing more before kept has told that they are.
//
// kept, nil for nobody, is called once, from any goroutine, after the turn: with nil once
// what was taken will last as long as the session, else with why none of it was taken that
// is acknowledged.
func (g *Gateway) Offer(t *Turn, e *Event, ms []*Message, retained bool, kept func(error)) (taken int, open bool) {
	before := t.opCount()
	if s := g.clients.get(e.ClientID); s != nil {
		if tg, ok := g.targetOf(s, e); ok {
			taken, open = g.offerAll(t, &tg, ms, retained), true
		}
	}
	switch {
	case kept == nil:
	case t.opCount() > before:
		t.commit.after = append(t.commit.after, offering{kept})
	default:
		g.done.call(func(*Turn) { kept(nil) })
	}
	return taken, open
}

// offering is an Offer that waits for the store.
type offering struct{ kept func(error) }

func (o offering) committed(_ *Turn, err error) { o.kept(err) }

// offerAll offers messages as long as there is room.
func (g *Gateway) offerAll(t *Turn, tg *target, ms []*Message, retained bool) (taken int) {
	s := tg.session
	tg.flags |= subPaced
	if retained {
		tg.flags |= subRetainAsPublished
	}
	for _, m := range ms {
		s.mu.Lock()
		room := s.hasRoom()
		s.mu.Unlock()
		if !room {
			return taken
		}
		taken++
		m.Retain = retained
		g.offerOne(t, tg, m)
	}
	return taken
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

// skippedKey is the attachment of a session from whose queue a message with a StoredName
// was dropped that its client should still have.
const skippedKey = "core.skipped"

func isSkipped(a Attachment) bool { return a.Key == skippedKey }

// noteSkipped has the session remember a gap among the messages that were offered to it:
// that later ones are acknowledged must not tell anybody after a restart that it is filled.
// With the session's lock held.
func (s *Session) noteSkipped(t *Turn, m *Message, r Reason) {
	if m == nil || m.Stored == nil || !s.durable || r.EndsOffer() {
		return
	}
	if a := (Attachment{Key: skippedKey, Value: []byte{1}}); s.rarely().attach(a) {
		t.op(s.attachmentOp(a))
	}
}

// coveredAgain says of which entries, read the first time since the start, EventRestored
// tells: their client has a subscription for them still. nil for none.
func (g *Gateway) coveredAgain(s *Session, got []QueuedMessage) (covered []bool) {
	if g.sinks.kinds&EventRestored == 0 {
		return nil
	}
	s.mu.Lock()
	from, to := s.more.restored[0], s.more.restored[1]
	skipped := slices.ContainsFunc(s.more.attachments, isSkipped)
	s.mu.Unlock()
	if from >= to || skipped {
		return nil
	}
	var list []SubscriptionInfo
	for i := range got {
		if m := got[i].Msg; m == nil || m.Stored == nil || got[i].Seq < from || got[i].Seq >= to {
			continue
		}
		if covered == nil {
			covered = make([]bool, len(got))
			list, _ = g.Subscriptions(s.id, maxCovering)
		}
		covered[i] = slices.ContainsFunc(list, func(sub SubscriptionInfo) bool { return sub.matches(got[i].Msg.Topic) })
	}
	return covered
}

// maxCovering is among how many subscriptions of a client one is looked for that covers a
// message; beyond them the message is like any other.
const maxCovering = 1000

func (sub *SubscriptionInfo) matches(name string) bool {
	p, err := topic.ParseSubscription(sub.Filter, unlimited())
	return err == nil && !p.Shared() && topic.Match(string(p.Filter), name)
}

// tellRestored notes that a message which was offered before the start waits still. With
// the session's lock held.
func (g *Gateway) tellRestored(t *Turn, s *Session, q *QueuedMessage) {
	if e := g.note(t, EventRestored, s, q.Msg); e != nil {
		e.Answered = q.Released
		s.more.restored[0] = q.Seq + 1
	}
}
