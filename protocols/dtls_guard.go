package protocols

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"

	"github.com/fairlead-iot/fairlead/core"
)

// dtlsGuard stands in front of the connections of one DTLS port: it answers hellos
// with cookies without remembering them, makes connections for those who bring a
// cookie back, and finds connections by connection id [RFC 9146] or address. What is
// not in shared is the port's.
type dtlsGuard struct {
	*dtlsShared
	index    byte // of this port among the listener's
	sessions map[netip.AddrPort]*dtlsSession
	byID     map[[cidSize]byte]*dtlsSession
}

// dtlsShared is what all ports of a listener have in common.
type dtlsShared struct {
	cookies *cookies
	boxes   *outboxes
	ports   []*port // set before they run, but for given ones; see find
}

// guardPorts makes the ports of one listener DTLS's.
func guardPorts(ln *Listener, ports []*port) {
	shared := &dtlsShared{cookies: newCookies(), boxes: &outboxes{}, ports: ports}
	for i, p := range ports {
		p.guard = &dtlsGuard{dtlsShared: shared, index: byte(i), sessions: map[netip.AddrPort]*dtlsSession{}, byID: map[[cidSize]byte]*dtlsSession{}}
	}
}

// newID makes a connection id that leads to this port.
func (g *dtlsGuard) newID() []byte {
	id := make([]byte, cidSize)
	rand.Read(id) // never fails
	id[0] = g.index
	return id
}

// records takes a batch.
func (g *dtlsGuard) records(p *port, in []inItem) {
	for i := range in {
		if in[i].tooLong {
			p.refuse(core.PacketTooLarge, in[i].from, "a datagram larger than max_packet_size")
			continue
		}
		g.record(p, &in[i])
	}
}

// record takes one datagram of records.
func (g *dtlsGuard) record(p *port, it *inItem) {
	if len(it.b) == 0 {
		return
	}
	from := dtlsAddr{p, it.from, it.local}
	if s, known := g.find(it.b, from); s != nil || known {
		if s != nil {
			s.identified = true
			s.take(p, it, from)
		}
		return
	}
	h, ok := parseHello(it.b)
	s := g.sessions[it.from]
	switch {
	case ok && s != nil && s.greets(&h):
		s.take(p, it, from)
	case !ok && s != nil && !(s.identified && it.b[0] == recordData):
		s.take(p, it, from)
	case !ok:
		p.refuse(core.ProtocolError, it.from, "neither a DTLS hello nor a record of a connection that is open")
	case !p.accepting:
	case h.message != 1 || h.sequence == 0 || !g.cookies.valid(it.from, &h, p.now):
		low := len(p.box.out.Buf)
		p.box.out.Buf = g.cookies.request(p.box.out.Buf, it.from, &h, p.now)
		p.box.items = append(p.box.items, outItem{p, it.from, it.local, low, len(p.box.out.Buf)})
		if p.box.full() {
			p.box.Send(p.turn)
		}
	default:
		if s != nil && s.conn.RemoteAddr() == from {
			// It has lost what it knew and began anew, as it has shown by the cookie
			// [RFC 6347 section 4.2.8]. One that has moved on keeps its connection.
			s.lose(p)
		}
		g.begin(p, from, &h)
	}
}

// find looks for the connection id of a datagram. known says that it has one, and that
// whoever it is for has it, if there is one.
func (g *dtlsGuard) find(b []byte, from dtlsAddr) (s *dtlsSession, known bool) {
	if len(b) < recordHeader+cidSize || b[0] != recordCID {
		return nil, false
	}
	id := [cidSize]byte(b[11:])
	if id[0] == g.index {
		return g.byID[id], true
	}
	if int(id[0]) < len(g.ports) {
		// The peer's address has changed, and the kernel steers it elsewhere.
		kept := append([]byte(nil), b...)
		g.ports[id[0]].post(func(o *port) {
			if s := o.guard.byID[id]; s != nil {
				s.pipe.feed(kept, from)
			}
		})
	}
	return nil, true
}

// begin makes the connection of a peer that brought its cookie back.
func (g *dtlsGuard) begin(p *port, from dtlsAddr, h *clientHello) {
	if !p.mayEnter(from.peer) {
		return
	}
	s, err := newDTLSSession(p, from, h)
	if err != nil {
		p.listener.leave(from.peer, true, true)
		p.refuse(core.UnspecifiedError, from.peer, "DTLS: "+err.Error())
		return
	}
	g.sessions[from.peer] = s
	g.byID[s.id] = s
	p.engine.wg.Go(s.run)
}

// forget takes s out of the tables.
func (g *dtlsGuard) forget(s *dtlsSession) {
	if g.sessions[s.from.peer] == s {
		delete(g.sessions, s.from.peer)
	}
	delete(g.byID, s.id)
}

// take gives a datagram to pion.
func (s *dtlsSession) take(p *port, it *inItem, from dtlsAddr) {
	if !s.pipe.feed(it.b, from) {
		p.refuse(core.InputOverflow, it.from, "DTLS records came faster than they could be read")
	}
}

// greets tells whether h is the hello that s began with: it is sent again when the
// answer is lost.
func (s *dtlsSession) greets(h *clientHello) bool {
	return string(h.random) == string(s.random[:]) && !s.established.Load()
}

// messageOf is the type of the handshake message that a datagram begins with; 0 for
// none that can be read.
func messageOf(b []byte) byte {
	if len(b) <= recordHeader || b[0] != recordHandshake || binary.BigEndian.Uint16(b[3:]) != 0 {
		return 0
	}
	return b[recordHeader]
}
