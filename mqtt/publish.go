package mqtt

import (
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// publish takes a PUBLISH of the client. Its acknowledgement comes from core, with
// the deliveries and in their order. [MQTT-3.3.4-1]
func (m *Machine) publish(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	p := &s.publish
	p.Limits = &m.adapter.limits
	if err := p.Decode(m.version, f.Header, f.Body); err != nil {
		return err
	}
	if err := m.permitted(p); err != nil {
		return err
	}
	search := m.search(s)
	topic, borrowed, err := m.topicOf(t, search, p)
	if err != nil {
		return err
	}
	if m.adapter.cfg.CheckPayloadFormat && !search.Unfinished() && p.Properties.PayloadFormat == 1 && !packet.ValidUTF8(p.Payload) {
		return m.badPayload(t, s, a, p)
	}
	s.message = core.Publish{
		Topic:     topic,
		Borrowed:  borrowed,
		Payload:   p.Payload,
		QoS:       p.QoS,
		Retain:    p.Retain,
		Dup:       p.Dup,
		PacketID:  p.PacketID,
		Expiry:    p.Properties.MessageExpiry,
		HasExpiry: p.Properties.Present.Has(packet.PropMessageExpiry),
		Search:    search,
	}
	if p.Properties.Present&carried != 0 {
		s.message.Later = later{p}
	}
	if d := m.streams(); d != nil && p.QoS > 0 {
		d.expectAnswer(p.PacketID)
	}
	pause, refused := m.adapter.gw.Publish(t, m.link, &s.message)
	s.message.Topic, s.message.Payload, s.message.Properties, s.message.Later = "", nil, nil, nil
	if search.Unfinished() {
		m.leavePublish(s, a)
		return nil
	}
	if refused != nil {
		if refused.Reason != core.SessionTakenOver { // a fault of the client's that core leaves to us
			return refused
		}
		m.end(t, s, a, verdict{reason: refused.Reason, text: refused.Detail})
		return nil
	}
	if pause {
		m.waiting = forReadable
	}
	return nil
}

// search is where core keeps what it has found for a PUBLISH that it leaves: of the
// connection or the data stream, each of which has one PUBLISH under way.
func (m *Machine) search(s *scratch) *core.Search {
	switch {
	case m.onStream():
		return &m.streams().present().search
	case m.rare != nil:
		return &m.rare.search
	}
	return &s.search
}

// leavePublish has the PUBLISH under way come again after others were served.
func (m *Machine) leavePublish(s *scratch, a *protocols.Actions) {
	s.left = true
	a.Messages++
	if s.search.Unfinished() {
		m.rarely().search, s.search = s.search, core.Search{}
	}
}

// later makes the properties of a PUBLISH once somebody wants it.
type later struct{ *packet.Publish }

// Size implements core.PropertyMaker.
func (l later) Size() (n int) {
	p := &l.Publish.Properties
	n = len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData)
	for name, value := range p.User.All() {
		n += len(name) + len(value)
	}
	return n
}

// Properties implements core.PropertyMaker.
func (l later) Properties() *core.Properties { return properties(&l.Publish.Properties) }

// permitted checks a PUBLISH against what CONNACK granted.
func (m *Machine) permitted(p *packet.Publish) error {
	cfg := &m.adapter.cfg
	switch {
	case p.QoS > cfg.MaxQoS:
		return refuse(core.QoSNotSupported, "the QoS is above the Maximum QoS [MQTT-3.2.2-11]")
	case p.Retain && !cfg.RetainAvailable:
		return refuse(core.RetainNotSupported, "retained messages are turned off [MQTT-3.2.2-14]")
	case len(p.Properties.SubscriptionIDs) != 0:
		return refuse(core.ProtocolError, "a Subscription Identifier in a client's PUBLISH [MQTT-3.3.4-6]")
	}
	return nil
}

