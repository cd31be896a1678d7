package mqtt

import (
	"bytes"
	"errors"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// refuse is the error of a client that broke a rule; detail names the clause.
func refuse(r core.Reason, detail string) *core.Error {
	return &core.Error{Reason: r, Detail: detail}
}

// verdict is how a connection ends: core's reason, the wire code where the codec
// already chose one (else zero), and words for the client.
type verdict struct {
	reason core.Reason
	code   packet.ReasonCode
	text   string
	server string // where the client shall go, "" for nowhere
}

// judge makes a verdict of what a packet's handler returned.
func judge(err error) verdict {
	var wire *packet.Error
	if errors.As(err, &wire) {
		return verdict{reason: reasonOf(wire.Code), code: wire.Code, text: wire.Error()}
	}
	var e *core.Error
	if errors.As(err, &e) {
		return verdict{reason: e.Reason, text: e.Detail}
	}
	return verdict{reason: core.UnspecifiedError}
}

// fault ends the connection for what the client did and lets core count and
// explain it. [MQTT-4.13.1-1]
func (m *Machine) fault(t *core.Turn, s *scratch, a *protocols.Actions, err error) {
	v := judge(err)
	m.report(t, v)
	if m.onStream() && m.endStream(a) {
		return
	}
	m.end(t, s, a, v)
}

// report hands a refusal to core for its counters and explain records.
func (m *Machine) report(t *core.Turn, v verdict) {
	info := core.Refusal{Reason: v.reason, Listener: m.listenerName(), Detail: v.text}
	if peer := m.conn.Peer(); peer.IsValid() {
		info.Peer = peer.String()
	}
	switch {
	case m.link.Session != nil:
		info.ClientID = m.link.Session.ID()
	case m.rare != nil && m.rare.request != nil:
		info.ClientID = m.rare.request.Credentials.ClientID
	}
	m.adapter.gw.Refuse(t, info)
}

// end says goodbye in the words the client's version has and asks for the close.
// [MQTT-4.13.2-1]
func (m *Machine) end(t *core.Turn, s *scratch, a *protocols.Actions, v verdict) {
	if a.Stream != 0 || m.onStream() { // the goodbye is the first stream's
		a.Out, a.Stream = a.Out[:0], 0
	}
	v = m.redirect(v)
	switch m.state {
	case open: // [MQTT-3.14.0-1]
		m.sayGoodbye(t, s, a, v)
	case fresh, connecting:
		m.sayNo(t, a, v)
	}
	m.close(a, v.reason)
}

// close asks for the connection's end without a further word. [MQTT-3.14.4-1]
// [MQTT-3.14.4-2]
func (m *Machine) close(a *protocols.Actions, r core.Reason) {
	m.state, m.reason = ended, r
	a.Close, a.Reason, a.Pause = true, r, false
}

// sayGoodbye appends the DISCONNECT that only MQTT 5 clients know.
func (m *Machine) sayGoodbye(t *core.Turn, s *scratch, a *protocols.Actions, v verdict) {
	if m.version != packet.V5 {
		return
	}
	p := &s.goodbye
	p.Properties.Reset()
	p.Reason = v.code
	if v.code == 0 || !v.code.ValidIn(packet.TypeDisconnect) {
		p.Reason = code(v.reason, packet.TypeDisconnect) // [MQTT-3.14.2-1]
	}
	m.refer(&p.Properties, v, func() int { return p.Size(packet.V5) })
	// [MQTT-3.1.2-29] allows the Reason String here whatever the client asked for.
	// [MQTT-3.14.2-3] but not where it makes the packet too large.
	m.explain(&p.Properties, v, func() int { return p.Size(packet.V5) })
	if m.fits(p.Size(packet.V5)) {
		a.Out = p.Append(a.Out, packet.V5)
		t.Count(core.PacketsSent, 1)
	}
}

// explain puts the Reason String of v into p, if that is wanted and the packet
// then still is one that the client takes; size tells the packet's length.
func (m *Machine) explain(p *packet.Properties, v verdict, size func() int) {
	if !m.adapter.cfg.ReasonStrings || v.reason == core.Success || v.reason == core.NormalDisconnect {
		return
	}
	text := v.text
	if text == "" {
		text = words(v.reason)
	}
	if len(text) > maxReasonString || !packet.ValidUTF8([]byte(text)) {
		return
	}
	p.SetReasonString([]byte(text))
	if !m.fits(size()) {
		p.Remove(packet.Diagnostics)
	}
}

// maxReasonString is the longest Reason String worth sending, in bytes.
const maxReasonString = 1024

// fits says whether the client takes a packet of size bytes. [MQTT-3.1.2-24]
func (m *Machine) fits(size int) bool {
	return m.maxPacket == 0 || uint64(size) <= uint64(m.maxPacket)
}

// malformed ends the connection for bytes that are no packet; rest starts with them
// and f holds the header as far as it was understood.
func (m *Machine) malformed(t *core.Turn, s *scratch, a *protocols.Actions, rest []byte, f packet.Frame, err error) {
	if m.state == fresh {
		if hint := foreign(rest); hint != "" {
			// [MQTT-3.1.0-1]
			err = refuse(core.MalformedPacket, hint)
		} else if f.Type == packet.TypeConnect {
			m.peekVersion(s, f, rest)
		}
	}
	m.fault(t, s, a, err)
}

// foreign recognises what people send to an MQTT port by mistake.
func foreign(b []byte) string {
	switch {
	case len(b) >= 2 && b[0] == 0x16 && b[1] == 3:
		return "a TLS handshake on a listener without TLS"
	case bytes.HasPrefix(b, []byte("GET ")), bytes.HasPrefix(b, []byte("HEAD ")):
		return "an HTTP request on a plain MQTT listener"
	}
	return ""
}

// peekVersion finds the version in the part of an oversized CONNECT that has come,
// so that the refusal can be written in it.
func (m *Machine) peekVersion(s *scratch, f packet.Frame, rest []byte) {
	_, n, err := packet.ReadHeader(rest)
	if err != nil || n == 0 {
		return
	}
	// The body is cut short, so the error says nothing.
	_ = s.connect.Decode(0, f.Header, rest[n:min(len(rest), n+maxConnectHead)])
	m.version = s.connect.Version
}

// maxConnectHead covers a CONNECT's protocol name, level and flags.
const maxConnectHead = 10

func (m *Machine) listenerName() string {
	if m.listener == nil {
		return ""
	}
	return m.listener.Name()
}
