package coap

import (
	"slices"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
	"github.com/fairlead-iot/fairlead/protocols"
)

// flight is one delivery on its way to all observations that it is for.
type flight struct {
	d     core.Delivery
	left  int  // observations that it was not told to yet
	told  bool // to one of them at least
	stays bool // one of them went away: it waits for another
}

// note is a notification: what, to whom.
type note struct {
	of    *observation
	what  *flight
	block bool // it shows the first block only
}

// fetch is a message of which an observer has the first block. [Block-2.6-1]
type fetch struct {
	msg   *core.Message
	what  *flight // nil when it was done with before
	until int64   // Unix milliseconds
}

// take takes what core has for the client.
func (m *Machine) take(t *core.Turn, a *protocols.Actions) {
	s := scratchOf(t)
	for more := true; more; {
		l := m.link.Load()
		if l == nil {
			return
		}
		s.taken, more = m.adapter.gw.Take(t, *l, s.taken[:0], takeBatch)
		for i := range s.taken {
			m.delivered(t, a, &s.taken[i])
		}
		more = more && len(s.taken) > 0
		clear(s.taken)
	}
}

// delivered takes one delivery.
func (m *Machine) delivered(t *core.Turn, a *protocols.Actions, d *core.Delivery) {
	switch d.Kind {
	case core.DeliverMessage:
		if !m.answered(t, a, d) {
			m.distribute(t, *d, false)
		}
	case core.DeliverAck, core.DeliverReceived:
		m.settled(t, a, d)
	case core.DeliverRelease:
		m.adapter.gw.Acknowledge(t, *m.link.Load(), core.AckComplete, d.PacketID, core.Success)
	}
}

// distribute gives a message to the observations that it is for. One that is for none is
// kept where the session is durable: its observer may come back. older puts it before what
// waits already.
func (m *Machine) distribute(t *core.Turn, d core.Delivery, older bool) {
	f := &flight{d: d}
	taken := false
	for c := byName; c <= byDefault; c++ {
		for _, o := range m.observations {
			if o.interest.takes(&d, c) {
				taken = true
				m.enqueue(t, o, f, older)
			}
		}
		if taken {
			return
		}
	}
	m.park(t, d)
}

// claim is on which ground an interest takes a delivery; the first that any has counts.
type claim uint8

const (
	byName    claim = iota // it is of this subscription
	byTopic                // subscribed by proxy, by another protocol, or long ago: it could be
	byDefault              // nobody else is there for it
)

// takes says that the interest has this claim to a delivery.
func (in *interest) takes(d *core.Delivery, c claim) bool {
	switch {
	case in.whole():
		return c == byDefault
	case c == byName:
		return d.SubID == in.subID || d.SubIDs != nil && slices.Contains(*d.SubIDs, in.subID)
	}
	return c == byTopic && topic.Match(string(in.plain), d.Topic())
}

// park keeps a message of a durable session whose observer is not there.
func (m *Machine) park(t *core.Turn, d core.Delivery) {
	gw := m.adapter.gw
	if d.QoS == 0 || !m.durable {
		gw.Drop(t, *m.link.Load(), d, core.NotObserved)
		return
	}
	if len(m.parked) >= m.adapter.cfg.MaxInflight-1 && len(m.observations) > 0 {
		gw.Drop(t, *m.link.Load(), m.parked[0], core.NotObserved) // others would wait for ever
		m.parked = m.parked[1:]
	}
	m.parked = append(m.parked, d)
}

// unpark offers what waits to the observations that there are now. All of it is older than
// what they were told: that went to them as well.
func (m *Machine) unpark(t *core.Turn) {
	waiting := m.parked
	m.parked = nil
	for _, d := range slices.Backward(waiting) {
		m.distribute(t, d, true)
	}
	slices.Reverse(m.parked) // those that are still for none
}

// enqueue puts f behind what waits for o or, if it is older, before that; or it takes its
// place.
func (m *Machine) enqueue(t *core.Turn, o *observation, f *flight, older bool) {
	if o.latest && older && len(o.queue) > 0 {
		f.left++
		m.finish(t, f, core.Superseded)
		return
	}
	if o.latest && len(o.queue) > 0 { // [Observe-4.5-4]
		old := o.queue[0]
		o.queue = o.queue[:0]
		m.unqueue(old)
		m.finish(t, old, core.Superseded)
	}
	f.left++
	if f.d.QoS == 0 {
		if m.backlog >= m.adapter.cfg.MaxBacklog {
			m.finish(t, f, core.OutgoingFull)
			return
		}
		m.backlog++
	}
	if older {
		o.queue = slices.Insert(o.queue, 0, f)
		return
	}
	o.queue = append(o.queue, f)
}

