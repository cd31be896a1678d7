package mqttsn

import (
	"slices"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// upward is a QoS 1 message of the client that waits for its PUBACK, which tells the topic
// id again.
type upward struct{ messageID, topicID uint16 }

// maxUpward bounds them: a client that obeys has one. [SN-6.6-3]
const maxUpward = 64

// publish takes a PUBLISH of the client. Its acknowledgement comes from core, with the
// deliveries and in their order.
func (m *Machine) publish(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	p := &s.publish
	if err := p.Decode(f); err != nil {
		return err
	}
	open := m.state == active || m.state == awake
	switch {
	case p.QoS == packet.QoSMinusOne && !open: // [SN-6.8-1]
		m.adapter.publishUnconnected(t, m.info, s)
		return nil
	case !open:
		return m.misplaced(t, a, f)
	case p.QoS == packet.QoSMinusOne:
		p.QoS = 0 // it is known who sends it: its rights count
	}
	name, ok := m.topicOf(p.IDType, p.TopicID)
	if !ok { // [SN-6.6-4] [SN-6.7-3]
		m.puback(t, a, p.TopicID, p.MessageID, packet.InvalidTopicID)
		return core.Errorf(core.TopicAliasInvalid, "PUBLISH with unknown topic id %d [SN-6.6-4]", p.TopicID)
	}
	m.relies(t, p)
	if m.repeated(p) {
		return nil // sent again before it was answered: one answer is enough
	}
	if a.Limited && a.Messages <= 0 { // [SN-6.6-5]
		m.puback(t, a, p.TopicID, p.MessageID, packet.Congestion)
		return core.Errorf(core.MessageRateTooHigh, "PUBLISH beyond the message or byte rates of the listener [SN-6.6-5]")
	}
	a.Messages--
	if p.QoS > 0 && m.refused(t, a, p) {
		return nil
	}
	s.message = core.Publish{Topic: name, Payload: p.Data, QoS: p.QoS, Retain: p.Retain, Dup: p.Dup}
	if p.QoS > 0 {
		s.message.PacketID = p.MessageID
	}
	pause, refused := m.adapter.gw.Publish(t, m.link, &s.message)
	s.message.Payload = nil
	switch {
	case refused == nil:
		m.congested = m.congested || pause
		return nil
	case refused.Reason == core.SessionTakenOver:
		m.put(t, a, &packet.Disconnect{})
		m.close(a, refused.Reason)
		return nil
	}
	m.forgetUpward(p.MessageID)
	m.puback(t, a, p.TopicID, p.MessageID, code(refused.Reason))
	return refused
}

// relies notes that the client uses a topic id that it was told unasked.
func (m *Machine) relies(t *core.Turn, p *packet.Publish) {
	if p.IDType != packet.NormalID {
		return
	}
	if e := m.topics.byID(p.TopicID); e != nil && e.told {
		e.told = false
		m.adapter.gw.Register(t, m.link, 0, core.Registration{ID: e.id, Topic: e.name})
	}
}

// repeated says that a QoS 1 PUBLISH waits for its acknowledgement already.
func (m *Machine) repeated(p *packet.Publish) bool {
	return p.QoS == 1 && slices.ContainsFunc(m.ups, func(u upward) bool { return u.messageID == p.MessageID })
}

// refused answers a QoS 1 or 2 PUBLISH that comes while core has asked to pause. [SN-6.6-5]
func (m *Machine) refused(t *core.Turn, a *protocols.Actions, p *packet.Publish) bool {
	switch {
	case m.congested || p.QoS == 1 && len(m.ups) >= maxUpward:
		m.puback(t, a, p.TopicID, p.MessageID, packet.Congestion)
		return true
	case p.QoS == 1:
		m.ups = append(m.ups, upward{p.MessageID, p.TopicID})
	}
	return false
}

func (m *Machine) forgetUpward(id uint16) (topicID uint16) {
	for i, u := range m.ups {
		if u.messageID == id {
			m.ups = slices.Delete(m.ups, i, i+1)
			if len(m.ups) == 0 {
				m.ups = nil
			}
			return u.topicID
		}
	}
	return packet.NoTopicID
}

// puback answers a PUBLISH, or refuses one of any QoS. [SN-6.6-2] [SN-5.4.13-2]
func (m *Machine) puback(t *core.Turn, a *protocols.Actions, topicID, id uint16, c packet.ReturnCode) {
	m.put(t, a, &packet.Topicack{Type: packet.TypePuback, TopicID: topicID, MessageID: id, Code: c})
}

// answerPublish sends core's answer to a PUBLISH or PUBREL of the client.
func (m *Machine) answerPublish(t *core.Turn, a *protocols.Actions, d *core.Delivery) {
	c := code(d.Reason)
	switch {
	case d.Kind == core.DeliverAck:
		m.puback(t, a, m.forgetUpward(d.PacketID), d.PacketID, c)
	case d.Kind == core.DeliverReceived && c != packet.Accepted:
		m.puback(t, a, packet.NoTopicID, d.PacketID, c) // PUBREC has no room for it
	case d.Kind == core.DeliverReceived:
		m.put(t, a, &packet.Ack{Type: packet.TypePubrec, MessageID: d.PacketID})
	case d.Kind == core.DeliverComplete:
		m.put(t, a, &packet.Ack{Type: packet.TypePubcomp, MessageID: d.PacketID})
	}
}
