package machine

import (
	"fmt"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Input takes the whole packets at the start of in, appends the answers and what the window
// now lets go, and tells how many bytes it used; the caller brings the rest again with
// more behind it. An error means that the connection is to be closed: ErrRefused,
// ErrDisconnected, or what the server did wrong, of which Out then tells it where MQTT 5
// has words.
func (m *Machine) Input(t *Turn, in []byte) (used int, err error) {
	for {
		n, err := m.Step(t, in[used:])
		if used += n; err != nil || n == 0 {
			return used, err
		}
	}
}

// Step is Input for one packet at most; used is 0 when in does not hold it whole.
func (m *Machine) Step(t *Turn, in []byte) (used int, err error) {
	if m.phase == off || m.phase == ended {
		return 0, ErrNotConnected
	}
	if len(in) == 0 {
		return 0, nil
	}
	t.prepare()
	m.lastRead = t.Now
	most := m.cfg.MaxPacketSize
	if m.phase == connecting && (most == 0 || most > maxConnack) {
		most = maxConnack
	}
	f, n, err := packet.Next(in, most)
	if err == nil && n > 0 {
		err = m.handle(t, f)
	}
	if err != nil {
		m.fail(t, err)
		return 0, err
	}
	return n, nil
}

// fail ends the connection, and tells the server of its fault. [MQTT-4.13.1-1]
func (m *Machine) fail(t *Turn, err error) {
	if m.phase == connected && m.cfg.version() == packet.V5 {
		if code, ok := faultCode(err); ok {
			t.Out = (&packet.Disconnect{Reason: code}).Append(t.Out, packet.V5)
		}
	}
	m.phase = ended
}

// handle takes one packet.
func (m *Machine) handle(t *Turn, f packet.Frame) error {
	v := m.cfg.version()
	switch {
	case f.Type == packet.TypeAuth:
		return m.challenged(t, f)
	case m.phase == connecting:
		return m.connack(t, f)
	}
	switch f.Type {
	case packet.TypePublish:
		return m.published(t, f)
	case packet.TypePuback, packet.TypePubrec, packet.TypePubcomp, packet.TypePubrel:
		if err := t.ack.Decode(v, f.Header, f.Body); err != nil {
			return err
		}
		m.acknowledged(t, &t.ack)
		return nil
	case packet.TypeSuback:
		p := &t.suback
		if err := p.Decode(v, f.Header, f.Body); err != nil {
			return err
		}
		if token, ok := m.answered(t, p.PacketID, subscribing); ok {
			t.Handler.Subscribed(token, p.Codes, p.Properties.ReasonString)
		}
		return nil
	case packet.TypeUnsuback:
		p := &t.unsuback
		if err := p.Decode(v, f.Header, f.Body); err != nil {
			return err
		}
		if token, ok := m.answered(t, p.PacketID, unsubscribing); ok {
			t.Handler.Unsubscribed(token, p.Codes, p.Properties.ReasonString)
		}
		return nil
	case packet.TypePingresp:
		return (&packet.Pingresp{}).Decode(v, f.Header, f.Body)
	case packet.TypeDisconnect:
		return m.disconnected(t, f)
	}
	return notHere(f.Type)
}

// notHere is a packet that a client does not get, or not now.
func notHere(t packet.Type) error {
	return fmt.Errorf("%s is not a server's packet here: %w", t, packet.ErrProtocol)
}

// connack takes the server's answer to CONNECT.
func (m *Machine) connack(t *Turn, f packet.Frame) error {
	p, v := &t.connack, m.cfg.version()
	if err := p.Decode(v, f.Header, f.Body); err != nil {
		// A server that does not speak the version may refuse in another's form.
		if v != packet.V5 || p.Decode(packet.V311, f.Header, f.Body) != nil || p.Reason == packet.ReasonSuccess {
			return err
		}
	}
	if p.Reason != packet.ReasonSuccess {
		m.phase = ended
		t.Handler.Connected(p)
		return ErrRefused
	}
	if p.SessionPresent && m.cfg.Clean {
		return fault(packet.ReasonProtocolError, "MQTT-3.2.2-2", "the server resumes a session although a clean one was asked for")
	}
	m.grant(&p.Properties)
	// MQTT 3.1 has no word for it: a session that was not to be clean is taken for kept, so
	// that rather a message comes twice than never. [MQTT 3.1 section 4.2]
	present := p.SessionPresent || v == packet.V31 && !m.cfg.Clean
	m.phase, m.hold = connected, true
	t.Handler.Connected(p)
	m.settle(t, present)
	m.hold = false
	m.pump(t)
	return nil
}

// grant notes what the server allows, with MQTT's defaults where it is silent.
func (m *Machine) grant(p *packet.Properties) {
	m.keepAlive, m.window = m.cfg.KeepAlive, m.cfg.maxInflight()
	m.maxPacket, m.maxQoS, m.noRetain = p.MaximumPacketSize, 2, false
	if p.Present.Has(packet.PropServerKeepAlive) {
		m.keepAlive = p.ServerKeepAlive // [MQTT-3.1.2-21]
	}
	if p.Present.Has(packet.PropReceiveMaximum) {
		m.window = min(m.window, p.ReceiveMaximum) // [MQTT-4.9.0-1]
	}
	if p.Present.Has(packet.PropMaximumQoS) {
		m.maxQoS = p.MaximumQoS
	}
	if p.Present.Has(packet.PropRetainAvailable) {
		m.noRetain = p.RetainAvailable == 0
	}
}

// settle ends what a server has forgotten. [MQTT-3.2.2-5]
func (m *Machine) settle(t *Turn, present bool) {
	if present || m.session == nil {
		return
	}
	m.session.received = m.session.received[:0]
	m.tidy(t)
	// What was sent stands in front of what was not. Handlers may add behind.
	for m.session != nil {
		e := m.session.find(m.session.head)
		if e == nil || e.state == queued {
			return
		}
		m.drop(t, e, ErrSessionLost)
	}
}

// answered ends a SUBSCRIBE or UNSUBSCRIBE; ok is false when nobody asked.
func (m *Machine) answered(t *Turn, id uint16, st state) (token uint64, ok bool) {
	e := m.session.find(id)
	if e == nil || e.state != st {
		return 0, false
	}
	token = e.token
	m.session.vacate(e)
	m.tidy(t)
	return token, true
}

// disconnected takes the server's last word.
func (m *Machine) disconnected(t *Turn, f packet.Frame) error {
	if m.cfg.version() != packet.V5 {
		return fmt.Errorf("DISCONNECT before MQTT 5: %w", packet.ErrProtocol)
	}
	if err := t.leave.Decode(packet.V5, f.Header, f.Body); err != nil {
		return err
	}
	m.phase = ended
	t.Handler.Disconnected(&t.leave)
	return ErrDisconnected
}

// published takes a PUBLISH.
func (m *Machine) published(t *Turn, f packet.Frame) error {
	p := &t.publish
	if err := p.Decode(m.cfg.version(), f.Header, f.Body); err != nil {
		return err
	}
	topic, err := m.topic(p)
	if err != nil {
		return err
	}
	if p.QoS == 2 && m.session.knows(p.PacketID) { // [MQTT-4.3.3-10]
		m.answer(t, packet.TypePubrec, p.PacketID, packet.ReasonSuccess)
		return nil
	}
	qos, id := p.QoS, p.PacketID
	if qos > 0 {
		if m.unacked >= m.receiveMaximum() {
			return fault(packet.ReasonReceiveMaximumExceeded, "MQTT-3.3.4-9", "more messages than the Receive Maximum")
		}
		m.unacked++
	}
	if m.phase == quitting {
		return nil
	}
	t.Handler.Message(p, topic)
	if !m.cfg.ManualAck {
		_ = m.Ack(t, qos, id, packet.ReasonSuccess) // an error is the handler's Disconnect
	}
	return nil
}

// receiveMaximum is what the server was told, if its version has a word for it.
func (m *Machine) receiveMaximum() uint16 {
	if m.cfg.version() != packet.V5 {
		return 65535
	}
	return m.cfg.receiveMaximum()
}

// topic resolves an alias. [MQTT-3.3.2-10]
func (m *Machine) topic(p *packet.Publish) ([]byte, error) {
	if !p.Properties.Present.Has(packet.PropTopicAlias) {
		return p.Topic, nil
	}
	alias := p.Properties.TopicAlias
	if alias > m.cfg.TopicAliasMaximum {
		return nil, fault(packet.ReasonTopicAliasInvalid, "MQTT-3.3.2-11", "topic alias above the maximum")
	}
	if len(p.Topic) > 0 {
		if m.aliases == nil {
			m.aliases = map[uint16][]byte{}
		}
		m.aliases[alias] = append(m.aliases[alias][:0], p.Topic...)
		return p.Topic, nil
	}
	topic, ok := m.aliases[alias]
	if !ok {
		return nil, fault(packet.ReasonProtocolError, "3.3.2.3.4", "topic alias that stands for nothing")
	}
	return topic, nil
}

// acknowledged takes PUBACK, PUBREC, PUBREL and PUBCOMP.
func (m *Machine) acknowledged(t *Turn, a *packet.Ack) {
	if a.Type == packet.TypePubrel {
		m.release(t, a.PacketID)
		return
	}
	e := m.session.find(a.PacketID)
	switch {
	case e == nil || !e.onWire:
		if a.Type == packet.TypePubrec { // [MQTT 5 section 3.6.2.1]
			m.answer(t, packet.TypePubrel, a.PacketID, packet.ReasonPacketIdentifierNotFound)
		}
	case a.Type == packet.TypePuback && e.state == sent && e.qos() == 1,
		a.Type == packet.TypePubrec && e.state == sent && e.qos() == 2 && a.Reason.Failed():
		m.conclude(t, e, a.Reason, a.Properties.ReasonString)
	case a.Type == packet.TypePubcomp && e.state == released:
		m.conclude(t, e, e.code, a.Properties.ReasonString) // an unknown identifier is the end all the same
	case a.Type == packet.TypePubrec && e.state == sent && e.qos() == 2: // [MQTT-4.3.3-4]
		e.state, e.code = released, a.Reason
		m.session.drain(e)
		m.answer(t, packet.TypePubrel, e.id, packet.ReasonSuccess)
	case a.Type == packet.TypePubrec && e.state == released:
		m.answer(t, packet.TypePubrel, e.id, packet.ReasonSuccess)
	}
}

// release ends a received QoS 2 message. [MQTT-4.3.3-11]
func (m *Machine) release(t *Turn, id uint16) {
	code := packet.ReasonPacketIdentifierNotFound
	if m.session.forget(id) {
		code = packet.ReasonSuccess
		m.unacked = less(m.unacked)
		m.tidy(t)
	}
	m.answer(t, packet.TypePubcomp, id, code)
}

// conclude ends an own message and lets the next go.
func (m *Machine) conclude(t *Turn, e *entry, code packet.ReasonCode, text []byte) {
	token := e.token
	m.inflight--
	m.session.remove(e)
	m.tidy(t)
	t.Handler.Acked(token, code, text)
	m.pump(t)
}
