package mqtt

import (
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// accept appends the CONNACK of success; false when not even the shortest is small
// enough for the client, and then nothing was appended. Nothing else of the server comes
// before it. [MQTT-3.1.4-5] [MQTT-3.2.0-1] [MQTT-3.2.0-2]
func (m *Machine) accept(t *core.Turn, s *scratch, a *protocols.Actions, res *core.ConnectResult) bool {
	p := packet.Connack{SessionPresent: res.SessionPresent} // [MQTT-3.2.2-2] [MQTT-3.2.2-3]
	if m.version == packet.V5 {
		m.grants(&p.Properties, res)
		if !m.fits(p.Size(m.version)) {
			p.Properties.Remove(packet.SetOf(packet.PropResponseInformation))
		}
		if !m.fits(p.Size(m.version)) {
			return false // [MQTT-3.1.2-24]
		}
	}
	a.Out = p.Append(a.Out, m.version)
	t.Count(core.PacketsSent, 1)
	return true
}

// grants fills in what the server allows, where it differs from what the client
// would assume. [MQTT 5 section 3.2.2.3]
func (m *Machine) grants(p *packet.Properties, res *core.ConnectResult) {
	cfg, asked := &m.adapter.cfg, m.rare.request
	if res.Expiry != asked.Expiry {
		p.SetSessionExpiry(res.Expiry)
	}
	if res.ReceiveMaximum != 0 && res.ReceiveMaximum != 65535 {
		p.SetReceiveMaximum(res.ReceiveMaximum)
	}
	if cfg.MaxQoS < 2 {
		p.SetMaximumQoS(cfg.MaxQoS) // [MQTT-3.2.2-9]
	}
	if !cfg.RetainAvailable {
		p.SetRetainAvailable(false)
	}
	p.SetMaximumPacketSize(m.packetLimit())
	if res.Assigned {
		p.SetAssignedClientID([]byte(res.ClientID)) // [MQTT-3.1.3-7] [MQTT-3.2.2-16]
	}
	if cfg.TopicAliasMaximum > 0 {
		p.SetTopicAliasMaximum(cfg.TopicAliasMaximum)
	}
	m.available(p)
	if res.KeepAlive != asked.KeepAlive {
		// Only a client that is told has to keep to it. [MQTT-3.2.2-22]
		p.SetServerKeepAlive(res.KeepAlive)
		m.keepAlive = res.KeepAlive
	}
	if prefix := cfg.ResponseInformation; m.rare.asked.responseInformation && prefix != "" && sayable(len(prefix)+len(res.ClientID)) {
		p.SetResponseInformation([]byte(prefix + res.ClientID)) // [MQTT-3.1.2-28]
	}
	if m.rare.method != "" {
		p.SetAuthenticationMethod([]byte(m.rare.method)) // [MQTT-4.12.0-5] [MQTT-4.12.0-6]
		if len(res.Data) > 0 {
			p.SetAuthenticationData(res.Data)
		}
	}
}

// available names the kinds of subscription that are turned off.
func (m *Machine) available(p *packet.Properties) {
	cfg := &m.adapter.cfg
	if !cfg.WildcardAvailable {
		p.SetWildcardSubscriptionAvailable(false)
	}
	if !cfg.SubscriptionIDAvailable {
		p.SetSubscriptionIDAvailable(false)
	}
	if !cfg.SharedAvailable {
		p.SetSharedSubscriptionAvailable(false)
	}
}

// sayNo appends the CONNACK of a refusal, where the client's version is known and
// has words for it. [MQTT-3.2.2-6] [MQTT-3.2.2-8]
func (m *Machine) sayNo(t *core.Turn, a *protocols.Actions, v verdict) {
	if m.version == 0 {
		return
	}
	var p packet.Connack
	if m.version == packet.V5 {
		p.Reason = v.code
		if v.code == 0 || !v.code.ValidIn(packet.TypeConnack) {
			p.Reason = code(v.reason, packet.TypeConnack)
		}
		m.refer(&p.Properties, v, func() int { return p.Size(packet.V5) })
		// [MQTT-3.2.2-19]
		m.explain(&p.Properties, v, func() int { return p.Size(packet.V5) })
		if !m.fits(p.Size(packet.V5)) {
			return
		}
	} else {
		c, ok := returnCode(v.reason)
		if !ok {
			return // [MQTT311-3.1.4-1] [MQTT311-3.2.2-6]
		}
		p.Reason = c.ReasonCode()
	}
	a.Out = p.Append(a.Out, m.version)
	t.Count(core.PacketsSent, 1)
}
