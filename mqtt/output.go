package mqtt

import (
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// Output implements protocols.Machine.
func (m *Machine) Output(t *core.Turn, o *protocols.Out) (more bool) {
	s := scratchOf(t)
	sent := uint64(0)
	for more = true; more && !m.broken && o.Len() < o.Limit; {
		var batch []core.Delivery
		batch, more = m.adapter.gw.Take(t, m.link, s.taken[:0], takeBatch)
		for i := range batch {
			if m.broken {
				break
			}
			if m.send(t, s, o, &batch[i]) {
				sent++
			}
		}
		if len(batch) == 0 {
			break
		}
		clear(batch) // the scratch must not hold messages
		s.taken = batch[:0]
	}
	t.Count(core.PacketsSent, sent)
	return more && !m.broken
}

// send encodes one delivery; false when nothing went out.
func (m *Machine) send(t *core.Turn, s *scratch, o *protocols.Out, d *core.Delivery) bool {
	s.aside = false
	if ways := m.streams(); ways != nil {
		way := ways.route(d)
		s.aside = way != 0
		o.By(way)
	}
	switch d.Kind {
	case core.DeliverMessage:
		return m.sendMessage(t, s, o, d)
	case core.DeliverAck:
		return m.sendAck(s, o, packet.TypePuback, d)
	case core.DeliverReceived:
		return m.sendAck(s, o, packet.TypePubrec, d)
	case core.DeliverRelease:
		o.Buf = packet.AppendAck(o.Buf, m.version, packet.TypePubrel, d.PacketID, code(d.Reason, packet.TypePubrel))
	case core.DeliverComplete:
		o.Buf = m.appendAck(o.Buf, s, packet.TypePubcomp, d.PacketID, d.Reason)
	}
	return true
}

// sendMessage encodes a PUBLISH, or drops it where it is too large for the client
// or lapsed on the way here.
func (m *Machine) sendMessage(t *core.Turn, s *scratch, o *protocols.Out, d *core.Delivery) bool {
	topic, out := d.Topic(), &s.outgoing
	*out = packet.Outgoing{
		Topic:    borrow(topic),
		Payload:  d.Msg.Payload,
		QoS:      d.QoS,
		Dup:      d.Dup, // [MQTT-3.3.1-1] [MQTT-3.3.1-3]
		Retain:   d.Retain,
		PacketID: d.PacketID,
	}
	var slot *aliasSlot
	if m.version == packet.V5 {
		if !m.addProperties(t, s, d) {
			m.drop(t, d, core.MessageExpired) // [MQTT-3.3.2-5]
			return false
		}
		if !s.aside { // an alias may reach the client before the topic that it stands for
			slot = m.chooseAlias(out, topic)
		}
		if !m.fitsMessage(out) {
			// [MQTT-3.1.2-24] [MQTT-3.1.2-25]
			m.drop(t, d, core.TooLargeForReceiver)
			return false
		}
	}
	if slot != nil {
		slot.note(topic, out.TopicAlias != 0)
	}
	if len(out.Payload) <= protocols.ReferenceAbove {
		o.Buf = out.Append(o.Buf, m.version)
		return true
	}
	o.Buf = out.AppendHead(o.Buf, m.version)
	o.Ref(out.Payload)
	return true
}

// drop leaves a message out.
func (m *Machine) drop(t *core.Turn, d *core.Delivery, r core.Reason) {
	if ways := m.streams(); ways != nil {
		ways.settled(d.PacketID)
	}
	m.adapter.gw.Drop(t, m.link, *d, r)
}

// addProperties fills in what MQTT 5 adds; false when the message lapsed and was
// never sent before.
func (m *Machine) addProperties(t *core.Turn, s *scratch, d *core.Delivery) bool {
	out := &s.outgoing
	out.Shared = shared(d.Msg)
	if out.Expiry, out.HasExpiry = d.Msg.RemainingExpiry(t.Now()); out.HasExpiry { // [MQTT-3.3.2-6]
		if out.Expiry == 0 && !d.Dup { // [MQTT-4.3.3-7]
			return false
		}
	}
	switch { // [MQTT-3.3.4-3] [MQTT-3.3.4-4]
	case d.SubIDs != nil:
		out.SubscriptionIDs = *d.SubIDs
	case d.SubID != 0:
		s.one[0] = d.SubID
		out.SubscriptionIDs = s.one[:]
	}
	return true
}

// fitsMessage says whether the client takes the PUBLISH, if need be without the
// alias that it would learn.
func (m *Machine) fitsMessage(out *packet.Outgoing) bool {
	if m.maxPacket == 0 || m.fits(out.Size(m.version)) {
		return true
	}
	if out.TopicAlias == 0 || len(out.Topic) == 0 {
		return false
	}
	out.TopicAlias = 0
	return m.fits(out.Size(m.version))
}

// sendAck answers a PUBLISH of the client.
func (m *Machine) sendAck(s *scratch, o *protocols.Out, kind packet.Type, d *core.Delivery) bool {
	if m.version != packet.V5 && code(d.Reason, kind).Failed() && !(m.adapter.cfg.AcknowledgeRefused && byPolicy(d.Reason)) {
		// Before version 5 there is no refusal, and an acknowledgement would be a
		// lie. [MQTT311-3.3.5-2] [MQTT311-4.8.0-2]
		m.broken = true
		m.conn.Close(d.Reason)
		return false
	}
	o.Buf = m.appendAck(o.Buf, s, kind, d.PacketID, d.Reason)
	return true
}

// byPolicy says whether r refused a message for what it is, so that sending it again
// would not help. [MQTT31-3.3-1]
func byPolicy(r core.Reason) bool {
	switch r {
	case core.NotAuthorized, core.TopicNameInvalid, core.PayloadFormatInvalid, core.RetainNotSupported, core.QoSNotSupported:
		return true
	}
	return false
}

// appendAck appends an acknowledgement, with a Reason String where it tells of a
// failure. [MQTT-2.2.1-5]
func (m *Machine) appendAck(dst []byte, s *scratch, kind packet.Type, id uint16, r core.Reason) []byte {
	c := code(r, kind)
	if m.version != packet.V5 || !c.Failed() || m.noProblem || !m.adapter.cfg.ReasonStrings {
		return packet.AppendAck(dst, m.version, kind, id, c)
	}
	p := &s.ackOut
	p.Properties.Reset()
	p.Type, p.PacketID, p.Reason = kind, id, c
	// [MQTT-3.4.2-2] [MQTT-3.5.2-2] [MQTT-3.7.2-2]
	m.diagnose(&p.Properties, r, func() int { return p.Size(packet.V5) })
	return p.Append(dst, packet.V5)
}
