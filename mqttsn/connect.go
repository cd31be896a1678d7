package mqttsn

import (
	"bytes"
	"math"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// beginning is a CONNECT on its way, with the prompting for the Will. [SN-6.2-1]
type beginning struct {
	request *core.ConnectRequest
	id      string // as it stands in CONNECT
	awakes  bool   // it is no CONNECT but the PINGREQ of a sleeping client
	will    packet.WillTopic
	asked   packet.Type // WILLTOPICREQ or WILLMSGREQ, the last that was sent
	tries   int
	at      int64 // when it is sent again, Unix milliseconds
}

// connect takes a CONNECT, be it the first, one that was sent again, or one of a client
// that was there already: asleep, or started anew. [SN-6.14-7]
func (m *Machine) connect(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	p := &s.connect
	if err := p.Decode(f); err != nil {
		m.put(t, a, &packet.Connack{Code: packet.NotSupported}) // [SN-5.4.5-2]
		return err
	}
	if err := m.adapter.checkClientID(p.ClientID); err != nil {
		m.put(t, a, &packet.Connack{Code: packet.NotSupported})
		return err
	}
	if m.state == active && m.bare && m.id == string(p.ClientID) {
		m.put(t, a, &packet.Connack{}) // the first one was lost
		return nil
	}
	b := &beginning{id: string(p.ClientID), request: &core.ConnectRequest{
		Conn: m.conn, Protocol: "mqttsn", Version: packet.ProtocolID, Listener: listenerName(m.info),
		Credentials: m.adapter.credentials(m.info, p.ClientID),
		CleanStart:  p.CleanSession, KeepAlive: p.Duration, ReceiveMaximum: 1, // [SN-6.10-4]
		WillLasts: true,
	}}
	if !p.CleanSession {
		b.request.Expiry = math.MaxUint32 // [SN-6.3-3]
		b.request.KeepWill = !p.Will      // [SN-6.3-4]
	}
	m.begin = b
	if p.Will {
		m.state = prompting
		m.prompt(t, a, packet.TypeWillTopicReq)
		return nil
	}
	m.enter(t, a)
	return nil
}

// prompt asks for a part of the Will. [SN-6.2-2] [SN-6.2-3]
func (m *Machine) prompt(t *core.Turn, a *protocols.Actions, what packet.Type) {
	if m.begin.asked != what {
		m.begin.asked, m.begin.tries = what, 0
	}
	m.begin.at = t.Now() + m.adapter.cfg.RetryInterval.Milliseconds()
	m.put(t, a, &packet.Bare{Type: what})
}

// promptAgain repeats a prompt that was not answered, or gives up. [SN-6.13-1]
func (m *Machine) promptAgain(t *core.Turn, a *protocols.Actions) {
	if m.begin.tries++; m.begin.tries > m.adapter.cfg.Retries {
		m.report(t, core.Errorf(core.ConnectTimeout, "%s was not answered [SN-6.13-1]", m.begin.asked))
		m.close(a, core.ConnectTimeout)
		return
	}
	m.prompt(t, a, m.begin.asked)
}

// prompted takes what a client sends while it is asked for its Will.
func (m *Machine) prompted(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	switch b := m.begin; {
	case f.Type == packet.TypeWillTopic && b.asked == packet.TypeWillTopicReq:
		p := &s.willTopic
		if err := p.Decode(f); err != nil {
			return err
		}
		if len(p.Topic) == 0 { // [SN-6.2-5]: no Will, and none that was kept
			m.enter(t, a)
			return nil
		}
		if _, err := limits().ParseName(string(p.Topic)); err != nil {
			m.refuseConnect(t, a, core.Errorf(core.TopicNameInvalid, "the topic of the Will is not valid: %v", err))
			return nil
		}
		b.will = packet.WillTopic{QoS: p.QoS, Retain: p.Retain, Topic: bytes.Clone(p.Topic)}
		m.prompt(t, a, packet.TypeWillMsgReq)
	case f.Type == packet.TypeWillTopic && b.asked == packet.TypeWillMsgReq:
		m.prompt(t, a, packet.TypeWillMsgReq) // ours was lost
	case f.Type == packet.TypeWillMsg && b.asked == packet.TypeWillMsgReq:
		p := &s.willMsg
		if err := p.Decode(f); err != nil {
			return err
		}
		w := &b.will
		b.request.Will = &core.Will{Topic: string(w.Topic), Payload: bytes.Clone(p.Message), QoS: w.QoS, Retain: w.Retain}
		m.enter(t, a)
	default:
		return core.Errorf(core.ProtocolError, "a %s while the client is asked for its Will [SN-6.2-1]", f.Type)
	}
	return nil
}

// refuseConnect ends a connection that has not begun.
func (m *Machine) refuseConnect(t *core.Turn, a *protocols.Actions, err *core.Error) {
	m.report(t, err)
	m.put(t, a, &packet.Connack{Code: code(err.Reason)})
	m.close(a, err.Reason)
}

// enter hands the CONNECT to core. The connection that the client had here ends before:
// without its Will if it is the same client, for it is back.
func (m *Machine) enter(t *core.Turn, a *protocols.Actions) {
	if m.linked {
		r := core.NormalDisconnect
		if m.begin.id != m.id {
			r = core.ConnectionLost
		}
		m.leave(t, r)
	}
	m.reset()
	m.state, m.waiting = connecting, forConnect
	res, pending := m.adapter.gw.Connect(t, m.begin.request)
	if !pending {
		m.connectDone(t, a, res)
	}
}

// reset forgets what belonged to a former connection of this address.
func (m *Machine) reset() {
	m.topics, m.reg, m.pub, m.ups = topics{}, nil, nil, nil
	m.held, m.congested, m.more, m.drowsy, m.stalled = nil, false, false, false, 0
}

// connectDone takes core's answer.
func (m *Machine) connectDone(t *core.Turn, a *protocols.Actions, res *core.ConnectResult) {
	m.waiting = forNothing
	if m.state != connecting {
		// The connection ended while core decided: undo what it granted.
		if res.Reason == core.Success {
			m.link, m.linked = res.Link, true
			m.leave(t, m.reason)
		}
		return
	}
	b := m.begin
	m.begin = nil
	switch {
	case res.Reason != core.Success && b.awakes:
		m.put(t, a, &packet.Disconnect{}) // [SN-6.14-10]: it has to connect
		m.close(a, res.Reason)
		return
	case res.Reason != core.Success: // core counted and explained it already
		m.put(t, a, &packet.Connack{Code: code(res.Reason)}) // [SN-5.4.5-2]
		m.close(a, res.Reason)
		return
	}
	m.link, m.linked, m.id = res.Link, true, b.id
	// Whoever connects may have forgotten what ids stand for [SN-6.10-2]; who wakes
	// has not [SN-6.14-8].
	m.topics.restore(res.Registrations, b.awakes)
	a.SetTimer = true // off: alarms do all
	if !m.accepted {
		m.accepted, a.Accepted = true, true
	}
	if b.awakes {
		m.state = asleep
		m.wake(t)
		return
	}
	m.state, m.bare, m.keepAlive, m.more = active, true, b.request.KeepAlive, true
	m.put(t, a, &packet.Connack{})
	m.adapter.gw.Resume(t, m.link)
}
