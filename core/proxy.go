package core

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/fairlead-iot/fairlead/core/route"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// ProxySubscription is one table [[core.subscriptions]]: a subscription that clients
// have without asking for it, from each connect on, over every protocol.
type ProxySubscription struct {
	Filter            string   `toml:"filter" doc:"topic filter, with its prefixes such as $share/GROUP/; %c is the client id, %u the user name; a client for whom one of them is empty or holds / + # does without"`
	QoS               uint8    `toml:"qos" doc:"0, 1 or 2"`
	NoLocal           bool     `toml:"no_local" doc:"not the client's own messages"`
	RetainAsPublished bool     `toml:"retain_as_published" doc:"messages keep their RETAIN flag"`
	RetainHandling    uint8    `toml:"retain_handling" doc:"retained messages are sent at each connect (0), with a new session (1), never (2)"`
	Listeners         []string `toml:"listeners" doc:"only clients of these listeners; none: of all"`
	ClientID          string   `toml:"client_id" doc:"only clients whose client id this regular expression (RE2) matches"`
	Username          string   `toml:"username" doc:"only clients whose user name this regular expression matches"`
}

// Validate reports everything that is wrong with the subscription.
func (p *ProxySubscription) Validate() error {
	_, err := p.compile()
	return err
}

// proxyRule is a ProxySubscription in its working form.
type proxyRule struct {
	*ProxySubscription
	clientID, username *regexp.Regexp // nil for everyone
}

func (p *ProxySubscription) compile() (r proxyRule, err error) {
	var errs []error
	r.ProxySubscription = p
	filter, _ := topic.Expand(p.Filter, "c", "u")
	sub, err := topic.ParseSubscription(filter, topic.Limits{Length: topic.MaxLength})
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("filter = %q: is no topic filter: %w", p.Filter, err))
	case sub.Shared() && p.NoLocal:
		errs = append(errs, errors.New("no_local: cannot be with a shared subscription [MQTT-3.8.3-4]"))
	case sub.Shared() && sub.Exclusive:
		errs = append(errs, fmt.Errorf("filter = %q: a group is made to be shared, it cannot be exclusive", p.Filter))
	}
	if p.QoS > 2 {
		errs = append(errs, fmt.Errorf("qos = %d: must be 0, 1 or 2", p.QoS))
	}
	if p.RetainHandling > 2 {
		errs = append(errs, fmt.Errorf("retain_handling = %d: must be 0, 1 or 2", p.RetainHandling))
	}
	condition := func(key, text string) (re *regexp.Regexp) {
		if text == "" {
			return nil
		}
		if re, err = regexp.Compile(text); err != nil {
			errs = append(errs, fmt.Errorf("%s = %q: %w", key, text, err))
		}
		return re
	}
	r.clientID, r.username = condition("client_id", p.ClientID), condition("username", p.Username)
	return r, errors.Join(errs...)
}

// maxProxies bounds what each connect looks through.
const maxProxies = 1000

// compileProxies leaves out what Validate tells of.
func compileProxies(ps []ProxySubscription) (rules []proxyRule) {
	for i := range ps {
		if r, err := ps[i].compile(); err == nil {
			rules = append(rules, r)
		}
	}
	return rules
}

// fits says whether the rule is for a client of listener.
func (r *proxyRule) fits(who *Session, listener string) bool {
	return (len(r.Listeners) == 0 || slices.Contains(r.Listeners, listener)) &&
		(r.clientID == nil || r.clientID.MatchString(who.id)) &&
		(r.username == nil || r.username.MatchString(who.user))
}

// proxied is one proxy subscription that a session has.
type proxied struct {
	raw       string // as the table has it, prefixes included
	filter    string // prefixes stripped
	origin    string // the source, "" for the configuration
	permitted bool   // whatever the rules say
}

// permits says that a proxy subscription of the session allows deliveries of name. With
// the session's lock held.
func (s *Session) permits(name string) bool {
	return s.more != nil && slices.ContainsFunc(s.more.proxies, func(p proxied) bool {
		return p.permitted && topic.Match(p.filter, name)
	})
}

// permitted says that the request's filter of index needs no rule.
func (w *subscribing) permitted(index int) bool { return w.proxy && w.from[index].permitted }

