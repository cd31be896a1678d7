package core

import (
	"errors"

	"github.com/fairlead-iot/fairlead/core/route"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// Unsubscribe removes subscriptions, named as they were subscribed. reasons holds
// Success or NoSubscriptionExisted for each and is valid until the next call on t;
// pending and what is left as for Subscribe.
func (g *Gateway) Unsubscribe(t *Turn, l Link, r *UnsubscribeRequest) (reasons []Reason, pending bool) {
	if r.wanted(len(r.Filters)) {
		return g.unsubscribePieces(t, l, r)
	}
	u := t.unsubscribing()
	u.g, u.link, u.token = g, l, r.Token
	if u.now(t, r.Filters) {
		return nil, true
	}
	return t.answers, false
}

// unsubscribing is an UNSUBSCRIBE on its way.
type unsubscribing struct {
	g       *Gateway
	link    Link
	token   uint32
	reasons []Reason
	ops     []Op
	ticket  *ticket // of a durable session
	part    part    // of the UNSUBSCRIBE, where that is done in pieces

	// The filter at work, here as it would be allocated for each.
	p      topic.Subscription
	proxy  bool
	found  bool
	update func(*route.Tx) // remove
}

// unsubscribing gives an empty one, that of the latest UNSUBSCRIBE where that is over.
func (t *Turn) unsubscribing() (u *unsubscribing) {
	if u, t.ending = t.ending, nil; u == nil {
		u = new(unsubscribing)
		u.update = u.remove
	}
	return u
}

// now removes what the filters name, as run does, and leaves u to the next one unless it
// waits for the store.
func (u *unsubscribing) now(t *Turn, filters []string) (pending bool) {
	if pending = u.run(t, filters); !pending {
		*u = unsubscribing{update: u.update}
		t.ending = u
	}
	return pending
}

// run removes what the filters name; the answers are the turn's. pending says that the
// store is to answer.
func (u *unsubscribing) run(t *Turn, filters []string) (pending bool) {
	t.answers = t.answers[:0]
	t.Spend(workFilter * len(filters))
	t.Count(Unsubscribes, uint64(len(filters)))
	for _, f := range filters {
		t.answers = append(t.answers, u.one(t, f))
	}
	if len(u.ops) == 0 {
		return false
	}
	u.ops[0].ticket = u.ticket
	u.reasons = append([]Reason(nil), t.answers...)
	t.commitAlone(u.ops, u)
	return true
}

// one removes what f names.
func (u *unsubscribing) one(t *Turn, f string) Reason {
	g, s := u.g, u.link.Session
	var err error
	if u.p, err = topic.ParseSubscription(f, g.limits); err != nil {
		return unsubscribeReason(err)
	}
	if g.filterGoesElsewhere(s) {
		who := s.placer()
		placed, r, _ := g.placeFilter(&who, u.p)
		if r != Success {
			return NoSubscriptionExisted // it could not have been subscribed
		}
		u.p = placed
	}
	u.proxy = false
	g.routes.Update(u.update)
	if !u.found && g.proxied.Load() { // the client's own goes first
		u.proxy = true
		if g.routes.Update(u.update); u.found {
			s.forgetProxy(u.p.Raw)
		}
	}
	if !u.found {
		return NoSubscriptionExisted
	}
	g.tellUnsubscribed(t, s, &u.p, u.proxy)
	if s.isDurable() {
		u.ops = append(u.ops, s.unsubscribeOp(u.p.Raw, u.proxy))
	}
	return Success
}

// remove takes the filter at work out of the table. Inside Update.
func (u *unsubscribing) remove(tx *route.Tx) {
	s := u.link.Session
	u.found = u.g.subs.unsubscribe(tx, s, &u.p, u.proxy, u.g.peers)
	if u.found && s.isDurable() && u.ticket == nil {
		u.ticket = u.g.order.take(s.id)
	}
}

// committed answers a durable session's UNSUBSCRIBE.
func (u *unsubscribing) committed(t *Turn, err error) {
	if reason := storeReason(err); reason != Success {
		for i := range u.reasons {
			u.reasons[i] = reason
		}
	}
	u.part.settle(t, u.link, Completion{Op: OpUnsubscribe, Token: u.token, Reasons: u.reasons})
}

func unsubscribeReason(err error) Reason {
	if errors.Is(err, topic.ErrTooLong) || errors.Is(err, topic.ErrTooManyLevels) {
		return NoSubscriptionExisted // it could not have been subscribed
	}
	return TopicFilterInvalid
}

func (ss *subscriptions) unsubscribe(tx *route.Tx, s *Session, p *topic.Subscription, proxy bool, peers Peers) bool {
	if s.gone {
		return false
	}
	n := ss.find(tx, s, p, proxy)
	if n == 0 {
		return false
	}
	ss.drop(tx, s, n, peers)
	return true
}
