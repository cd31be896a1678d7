package protocols

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// receiveBatch is how many datagrams are taken at once.
const receiveBatch = 64

// maxDatagram is the largest datagram that UDP carries over IPv4.
const maxDatagram = 65_507

// inItem is one datagram that came. Its bytes are the socket's buffer: they hold
// until the next receive.
type inItem struct {
	b       []byte
	from    netip.AddrPort
	local   *localAddr // that it was sent to; nil where the socket has only one
	size    int        // what it had on the way
	tooLong bool       // part of it is lost
}

// localAddr is an address of ours that datagrams come to.
type localAddr struct {
	addr    netip.Addr // as the header says: a group, if it was sent to one
	control []byte     // makes answers leave from it; nil for groups and broadcasts
}

// datagramSocket is what a port needs of its socket. receive and deadline are the
// port's goroutine's, but that deadline may be called by others while it waits; send
// is anyone's.
type datagramSocket interface {
	// receive takes what is there; if wait is set, it waits for something until the
	// deadline. No datagrams and no error mean that nothing is there.
	receive(wait bool) ([]inItem, error)
	// deadline is until when receive waits from now on; zero is for ever.
	deadline(until time.Time)
	// send sends items of b, which are all of this socket's port, without blocking.
	// It gives its system calls, the bytes that went and the datagrams that did not.
	send(b *outbox, items []outItem) (calls, sent, failed int)
	addr() net.Addr
	close() error
}

// tryReader is a PacketConn that can be asked without waiting.
type tryReader interface {
	TryReadFrom(b []byte) (int, netip.AddrPort, error)
}

// addrPortWriter is a PacketConn that needs no net.Addr.
type addrPortWriter interface {
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
}

// packetSocket is any net.PacketConn as a datagramSocket: networks in memory, tunnels,
// and UDP on systems without batches.
type packetSocket struct {
	net.PacketConn
	buf   []byte
	items []inItem
	limit int
}

// newPacketSocket takes datagrams of at most limit bytes from c.
func newPacketSocket(c net.PacketConn, limit int) *packetSocket {
	n := 1
	if _, ok := c.(tryReader); ok {
		n = 8
	}
	return &packetSocket{PacketConn: c, buf: make([]byte, n*(limit+1)), items: make([]inItem, 0, n), limit: limit}
}

func (s *packetSocket) receive(wait bool) ([]inItem, error) {
	s.items = s.items[:0]
	try, polls := s.PacketConn.(tryReader)
	if !wait && !polls {
		return nil, nil
	}
	if wait {
		n, from, err := s.readOne()
		if err != nil {
			return nil, unlessLate(err)
		}
		s.took(n, from)
	}
	for polls && len(s.items) < cap(s.items) {
		n, from, err := try.TryReadFrom(s.room())
		if err != nil {
			break // nothing there; a real error comes again
		}
		s.took(n, from)
	}
	return s.items, nil
}

func (s *packetSocket) room() []byte {
	at := len(s.items) * (s.limit + 1)
	return s.buf[at : at+s.limit+1]
}

func (s *packetSocket) readOne() (int, netip.AddrPort, error) {
	if u, ok := s.PacketConn.(*net.UDPConn); ok {
		return u.ReadFromUDPAddrPort(s.room())
	}
	n, from, err := s.PacketConn.ReadFrom(s.room())
	if err != nil {
		return n, netip.AddrPort{}, err
	}
	return n, netAddrPort(from), nil
}

func (s *packetSocket) took(n int, from netip.AddrPort) {
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	s.items = append(s.items, inItem{b: s.room()[:min(n, s.limit)], from: from, size: n, tooLong: n > s.limit})
}

// unlessLate hides that a deadline passed: it is how a port is woken.
func unlessLate(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

func (s *packetSocket) deadline(until time.Time) { s.SetReadDeadline(until) }

func (s *packetSocket) send(b *outbox, items []outItem) (calls, sent, failed int) {
	for i := range items {
		it := &items[i]
		calls++
		if s.write(b.out.Buf[it.low:it.end], it.to) != nil {
			failed++
			continue
		}
		sent += it.end - it.low
	}
	return calls, sent, failed
}

func (s *packetSocket) write(b []byte, to netip.AddrPort) error {
	var err error
	if w, ok := s.PacketConn.(addrPortWriter); ok {
		_, err = w.WriteToUDPAddrPort(b, to)
	} else {
		_, err = s.WriteTo(b, net.UDPAddrFromAddrPort(to))
	}
	return err
}

func (s *packetSocket) addr() net.Addr { return s.LocalAddr() }

func (s *packetSocket) close() error { return s.Close() }

// openPlain opens one socket without batches.
func openPlain(ln *Listener, a netip.AddrPort) ([]datagramSocket, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(a))
	if err != nil {
		return nil, err
	}
	c.SetReadBuffer(udpBuffer) // best effort, as the next
	c.SetWriteBuffer(udpBuffer)
	return []datagramSocket{newPacketSocket(c, ln.datagramLimit())}, nil
}
