package mqtt

import (
	"crypto/x509"
	"math"
	"unicode/utf8"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// asked is what CONNECT said that the answer has to come back to.
type asked struct {
	responseInformation bool
}

// neverExpires is the Session Expiry Interval of a session that the client never
// wants to end; core caps it.
const neverExpires = math.MaxUint32

// maxClientID31 is the longest client identifier of MQTT 3.1, in characters.
const maxClientID31 = 23

// first takes the first packet of a connection.
func (m *Machine) first(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) {
	if f.Type != packet.TypeConnect {
		// [MQTT-3.1.0-1]
		m.fault(t, s, a, refuse(core.ProtocolError, "the first packet is a "+f.Type.String()+", not a CONNECT [MQTT-3.1.0-1]"))
		return
	}
	c := &s.connect
	c.Limits = &m.adapter.limits
	err := c.Decode(0, f.Header, f.Body) // [MQTT-3.1.4-1]
	m.version = answerVersion(c)
	if c.Properties.Present.Has(packet.PropMaximumPacketSize) {
		m.maxPacket = c.Properties.MaximumPacketSize
	}
	if err == nil {
		err = m.admissible(c)
	}
	if err != nil {
		m.fault(t, s, a, err)
		return
	}
	m.state = connecting
	r := m.connectRequest(t, c)
	m.rare.request = r
	m.rare.asked.responseInformation = c.Properties.RequestResponseInformation == 1
	m.rare.method = string(c.Properties.AuthenticationMethod)
	m.settle(c, r)
	res, pending := m.adapter.gw.Connect(t, r)
	if pending {
		m.waiting = forConnect
		return
	}
	m.connectDone(t, s, a, res)
}

// answerVersion is the version to answer in. A version nobody speaks is answered in the
// form of the nearest: those from 5 on as 5, bridges that set the level's high bit
// and all others as 3.1.1. [MQTT-3.1.2-2] [MQTT311-3.1.2-2]
func answerVersion(c *packet.Connect) packet.Version {
	switch {
	case c.Version != 0 || c.Level == 0:
		return c.Version
	case c.Level&0x7F >= byte(packet.V5):
		return packet.V5
	}
	return packet.V311
}

// admissible checks what the codec leaves to the server.
func (m *Machine) admissible(c *packet.Connect) error {
	cfg := &m.adapter.cfg
	switch {
	case c.Version == packet.V31 && len(c.ClientID) == 0: // [MQTT31-3.1-2]
		return refuse(core.ClientIDNotValid, "MQTT 3.1 needs a client identifier")
	case c.Version == packet.V31 && cfg.StrictClientID31 && utf8.RuneCount(c.ClientID) > maxClientID31: // [MQTT31-3.1-3]
		return refuse(core.ClientIDNotValid, "MQTT 3.1 client identifiers have at most 23 characters")
	case c.Version == packet.V311 && len(c.ClientID) == 0 && !c.CleanStart:
		// [MQTT-3.1.3-8] of 3.1.1
		return refuse(core.ClientIDNotValid, "an empty client identifier needs a clean session [MQTT311-3.1.3-8]")
	case !c.HasWill:
		return nil
	case c.Will.QoS > cfg.MaxQoS:
		return refuse(core.QoSNotSupported, "the QoS of the Will is above the Maximum QoS [MQTT-3.2.2-12]")
	case c.Will.Retain && !cfg.RetainAvailable:
		return refuse(core.RetainNotSupported, "retained messages are turned off [MQTT-3.2.2-13]")
	case cfg.CheckPayloadFormat && c.Will.Properties.PayloadFormat == 1 && !packet.ValidUTF8(c.Will.Payload):
		return refuse(core.PayloadFormatInvalid, "the Will's payload is not the UTF-8 that it is marked as [3.1.3.2.3]")
	}
	return nil
}

// settle keeps what later packets depend on.
func (m *Machine) settle(c *packet.Connect, r *core.ConnectRequest) {
	p := &c.Properties
	m.keepAlive = c.KeepAlive
	m.expires = r.Expiry != 0
	m.aliasMax = min(p.TopicAliasMaximum, m.adapter.cfg.OutgoingAliasMaximum) // [MQTT-3.1.2-26] [MQTT-3.1.2-27]
	m.noProblem = p.Present.Has(packet.PropRequestProblemInformation) && p.RequestProblemInformation == 0
}

// connectRequest puts the CONNECT in core's words. Its password, data and Will are the
// packet's: core takes them away or copies them.
func (m *Machine) connectRequest(t *core.Turn, c *packet.Connect) *core.ConnectRequest {
	p := &c.Properties
	r := &core.ConnectRequest{
		Conn:        m.conn,
		Protocol:    "mqtt",
		Version:     uint8(c.Version),
		Listener:    m.listenerName(),
		CleanStart:  c.CleanStart, // [MQTT-3.1.2-4]
		KeepAlive:   c.KeepAlive,
		Credentials: m.credentials(t, c),
	}
	if c.Version == packet.V5 {
		r.Expiry = p.SessionExpiry
		r.ReceiveMaximum = p.ReceiveMaximum
		r.MaximumPacketSize = p.MaximumPacketSize
	} else if !c.CleanStart {
		// A session without Clean Session lives until a clean one replaces it, and a clean
		// one as long as its connection. [MQTT311-3.1.2-4] [MQTT311-3.1.2-6]
		r.Expiry = neverExpires
	}
	if c.HasWill {
		r.Will, r.BorrowedWill = will(&c.Will), true
	}
	return r
}

func (m *Machine) credentials(t *core.Turn, c *packet.Connect) core.Credentials {
	out := core.Credentials{
		ClientID:    t.ClientIDText(c.ClientID),
		Username:    string(c.Username),
		HasUsername: c.HasUsername,
		Password:    c.Password,
		HasPassword: c.HasPassword,
		Listener:    m.listenerName(),
		Protocol:    "mqtt",
		Method:      string(c.Properties.AuthenticationMethod),
		Data:        c.Properties.AuthenticationData,
	}
	if info := m.rare.info; info != nil {
		out.Peer = info.Peer
		out.Certificate = certificate(info)
	}
	return out
}

// certificate is the client's certificate if the handshake verified it.
func certificate(info *protocols.ConnInfo) *x509.Certificate {
	if info.TLS == nil || len(info.TLS.VerifiedChains) == 0 || len(info.TLS.PeerCertificates) == 0 {
		return nil
	}
	return info.TLS.PeerCertificates[0]
}

// will gives the Will of the packet, whose bytes its topic and payload are. [MQTT-3.1.2-7] [MQTT-3.1.2-14] [MQTT-3.1.2-15]
// [MQTT311-3.1.2-8]
func will(w *packet.Will) *core.Will {
	return &core.Will{
		Topic:      text(w.Topic),
		Payload:    w.Payload,
		QoS:        w.QoS,
		Retain:     w.Retain,
		Delay:      w.Properties.WillDelay,
		Expiry:     w.Properties.MessageExpiry,
		HasExpiry:  w.Properties.Present.Has(packet.PropMessageExpiry),
		Properties: properties(&w.Properties),
	}
}

// connectDone takes core's answer to the CONNECT.
func (m *Machine) connectDone(t *core.Turn, s *scratch, a *protocols.Actions, res *core.ConnectResult) {
	m.waiting = forNothing
	if m.state != connecting {
		// The connection ended while core decided: undo what it granted.
		if res.Reason == core.Success && !res.Continue {
			m.link, m.linked = res.Link, true
			if m.rare.closed {
				m.leave(t)
			}
		}
		return
	}
	if res.Reason != core.Success {
		// Core counted and explained it already. [MQTT-3.1.4-2] [MQTT-3.1.4-6] [MQTT-3.2.2-7]
		m.end(t, s, a, verdict{reason: res.Reason, text: res.Detail})
		return
	}
	if res.Continue {
		m.challenge(t, s, a, res)
		return
	}
	m.link, m.linked = res.Link, true
	if !m.accept(t, s, a, res) {
		m.fault(t, s, a, refuse(core.PacketTooLarge, "the client's Maximum Packet Size leaves no room for a CONNACK [MQTT-3.1.2-24]"))
		return
	}
	m.state = open
	m.armKeepAlive(a)
	a.Accepted = true
	if m.rare.method == "" {
		m.rare = nil
	} else {
		*m.rare = rare{method: m.rare.method, auth: res.Authentication}
	}
	m.adapter.gw.Resume(t, m.link)
}