// subscribeProxies decides which proxy subscriptions the client that l has just connected
// gets, and which it has no more. ops is what the store must keep; w, unless nil, is to
// settle once it has.
func (g *Gateway) subscribeProxies(t *Turn, l Link, r *ConnectRequest) (w *subscribing, ops []Op) {
	s := l.Session
	had := s.proxies()
	if len(g.proxies) == 0 && len(had) == 0 && len(r.sourced) == 0 {
		return nil, nil
	}
	w = g.proxying(l)
	for i := range g.proxies {
		if p := &g.proxies[i]; p.fits(s, r.Listener) {
			w.want(t, "", &ProxyRequest{FilterRequest: FilterRequest{Filter: p.Filter, SubscribeOptions: SubscribeOptions{
				QoS: p.QoS, NoLocal: p.NoLocal, RetainAsPublished: p.RetainAsPublished, RetainHandling: p.RetainHandling}}})
		}
	}
	for i := range r.sourced {
		for j := range r.sourced[i].found {
			w.want(t, r.sourced[i].origin, &r.sourced[i].found[j])
		}
	}
	w.checkWanted(t)
	stale := slices.DeleteFunc(had, func(p proxied) bool { return w.has(p.raw) || r.unanswered(p.origin) })
	if !w.note(stale, true) {
		return nil, nil // taken over meanwhile
	}
	return w, w.proxyOps()
}

// proxying begins a change of the proxy subscriptions of l's session.
func (g *Gateway) proxying(l Link) *subscribing {
	return &subscribing{g: g, link: l, r: &SubscribeRequest{}, proxy: true}
}

// want adds what origin asks for.
func (w *subscribing) want(t *Turn, origin string, p *ProxyRequest) {
	s := w.link.Session
	f := p.FilterRequest
	var ok bool
	if f.Filter, ok = topic.Expand(p.Filter, s.id, s.user); !ok {
		t.Count(Subscribes, 1)
		w.refuse(t, TopicFilterInvalid, p.Filter+": the client id or user name is empty or holds / + #")
		return
	}
	w.r.Filters = append(w.r.Filters, f)
	w.from = append(w.from, proxied{origin: origin, permitted: p.Permitted})
}

// checkWanted decides about all that is wanted.
func (w *subscribing) checkWanted(t *Turn) {
	t.who = w.g.identity(w.link.Session)
	for i := range w.r.Filters {
		t.Count(Subscribes, 1)
		if _, reason, detail := w.check(t, i); reason != Success {
			w.refuse(t, reason, w.r.Filters[i].Filter+detail)
		}
	}
}

// has says that raw is among what was accepted.
func (w *subscribing) has(raw string) bool {
	return slices.ContainsFunc(w.accept, func(a accepted) bool { return a.parsed.Raw == raw })
}

// note puts among the session's proxy subscriptions what was accepted, and no more what
// is stale; the latest word about one counts. The table follows with settle: before the
// store has the session, nobody who publishes may find it. false, and nothing is done:
// the session ended meanwhile, or who connects was taken over.
func (w *subscribing) note(stale []proxied, connects bool) bool {
	s := w.link.Session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || connects && !w.link.live() {
		return false
	}
	w.stale = stale
	if len(w.accept)+len(stale) == 0 {
		return true
	}
	m := s.rarely()
	w.had = m.proxies
	list := slices.DeleteFunc(slices.Clone(w.had), w.touches)
	for i := range w.accept {
		a := &w.accept[i]
		p := w.from[a.index]
		p.raw, p.filter = a.parsed.Raw, string(a.parsed.Filter)
		list = append(slices.DeleteFunc(list, p.same), p)
	}
	m.proxies = list
	if s.durable && !connects { // whose record has a place already
		w.ticket = w.g.order.take(s.id)
	}
	return true
}

// same says that o is about the same filter.
func (p proxied) same(o proxied) bool { return p.raw == o.raw }

// touches says that w changes the proxy subscription p.
func (w *subscribing) touches(p proxied) bool {
	return w.has(p.raw) || slices.ContainsFunc(w.stale, p.same)
}

// proxyOps are what a durable session's store must keep of what was decided.
func (w *subscribing) proxyOps() []Op {
	s := w.link.Session
	if !s.isDurable() {
		return nil
	}
	ops := w.ops()
	for i := range w.stale {
		ops = append(ops, s.unsubscribeOp(w.stale[i].raw, true))
	}
	if len(ops) > 0 {
		ops[0].ticket = w.ticket
	}
	return ops
}

// giveUp takes back what note put there: it was not kept.
func (w *subscribing) giveUp() {
	s := w.link.Session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.more == nil {
		return
	}
	list := slices.DeleteFunc(slices.Clone(s.more.proxies), w.touches)
	for _, p := range w.had {
		if w.touches(p) {
			list = append(list, p)
		}
	}
	s.more.proxies = list
}

// settle has the table follow what was decided, if that holds still, and lets retained
// messages come.
func (w *subscribing) settle(t *Turn) {
	noted := w.link.Session.proxies()
	holds := func(raw string) bool { return slices.ContainsFunc(noted, proxied{raw: raw}.same) }
	w.accept = slices.DeleteFunc(w.accept, func(a accepted) bool { return !holds(a.parsed.Raw) })
	if !w.add(t) {
		return // its session is over
	}
	w.refuseLate(t)
	for _, old := range w.stale {
		if !holds(old.raw) {
			w.end(t, old.raw)
		}
	}
	w.link.Session.begins(w.begun)
	w.tellSubscribed(t)
	w.startRetained(t)
}

