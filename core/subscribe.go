package core

import (
	"github.com/fairlead-iot/fairlead/core/route"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// Subscribe adds or replaces subscriptions, all of one SUBSCRIBE. For each filter
// reasons holds Success, with the QoS granted, or why it was refused; the slices
// hold until the next call on t. With a durable session the answer is pending:
// OpSubscribe completes it once the store has it. Retained messages follow. What is left
// of many filters is told by r.Unfinished, see [Pieces]; there is no answer then.
func (g *Gateway) Subscribe(t *Turn, l Link, r *SubscribeRequest) (granted []uint8, reasons []Reason, pending bool) {
	if !r.Unfinished() && g.holdSubscribe(t, l, r) {
		return nil, nil, true
	}
	if r.wanted(len(r.Filters)) {
		return g.subscribePieces(t, l, r)
	}
	w := subscribing{g: g, link: l, r: r}
	if w.now(t) {
		return nil, nil, true
	}
	return t.granted, t.answers, false
}

// now does all of it; pending says that the store is to answer.
func (w *subscribing) now(t *Turn) (pending bool) {
	w.accept = t.accepts
	pending, alive := w.run(t)
	if pending {
		t.accepts = nil // the commit has them
		return true
	}
	if alive {
		w.tellSubscribed(t)
		w.startRetained(t)
	}
	t.accepts = emptied(w.accept, maxScratch)
	return false
}

// maxScratch is how many elements of a turn's scratch are kept for the next user.
const maxScratch = 1024

// emptied gives the room of s, cleared, unless it is for more than most.
func emptied[T any](s []T, most int) []T {
	if cap(s) > 2*most {
		return nil
	}
	clear(s)
	return s[:0]
}

// run decides about all filters and adds what is allowed; the answers are the turn's.
func (w *subscribing) run(t *Turn) (pending, alive bool) {
	g, s, r := w.g, w.link.Session, w.r
	t.granted, t.answers = t.granted[:0], t.answers[:0]
	t.Spend(workFilter * len(r.Filters))
	t.who = g.identity(s)
	for i := range r.Filters {
		qos, reason, detail := w.check(t, i)
		t.granted = append(t.granted, qos)
		t.answers = append(t.answers, reason)
		t.Count(Subscribes, 1)
		if reason != Success {
			t.Count(SubscribesRefused, 1)
			g.Refuse(t, Refusal{Reason: reason, ClientID: s.id, Detail: "subscribe " + clip(r.Filters[i].Filter) + detail})
		}
	}
	if !w.add(t) {
		t.pass(w.ticket)
		for i := range t.answers {
			t.answers[i] = SessionTakenOver
		}
		return false, false
	}
	w.refuseLate(t)
	if ops := w.ops(); len(ops) == 0 {
		t.pass(w.ticket)
	} else {
		ops[0].ticket = w.ticket
		w.reasons = append([]Reason(nil), t.answers...)
		w.granted = append([]uint8(nil), t.granted...)
		t.commitAlone(ops, w)
		return true, true
	}
	return false, true
}

// subscribing is a SUBSCRIBE on its way.
type subscribing struct {
	g       *Gateway
	link    Link
	r       *SubscribeRequest
	accept  []accepted
	granted []uint8
	reasons []Reason
	begun   []Attachment // what is read for them
	// proxy says that the client does not ask and does not wait for an answer; from is
	// who asks then, for each filter.
	proxy  bool
	from   []proxied
	had    []proxied // what the session had before
	stale  []proxied // what it has no more
	ticket *ticket   // of a durable session, unless it connects
	part   part      // of the SUBSCRIBE, where that is done in pieces
}

type accepted struct {
	request *FilterRequest
	parsed  topic.Subscription
	qos     uint8
	covered bool
	durable bool // its session is
	proxy   bool
	version uint64
	index   int    // in the SUBSCRIBE
	most    uint32 // subscribers that the filter may have, 0 for any number
	limited bool   // LimitSubscribers may end it
	fresh   bool   // it did not exist before
	refused Reason // why the table did not take it, or Success
}

// check decides about one filter; detail, if any, begins with a colon.
func (w *subscribing) check(t *Turn, index int) (qos uint8, r Reason, detail string) {
	g, s, f := w.g, w.link.Session, &w.r.Filters[index]
	p, err := topic.ParseSubscription(f.Filter, g.limits)
	if err != nil {
		return 0, TopicFilterInvalid, ""
	}
	if g.filterGoesElsewhere(s) {
		who := s.placer()
		if p, r, detail = g.placeFilter(&who, p); r != Success {
			return 0, r, ": " + detail
		}
	}
	qos, r = w.allow(t, index, p)
	return qos, r, ""
}

// allow decides about a filter that is placed. The turn's identity is the session's, which
// authorize leaves so.
func (w *subscribing) allow(t *Turn, index int, p topic.Subscription) (qos uint8, r Reason) {
	g, s, f := w.g, w.link.Session, &w.r.Filters[index]
	if p.Exclusive && p.Shared() {
		return 0, TopicFilterInvalid // a group is made to be shared
	}
	if p.Shared() && f.NoLocal {
		return 0, ProtocolError // [MQTT-3.8.3-4]
	}
	qos = f.QoS
	durable := s.isDurable()
	if p.Fastlane {
		// A fastlane subscription passes the session by: it cannot be kept.
		if durable {
			return 0, FastlaneNeedsCleanSession
		}
		qos = 0
	}
	a := accepted{request: f, parsed: p, qos: qos, version: g.chain.version(), index: index, most: w.r.MaxSubscribers, limited: w.r.Limited, durable: durable, proxy: w.proxy}
	if !w.permitted(index) {
		if !g.authorize(t, s, w.link.Epoch, ActionSubscribe, string(p.Filter)) {
			return 0, NotAuthorized
		}
		switch g.chain.covers(&t.who, string(p.Filter)) {
		case Deny:
			return 0, NotAuthorized
		case Allow:
			a.covered = true
		}
	}
	w.accept = append(w.accept, a)
	return qos, Success
}

// add puts what was accepted into the table, in short updates. false: the session
// ended meanwhile.
func (w *subscribing) add(t *Turn) (alive bool) {
	g, s := w.g, w.link.Session
	rest := w.accept
	for alive = true; len(rest) > 0 && alive; {
		n := min(len(rest), updateSlice)
		g.routes.Update(func(tx *route.Tx) {
			if alive = !s.gone; !alive {
				return
			}
			if rest[0].durable && !w.proxy && w.ticket == nil {
				w.ticket = g.order.take(s.id)
			}
			for i := range rest[:n] {
				g.subs.subscribe(tx, s, &rest[i], w.r.SubID, g)
			}
		})
		rest = rest[n:]
	}
	return alive
}

// refuseLate takes back what the table did not take.
func (w *subscribing) refuseLate(t *Turn) {
	kept := w.accept[:0]
	for _, a := range w.accept {
		if a.refused == Success {
			kept = append(kept, a)
			continue
		}
		if w.proxy {
			w.link.Session.forgetProxy(a.parsed.Raw)
			w.refuse(t, a.refused, a.request.Filter)
			if a.durable { // the store has it already
				t.op(w.link.Session.unsubscribeOp(a.parsed.Raw, true))
			}
			continue
		}
		t.answers[a.index] = a.refused
		t.Count(SubscribesRefused, 1)
		w.g.Refuse(t, Refusal{Reason: a.refused, ClientID: w.link.Session.id, Detail: "subscribe " + a.request.Filter})
	}
	clear(w.accept[len(kept):])
	w.accept = kept
}

// subscribe adds or replaces one subscription. Inside Update.
func (ss *subscriptions) subscribe(tx *route.Tx, s *Session, a *accepted, subID uint32, g *Gateway) {
	peers := g.peers
	rec := subscription{session: s.index, subID: subID, qos: a.qos, checked: uint32(a.version), flags: a.flags() | g.mountFlags(s, string(a.parsed.Filter))}
	filter := string(a.parsed.Filter)
	if n := ss.find(tx, s, &a.parsed, a.proxy); n != 0 { // [MQTT-3.8.4-3]
		old := ss.at(n)
		rec.entry, rec.group = old.entry, old.group
		rec.next, rec.prev, rec.chain = old.next, old.prev, old.chain
		rec.flags |= old.flags & subTwin
		*old = rec
		if rec.group != 0 {
			ss.groups[rec.group].put(s, rec)
		}
		return
	}
	if int(s.subCount.Load()) >= g.cfg.MaxSubscriptions {
		a.refused = SubscriptionLimit
		return
	}
	if a.most > 0 && taken(tx, filter, a.most) {
		a.refused = SubscriberLimit
		return
	}
	if a.parsed.Exclusive && !ss.takeExclusive(s, filter) {
		a.refused = ExclusiveTaken
		return
	}
	a.fresh = true
	n := ss.alloc()
	value, announce := n, true
	if a.parsed.Shared() {
		rec.group, announce = ss.joinGroup(groupKey{filter, a.parsed.Share})
		value = rec.group | groupTag
	}
	entry, first, _ := tx.Add(filter, value)
	rec.entry = entry
	*ss.at(n) = rec
	ss.link(s, n)
	if g.proxied.Load() {
		ss.pair(n)
	}
	if rec.group != 0 {
		ss.groups[rec.group].put(s, rec)
	}
	if peers != nil && announce && (first || rec.group != 0) && !a.parsed.Local {
		peers.Announce(filter, a.parsed.Share, true)
	}
}

func (a *accepted) flags() (f subFlags) {
	set := func(on bool, b subFlags) {
		if on {
			f |= b
		}
	}
	set(a.request.NoLocal, subNoLocal)
	set(a.request.RetainAsPublished, subRetainAsPublished)
	set(a.covered, subCovered)
	set(a.durable, subDurable)
	set(a.proxy, subProxy)
	set(a.limited, subLimited)
	return f | prefixes(&a.parsed)
}

// joinGroup finds or makes a group; fresh says that it is new.
func (ss *subscriptions) joinGroup(k groupKey) (n uint32, fresh bool) {
	if n, ok := ss.byName[k]; ok {
		return n, false
	}
	gr := &group{key: k, strategy: ss.strategy}
	if last := len(ss.freeGrp); last > 0 {
		n = ss.freeGrp[last-1]
		ss.freeGrp = ss.freeGrp[:last-1]
		ss.groups[n] = gr
	} else {
		n = uint32(len(ss.groups))
		ss.groups = append(ss.groups, gr)
	}
	ss.byName[k] = n
	return n, true
}

// ops are what a durable session's store must keep.
func (w *subscribing) ops() []Op {
	s := w.link.Session
	if !s.isDurable() {
		return nil
	}
	ops := make([]Op, 0, len(w.accept))
	for i := range w.accept {
		a := &w.accept[i]
		o := s.op(OpPutSubscription)
		o.Subscription = &SubscriptionRecord{Filter: a.parsed.Raw, SubscribeOptions: a.request.SubscribeOptions, SubID: w.r.SubID, Proxy: w.proxy}
		if w.proxy {
			o.Subscription.Origin, o.Subscription.Permitted = w.from[a.index].origin, w.from[a.index].permitted
		}
		ops = append(ops, o)
	}
	w.begun = w.reading()
	for _, a := range w.begun {
		ops = append(ops, s.attachmentOp(a))
	}
	return ops
}

// unsubscribeOp has the store forget a subscription.
func (s *Session) unsubscribeOp(raw string, proxy bool) Op {
	o := s.op(OpDeleteSubscription)
	o.Filter, o.Proxy = raw, proxy
	return o
}

// committed answers a durable session's SUBSCRIBE.
func (w *subscribing) committed(t *Turn, err error) {
	reason := storeReason(err)
	if reason != Success {
		for i, r := range w.reasons {
			if r == Success {
				w.reasons[i] = reason // not kept: not promised
			}
		}
		w.undo()
	}
	if reason == Success {
		w.link.Session.begins(w.begun)
		w.tellSubscribed(t)
	}
	w.part.settle(t, w.link, Completion{Op: OpSubscribe, Token: w.r.Token, Reasons: w.reasons, Granted: w.granted})
	if reason == Success {
		w.startRetained(t)
	}
}

// undo removes the subscriptions that did not exist before.
func (w *subscribing) undo() {
	g := w.g
	g.routes.Update(func(tx *route.Tx) {
		for i := range w.accept {
			if w.accept[i].fresh {
				g.subs.unsubscribe(tx, w.link.Session, &w.accept[i].parsed, false, g.peers)
			}
		}
	})
}