// unqueue counts f out of a queue.
func (m *Machine) unqueue(f *flight) {
	if f.d.QoS == 0 {
		m.backlog--
	}
}

// finish ends f for one observation: Success tells that it was told.
func (m *Machine) finish(t *core.Turn, f *flight, r core.Reason) {
	f.left--
	f.told = f.told || r == core.Success
	if f.left > 0 || f.d.Msg == nil {
		return
	}
	d, l, gw := f.d, m.link.Load(), m.adapter.gw
	f.d.Msg = nil
	if l == nil {
		return
	}
	kind := core.AckReceived1
	if d.QoS == 2 {
		kind = core.AckReceived2
	}
	switch {
	case f.stays && !f.told:
		m.park(t, d)
	case f.told && d.QoS > 0:
		gw.Acknowledge(t, *l, kind, d.PacketID, core.Success)
	case f.told:
	case r == core.ReceiverRefused && d.QoS > 0:
		gw.Acknowledge(t, *l, kind, d.PacketID, r)
	default:
		gw.Drop(t, *l, d, r)
	}
}

// strand ends f for an observation that is no more.
func (m *Machine) strand(t *core.Turn, f *flight) {
	f.stays = f.stays || m.durable && f.d.QoS > 0
	m.finish(t, f, core.NotObserved)
}

// pump sends what may be sent now: answers that come apart first, then notifications, one
// observation after the other. [CoAP-4.7-1] Who waits for its first answer is told of
// nothing before.
func (m *Machine) pump(t *core.Turn, a *protocols.Actions) {
	if m.waiting == forRead {
		return
	}
	if len(m.apart) > 0 && m.mayConfirm(t, a) {
		c := m.apart[0]
		m.apart = slices.Delete(m.apart, 0, 1)
		m.transmit(t, a, c)
	}
	for idle := 0; idle < len(m.observations); {
		m.next++
		if m.next >= len(m.observations) {
			m.next = 0
		}
		if m.notify(t, a, m.observations[m.next]) {
			idle = 0
		} else {
			idle++
		}
	}
}

// notify sends o its next notification; false says that there is none, or that it has
// to wait.
func (m *Machine) notify(t *core.Turn, a *protocols.Actions, o *observation) bool {
	now := t.Now()
	if len(o.queue) == 0 || o.fetch != nil {
		return false
	}
	if m.stream != nil {
		return m.notifyStream(t, a, o)
	}
	confirmed := !o.non || m.rtt == 0 || now-o.confirmed >= confirmEvery // [Observe-4.5-2]
	if confirmed && !m.mayConfirm(t, a) || !confirmed && o.notBefore > now {
		return false
	}
	f := o.queue[0]
	o.queue = slices.Delete(o.queue, 0, 1)
	m.unqueue(f)
	r, drop := m.notification(t, o, f)
	switch {
	case drop != core.Success:
		m.finish(t, f, drop)
	case r.code != codes.Content: // [Observe-4.2-1] [Observe-4.2-2]
		m.say(t, a, m.encode(o, &r, false, m.newID()))
		m.finish(t, f, core.PayloadFormatInvalid)
		m.cancel(t, o)
	case confirmed:
		o.confirmed = now
		id := m.newID()
		m.transmit(t, a, &confirm{id: id, bytes: m.encode(o, &r, true, id), note: note{o, f, r.block2.more}})
	default:
		o.lastNon, o.saidNon = m.newID(), true
		o.notBefore = now + m.rtt // [Observe-4.5-1]
		m.say(t, a, m.encode(o, &r, false, o.lastNon))
		m.noted(t, note{o, f, r.block2.more})
	}
	return true
}

// notifyStream sends o its next notification over a reliable transport.
func (m *Machine) notifyStream(t *core.Turn, a *protocols.Actions, o *observation) bool {
	f := o.queue[0]
	o.queue = slices.Delete(o.queue, 0, 1)
	m.unqueue(f)
	r, drop := m.notification(t, o, f)
	switch {
	case drop != core.Success:
		m.finish(t, f, drop)
	case r.code != codes.Content:
		m.say(t, a, m.encode(o, &r, false, 0))
		m.finish(t, f, core.PayloadFormatInvalid)
		m.cancel(t, o)
	default:
		m.say(t, a, m.encode(o, &r, false, 0))
		if f.d.QoS > 0 && !r.block2.more {
			m.told(f)
		} else {
			m.noted(t, note{o, f, r.block2.more})
		}
	}
	return true
}

// confirmEvery is how long an observer may go without a confirmable notification,
// milliseconds.
const confirmEvery = 24 * 60 * 60 * 1000

