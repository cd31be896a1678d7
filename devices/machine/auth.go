package machine

import (
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Authenticator is a Handler whose clients name an authentication method in CONNECT, by
// Identity.Method (MQTT 5 section 4.12). To a machine whose Handler is none, an AUTH of
// the server is a fault.
type Authenticator interface {
	Handler
	// Challenged: an AUTH came. With ReasonContinueAuthentication answer is the data of
	// the next step, which is sent at once; with ReasonSuccess a re-authentication is
	// done. An error ends the connection. The last data of the first authentication stands
	// in the CONNACK that Connected has. It may block its Turn for the method's work.
	Challenged(p *packet.Auth) (answer []byte, err error)
}

// challenged takes an AUTH.
func (m *Machine) challenged(t *Turn, f packet.Frame) error {
	h, ok := t.Handler.(Authenticator)
	p := &t.auth
	if !ok || m.cfg.version() != packet.V5 {
		return notHere(f.Type)
	}
	if err := p.Decode(packet.V5, f.Header, f.Body); err != nil {
		return err
	}
	switch {
	case p.Reason == packet.ReasonReauthenticate, p.Reason == packet.ReasonSuccess && m.phase == connecting:
		return fault(packet.ReasonProtocolError, "MQTT-4.12.0-2", "AUTH with a code that no server sends here")
	case m.phase == quitting:
		return nil
	}
	answer, err := h.Challenged(p)
	if err != nil || p.Reason == packet.ReasonSuccess {
		return err
	}
	return m.sayAuth(t, packet.ReasonContinueAuthentication, p.Properties.AuthenticationMethod, answer) // [MQTT-4.12.0-3]
}

// Reauthenticate begins another authentication on the open connection, with the method of
// CONNECT [MQTT-4.12.1-1]; the Handler hears of what comes as an Authenticator. The error
// is ErrNotConnected, or says why nothing was sent.
func (m *Machine) Reauthenticate(t *Turn, method, data []byte) error {
	if m.phase != connected {
		return ErrNotConnected
	}
	return m.sayAuth(t, packet.ReasonReauthenticate, method, data)
}

// sayAuth appends an AUTH.
func (m *Machine) sayAuth(t *Turn, code packet.ReasonCode, method, data []byte) error {
	p := &packet.Auth{Reason: code}
	p.Properties.SetAuthenticationMethod(method)
	if len(data) > 0 {
		p.Properties.SetAuthenticationData(data)
	}
	if err := p.Validate(packet.V5); err != nil {
		return err
	}
	if size := p.Size(packet.V5); m.maxPacket != 0 && uint64(size) > uint64(m.maxPacket) {
		return tooLarge(size, m.maxPacket)
	}
	t.Out = p.Append(t.Out, packet.V5)
	m.lastWrite = t.Now
	return nil
}
