package mqttsn

import (
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// register takes a client's REGISTER and gives the topic an id. [SN-6.5-1]
func (m *Machine) register(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	p := &s.register
	if err := p.Decode(f); err != nil {
		return err
	}
	m.ask = asking{messageID: p.MessageID}
	name := string(p.Topic)
	if _, err := limits().ParseName(name); err != nil { // [SN-6.5-3]: wildcards have no id
		m.regack(t, a, packet.NoTopicID, packet.NotSupported)
		return core.Errorf(core.TopicNameInvalid, "REGISTER of %q: %v [SN-6.5-3]", name, err)
	}
	id, why, pending := m.number(t, name, uint32(p.MessageID)+1)
	m.ask.topicID = id
	if pending {
		m.waiting = forRegister
		return nil
	}
	m.registered(t, a, why)
	return nil
}

// number gives the topic that the client asks for its id, a new one if it has none. token is
// core's.
func (m *Machine) number(t *core.Turn, name string, token uint32) (id uint16, why core.Reason, pending bool) {
	e := m.topics.byName(name)
	switch {
	case e == nil:
		return m.enrol(t, entry{known: true, name: name, used: t.Now()}, token)
	case e.told:
		e.known, e.told, e.anew = true, false, false
		why, pending = m.adapter.gw.Register(t, m.link, token, core.Registration{ID: e.id, Topic: name})
		return e.id, why, pending
	}
	e.known = true
	return e.id, core.Success, false // [SN-6.5-4]
}

// enrol registers a topic under a new id or, where there is no room for one, under that
// which the client was told unasked and has not needed for longest. [SN-7.3-3]
func (m *Machine) enrol(t *core.Turn, e entry, token uint32) (id uint16, why core.Reason, pending bool) {
	r := core.Registration{ID: m.topics.next(m.adapter.predefined), Topic: e.name, Told: e.told}
	why = core.QuotaExceeded
	if e.id = r.ID; r.ID != packet.NoTopicID {
		why, pending = m.adapter.gw.Register(t, m.link, token, r)
	}
	switch why {
	case core.Success:
		m.topics.add(e)
	case core.QuotaExceeded:
		old := m.idleTopic(t.Now())
		if old == nil {
			return packet.NoTopicID, why, false
		}
		r.ID, e.id, e.anew = old.id, old.id, e.told
		if why, pending = m.adapter.gw.Register(t, m.link, token, r); why != core.Success {
			return packet.NoTopicID, why, false
		}
		m.topics.rename(old, e)
	default:
		return packet.NoTopicID, why, false
	}
	return e.id, why, pending
}

// idleTopic finds the topic that may lose its id: no datagram that has it is under way any
// more, neither here nor on the network.
func (m *Machine) idleTopic(now int64) *entry {
	var busy []uint16
	for _, s := range []*sending{m.reg, m.pub} {
		if s != nil {
			busy = append(busy, s.topicID)
		}
	}
	return m.topics.idle(now-m.adapter.cfg.RetryInterval.Milliseconds(), busy...)
}

// registered answers a REGISTER. [SN-6.5-2]
func (m *Machine) registered(t *core.Turn, a *protocols.Actions, why core.Reason) {
	m.waiting = forNothing
	if why != core.Success {
		m.topics.forget(m.ask.topicID)
		m.ask.topicID = packet.NoTopicID
	}
	m.regack(t, a, m.ask.topicID, code(why))
}

func (m *Machine) regack(t *core.Turn, a *protocols.Actions, id uint16, c packet.ReturnCode) {
	m.put(t, a, &packet.Topicack{Type: packet.TypeRegack, TopicID: id, MessageID: m.ask.messageID, Code: c})
}

// topicOf gives the topic that a PUBLISH names.
func (m *Machine) topicOf(kind packet.IDType, id uint16) (name string, ok bool) {
	if kind != packet.NormalID {
		return m.adapter.fixedTopic(kind, id)
	}
	if e := m.topics.byID(id); e != nil {
		return e.name, !e.anew
	}
	if m.adapter.cfg.PredefinedNormal {
		name, ok = m.adapter.predefined[id]
	}
	return name, ok
}
