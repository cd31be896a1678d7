package simnet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// Conditions are how a network, a stream or a socket treats what passes. The zero
// value delivers everything at once.
type Conditions struct {
	Latency   time.Duration // one way
	Jitter    time.Duration // up to so much more, evenly distributed; order is kept
	Loss      float64       // 0 to 1; of streams: the segment comes one or more retransmission times late
	Duplicate float64       // 0 to 1; datagrams only
	Reorder   float64       // 0 to 1: later ones overtake it; datagrams only
	Bandwidth int           // bytes per second and direction; 0: no limit
	// Cut lets nothing pass. Streams keep what was sent until the cut ends;
	// datagrams are lost.
	Cut bool
	// HalfOpen keeps the end of a stream from the other side: a close or reset is not
	// told, as when a device loses its power.
	HalfOpen bool
}

// Stats count what a network did to its traffic.
type Stats struct {
	Dials           uint64 // streams that were asked for
	Refused         uint64 // of them, where nobody listened
	BacklogOverflow uint64 // tries to connect that found the backlog full; they are repeated
	Resets          uint64 // streams that ended by reset
	Retransmitted   uint64 // segments of streams that came late by Loss
	Datagrams       uint64 // sent
	Lost            uint64 // of them, by Loss or Cut
	Duplicated      uint64
	Reordered       uint64
	QueueOverflow   uint64 // datagrams that found the receiver's queue full
	WireOverflow    uint64 // datagrams that found the sender's line full (Bandwidth, Latency)
	Unreachable     uint64 // datagrams to an address where nobody listens
}

// ErrWouldBlock says that TryRead has nothing or TryWrite no room at present. It is
// syscall.EAGAIN for errors.Is.
var ErrWouldBlock = errors.New("simnet: would block")

// Network is everything that can reach each other. Safe for concurrent use.
type Network struct{}

// New makes an empty network whose chance follows from seed.
func New(seed uint64) *Network { return &Network{} }

// SetConditions makes c hold for all that has no conditions of its own, from now on;
// a Cut also holds what is under way.
func (n *Network) SetConditions(c Conditions) {}

// SetWindow bounds what a stream made from now on holds in each direction, in bytes;
// 64 KiB unless told. Less than 1 is 1.
func (n *Network) SetWindow(bytes int) {}

// Stats gives the counters.
func (n *Network) Stats() Stats { return Stats{} }

// Listen opens addr ("host:port") for streams; port 0 takes a free one. The error is
// a *net.OpError, EADDRINUSE when the address is taken.
func (n *Network) Listen(addr string) (*Listener, error) { return nil, errors.ErrUnsupported }

// Dial connects to the listener at to and waits until it is reached, refused, or ctx
// ends. from is the source ("ip:port", port 0 for any), "" any. The errors are those
// of net.Dial.
func (n *Network) Dial(ctx context.Context, from, to string) (*Conn, error) {
	return nil, errors.ErrUnsupported
}

// Connect begins to connect and returns at once. Until the stream is there, TryWrite
// gives ErrWouldBlock (Write waits); Notify tells when it is, or when it failed, and
// TryRead then gives the error.
func (n *Network) Connect(from, to string) (*Conn, error) { return nil, errors.ErrUnsupported }

// Dialer gives a DialContext function, as many clients take one, that dials from this
// source. It knows the networks tcp, tcp4 and tcp6.
func (n *Network) Dialer(from string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return nil
}

// ListenPacket opens addr for datagrams; port 0 takes a free one.
func (n *Network) ListenPacket(addr string) (*PacketConn, error) { return nil, errors.ErrUnsupported }

// Listener accepts streams. It is a net.Listener.
type Listener struct{}

// Accept gives the next stream as a *Conn; it blocks until there is one. After Close
// the error is net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) { return nil, errors.ErrUnsupported }

// Close ends listening; streams that nobody accepted are reset.
func (l *Listener) Close() error { return nil }

// Addr is the address, a *net.TCPAddr.
func (l *Listener) Addr() net.Addr { return nil }

// SetBacklog bounds how many streams wait for Accept; 4,096 unless told.
func (l *Listener) SetBacklog(n int) {}

// Conn is one end of a stream. It is a net.Conn, safe for concurrent use.
type Conn struct{}

// Read implements net.Conn. io.EOF follows the other end's CloseWrite or Close;
// ECONNRESET its reset, which also takes what was not read yet.
func (c *Conn) Read(b []byte) (int, error) { return 0, errors.ErrUnsupported }

