package mqttsn

import (
	"bytes"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// updateWillTopic changes the Will's topic, QoS and RETAIN flag, or deletes the Will.
// [SN-6.4-1] [SN-6.4-3]
func (m *Machine) updateWillTopic(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	p := &s.willTopic
	if err := p.Decode(f); err != nil {
		return err
	}
	m.ask.answer = packet.TypeWillTopicResp
	if len(p.Topic) == 0 {
		m.setWill(t, a, nil)
		return nil
	}
	name := string(p.Topic)
	if _, err := limits().ParseName(name); err != nil {
		m.willUpdated(t, a, core.TopicNameInvalid)
		return core.Errorf(core.TopicNameInvalid, "WILLTOPICUPD to %q: %v", name, err)
	}
	w := core.Will{Topic: name, QoS: p.QoS, Retain: p.Retain}
	if old := m.adapter.gw.Will(m.link); old != nil {
		w.Payload = old.Payload // [SN-6.4-2]
	}
	m.setWill(t, a, &w)
	return nil
}

// updateWillMsg changes the Will's message. [SN-6.4-2] Without a Will there is nothing to
// change.
func (m *Machine) updateWillMsg(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	p := &s.willMsg
	if err := p.Decode(f); err != nil {
		return err
	}
	m.ask.answer = packet.TypeWillMsgResp
	old := m.adapter.gw.Will(m.link)
	if old == nil {
		m.willUpdated(t, a, core.ProtocolError)
		return core.Errorf(core.ProtocolError, "WILLMSGUPD without a Will [SN-6.4-2]")
	}
	w := *old
	w.Payload = bytes.Clone(p.Message)
	m.setWill(t, a, &w)
	return nil
}

func (m *Machine) setWill(t *core.Turn, a *protocols.Actions, w *core.Will) {
	r, pending := m.adapter.gw.SetWill(t, m.link, w)
	if pending {
		m.waiting = forWill
		return
	}
	m.willUpdated(t, a, r)
}

// willUpdated answers an update. [SN-6.4-4]
func (m *Machine) willUpdated(t *core.Turn, a *protocols.Actions, r core.Reason) {
	m.waiting = forNothing
	m.put(t, a, &packet.WillResp{Type: m.ask.answer, Code: code(r)})
}
