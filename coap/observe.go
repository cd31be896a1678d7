package coap

import (
	"slices"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
	"github.com/fairlead-iot/fairlead/protocols"
)

// The values of Observe in a request. Others are as if it were not there.
const (
	observeOn  = 0
	observeOff = 1
)

// observation is one client's interest under one token: the key of a relation is the
// endpoint and the token. [Observe-4.1-1]
type observation struct {
	token     token
	interest  *interest
	accept    int64
	format    int64  // of its first answer, and so of all [Observe-4.2-1]
	sequence  uint32 // the last Observe value, 24 bits; of no meaning before the first
	numbered  bool   // there was one in this run
	latest    bool   // a newer message takes the place of one that waits
	non       bool   // notified without confirmation
	data      bool   // of topic data: it ends with the value
	saidNon   bool
	lastNon   uint16 // message ID of the last one that was not confirmable
	notBefore int64  // when the next of those may go, Unix milliseconds
	confirmed int64  // when the last confirmable one went
	queue     []*flight
	fetch     *fetch // a message whose further blocks the client gets now
}

// interest is one subscription of the session, with all observations of its filter. That of
// /mqtt/connection is what the session has been subscribed to otherwise: by proxy, or by
// another protocol.
type interest struct {
	subID  uint32
	filter string // with prefixes, as it stood in the path; "" of the connection
	plain  topic.Filter
	users  int
}

// asked is the observation that waits for core.
type asked struct {
	observation *observation
	interest    *interest
	at          place
}

// register begins an observation, or renews it. [Observe-4.1-1] [Observe-4.1-2]
func (m *Machine) register(t *core.Turn, s *scratch, a *protocols.Actions, q *request, x asking, at place) {
	in, err := interestOf(at)
	if err != nil {
		m.reply(t, a, x, failure(codes.BadRequest, "the topic cannot be observed: "+err.Error()))
		return
	}
	o := m.observed(x.token)
	if o != nil && o.interest.filter != at.topic {
		m.cancel(t, o) // the token is used for something else now
		o = nil
	}
	if o != nil {
		m.configure(o, q)
		m.introduce(t, a, q, x, o, at)
		m.keep(t, o)
		return
	}
	if len(m.observations) >= m.adapter.cfg.MaxObservations { // [Observe-4.1-3]
		m.refuse(t, core.SubscriptionLimit, "max_observations are held by this client")
		m.tell(t, a, q, x, at)
		return
	}
	o = &observation{token: x.token, format: none, data: at.surface == topicData}
	m.configure(o, q)
	if known := m.interestIn(at.topic); known != nil {
		in = known
	} else if !in.whole() {
		m.subscribe(t, s, a, o, in, at)
		return
	} else { // core has these subscriptions already
		m.interests = append(m.interests, in)
	}
	if in.whole() && q.accept == none {
		o.format = formatOctets // its topics may be of any type
	}
	m.begin(t, o, in)
	m.introduce(t, a, q, x, o, at)
}

// interestOf is what the observers of a place have in common.
func interestOf(at place) (*interest, error) {
	if at.surface == connection {
		return &interest{}, nil
	}
	sub, err := topic.ParseSubscription(at.topic, topic.Limits{})
	return &interest{filter: at.topic, plain: sub.Filter}, err
}

// whole says that it is the connection's.
func (in *interest) whole() bool { return in.filter == "" }

// configure reads what a request wants of its observation.
func (m *Machine) configure(o *observation, q *request) {
	o.accept = q.accept
	notify := m.adapter.cfg.Notify
	if v, ok := q.param("notify", "n"); ok {
		notify = v
	}
	o.latest = notify == notifyLatest
	v, _ := q.param("q", "qos")
	o.non = v == "0"
}

