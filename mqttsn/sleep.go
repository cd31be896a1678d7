package mqttsn

import (
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqttsn/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// ping takes a PINGREQ: of a client that is active, which is answered at once; or, with
// its client id, of one that sleeps and asks for its messages. [SN-6.11-2] [SN-6.14-4]
func (m *Machine) ping(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	p := &s.pingreq
	if err := p.Decode(f); err != nil {
		return err
	}
	switch own := string(p.ClientID) == m.id; {
	case m.state == fresh:
		return m.wakeUnknown(t, a, p)
	case m.state == active && (own || len(p.ClientID) == 0):
		m.put(t, a, &packet.Bare{Type: packet.TypePingresp})
	case (m.state == asleep || m.state == awake) && own:
		m.wake(t)
	case m.state == prompting:
		m.prompt(t, a, m.begin.asked)
	default:
		// Another client at this address, or one that takes itself for active.
		return m.misplaced(t, a, f)
	}
	return nil
}

// wakeUnknown asks core for the session of a client that sleeps, but not here: the gateway
// was started anew, or the client's address is another one. [SN-6.14-8] [SN-6.14-9]
func (m *Machine) wakeUnknown(t *core.Turn, a *protocols.Actions, p *packet.Pingreq) error {
	if err := m.adapter.checkClientID(p.ClientID); err != nil {
		return err
	}
	c := m.adapter.credentials(m.info, p.ClientID)
	m.begin = &beginning{id: string(p.ClientID), awakes: true, request: &core.ConnectRequest{
		Conn: m.conn, Protocol: "mqttsn", Version: packet.ProtocolID, Listener: listenerName(m.info), Credentials: c,
		ReceiveMaximum: 1, Awakes: true, AnyAddress: m.adapter.proven(m.info, &c),
	}}
	m.enter(t, a)
	return nil
}

// wake lets core deliver what gathered. PINGRESP follows when it has said that all of it
// is with the client. [SN-6.14-5]
func (m *Machine) wake(t *core.Turn) {
	if m.state == asleep && m.adapter.gw.Awake(t, m.link) {
		m.state, m.more = awake, true
	}
}

// fetched ends a time awake, once nothing is on its way any more. [SN-6.14-5]
// [SN-6.14-6]
func (m *Machine) fetched(t *core.Turn, a *protocols.Actions) {
	if m.state == awake && m.drowsy && m.reg == nil && m.pub == nil && len(m.held) == 0 {
		m.state, m.drowsy = asleep, false
		m.put(t, a, &packet.Bare{Type: packet.TypePingresp})
	}
}

// disconnect takes a DISCONNECT: the client leaves or, with a duration, sleeps.
// [SN-6.12-1] [SN-6.14-1]
func (m *Machine) disconnect(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	p := &s.goodbye
	if err := p.Decode(f); err != nil {
		return err
	}
	switch {
	case m.state != active && m.state != asleep && m.state != awake:
		m.close(a, core.NormalDisconnect)
	case !p.Sleeps || p.Duration == 0:
		m.put(t, a, &packet.Disconnect{}) // [SN-6.12-2]
		m.close(a, core.NormalDisconnect)
	default: // [SN-6.14-2] [SN-6.14-7]
		r, pending := m.adapter.gw.Sleep(t, m.link, tolerated(p.Duration))
		if pending {
			m.waiting = forSleep
			return nil
		}
		m.fellAsleep(t, a, r)
	}
	return nil
}

// fellAsleep answers a client that sleeps from now on: without a duration [SN-6.14-2].
// Where the store failed nothing is answered, and the client asks again.
func (m *Machine) fellAsleep(t *core.Turn, a *protocols.Actions, r core.Reason) {
	m.waiting = forNothing
	if r == core.SessionTakenOver {
		m.close(a, r)
		return
	}
	m.state = asleep
	m.rest(t)
	if r == core.Success {
		m.put(t, a, &packet.Disconnect{})
	}
}

// rest gives up what was on its way to a client that sleeps; core has kept QoS 1 and 2.
func (m *Machine) rest(t *core.Turn) {
	for _, d := range m.held {
		if d.QoS == 0 {
			m.adapter.gw.Drop(t, m.link, d, core.OfflineQoS0)
		}
	}
	m.held, m.reg, m.pub, m.drowsy, m.stalled = nil, nil, nil, false, 0
}

// lose takes a client for gone that did not answer. [SN-6.13-3] If it is there all the same
// it had bad luck, and is told, so that it connects again [SN-6.12-4]. One that was awake
// sleeps on: its sleep is watched by itself.
func (m *Machine) lose(t *core.Turn, a *protocols.Actions, what packet.Type) {
	m.report(t, core.Errorf(core.ConnectionLost, "%s was sent %d times and not answered [SN-6.13-3]", what, m.adapter.cfg.Retries+1))
	if m.state != awake {
		m.put(t, a, &packet.Disconnect{})
		m.close(a, core.ConnectionLost)
		return
	}
	m.state = asleep
	m.rest(t)
	if r, _ := m.adapter.gw.Sleep(t, m.link, 0); r != core.Success {
		m.close(a, r)
	}
}
