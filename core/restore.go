package core

import (
	"context"
	"fmt"
	"time"

	"github.com/fairlead-iot/fairlead/core/route"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// Restore loads what the store kept: sessions with their subscriptions, retained
// messages, pending Wills and expiries. Call it once, before listeners open and
// before Run. It blocks.
func (g *Gateway) Restore(ctx context.Context) error {
	t := g.NewTurn()
	defer t.Close()
	l := &restoring{g: g, t: t, now: time.Now().UnixMilli()}
	if err := g.store.Load(ctx, l); err != nil {
		return fmt.Errorf("core: restore sessions: %w", err)
	}
	if len(l.forget) > 0 {
		t.commitAlone(l.forget, nil)
	}
	return nil
}

// restoring is core's Loader.
type restoring struct {
	g   *Gateway
	t   *Turn
	now int64

	forget []Op // what the store holds in contradiction
}

// Session takes one stored session.
func (l *restoring) Session(r SessionRecord) error {
	g, t := l.g, l.t
	s := &Session{id: r.ClientID, user: r.Username, epoch: r.Epoch, seq: r.QueueEnd, expiry: r.Expiry, durable: true, mount: g.mounts.number(r.Mount)}
	m := s.rarely()
	m.inStore, m.confirmed, m.created, m.left, m.peer = r.Epoch, r.Epoch, r.Created, r.Disconnected, r.Peer
	if r.Superuser {
		m.grant = &Grant{Superuser: true}
	}
	if r.Listener != "" {
		s.origin = g.origins.number(origin{protocol: r.Protocol, version: r.Version, listener: r.Listener})
	}
	for _, id := range r.Received {
		m.received = append(m.received, receivedID{id, receivedKept})
	}
	if m.left == 0 {
		m.left = l.now // it was connected when the gateway ended: the connection ends now
	}
	m.will, m.willAt, m.keptWill, m.registrations = r.Will, r.WillAt, r.KeptWill, restoredRegistrations(r.Registrations)
	m.attachments = r.Attachments
	m.restoreReading()
	m.sleep = sleep{seconds: r.Asleep, port: r.Port}
	if r.Queued > 0 {
		s.spilled, m.stored, s.pending = true, r.QueueHead, uint32(r.Queued)
		m.restored = [2]uint64{r.QueueHead, r.QueueEnd}
		// What was sent before is not known: the front of the queue may have been.
		m.sent = min(r.QueueEnd, r.QueueHead+maxWindow)
		if g.ranks.levels() == 0 { // with priorities they lie anywhere
			m.exempt, m.unsure = m.sent, true
		}
		t.Count(Restored, uint64(r.Queued))
	}
	if !g.clients.swap(s.id, nil, s) {
		return fmt.Errorf("session %q is stored twice", s.id)
	}
	g.clients.users.add(s.user, true)
	t.Count(SessionsRestored, 1)
	g.subs.enter(g.routes, s)
	s.noteCredit(g.cfg.MaxInflight)
	if m.sleep.seconds != 0 {
		m.left, m.sleep.end = 0, l.now+int64(r.Asleep)*1000
		s.asleep = true
		g.watchSleep(s)
		return nil
	}
	if m.will != nil {
		if m.willAt == 0 { // a crash ended the connection: now counts [MQTT-3.1.2-8]
			m.willAt = m.left + int64(m.will.Delay)*1000
		}
		g.timers.add(m.willAt, timerWill, s, s.epoch)
	}
	if s.expiry != NeverExpires {
		g.timers.add(m.left+int64(s.expiry)*1000, timerExpiry, s, s.epoch)
	}
	return nil
}

// Subscription takes one stored subscription of a session that came before.
func (l *restoring) Subscription(clientID string, r SubscriptionRecord) error {
	s := l.g.clients.get(clientID)
	if s == nil {
		return fmt.Errorf("a subscription of unknown session %q", clientID)
	}
	p, err := topic.ParseSubscription(r.Filter, unlimited())
	if err != nil {
		return fmt.Errorf("session %q: stored filter %q: %w", clientID, r.Filter, err)
	}
	// Not covered: each delivery is checked until the client subscribes anew, for
	// the rules may have changed since.
	req := FilterRequest{Filter: r.Filter, SubscribeOptions: r.SubscribeOptions}
	a := accepted{request: &req, parsed: p, qos: r.QoS, durable: true, proxy: r.Proxy}
	if r.Proxy {
		l.g.proxied.Store(true)
		more := s.rarely()
		more.proxies = append(more.proxies, proxied{raw: r.Filter, filter: string(p.Filter), origin: r.Origin, permitted: r.Permitted})
	}
	l.g.routes.Update(func(tx *route.Tx) { l.g.subs.subscribe(tx, s, &a, r.SubID, l.g) })
	if a.refused == ExclusiveTaken {
		l.settleExclusive(s, r.Filter, r.Proxy)
	}
	return nil
}

// Retained takes one stored retained message.
func (l *restoring) Retained(m *Message) error {
	if name, ok := documentName(m); ok {
		return l.g.restoreDocument(name, m.Payload)
	}
	if !l.g.retained.lapsed(m, l.now) && !l.g.retainsElsewhere(m.Topic) {
		l.g.retained.put(m)
	}
	return nil
}
