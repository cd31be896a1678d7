package protocols

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// dtlsQueue is how many datagrams wait for one DTLS connection; what does not fit is
// lost, as on any network, and sent again.
const dtlsQueue = 32

// dtlsAddr is where a DTLS peer is, and by which of our sockets. It is comparable, as
// pion compares addresses to see that one has changed.
type dtlsAddr struct {
	via   *port
	peer  netip.AddrPort
	local *localAddr
}

// Network implements net.Addr.
func (a dtlsAddr) Network() string { return "udp" }

// String implements net.Addr.
func (a dtlsAddr) String() string { return a.peer.String() }

// dtlsPipe is what pion takes for the socket of one connection.
type dtlsPipe struct {
	session *dtlsSession
	permit  *permit // to compute its handshake
	more    chan struct{}

	mu     sync.Mutex
	queue  []dtlsRecord
	until  time.Time
	closed bool
}

// dtlsRecord is a datagram that came.
type dtlsRecord struct {
	b    []byte
	from dtlsAddr
}

var _ net.PacketConn = (*dtlsPipe)(nil)

// feed puts a datagram in, and tells whether there was room. A connection that ends
// takes nothing any more.
func (p *dtlsPipe) feed(b []byte, from dtlsAddr) bool {
	p.mu.Lock()
	room := len(p.queue) < dtlsQueue
	if room && !p.closed {
		p.queue = append(p.queue, dtlsRecord{append([]byte(nil), b...), from})
	}
	p.mu.Unlock()
	p.wake()
	return room
}

func (p *dtlsPipe) wake() {
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// ReadFrom implements net.PacketConn. During the handshake what comes is handed out when
// it is the connection's turn to compute.
func (p *dtlsPipe) ReadFrom(b []byte) (int, net.Addr, error) {
	p.permit.giveBack()
	for {
		r, until, err := p.next()
		switch {
		case err != nil:
			return 0, nil, err
		case r != nil:
			if !p.session.established.Load() {
				p.permit.take(p.session.ctx.Done())
			}
			return copy(b, r.b), r.from, nil
		}
		var late <-chan time.Time
		if !until.IsZero() {
			late = time.After(time.Until(until))
		}
		select {
		case <-p.more:
		case <-late:
		}
	}
}

func (p *dtlsPipe) next() (*dtlsRecord, time.Time, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, p.until, net.ErrClosed
	case !p.until.IsZero() && !time.Now().Before(p.until):
		return nil, p.until, os.ErrDeadlineExceeded
	case len(p.queue) == 0:
		p.queue = nil
		return nil, p.until, nil
	}
	r := p.queue[0]
	p.queue = p.queue[1:]
	return &r, p.until, nil
}

// WriteTo implements net.PacketConn.
func (p *dtlsPipe) WriteTo(b []byte, to net.Addr) (int, error) {
	a, ok := to.(dtlsAddr)
	if !ok {
		return 0, net.ErrClosed
	}
	if p.session.swallow(b) {
		return len(b), nil
	}
	box := p.session.guard.boxes.get()
	box.add(a.via, a.peer, a.local, b)
	calls, sent, failed := a.via.socket.send(box, box.items)
	p.session.guard.boxes.put(box)
	a.via.aside.calls.Add(uint64(calls))
	a.via.aside.bytes.Add(uint64(sent))
	a.via.aside.unsent.Add(uint64(failed))
	return len(b), nil
}

// Close implements net.PacketConn.
func (p *dtlsPipe) Close() error {
	p.mu.Lock()
	p.closed = true
	p.queue = nil
	p.mu.Unlock()
	p.wake()
	return nil
}

// LocalAddr implements net.PacketConn.
func (p *dtlsPipe) LocalAddr() net.Addr { return p.session.port.socket.addr() }

// SetDeadline implements net.PacketConn.
func (p *dtlsPipe) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (p *dtlsPipe) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	p.until = t
	p.mu.Unlock()
	p.wake()
	return nil
}

// SetWriteDeadline implements net.PacketConn; writing never waits.
func (p *dtlsPipe) SetWriteDeadline(time.Time) error { return nil }

// outboxes is a pool of outboxes for what is sent outside of turns.
type outboxes struct{ pool sync.Pool }

func (p *outboxes) get() *outbox {
	if b, ok := p.pool.Get().(*outbox); ok {
		return b
	}
	return &outbox{}
}

func (p *outboxes) put(b *outbox) {
	clear(b.items)
	b.items, b.out.Buf = b.items[:0], b.out.Buf[:0]
	p.pool.Put(b)
}