// subscribe asks core for the subscription behind an observation.
func (m *Machine) subscribe(t *core.Turn, s *scratch, a *protocols.Actions, o *observation, in *interest, at place) {
	m.subID++
	in.subID = m.subID
	m.asked = asked{observation: o, interest: in, at: at}
	m.operation++
	f := core.FilterRequest{Filter: in.filter, SubscribeOptions: core.SubscribeOptions{QoS: qosOf(o)}}
	if !wildcard(in.filter) {
		f.RetainHandling = 2 // the first answer shows it
	}
	o.interest = in
	m.keep(t, o) // committed before the subscription that the answer waits for
	m.hold(s, s.x, forSubscribe)
	_, reasons, pending := m.adapter.gw.Subscribe(t, *m.link.Load(), &core.SubscribeRequest{Token: m.operation, SubID: in.subID, MaxSubscribers: at.most, Limited: o.data, Filters: []core.FilterRequest{f}})
	if !pending {
		m.waiting = forNothing
		m.subscribed(t, s, a, reasons[0])
	}
}

// qosOf is the QoS of the subscription behind o. A confirmable notification is
// acknowledged, so nothing is lost on the way.
func qosOf(o *observation) uint8 {
	if o.non {
		return 0
	}
	return 1
}

// subscribed takes core's answer to a subscription.
func (m *Machine) subscribed(t *core.Turn, s *scratch, a *protocols.Actions, r core.Reason) {
	w := m.asked
	m.asked = asked{}
	if w.observation == nil && r == core.Success { // a call waits for it
		m.replies = w.interest
		m.actAnew(t, s, a)
		return
	}
	q, ok := m.unhold(s)
	if !ok {
		return
	}
	x := s.x
	if r != core.Success {
		if w.observation != nil {
			m.unkeep(t, w.observation)
		}
		if r == core.SubscriberLimit { // [PubSub-2.1-3] [PubSub-3.2-6]
			m.tell(t, a, q, x, w.at)
			return
		}
		m.reply(t, a, x, m.refusal(r, ""))
		return
	}
	m.interests = append(m.interests, w.interest)
	m.begin(t, w.observation, w.interest)
	m.readAnew(w.at.topic)
	m.introduce(t, a, q, x, w.observation, w.at)
}

// begin puts o into the books, and gives it what waited for it.
func (m *Machine) begin(t *core.Turn, o *observation, in *interest) {
	o.interest = in
	in.users++
	m.observations = append(m.observations, o)
	m.keep(t, o)
	m.unpark(t)
}

// introduce answers the request of an observation with the present state. [Observe-4.1-4]
func (m *Machine) introduce(t *core.Turn, a *protocols.Actions, q *request, x asking, o *observation, at place) {
	r, ready := m.present(t, q, at)
	if !ready {
		return
	}
	if r.code != codes.Content && r.code != codes.Valid { // [Observe-4.2-2]
		m.cancel(t, o)
		m.reply(t, a, x, r)
		return
	}
	if r.format >= 0 {
		o.format = r.format
	}
	r.observe = int64(o.number(t.Now()))
	m.reply(t, a, x, r)
}

// number gives the next Observe value: it grows with each notification, and from one run
// of the gateway to the next, as it follows the clock. [Observe-4.4-1]
func (o *observation) number(now int64) uint32 {
	const mask = 1<<24 - 1
	next := uint32(now/8) & mask // 125 a second: far fewer than 2^23 in 256 seconds
	if ahead := (next - o.sequence) & mask; o.numbered && (ahead == 0 || ahead >= 1<<23) {
		next = (o.sequence + 1) & mask
	}
	o.sequence, o.numbered = next, true
	return next
}

// deregister ends an observation as its client wishes. [Observe-3.6-1]
func (m *Machine) deregister(t *core.Turn, s *scratch, a *protocols.Actions, q *request, x asking, at place) {
	o := m.observed(x.token)
	if o == nil || o.interest.filter != at.topic {
		m.tell(t, a, q, x, at)
		return
	}
	in := o.interest
	m.cancel(t, o)
	if in.users > 0 || !m.durable || in.whole() {
		m.tell(t, a, q, x, at)
		return
	}
	m.operation++
	m.hold(s, s.x, forUnsubscribe)
	m.dropInterest(in)
	if _, pending := m.adapter.gw.Unsubscribe(t, *m.link.Load(), &core.UnsubscribeRequest{Token: m.operation, Filters: []string{in.filter}}); !pending {
		m.waiting = forNothing
		m.deregistered(t, s, a)
	}
}

