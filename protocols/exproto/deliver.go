package exproto

import (
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols/exproto/pb"
)

// takeBatch is how many deliveries are taken at once.
const takeBatch = 4

// deliver takes what core has for the client, as far as there is room for it; what is not
// taken waits in core, which knows its bounds.
func (m *Machine) deliver(t *core.Turn) {
	var few [takeBatch]core.Delivery
	for m.more && m.lane.roomFor(m) {
		var batch []core.Delivery
		m.called.Store(false) // what comes from here on calls again
		batch, m.more = m.gw.Take(t, m.link, few[:0], takeBatch)
		for i := range batch {
			m.take(t, &batch[i])
		}
		if len(batch) == 0 {
			break
		}
	}
	if m.more {
		m.called.Store(true)
	}
}

// take sorts one item.
func (m *Machine) take(t *core.Turn, d *core.Delivery) {
	switch d.Kind {
	case core.DeliverMessage:
		m.message(t, d)
	case core.DeliverRelease:
		m.released(t, d)
	case core.DeliverAck, core.DeliverReceived, core.DeliverComplete:
		m.published(d)
	}
}

// message sends one message, unless it is too late or too large for this listener.
func (m *Machine) message(t *core.Turn, d *core.Delivery) {
	topic := d.Topic()
	switch {
	case d.Msg.Expired(t.Now()) && !d.Dup:
		m.gw.Drop(t, m.link, *d, core.MessageExpired)
		return
	case len(topic)+len(d.Msg.Payload) > m.listener.Config().MaxPacketSize:
		m.gw.Drop(t, m.link, *d, core.TooLargeForReceiver)
		return
	}
	s := sending{d: *d}
	if d.QoS > 0 {
		m.sent = append(m.sent, s)
	}
	m.tell(&s, t.Now())
}

// released passes on that a QoS 2 message will not come again.
func (m *Machine) released(t *core.Turn, d *core.Delivery) {
	if d.Reason == core.PacketIDNotFound {
		return // acks for nothing are told before they reach core
	}
	for i := range m.sent {
		if s := &m.sent[i]; s.d.PacketID == d.PacketID {
			s.released = true
			m.tell(s, t.Now())
			return
		}
	}
	m.sent = append(m.sent, sending{d: core.Delivery{PacketID: d.PacketID, QoS: 2}, released: true}) // of a former connection
	m.tell(&m.sent[len(m.sent)-1], t.Now())
}

// tell sends what the handler has to acknowledge next, again or for the first time.
func (m *Machine) tell(s *sending, now int64) {
	switch {
	case s.released:
		m.say(&pb.Event{What: &pb.Event_Released{Released: &pb.Released{PacketId: uint32(s.d.PacketID)}}})
	case s.d.Msg != nil:
		m.say(&pb.Event{What: &pb.Event_Message{Message: messageOf(&s.d, now)}})
	}
}

// messageOf translates a delivery. Payload is the message's own bytes, which are immutable.
func messageOf(d *core.Delivery, now int64) *pb.Message {
	out := &pb.Message{Topic: d.Topic(), Payload: d.Msg.Payload, Qos: uint32(d.QoS), Retain: d.Retain, Dup: d.Dup, PacketId: uint32(d.PacketID)}
	if seconds, ok := d.Msg.RemainingExpiry(now); ok { // [MQTT-3.3.2-6]
		out.Expiry = &seconds
	}
	if p := d.Msg.Properties; p != nil {
		out.Properties = &pb.Properties{Text: p.PayloadFormat == 1, ContentType: p.ContentType, ResponseTopic: p.ResponseTopic, Correlation: p.CorrelationData}
		for _, u := range p.User {
			out.Properties.User = append(out.Properties.User, &pb.UserProperty{Name: u.Name, Value: u.Value})
		}
	}
	return out
}

// published answers a publish or release. Core answers each kind in the order of asking.
func (m *Machine) published(d *core.Delivery) {
	for i, u := range m.ups {
		if u.kind != d.Kind || u.id != d.PacketID {
			continue
		}
		m.ups = append(m.ups[:i], m.ups[i+1:]...)
		if len(m.ups) == 0 {
			m.ups = nil
		}
		ok := d.Reason == core.Success || d.Reason == core.NoMatchingSubscribers
		m.result(u.asking, &pb.Result{Ok: ok, Reason: d.Reason.String()})
		return
	}
}
