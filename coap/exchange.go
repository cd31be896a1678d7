package coap

import (
	"bytes"
	"crypto/rand"
	"slices"
	"strconv"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
	"github.com/fairlead-iot/fairlead/protocols"
)

// A CoAP request with the query wait=SECONDS is an MQTT 5 request: it is published with a
// Response Topic of the client's own and Correlation Data, and what comes there with the
// same data is its answer.

// call is such a request under way.
type call struct {
	asking
	correlation []byte
	packetID    uint16
	ackAt       int64 // as in pending
	until       int64 // Unix milliseconds
}

// correlationSize is how many random bytes tell responses apart.
const correlationSize = 8

// waits reads the query wait.
func (q *request) waits() (seconds int, asked bool, r response) {
	v, asked := q.param("wait", "w")
	n, err := strconv.ParseUint(v, 10, 16)
	if asked && (err != nil || n == 0) {
		return 0, true, failure(codes.BadRequest, "wait must be a number of seconds")
	}
	return int(n), asked, r
}

// call begins a request that waits for its response.
func (m *Machine) call(t *core.Turn, s *scratch, a *protocols.Actions, q *request, x asking, p publication, seconds int) {
	reply, ok := topic.Expand(m.adapter.cfg.ReplyTopic, m.session, m.who.username)
	switch {
	case !ok:
		m.reply(t, a, x, failure(codes.BadRequest, "the client id or user name cannot be part of a topic"))
		return
	case !m.proven: // the answer may be long, and the request must not be done twice [Echo-2.4-1]
		m.challenge(t, a, x)
		return
	case len(m.pending)+len(m.calls) >= m.adapter.cfg.MaxPending:
		m.refuse(t, core.QuotaExceeded, "max_pending requests wait for their answer")
		m.reply(t, a, x, m.busy("too many requests wait for their answer"))
		return
	case m.replies == nil:
		m.hearReplies(t, s, a, reply)
		return
	}
	c := call{asking: x, correlation: make([]byte, correlationSize), until: t.Now() + int64(min(seconds, int(m.adapter.cfg.MaxWait.Seconds())))*1000}
	rand.Read(c.correlation) // never fails
	c.ackAt = m.ackAt(t, x)
	msg := m.outgoing(q, p)
	props := core.Properties{}
	if msg.Properties != nil {
		props = *msg.Properties
	}
	props.ResponseTopic, props.CorrelationData = reply, c.correlation
	msg.Properties = &props
	gw, l := m.adapter.gw, *m.link.Load()
	reason, late := gw.Allowed(t, l, &msg)
	if reason != core.Success {
		m.reply(t, a, x, m.refusal(reason, ""))
		return
	}
	if msg.Answer = p.qos == 0 && late; p.qos > 0 || late {
		c.packetID = m.newPacketID()
		msg.PacketID = c.packetID
	}
	m.calls = append(m.calls, c)
	if _, err := gw.Publish(t, l, &msg); err != nil {
		m.calls = m.calls[:len(m.calls)-1]
		m.reply(t, a, x, m.refusal(err.Reason, err.Detail))
	}
}

// hearReplies subscribes to the client's Response Topic; the request is served anew then.
func (m *Machine) hearReplies(t *core.Turn, s *scratch, a *protocols.Actions, reply string) {
	m.subID++
	in := &interest{subID: m.subID, filter: reply, plain: topic.Filter(reply), users: 1}
	m.asked = asked{interest: in}
	m.operation++
	m.hold(s, s.x, forSubscribe)
	f := core.FilterRequest{Filter: reply, SubscribeOptions: core.SubscribeOptions{QoS: 1, RetainHandling: 2}}
	_, reasons, pending := m.adapter.gw.Subscribe(t, *m.link.Load(), &core.SubscribeRequest{Token: m.operation, SubID: in.subID, Filters: []core.FilterRequest{f}})
	if !pending {
		m.waiting = forNothing
		m.subscribed(t, s, a, reasons[0])
	}
}

// answered looks whether d is the response to a call, and answers it.
func (m *Machine) answered(t *core.Turn, a *protocols.Actions, d *core.Delivery) bool {
	if m.replies == nil || d.Topic() != m.replies.filter {
		return false
	}
	done := core.ReceiverRefused // too late, or to somebody else's request
	if p := d.Msg.Properties; p != nil {
		i := slices.IndexFunc(m.calls, func(c call) bool { return bytes.Equal(c.correlation, p.CorrelationData) })
		if i >= 0 {
			c := m.calls[i]
			m.calls = slices.Delete(m.calls, i, i+1)
			r := answer(codes.Content)
			if r.format = m.adapter.formats.of(d.Msg); r.format == none {
				r.format = formatOctets
			}
			r.payload = d.Msg.Payload
			if len(r.payload) > 16<<m.adapter.szx && m.stream == nil {
				r = failure(codes.InternalServerError, "the response is larger than one block")
			}
			m.reply(t, a, c.asking, r)
			done = core.Success
		}
	}
	if done != core.Success && m.observes(d) {
		return false
	}
	f := &flight{d: *d, left: 1}
	m.finish(t, f, done)
	return true
}

// observes says that an observation is for d, too.
func (m *Machine) observes(d *core.Delivery) bool {
	return slices.ContainsFunc(m.observations, func(o *observation) bool { return o.interest.takes(d, byName) || o.interest.takes(d, byTopic) })
}

// callSettled takes the acknowledgement of a call's publication; false when it is none's.
func (m *Machine) callSettled(t *core.Turn, a *protocols.Actions, d *core.Delivery) bool {
	i := slices.IndexFunc(m.calls, func(c call) bool { return c.packetID != 0 && c.packetID == d.PacketID })
	if i < 0 {
		return false
	}
	switch d.Reason {
	case core.Success:
		m.calls[i].packetID = 0
		return true
	case core.NoMatchingSubscribers: // [MQTT 4.10]: nobody will respond
		d.Reason = core.Success
		m.endCall(t, a, i, failure(codes.GatewayTimeout, "nobody takes this request"))
		return true
	}
	m.endCall(t, a, i, m.refusal(d.Reason, ""))
	return true
}

func (m *Machine) endCall(t *core.Turn, a *protocols.Actions, i int, r response) {
	c := m.calls[i]
	m.calls = slices.Delete(m.calls, i, i+1)
	m.reply(t, a, c.asking, r)
}

// callsDue acknowledges calls that take long, and ends those that took too long.
func (m *Machine) callsDue(t *core.Turn, a *protocols.Actions) {
	for i := len(m.calls) - 1; i >= 0; i-- {
		c := &m.calls[i]
		if c.until <= t.Now() {
			m.endCall(t, a, i, failure(codes.GatewayTimeout, "no response came in time"))
		} else if c.ackAt != 0 && c.ackAt <= t.Now() {
			c.ackAt = 0
			m.acknowledge(t, a, c.asking)
			c.acked = true
		}
	}
}
