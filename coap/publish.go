package coap

import (
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
	"github.com/fairlead-iot/fairlead/protocols"
)

// publication is a message that a request makes, beyond its payload.
type publication struct {
	topic  string
	qos    uint8
	retain bool
	expiry int64            // seconds, or none
	reply  response         // once it is done
	after  func(*core.Turn) // what follows then, if not nil
}

// put publishes what PUT or POST brings.
func (m *Machine) put(t *core.Turn, s *scratch, a *protocols.Actions, q *request, x asking, at place) {
	p := publication{topic: at.topic, expiry: none, reply: answer(codes.Changed)}
	if q.kind == message.Confirmable { // what was asked to be confirmed is confirmed
		p.qos = 1
	}
	if r, bad := p.options(q); bad {
		m.reply(t, a, x, r)
		return
	}
	seconds, asked, r := q.waits()
	switch {
	case asked && r.code != 0:
		m.reply(t, a, x, r)
	case asked:
		if _, err := topic.ParseName(p.topic); err != nil {
			m.reply(t, a, x, failure(codes.BadRequest, "the topic is not valid: "+err.Error()))
			return
		}
		m.call(t, s, a, q, x, p, seconds)
	default:
		m.publish(t, a, q, x, p)
	}
}

// options reads the query parameters of a publication.
func (p *publication) options(q *request) (r response, bad bool) {
	if v, ok := q.param("q", "qos"); ok {
		n, err := strconv.ParseUint(v, 10, 8)
		if err != nil || n > 2 {
			return failure(codes.BadRequest, "qos must be 0, 1 or 2"), true
		}
		p.qos = uint8(n)
	}
	if v, ok := q.param("r", "retain"); ok {
		on, err := strconv.ParseBool(v)
		if err != nil && v != "" {
			return failure(codes.BadRequest, "retain must be true or false"), true
		}
		p.retain = on || v == ""
	}
	if q.maxAge >= 0 {
		p.expiry = q.maxAge
	}
	if v, ok := q.param("e", "expiry"); ok {
		n, err := strconv.ParseUint(v, 10, 32)
		if err != nil {
			return failure(codes.BadRequest, "expiry must be a number of seconds"), true
		}
		p.expiry = int64(n)
	}
	return response{}, false
}

// publish hands a message to core. At QoS 1 and 2 the answer waits until the message has
// the durability that its receivers were promised, at QoS 0 until it is known whether it is
// allowed. False: core has nothing of it; it was answered already, or is held.
func (m *Machine) publish(t *core.Turn, a *protocols.Actions, q *request, x asking, p publication) (taken bool) {
	l := *m.link.Load()
	if _, err := topic.ParseName(p.topic); err != nil {
		m.reply(t, a, x, failure(codes.BadRequest, "the topic is not valid: "+err.Error()))
		return false
	}
	switch r, failed, ready := m.condition(t, q, p.topic); {
	case !ready:
		return false
	case failed:
		m.reply(t, a, x, r)
		return false
	}
	msg := m.outgoing(q, p)
	if q.code == codes.DELETE {
		msg.Payload = nil
	}
	if p.qos == 0 {
		reason, late := m.adapter.gw.Allowed(t, l, &msg)
		if !late {
			m.adapter.gw.Publish(t, l, &msg) // counts what it refuses
			m.published(t, a, x, reason, p.reply)
			return reason == core.Success
		}
		msg.Answer = true
	}
	if len(m.pending) >= m.adapter.cfg.MaxPending {
		m.refuse(t, core.QuotaExceeded, "max_pending requests wait for their answer")
		m.reply(t, a, x, m.busy("too many requests wait for their answer"))
		return false
	}
	msg.PacketID = m.newPacketID()
	m.later(t, x, msg.PacketID, &p)
	if _, err := m.adapter.gw.Publish(t, l, &msg); err != nil {
		m.pending = m.pending[:len(m.pending)-1]
		m.reply(t, a, x, m.refusal(err.Reason, err.Detail))
		return false
	}
	return true
}

