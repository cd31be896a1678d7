package simnet

import (
	"net"
	"net/netip"
)

// Link is a datagram socket that has one peer.
type Link struct {
	*PacketConn
	to netip.AddrPort
}

var _ net.Conn = (*Link)(nil)

// DialPacket opens a datagram socket at from ("" for any address) to the peer at to.
// Nothing is sent, and nobody needs to listen there.
func (n *Network) DialPacket(from, to string) (*Link, error) {
	peer, err := n.parse(to, false)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "udp", Err: err}
	}
	if from == "" {
		from = "127.0.0.1:0"
	}
	p, err := n.ListenPacket(from)
	if err != nil {
		return nil, err
	}
	return &Link{p, loopback(peer)}, nil
}

// Read implements net.Conn: one datagram of the peer. Those of others are lost.
func (l *Link) Read(b []byte) (int, error) {
	for {
		n, from, err := l.ReadFrom(b)
		if err != nil {
			return 0, err
		}
		a := from.(*net.UDPAddr).AddrPort()
		if netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) == shown(l.to) {
			return n, nil
		}
	}
}

// Write implements net.Conn: one datagram to the peer. It never blocks.
func (l *Link) Write(b []byte) (int, error) { return l.WriteToAddrPort(b, l.to) }

// RemoteAddr implements net.Conn.
func (l *Link) RemoteAddr() net.Addr { return udpAddr(l.to) }