// badPayload answers a payload that is not the UTF-8 it is marked as; with QoS 0
// there is no answer but the end of the connection. [MQTT 5 section 3.3.2.3.2]
func (m *Machine) badPayload(t *core.Turn, s *scratch, a *protocols.Actions, p *packet.Publish) error {
	refused := refuse(core.PayloadFormatInvalid, "the payload is not the UTF-8 that it is marked as [3.3.2.3.2]")
	if p.QoS == 0 {
		return refused
	}
	m.report(t, judge(refused))
	kind := packet.TypePuback
	if p.QoS == 2 {
		kind = packet.TypePubrec
	}
	a.Out = m.appendAck(a.Out, s, kind, p.PacketID, core.PayloadFormatInvalid)
	t.Count(core.PacketsSent, 1)
	return nil
}

// topicOf gives the topic of a PUBLISH, through its alias if it has one; borrowed says that
// its bytes are the packet's. [MQTT 5 section 3.3.2.3.4]
func (m *Machine) topicOf(t *core.Turn, search *core.Search, p *packet.Publish) (topic string, borrowed bool, err error) {
	if name := search.Topic(); name != "" && name == string(p.Topic) {
		return name, false, nil // as it came before: its alias is known, too
	}
	if !p.Properties.Present.Has(packet.PropTopicAlias) {
		topic, hot := t.KnownTopic(p.Topic)
		if !hot {
			topic = text(p.Topic)
		}
		return topic, !hot, nil
	}
	topic, err = m.aliasedTopic(t, p)
	return topic, false, err
}

// aliasedTopic is topicOf of a PUBLISH with an alias.
func (m *Machine) aliasedTopic(t *core.Turn, p *packet.Publish) (string, error) {
	alias := int(p.Properties.TopicAlias) // not 0, the codec saw to that [MQTT-3.3.2-8]
	if alias > int(m.adapter.cfg.TopicAliasMaximum) {
		// [MQTT-3.3.2-9] [MQTT-3.2.2-17] [MQTT-3.2.2-18]
		return "", refuse(core.TopicAliasInvalid, "the topic alias is above the Topic Alias Maximum [MQTT-3.3.2-9]")
	}
	if len(p.Topic) != 0 {
		return m.learn(alias, t.InternTopic(p.Topic)), nil
	}
	known := *m.aliasTable()
	if alias > len(known) || known[alias-1] == "" {
		return "", refuse(core.ProtocolError, "the topic alias stands for nothing [3.3.2.3.4]")
	}
	return known[alias-1], nil
}

// aliasTable is that of the stream whose packet is under way: on two streams, the
// packet that sets an alias and the one that uses it may come in either order.
func (m *Machine) aliasTable() *[]string {
	if m.onStream() {
		return &m.streams().present().aliases
	}
	return &m.rarely().aliases
}

// learn notes what alias stands for from now on. [MQTT-3.3.2-12]
func (m *Machine) learn(alias int, topic string) string {
	known := m.aliasTable()
	if alias > len(*known) {
		*known = append(*known, make([]string, alias-len(*known))...)
	}
	(*known)[alias-1] = topic
	return topic
}

// acknowledge takes the client's PUBACK, PUBREC, PUBREL or PUBCOMP.
func (m *Machine) acknowledge(t *core.Turn, s *scratch, f packet.Frame) error {
	p := &s.ack
	p.Limits = &m.adapter.limits
	if err := p.Decode(m.version, f.Header, f.Body); err != nil {
		return err
	}
	r := core.Success
	kind := core.AckComplete
	switch p.Type {
	case packet.TypePuback:
		kind = core.AckReceived1
	case packet.TypePubrec:
		kind = core.AckReceived2
	case packet.TypePubrel:
		kind = core.AckRelease
	}
	if p.Reason.Failed() && (kind == core.AckReceived1 || kind == core.AckReceived2) {
		r = core.ReceiverRefused // [MQTT-4.4.0-2]
	}
	if d := m.streams(); d != nil {
		d.acknowledged(kind, p.PacketID, r)
	}
	m.adapter.gw.Acknowledge(t, m.link, kind, p.PacketID, r)
	return nil
}
