package mqttsn

import (
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// subscribe takes a SUBSCRIBE or UNSUBSCRIBE, by name, predefined id or short name.
// [SN-6.9-1] [SN-6.9-4]
func (m *Machine) subscribe(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	p := &s.subscribe
	if err := p.Decode(f); err != nil {
		return err
	}
	m.ask = asking{messageID: p.MessageID, qos: p.QoS}
	filter, ok := string(p.Topic), true
	if p.IDType != packet.NormalID {
		filter, ok = m.adapter.fixedTopic(p.IDType, p.TopicID())
	}
	if p.Type == packet.TypeUnsubscribe {
		if !ok {
			m.unsubscribed(t, a, core.NoSubscriptionExisted)
			return nil
		}
		m.endSubscription(t, a, filter)
		return nil
	}
	if !ok { // [SN-6.9-5]
		m.suback(t, a, packet.InvalidTopicID)
		return core.Errorf(core.TopicAliasInvalid, "SUBSCRIBE to unknown topic id %d [SN-6.9-5]", p.TopicID())
	}
	if why := m.numberFilter(t, p.IDType, filter); why != core.Success {
		m.suback(t, a, code(why))
		return core.Errorf(why, "SUBSCRIBE to %q", filter)
	}
	r := &core.SubscribeRequest{Token: uint32(p.MessageID), Filters: []core.FilterRequest{{Filter: filter, SubscribeOptions: core.SubscribeOptions{QoS: p.QoS}}}}
	granted, reasons, pending := m.adapter.gw.Subscribe(t, m.link, r)
	if pending {
		m.waiting = forSubscribe
		return nil
	}
	m.subscribed(t, a, granted[0], reasons[0])
	return nil
}

// numberFilter gives a filter without wildcards its topic id, which SUBACK tells; with
// wildcards there is none, and ids follow by REGISTER. [SN-6.9-3]
func (m *Machine) numberFilter(t *core.Turn, kind packet.IDType, filter string) core.Reason {
	if kind != packet.NormalID {
		return core.Success // [SN-6.9-5]
	}
	sub, err := topic.ParseSubscription(filter, limits())
	if err != nil {
		return core.TopicFilterInvalid
	}
	if sub.Filter.Wildcard() {
		return core.Success
	}
	// The subscription is committed after it, and answered after that.
	id, why, _ := m.number(t, string(sub.Filter), 0)
	m.ask.topicID = id
	return why
}

// subscribed answers a SUBSCRIBE. [SN-6.9-2]
func (m *Machine) subscribed(t *core.Turn, a *protocols.Actions, granted uint8, why core.Reason) {
	m.waiting = forNothing
	if m.ask.qos = granted; why != core.Success {
		m.ask.topicID, m.ask.qos = packet.NoTopicID, 0
	}
	m.suback(t, a, code(why))
}

func (m *Machine) suback(t *core.Turn, a *protocols.Actions, c packet.ReturnCode) {
	m.put(t, a, &packet.Suback{QoS: m.ask.qos, TopicID: m.ask.topicID, MessageID: m.ask.messageID, Code: c})
}

func (m *Machine) endSubscription(t *core.Turn, a *protocols.Actions, filter string) {
	reasons, pending := m.adapter.gw.Unsubscribe(t, m.link, &core.UnsubscribeRequest{Token: uint32(m.ask.messageID), Filters: []string{filter}})
	if pending {
		m.waiting = forUnsubscribe
		return
	}
	m.unsubscribed(t, a, reasons[0])
}

// unsubscribed answers an UNSUBSCRIBE. UNSUBACK cannot tell a failure: where there is
// one, nothing is answered and the client asks again. [SN-6.9-4]
func (m *Machine) unsubscribed(t *core.Turn, a *protocols.Actions, why core.Reason) {
	m.waiting = forNothing
	if code(why) == packet.Accepted || why == core.TopicFilterInvalid {
		m.put(t, a, &packet.Ack{Type: packet.TypeUnsuback, MessageID: m.ask.messageID})
	}
}
