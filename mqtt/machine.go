package mqtt

import (
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
	"github.com/fairlead-iot/fairlead/protocols"
)

// Machine is the state of one MQTT connection. It implements protocols.Machine;
// the package comment says which half owns what.
type Machine struct {
	adapter  *Adapter
	conn     core.Conn
	listener *protocols.Listener
	link     core.Link
	rare     *rare       // input half
	aliases  *aliasesOut // output half, nil until the first is assigned

	// Settled before Gateway.Resume, read by both halves afterwards.
	maxPacket uint32 // the client's Maximum Packet Size, 0 for none
	aliasMax  uint16 // aliases to use towards the client
	version   packet.Version
	noProblem bool // Request Problem Information was 0

	keepAlive uint16 // seconds, 0 off
	state     state
	waiting   waiting
	expires   bool        // CONNECT asked for a Session Expiry Interval above 0
	linked    bool        // link is valid and core has not been told of the end
	reason    core.Reason // why the machine ended the connection

	divided bool // settled from the begin: there may be data streams
	broken  bool // output half: the connection is being closed, nothing goes out any more
}

var _ protocols.Machine = (*Machine)(nil)

// rare is what most connections need only while they begin, or never.
type rare struct {
	info    *protocols.ConnInfo  // until accepted
	request *core.ConnectRequest // until accepted
	asked   asked                // of CONNECT
	refused []core.Reason        // filters of the SUBSCRIBE under way that were not put to core

	aliases []string             // inbound: topic of alias i+1, "" where there is none
	search  core.Search          // of a PUBLISH that core has left, unless it came by a data stream
	begun   begun                // a SUBSCRIBE or UNSUBSCRIBE like that
	method  string               // Authentication Method
	auth    *core.Authentication // core's part of it

	packetID  uint16           // of the operation under way
	stream    protocols.Stream // that it came by
	expiry    uint32           // of DISCONNECT
	hasExpiry bool
	closed    bool // Closed was called while Connect was under way
}

// state is how far a connection got.
type state uint8

const (
	fresh      state = iota // CONNECT has not come
	connecting              // core is deciding about it
	open                    // CONNACK with success is on its way
	ended                   // a.Close was set
)

// waiting is the operation whose completion reading waits for.
type waiting uint8

const (
	forNothing waiting = iota
	forConnect
	forSubscribe
	forUnsubscribe
	forReadable
	forAuth
)

// rarely gives the rare part, made on demand.
func (m *Machine) rarely() *rare {
	if m.rare == nil {
		m.rare = &rare{}
	}
	return m.rare
}

// Input implements protocols.Machine.
func (m *Machine) Input(t *core.Turn, b []byte, a *protocols.Actions) (used int) {
	if d := m.streams(); d != nil {
		d.now = 0
	}
	return m.input(t, b, a)
}

// input takes the packets of one stream.
func (m *Machine) input(t *core.Turn, b []byte, a *protocols.Actions) (used int) {
	if m.state == ended {
		a.Close, a.Reason = true, m.reason
		return len(b)
	}
	s := scratchOf(t)
	packets := uint64(0)
	t.Allot()
	for m.waiting == forNothing && m.state != ended && !a.EndStream && !a.Again && (!a.Limited || a.Messages > 0) {
		if t.Spent() {
			a.Again = true
			break
		}
		f, n, err := packet.Next(b[used:], m.sizeLimit())
		if err != nil {
			m.malformed(t, s, a, b[used:], f, err)
			break
		}
		if n == 0 {
			break
		}
		used += n
		packets++
		t.Spend(1)
		m.handle(t, s, a, f)
		if s.left { // it comes again, whole
			s.left, a.Again = false, true
			used -= n
			packets--
		}
	}
	a.Pause = m.waiting != forNothing && m.state != ended
	t.Count(core.PacketsReceived, packets)
	return used
}

// sizeLimit is the largest packet to take now: what the adapter allows, or less
// where the listener does.
func (m *Machine) sizeLimit() uint32 {
	if m.state == open {
		return m.packetLimit()
	}
	n := m.adapter.cfg.MaxConnectSize
	if m.listener != nil {
		n = min(n, m.listener.Config().MaxConnectSize)
	}
	return uint32(n)
}

// packetLimit is the largest packet of an accepted client. [MQTT-3.2.2-15]
func (m *Machine) packetLimit() uint32 {
	n := m.adapter.cfg.MaxPacketSize
	if m.listener != nil {
		n = min(n, m.listener.Config().MaxPacketSize)
	}
	return uint32(n)
}

// ClientID is the client's, once it is known: the edge explains by it.
func (m *Machine) ClientID() string {
	if m.link.Session == nil {
		return ""
	}
	return m.link.Session.ID()
}