// outgoing is the message in core's words.
func (m *Machine) outgoing(q *request, p publication) core.Publish {
	msg := core.Publish{Topic: p.topic, Payload: q.payload, QoS: p.qos, Retain: p.retain, Properties: m.properties(q)}
	if p.expiry >= 0 {
		msg.Expiry, msg.HasExpiry = uint32(p.expiry), true
	}
	return msg
}

// published answers a publication. [CoAP-5.8.3-1]
func (m *Machine) published(t *core.Turn, a *protocols.Actions, x asking, r core.Reason, done response) {
	if r == core.Success || r == core.NoMatchingSubscribers {
		m.reply(t, a, x, done)
		return
	}
	m.reply(t, a, x, m.refusal(r, ""))
}

// settled takes core's acknowledgement of a publication.
func (m *Machine) settled(t *core.Turn, a *protocols.Actions, d *core.Delivery) {
	i := slices.IndexFunc(m.pending, func(p pending) bool { return p.packetID == d.PacketID })
	if d.Kind == core.DeliverReceived && (d.Reason == core.Success || d.Reason == core.NoMatchingSubscribers) {
		m.adapter.gw.Acknowledge(t, *m.link.Load(), core.AckRelease, d.PacketID, core.Success)
	}
	if i < 0 {
		m.callSettled(t, a, d)
		return
	}
	p := m.pending[i]
	m.pending = slices.Delete(m.pending, i, i+1)
	if p.after != nil && (d.Reason == core.Success || d.Reason == core.NoMatchingSubscribers) {
		p.after(t)
	}
	m.published(t, a, p.asking, d.Reason, p.done)
}

// newPacketID gives an identifier towards core that no request waits for.
func (m *Machine) newPacketID() uint16 {
	for {
		m.packetID++
		free := !slices.ContainsFunc(m.pending, func(p pending) bool { return p.packetID == m.packetID }) &&
			!slices.ContainsFunc(m.calls, func(c call) bool { return c.packetID == m.packetID })
		if m.packetID != 0 && free {
			return m.packetID
		}
	}
}

// condition checks If-Match and If-None-Match against the retained message.
// [CoAP-5.10.8.1-1] [CoAP-5.10.8.2-1]
func (m *Machine) condition(t *core.Turn, q *request, name string) (r response, failed, ready bool) {
	if !q.ifNone && len(q.ifMatch) == 0 {
		return r, false, true
	}
	kept, reason, ready := m.read(t, name)
	switch {
	case !ready:
		return r, false, false
	case reason != core.Success:
		return m.refusal(reason, ""), true, true
	case q.ifNone && kept != nil:
		return failure(codes.PreconditionFailed, "there is a value already"), true, true
	case len(q.ifMatch) == 0:
		return r, false, true
	case kept != nil && slices.ContainsFunc(q.ifMatch, func(tag []byte) bool {
		return len(tag) == 0 || slices.Equal(tag, etag(kept))
	}):
		return r, false, true
	}
	return failure(codes.PreconditionFailed, "the value is another one"), true, true
}

// properties are what a request tells of its message beyond topic and payload.
func (m *Machine) properties(q *request) *core.Properties {
	p := core.Properties{}
	if q.format >= 0 {
		p.ContentType = m.adapter.formats.name(q.format)
		if q.format == formatText {
			p.PayloadFormat = 1
		}
	}
	p.ResponseTopic, _ = q.param("rt", "response_topic")
	if v, ok := q.param("cd", "correlation_data"); ok {
		b, err := hex.DecodeString(v)
		if err != nil {
			b = []byte(v)
		}
		p.CorrelationData = b
	}
	if _, err := topic.ParseName(p.ResponseTopic); err != nil {
		p.ResponseTopic = ""
	}
	if p.ContentType == "" && p.ResponseTopic == "" && p.CorrelationData == nil {
		return nil
	}
	return &p
}