// deregistered answers once core has forgotten the subscription.
func (m *Machine) deregistered(t *core.Turn, s *scratch, a *protocols.Actions) {
	if q, ok := m.unhold(s); ok {
		m.tell(t, a, q, s.x, m.adapter.cfg.locate(q.path))
	}
}

// observed finds the observation of a token.
func (m *Machine) observed(k token) *observation {
	for _, o := range m.observations {
		if o.token == k {
			return o
		}
	}
	return nil
}

func (m *Machine) interestIn(filter string) *interest {
	for _, in := range m.interests {
		if in.filter == filter {
			return in
		}
	}
	return nil
}

// cancel takes o out of the books. What waits for it waits for another observer where the
// session is durable, and is dropped by name otherwise.
func (m *Machine) cancel(t *core.Turn, o *observation) {
	m.observations = slices.DeleteFunc(m.observations, func(p *observation) bool { return p == o })
	m.unkeep(t, o)
	in := o.interest
	in.users--
	if o.fetch != nil {
		m.fetched(t, o)
	}
	if m.out != nil && m.out.note.of == o {
		f := m.out.note.what
		m.out = nil
		m.strand(t, f)
	}
	queue := o.queue
	o.queue = nil
	for _, f := range queue {
		m.unqueue(f)
		m.strand(t, f)
	}
	if in.users == 0 && !m.durable {
		m.dropInterest(in)
		if !in.whole() {
			m.adapter.gw.Unsubscribe(t, *m.link.Load(), &core.UnsubscribeRequest{Filters: []string{in.filter}})
		}
	}
	if len(m.parked) > 0 && len(m.observations) > 0 { // another one may be for it already
		m.unpark(t)
	}
}

func (m *Machine) dropInterest(in *interest) {
	m.interests = slices.DeleteFunc(m.interests, func(p *interest) bool { return p == in })
}

// cancelled is the end of an observation that the peer answered with a reset: it knows
// nothing of it. A durable session's subscription stays, for the peer may have restarted.
func (m *Machine) cancelled(t *core.Turn, o *observation, n *note) {
	if n != nil && !m.durable {
		m.finish(t, n.what, core.ReceiverRefused)
	} else if n != nil {
		m.strand(t, n.what)
	}
	m.cancel(t, o)
}

// ousted ends the observations of topic data whose subscription is one too many.
// [PubSub-2.3-5]
func (m *Machine) ousted(t *core.Turn, a *protocols.Actions, subID uint32) {
	i := slices.IndexFunc(m.interests, func(in *interest) bool { return in.subID == subID })
	if i < 0 {
		return // it has ended already
	}
	in := m.interests[i]
	for _, o := range slices.Clone(m.observations) {
		if o.interest == in && o.data {
			m.dismiss(t, a, o, failure(codes.NotFound, "fewer may observe the topic now"))
		}
	}
	if in.users == 0 && m.durable {
		m.dropInterest(in)
		m.adapter.gw.Unsubscribe(t, *m.link.Load(), &core.UnsubscribeRequest{Filters: []string{in.filter}})
	}
}

// dismiss ends o with a word.
func (m *Machine) dismiss(t *core.Turn, a *protocols.Actions, o *observation, r response) {
	m.say(t, a, m.encode(o, &r, false, m.newID()))
	m.cancel(t, o)
}

// goodbye ends every relation with a word. [Observe-4.2-2]
func (m *Machine) goodbye(t *core.Turn, a *protocols.Actions) {
	for _, o := range m.observations[:min(len(m.observations), goodbyes)] {
		r := m.busy("the session has ended")
		m.say(t, a, m.encode(o, &r, false, m.newID()))
	}
}

// goodbyes is how many observations hear that they are over: enough for a device, too few
// for an attack.
const goodbyes = 16