// handle takes one whole packet.
func (m *Machine) handle(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) {
	if m.state == fresh {
		m.first(t, s, a, f)
		return
	}
	if m.state == connecting {
		if err := m.beforeConnack(t, s, a, f); err != nil {
			m.fault(t, s, a, err)
		}
		return
	}
	var err error
	switch f.Type {
	default:
		err = m.handleFirst(t, s, a, f)
	case packet.TypePublish:
		a.Messages--
		err = m.publish(t, s, a, f)
	case packet.TypePuback, packet.TypePubrec, packet.TypePubrel, packet.TypePubcomp:
		err = m.acknowledge(t, s, f)
	case packet.TypeSubscribe:
		err = m.subscribe(t, s, a, f)
	case packet.TypeUnsubscribe:
		err = m.unsubscribe(t, s, a, f)
	}
	if err != nil {
		m.fault(t, s, a, err)
	}
}

// handleFirst takes what only the first stream of a connection carries.
func (m *Machine) handleFirst(t *core.Turn, s *scratch, a *protocols.Actions, f packet.Frame) error {
	if m.onStream() {
		return refuse(core.ProtocolError, f.Type.String()+" on a data stream; it belongs on the first one")
	}
	switch f.Type {
	case packet.TypePingreq:
		return m.ping(t, a, f)
	case packet.TypeDisconnect:
		return m.disconnect(s, a, f)
	case packet.TypeAuth:
		return m.auth(t, s, a, f)
	case packet.TypeConnect:
		return refuse(core.ProtocolError, "a second CONNECT [MQTT-3.1.0-2]")
	}
	return refuse(core.ProtocolError, f.Type.String()+" is a server's packet [2.1.2]")
}

// ping answers a PINGREQ. [MQTT-3.12.4-1]
func (m *Machine) ping(t *core.Turn, a *protocols.Actions, f packet.Frame) error {
	var p packet.Pingreq
	if err := p.Decode(m.version, f.Header, f.Body); err != nil {
		return err
	}
	var r packet.Pingresp
	a.Out = r.Append(a.Out, m.version)
	t.Count(core.PacketsSent, 1)
	return nil
}

// Complete implements protocols.Machine.
func (m *Machine) Complete(t *core.Turn, c core.Completion, a *protocols.Actions) {
	s := scratchOf(t)
	switch {
	case c.Op == core.OpConnect && c.Connect != nil:
		m.connectDone(t, s, a, c.Connect)
	case m.state != open:
	case c.Op == core.OpSubscribe && m.waiting == forSubscribe && c.Token == uint32(m.rare.packetID):
		m.waiting = forNothing
		a.Stream = m.rare.stream
		m.sendSuback(t, s, a, m.rare.packetID, c.Granted, c.Reasons)
	case c.Op == core.OpUnsubscribe && m.waiting == forUnsubscribe && c.Token == uint32(m.rare.packetID):
		m.waiting = forNothing
		a.Stream = m.rare.stream
		m.sendUnsuback(t, s, a, m.rare.packetID, c.Reasons)
	case c.Op == core.OpAuthenticate && m.waiting == forAuth && c.Connect != nil:
		m.authDone(t, s, a, c.Connect)
	case c.Op == core.OpReadable && m.waiting == forReadable:
		m.waiting = forNothing
	}
	a.Pause = m.waiting != forNothing && m.state != ended
}

// Tick implements protocols.Machine.
func (m *Machine) Tick(t *core.Turn, a *protocols.Actions) {
	switch {
	case m.state == ended:
		a.Close, a.Reason = true, m.reason
	case m.state != open:
		m.fault(t, scratchOf(t), a, refuse(core.ConnectTimeout, "no CONNECT in time [3.1.4]"))
	case m.waiting != forNothing:
		// The gateway itself does not read now; the client's silence proves nothing.
		m.armKeepAlive(a)
	case m.keepAlive != 0:
		m.fault(t, scratchOf(t), a, refuse(core.KeepAliveTimeout, "no packet within 1.5 times the keep alive [MQTT-3.1.2-22]"))
	}
}

// armKeepAlive asks for the tick that ends a silent connection after one and a
// half times the keep alive. [MQTT-3.1.2-22]
func (m *Machine) armKeepAlive(a *protocols.Actions) {
	a.SetTimer = true
	a.Timer = time.Duration(m.keepAlive) * time.Second * 3 / 2
}

// Stop implements protocols.Machine.
func (m *Machine) Stop(t *core.Turn, r core.Reason, a *protocols.Actions) {
	if m.state != ended {
		m.end(t, scratchOf(t), a, verdict{reason: r})
	}
	a.Close, a.Reason = true, m.reason
}

// Closed implements protocols.Machine.
func (m *Machine) Closed(t *core.Turn, r core.Reason) {
	if m.state != ended {
		m.reason = r
	}
	if m.waiting == forConnect {
		// Core still decides: what it answers has to be undone then.
		m.rare.closed = true
		if m.rare.request != nil {
			m.rare.request.Abandon()
		}
	}
	m.state = ended
	m.leave(t)
}

// leave tells core that the connection is over, once.
func (m *Machine) leave(t *core.Turn) {
	if !m.linked {
		return
	}
	m.linked = false
	if m.rare != nil {
		m.rare.search, m.rare.begun = core.Search{}, begun{}
	}
	var expiry *uint32
	if m.rare != nil && m.rare.hasExpiry {
		expiry = &m.rare.expiry
	}
	m.adapter.gw.Disconnect(t, m.link, m.reason, expiry)
}