// notification is what tells o of f, or why it is not told.
func (m *Machine) notification(t *core.Turn, o *observation, f *flight) (response, core.Reason) {
	msg := f.d.Msg
	if left, ok := msg.RemainingExpiry(t.Now()); ok && left == 0 && !f.d.Dup {
		return response{}, core.MessageExpired
	}
	if o.data && len(msg.Payload) == 0 { // [PubSub-3.2-5]
		return failure(codes.NotFound, "the topic's value was deleted"), core.Success
	}
	format := m.formatOf(o, msg)
	if format == notAcceptable {
		return failure(codes.NotAcceptable, "it is of type "+msg.Properties.ContentType), core.Success
	}
	if o.format != format {
		o.format = format
		m.keep(t, o)
	}
	if st := m.stream; st != nil && !st.blocks && len(msg.Payload)+overhead > st.maxMessage { // [TCP-5.3.1-1]
		return response{}, core.TooLargeForReceiver
	}
	r := answer(codes.Content)
	if o.interest.whole() {
		var ok bool
		if r.location, ok = m.adapter.cfg.location(f.d.Topic()); !ok {
			return response{}, core.TooLargeForReceiver
		}
	}
	r.etag, r.format, r.maxAge = etag(msg), format, maxAge(t, msg)
	r.observe = int64(o.number(t.Now()))
	return m.cut(r, msg.Payload, block{}), core.Success
}

// formatOf is the Content-Format in which o is told of msg: always the same. Octets are
// what any message is.
func (m *Machine) formatOf(o *observation, msg *core.Message) int64 {
	switch {
	case o.format == none:
		return m.formatFor(msg, o.accept)
	case o.format == formatOctets && o.accept == none:
		return formatOctets
	}
	return m.formatFor(msg, o.format)
}

// encode makes the datagram of a notification.
func (m *Machine) encode(o *observation, r *response, confirmable bool, id uint16) []byte {
	msg := message.Message{Type: message.NonConfirmable, MessageID: int32(id), Code: r.code, Token: o.token.bytes(), Options: r.options(make(message.Options, 0, 8)), Payload: r.payload}
	if confirmable {
		msg.Type = message.Confirmable
	}
	if m.stream != nil {
		return appendStream(nil, &msg)
	}
	return appendMessage(nil, &msg)
}

// renew puts a newer state in the place of the one that is being repeated; the count of
// repetitions goes on. [Observe-4.5-5]
func (m *Machine) renew(t *core.Turn, c *confirm) {
	o := c.note.of
	if !o.latest || len(o.queue) == 0 {
		return
	}
	f := o.queue[0]
	r, drop := m.notification(t, o, f)
	if drop != core.Success || r.code != codes.Content {
		return // its own turn will come
	}
	o.queue = slices.Delete(o.queue, 0, 1)
	m.unqueue(f)
	m.finish(t, c.note.what, core.Superseded)
	c.id = m.newID()
	c.bytes = m.encode(o, &r, true, c.id)
	c.note = note{o, f, r.block2.more}
}

// noted is the end of a notification that reached its client.
func (m *Machine) noted(t *core.Turn, n note) {
	if !n.block {
		m.finish(t, n.what, core.Success)
		return
	}
	n.of.fetch = &fetch{msg: n.what.d.Msg, what: n.what, until: m.fetchUntil(t)}
}

// fetchUntil is until when a client has to ask for the next block.
func (m *Machine) fetchUntil(t *core.Turn) int64 {
	return t.Now() + 4*m.adapter.cfg.AckTimeout.Milliseconds()
}

// fetching finds the observation whose message the client gets block by block. Who asks
// for the second block has the first, even before it is acknowledged.
func (m *Machine) fetching(t *core.Turn, filter string) *observation {
	if c := m.out; c != nil && c.note.of != nil && c.note.block && c.note.of.interest.filter == filter {
		m.out = nil
		m.noted(t, c.note)
	}
	for _, o := range m.observations {
		if o.fetch != nil && o.interest.filter == filter {
			return o
		}
	}
	return nil
}

// serveBlock answers with a further block of what an observer was told. [Block-2.6-1]
func (m *Machine) serveBlock(t *core.Turn, a *protocols.Actions, q *request, x asking, o *observation) {
	r := m.content(t, q, o.fetch.msg, o.format)
	o.fetch.until = m.fetchUntil(t)
	m.reply(t, a, x, r)
	if r.code == codes.Content && !r.block2.more {
		m.fetched(t, o)
	}
}

// fetched is the end of a transfer: the client has it all, or asked no more.
func (m *Machine) fetched(t *core.Turn, o *observation) {
	f := o.fetch.what
	o.fetch = nil
	m.finish(t, f, core.Success)
}