// Write implements net.Conn. It copies b and blocks while the window is full.
func (c *Conn) Write(b []byte) (int, error) { return 0, errors.ErrUnsupported }

// Close implements net.Conn. What was written still arrives, unless something that
// had arrived was not read: then the stream is reset, as kernels do.
func (c *Conn) Close() error { return nil }

// CloseWrite says that nothing more is written; the other end reads io.EOF after it.
func (c *Conn) CloseWrite() error { return nil }

// Reset ends the stream at once: the other end's reads and writes fail with
// ECONNRESET and lose what was under way.
func (c *Conn) Reset() error { return nil }

// LocalAddr is a *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr { return nil }

// RemoteAddr is a *net.TCPAddr.
func (c *Conn) RemoteAddr() net.Addr { return nil }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return nil }

// SetReadDeadline implements net.Conn. TryRead does not heed it.
func (c *Conn) SetReadDeadline(t time.Time) error { return nil }

// SetWriteDeadline implements net.Conn. TryWrite does not heed it.
func (c *Conn) SetWriteDeadline(t time.Time) error { return nil }

// Notify makes f be called when TryRead may give something (bytes, the end, an error)
// or, after TryWrite found no room, when there is room again. It is edge-triggered:
// not again before TryRead (or TryWrite) has said ErrWouldBlock. f is called at once
// if there is something already, on any goroutine, never under a lock of this
// package; it should only note the Conn for its loop. nil ends it.
func (c *Conn) Notify(f func()) {}

// TryRead is Read that does not wait: ErrWouldBlock when nothing is there.
func (c *Conn) TryRead(b []byte) (int, error) { return 0, ErrWouldBlock }

// TryWrite is Write that does not wait: it takes what there is room for, and gives
// ErrWouldBlock if that is not all of b.
func (c *Conn) TryWrite(b []byte) (int, error) { return 0, ErrWouldBlock }

// SetConditions makes k hold for this stream, both directions, in place of the
// network's.
func (c *Conn) SetConditions(k Conditions) {}

// PacketConn is a socket for datagrams. It is a net.PacketConn, safe for concurrent
// use.
type PacketConn struct{}

// ReadFrom implements net.PacketConn; the address is a *net.UDPAddr.
func (p *PacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	return 0, nil, errors.ErrUnsupported
}

// TryReadFrom is ReadFrom that does not wait: ErrWouldBlock when nothing is there. It
// allocates nothing.
func (p *PacketConn) TryReadFrom(b []byte) (int, netip.AddrPort, error) {
	return 0, netip.AddrPort{}, ErrWouldBlock
}

// WriteTo implements net.PacketConn. It never blocks. to is a *net.UDPAddr, or any
// address whose text is host:port.
func (p *PacketConn) WriteTo(b []byte, to net.Addr) (int, error) { return 0, errors.ErrUnsupported }

// WriteToAddrPort is WriteTo without allocation.
func (p *PacketConn) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return 0, errors.ErrUnsupported
}

// Notify makes f be called when TryReadFrom may give something; see Conn.Notify.
func (p *PacketConn) Notify(f func()) {}

// Rebind gives the socket another address to the outside, as a NAT that forgot it:
// peers see new from the next datagram on, and what they send to the old address is
// lost. Port 0 takes a free one. LocalAddr stays.
func (p *PacketConn) Rebind(addr string) error { return errors.ErrUnsupported }

// OuterAddr is the address that peers see.
func (p *PacketConn) OuterAddr() netip.AddrPort { return netip.AddrPort{} }

// SetQueue bounds how many datagrams wait to be read; 256 unless told.
func (p *PacketConn) SetQueue(n int) {}

// SetConditions makes k hold for what this socket sends, in place of the network's.
func (p *PacketConn) SetConditions(k Conditions) {}

// Close implements net.PacketConn.
func (p *PacketConn) Close() error { return nil }

// LocalAddr is a *net.UDPAddr.
func (p *PacketConn) LocalAddr() net.Addr { return nil }

// SetDeadline implements net.PacketConn.
func (p *PacketConn) SetDeadline(t time.Time) error { return nil }

// SetReadDeadline implements net.PacketConn.
func (p *PacketConn) SetReadDeadline(t time.Time) error { return nil }

// SetWriteDeadline implements net.PacketConn; writing never waits.
func (p *PacketConn) SetWriteDeadline(t time.Time) error { return nil }
