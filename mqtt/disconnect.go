package mqtt

import (
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// disconnect takes the client's DISCONNECT. [MQTT-3.14.4-3]
func (m *Machine) disconnect(s *scratch, a *protocols.Actions, f packet.Frame) error {
	p := &s.disconnect
	p.Limits = &m.adapter.limits
	if err := p.Decode(m.version, f.Header, f.Body); err != nil {
		return err
	}
	if p.Properties.Present.Has(packet.PropSessionExpiry) {
		if p.Properties.SessionExpiry != 0 && !m.expires {
			return refuse(core.ProtocolError, "a Session Expiry Interval above 0 in DISCONNECT after 0 in CONNECT [3.14.2.2.2]")
		}
		r := m.rarely()
		r.expiry, r.hasExpiry = p.Properties.SessionExpiry, true
	}
	r := core.NormalDisconnect
	if p.Reason != packet.ReasonNormalDisconnection {
		// Code 0x04 asks for the Will; so does every code of an error. [MQTT-3.1.2-8]
		r = core.DisconnectWithWill
	}
	m.close(a, r)
	return nil
}
