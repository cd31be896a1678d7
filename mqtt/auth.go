package mqtt

import (
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// auth takes the client's AUTH: a step of the authentication that began with its
// CONNECT, or the begin of another on the open connection. Which of them may come
// when is core's to say.
func (m *Machine) auth(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	p := &s.auth
	p.Limits = &m.adapter.limits
	if err := p.Decode(m.version, f.Header, f.Body); err != nil {
		return err
	}
	switch {
	case m.rare == nil || m.rare.method == "":
		return refuse(core.ProtocolError, "AUTH without an Authentication Method in CONNECT [MQTT-4.12.0-7]")
	case p.Reason == packet.ReasonSuccess:
		return refuse(core.ProtocolError, "AUTH with the reason code of a server [MQTT-3.15.2-1]")
	case string(p.Properties.AuthenticationMethod) != m.rare.method:
		return refuse(core.ProtocolError, "AUTH with another Authentication Method than CONNECT [MQTT-4.12.0-5] [MQTT-4.12.1-1]")
	}
	again := p.Reason == packet.ReasonReauthenticate
	res, pending := m.adapter.gw.Authenticate(t, m.rare.auth, again, p.Properties.AuthenticationData)
	switch {
	case pending && m.state == open:
		m.waiting = forAuth
	case pending:
		m.waiting = forConnect
	case m.state == open:
		m.authDone(t, s, a, res)
	default:
		m.connectDone(t, s, a, res)
	}
	return nil
}

// beforeConnack takes what comes while the client authenticates in steps: an AUTH or
// its farewell, nothing else. [MQTT-3.1.2-30]
func (m *Machine) beforeConnack(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	switch f.Type {
	case packet.TypeAuth:
		return m.auth(t, s, a, f)
	case packet.TypeDisconnect:
		return m.disconnect(s, a, f)
	}
	return refuse(core.ProtocolError, f.Type.String()+" before the authentication has ended [MQTT-3.1.2-30]")
}

// challenge asks the client for the next step. [MQTT-4.12.0-2]
func (m *Machine) challenge(t *core.Turn, s *scratch, a *protocols.Actions, res *core.ConnectResult) {
	m.rare.auth = res.Authentication
	m.sendAuth(t, s, a, packet.ReasonContinueAuthentication, res.Data)
}

// authDone takes core's answer to an AUTH on the open connection.
func (m *Machine) authDone(t *core.Turn, s *scratch, a *protocols.Actions, res *core.ConnectResult) {
	m.waiting = forNothing
	switch {
	case res.Reason != core.Success:
		// Core counted and explained it already. [4.12.1]
		m.end(t, s, a, verdict{reason: res.Reason, text: res.Detail})
	case res.Continue:
		m.challenge(t, s, a, res)
	default:
		m.sendAuth(t, s, a, packet.ReasonSuccess, res.Data)
	}
}

// sendAuth appends an AUTH with the client's own method [MQTT-4.12.0-5]. A client that
// cannot take it cannot go on.
func (m *Machine) sendAuth(t *core.Turn, s *scratch, a *protocols.Actions, c packet.ReasonCode, data []byte) {
	p := &s.authOut
	p.Properties.Reset()
	p.Reason = c
	p.Properties.SetAuthenticationMethod([]byte(m.rare.method))
	if len(data) > 0 {
		p.Properties.SetAuthenticationData(data)
	}
	if !m.fits(p.Size(packet.V5)) {
		m.fault(t, s, a, refuse(core.PacketTooLarge, "the client's Maximum Packet Size leaves no room for an AUTH [MQTT-3.1.2-24]"))
		return
	}
	a.Out = p.Append(a.Out, packet.V5)
	t.Count(core.PacketsSent, 1)
}
