package core

import (
	"bytes"
	"context"
	"slices"

	"github.com/fairlead-iot/fairlead/core/topic"
)

// Some sources of access rules must ask elsewhere before they can answer. What needs their
// answer is held here meanwhile, in its order: the message with its connection paused, the
// SUBSCRIBE, the CONNECT, the Will. Whatever came of it, it is decided then, by what the
// sources answer.

// wish is what somebody wants to do.
type wish struct {
	action Action
	topic  string
}

// unprepared says that some source cannot answer yet.
func (a *authChain) unprepared(id *Identity, w wish) bool {
	return !(id.Grant != nil && id.Grant.Superuser) &&
		slices.ContainsFunc(a.preparers, func(p Preparer) bool { return !p.Prepared(id, w.action, w.topic) })
}

// preparersOf finds those among the rules that ask elsewhere.
func preparersOf(rules []Authorizer) (list []Preparer) {
	for _, r := range rules {
		if p, ok := r.(Preparer); ok {
			list = append(list, p)
		}
	}
	return list
}

// prepare has the sources ask about wishes and calls then in a turn of its own. false says
// that too much waits already: what comes is decided without.
func (g *Gateway) prepare(id *Identity, wishes []wish, then func(*Turn)) bool {
	who := *id
	return g.auths.submit(who.Peer, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, g.cfg.AuthTimeout)
		defer cancel()
		for _, w := range wishes {
			for _, p := range g.chain.preparers {
				p.Prepare(ctx, &who, w.action, w.topic)
			}
		}
		g.done.call(then)
	})
}

// remembers says that authorize would ask nobody.
func (g *Gateway) remembers(t *Turn, l Link, act Action, topic string) bool {
	d := &t.allow
	if d.slots == nil || d.version != g.chain.version() {
		return false
	}
	e := &d.slots[g.decisionSlot(l.Session, act, topic)]
	return e.session == l.Session && e.epoch == l.Epoch && e.action == act && e.topic == topic
}

// holdPublish holds a message whose publisher's right must be asked for.
func (g *Gateway) holdPublish(t *Turn, l Link, p *Publish, w way) bool {
	s := l.Session
	if len(g.chain.preparers) == 0 || w.reason != Success || g.beyondLimits(p.Topic) || g.remembers(t, l, ActionPublish, p.Topic) {
		return false
	}
	p.own()
	id, ask := g.identity(s), wish{ActionPublish, p.Topic}
	if !g.chain.unprepared(&id, ask) {
		return false
	}
	p.settle()
	held := *p
	held.Payload = bytes.Clone(p.Payload) // the loop's buffer is another's then
	held.Search = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	if !g.prepare(&id, []wish{ask}, func(t *Turn) { g.publishHeld(t, l, &held, w) }) {
		return false
	}
	if l.live() {
		s.asking++
		s.paused = true
	}
	return true
}

// publishHeld goes on with a message that was held, and lets its connection read on.
func (g *Gateway) publishHeld(t *Turn, l Link, p *Publish, w way) {
	s := l.Session
	s.mu.Lock()
	conn := s.conn
	if l.live() {
		s.asking--
		s.paused = s.asking > 0
	} else {
		conn = nil
	}
	s.mu.Unlock()
	pause, err := g.publishNow(t, l, p, w)
	switch {
	case conn == nil:
	case err != nil:
		t.closeLater(conn, err.Reason)
	case !pause:
		t.complete(conn, Completion{Op: OpReadable})
	}
}

// holdSubscribe holds a SUBSCRIBE with filters that must be asked for.
func (g *Gateway) holdSubscribe(t *Turn, l Link, r *SubscribeRequest) bool {
	if len(g.chain.preparers) == 0 {
		return false
	}
	s := l.Session
	id := g.identity(s)
	var wishes []wish
	for i := range r.Filters {
		p, err := topic.ParseSubscription(r.Filters[i].Filter, g.limits)
		if err != nil {
			continue
		}
		if g.filterGoesElsewhere(s) {
			who := s.placer()
			if placed, reason, _ := g.placeFilter(&who, p); reason == Success {
				p = placed
			}
		}
		if ask := (wish{ActionSubscribe, string(p.Filter)}); g.chain.unprepared(&id, ask) {
			wishes = append(wishes, ask)
		}
	}
	return len(wishes) > 0 && g.prepare(&id, wishes, func(t *Turn) { g.subscribeHeld(t, l, r) })
}

// subscribeHeld goes on with a SUBSCRIBE that was held.
func (g *Gateway) subscribeHeld(t *Turn, l Link, r *SubscribeRequest) {
	conn := l.conn()
	if conn == nil {
		return // nobody waits for it
	}
	w := subscribing{g: g, link: l, r: r}
	if !w.now(t) {
		t.complete(conn, Completion{Op: OpSubscribe, Token: r.Token, Reasons: slices.Clone(t.answers), Granted: slices.Clone(t.granted)})
	}
}

// holdConnect holds a client that was let in until what its Will and its subscriptions need
// is known: what waits in its queue is looked at as soon as it is there.
func (g *Gateway) holdConnect(t *Turn, r *ConnectRequest, grant *Grant, id *Identity, willTopic string) bool {
	if len(g.chain.preparers) == 0 || r.prepared {
		return false
	}
	var wishes []wish
	want := func(a Action, name string) {
		if w := (wish{a, name}); g.chain.unprepared(id, w) {
			wishes = append(wishes, w)
		}
	}
	if willTopic != "" {
		_, name, _, _ := g.parseDelayed(willTopic)
		want(ActionPublish, name)
	}
	for _, filter := range g.filtersOf(r, id) {
		if p, err := topic.ParseSubscription(filter, g.limits); err == nil {
			want(ActionSubscribe, string(p.Filter))
		}
	}
	return len(wishes) > 0 && g.prepare(id, wishes, func(t *Turn) {
		r.prepared = true
		if res, pending := g.enter(t, r, grant); !pending {
			t.complete(r.Conn, Completion{Op: OpConnect, Connect: res})
		}
	})
}

// filtersOf are the filters that a client will have once it is connected: those of its
// session, and those of the configuration.
func (g *Gateway) filtersOf(r *ConnectRequest, id *Identity) (filters []string) {
	if !r.CleanStart {
		kept, _ := g.Subscriptions(id.ClientID, maxProxies)
		for i := range kept {
			filters = append(filters, kept[i].Filter)
		}
	}
	who := &Session{id: id.ClientID, user: id.Username}
	for i := range g.proxies {
		p := &g.proxies[i]
		if filter, ok := topic.Expand(p.Filter, id.ClientID, id.Username); ok && p.fits(who, r.Listener) {
			filters = append(filters, filter)
		}
	}
	return filters
}

// holdWill holds a Will whose right must be asked for: its client was connected for longer
// than an answer holds.
func (g *Gateway) holdWill(id *Identity, w *Will) bool {
	if len(g.chain.preparers) == 0 {
		return false
	}
	_, name, reason, _ := g.parseDelayed(w.Topic)
	ask := wish{ActionPublish, name}
	if reason != Success || !g.chain.unprepared(id, ask) {
		return false
	}
	who := *id
	return g.prepare(id, []wish{ask}, func(t *Turn) { _ = g.publishWillNow(t, &who, w) })
}