// end takes a proxy subscription out of the table.
func (w *subscribing) end(t *Turn, raw string) {
	p, err := topic.ParseSubscription(raw, unlimited())
	if err != nil {
		return
	}
	found := false
	w.g.routes.Update(func(tx *route.Tx) { found = w.g.subs.unsubscribe(tx, w.link.Session, &p, true, w.g.peers) })
	if found {
		w.g.tellUnsubscribed(t, w.link.Session, &p, true)
	}
}

func (w *subscribing) refuse(t *Turn, r Reason, detail string) {
	t.Count(SubscribesRefused, 1)
	w.g.Refuse(t, Refusal{Reason: r, ClientID: w.link.Session.id, Detail: "proxy subscribe " + detail})
}

// unlimited is for filters that were accepted once.
func unlimited() topic.Limits { return topic.Limits{Levels: 1 << 16, Length: 1 << 16} }

// proxies are the session's proxy subscriptions; the caller's to change.
func (s *Session) proxies() []proxied {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.more == nil {
		return nil
	}
	return slices.Clone(s.more.proxies)
}

// forgetProxy notes that the client has ended one of them itself.
func (s *Session) forgetProxy(raw string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.more != nil {
		s.more.proxies = slices.DeleteFunc(slices.Clone(s.more.proxies), func(p proxied) bool { return p.raw == raw })
	}
}

// A client may have one filter twice: by itself and by proxy. Both records are marked
// as twins; a message that both match is one delivery.

// twin gives the other record of sub's filter, or 0. Inside Update.
func (ss *subscriptions) twin(sub *subscription) uint32 {
	k := sub.key()
	k.kind ^= subProxy
	return ss.index.get(ss, k)
}

// pair marks record n and its twin, if there is one. Inside Update.
func (ss *subscriptions) pair(n uint32) {
	if other := ss.twin(ss.at(n)); other != 0 {
		ss.at(n).flags |= subTwin
		ss.at(other).flags |= subTwin
	}
}

// unpair leaves the twin of sub, which ends, alone with what both had: an exclusive
// filter. false: there is none. Inside Update.
func (ss *subscriptions) unpair(sub *subscription) bool {
	if sub.flags&subTwin == 0 {
		return false
	}
	other := ss.twin(sub)
	if other == 0 {
		return false
	}
	ss.at(other).flags &^= subTwin
	return true
}

// SubscriptionInfo describes one subscription for administration.
type SubscriptionInfo struct {
	Filter            string // prefixes and mount point included
	QoS               uint8
	NoLocal           bool
	RetainAsPublished bool
	SubID             uint32 // 0 for none
	Proxy             bool   // the client did not ask for it
	Origin            string // the source of a proxy subscription, "" for the configuration
}

// Subscriptions gives at most max subscriptions of a client; ok is false when it has no
// session. Weakly consistent.
func (g *Gateway) Subscriptions(clientID string, max int) (list []SubscriptionInfo, ok bool) {
	s := g.clients.get(clientID)
	if s == nil {
		return nil, false
	}
	at, more := uint32(0), true
	for more && len(list) < max {
		g.routes.Update(func(tx *route.Tx) {
			n := s.firstSub
			if at != 0 {
				n = at
			}
			for range updateSlice {
				if more = n != 0 && !s.gone && g.subs.at(n).session == s.index && len(list) < max; !more {
					return
				}
				list = append(list, g.subs.describe(tx, n))
				n = g.subs.at(n).next
			}
			at, more = n, n != 0
		})
	}
	for _, p := range s.proxies() {
		for i := range list {
			if list[i].Proxy && list[i].Filter == p.raw {
				list[i].Origin = p.origin
			}
		}
	}
	return list, true
}

func (ss *subscriptions) describe(tx *route.Tx, n uint32) SubscriptionInfo {
	sub := ss.at(n)
	has := func(f subFlags) bool { return sub.flags&f != 0 }
	p := topic.Subscription{Filter: topic.Filter(tx.Filter(sub.entry)), Fastlane: has(subFastlane), Local: has(subLocal), Exclusive: has(subExclusive)}
	if sub.group != 0 {
		p.Share = ss.groups[sub.group].key.share
	}
	return SubscriptionInfo{Filter: p.String(), QoS: sub.qos, NoLocal: has(subNoLocal), RetainAsPublished: has(subRetainAsPublished), SubID: sub.subID, Proxy: has(subProxy)}
}
