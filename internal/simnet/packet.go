package simnet

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// maxDatagram is the largest payload of UDP over IPv4.
	maxDatagram = 65_507
	// lineBytes bounds what one socket has under way.
	lineBytes = 1 << 20
	// datagramCost is what a datagram counts above its payload, so that empty ones are
	// bounded, too.
	datagramCost = 64
)

// PacketConn is a socket for datagrams. It is a net.PacketConn, safe for concurrent
// use.
type PacketConn struct {
	net   *Network
	inner netip.AddrPort

	mu       sync.Mutex
	cond     sync.Cond
	outer    netip.AddrPort // behind net.mu as well
	queue    []datagram
	limit    int
	notify   func()
	tellRead bool
	readBy   time.Duration
	closed   bool
	own      *Conditions
	line     line
	onLine   int // bytes under way
}

// datagram is one that arrived.
type datagram struct {
	from netip.AddrPort
	b    *block
}

// flight is a datagram under way.
type flight struct {
	by   *PacketConn
	to   netip.AddrPort
	from netip.AddrPort
	b    *block
}

var _ net.PacketConn = (*PacketConn)(nil)

// ListenPacket opens addr for datagrams; port 0 takes a free one.
func (n *Network) ListenPacket(addr string) (*PacketConn, error) {
	p := &PacketConn{net: n, limit: defaultQueue}
	p.cond.L = &p.mu
	a, err := n.bind(p, addr)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "udp", Err: err}
	}
	p.inner, p.outer = a, a
	p.line.chance = n.chanceOf(a, netip.AddrPort{}, 3)
	return p, nil
}

// bind makes addr lead to p.
func (n *Network) bind(p *PacketConn, addr string) (netip.AddrPort, error) {
	a, err := n.parse(addr, true)
	if err != nil {
		return a, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	taken := func(a netip.AddrPort) bool { return n.sockets[a] != nil }
	if a.Port() == 0 {
		if a, err = n.freePort(a.Addr(), taken); err != nil {
			return a, err
		}
	}
	if taken(a) {
		return a, os.NewSyscallError("bind", syscall.EADDRINUSE)
	}
	n.sockets[a] = p
	return a, nil
}

// Rebind gives the socket another address to the outside, as a NAT that forgot it:
// peers see the new one from the next datagram on, and what they send to the old one
// is lost. Port 0 takes a free one. LocalAddr stays.
func (p *PacketConn) Rebind(addr string) error {
	a, err := p.net.bind(p, addr)
	if err != nil {
		return &net.OpError{Op: "rebind", Net: "udp", Source: p.LocalAddr(), Err: err}
	}
	p.mu.Lock()
	old := p.outer
	gone := p.closed
	if gone {
		old = a
	} else {
		p.outer = a
	}
	p.mu.Unlock()
	p.net.unbind(old)
	if gone {
		return p.wrap("rebind", net.ErrClosed)
	}
	return nil
}

func (n *Network) unbind(a netip.AddrPort) {
	n.mu.Lock()
	delete(n.sockets, a)
	n.mu.Unlock()
}

// OuterAddr is the address that peers see.
func (p *PacketConn) OuterAddr() netip.AddrPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	return shown(p.outer)
}

// WriteTo implements net.PacketConn. It never blocks. to is a *net.UDPAddr, or any
// address whose text is host:port.
func (p *PacketConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if u, ok := to.(*net.UDPAddr); ok {
		a := u.AddrPort()
		return p.WriteToAddrPort(b, netip.AddrPortFrom(a.Addr().Unmap(), a.Port()))
	}
	a, err := p.net.parse(to.String(), false)
	if err != nil {
		return 0, p.wrap("write", err)
	}
	return p.WriteToAddrPort(b, a)
}

// WriteToAddrPort is WriteTo without allocation. It never blocks: what finds no room
// is lost and counted.
func (p *PacketConn) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if len(b) > maxDatagram {
		return 0, p.wrap("write", os.NewSyscallError("sendto", syscall.EMSGSIZE))
	}
	to = loopback(to)
	n := p.net
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return 0, p.wrap("write", net.ErrClosed)
	}
	n.counters.datagrams.Add(1)
	rules := p.own
	if rules == nil {
		rules = n.rules.Load()
	}
	from := loopback(p.outer)
	copies := 1
	if rules.Cut || p.line.chance.hits(rules.Loss) {
		copies = 0
		n.counters.lost.Add(1)
	} else if p.line.chance.hits(rules.Duplicate) {
		copies = 2
		n.counters.duplicated.Add(1)
	}
	if rules.instant() {
		p.mu.Unlock()
		n.hand(from, to, n.blocks.add(nil, b))
		return len(b), nil
	}
	for range copies {
		p.launch(b, from, to, rules)
	}
	p.mu.Unlock()
	return len(b), nil
}

// launch sends one datagram on its way. mu is held.
func (p *PacketConn) launch(b []byte, from, to netip.AddrPort, rules *Conditions) {
	n := p.net
	cost := len(b) + datagramCost
	if p.onLine+cost > lineBytes {
		n.counters.wireOverflow.Add(1)
		return
	}
	p.onLine += cost
	l := &p.line
	at := l.departs(n.now(), len(b), rules) + max(rules.Latency, 0) + l.chance.upTo(rules.Jitter)
	if l.chance.hits(rules.Reorder) {
		n.counters.reordered.Add(1)
		at = max(at, l.last) + max(rules.Latency, rules.Jitter, leastOvertaking)
	} else {
		l.last = max(l.last, at)
		at = l.last
	}
	n.at(at, &flight{p, to, from, n.blocks.add(nil, b)})
}

// due is the clock's call: the datagram is there.
func (f *flight) due() {
	f.by.mu.Lock()
	f.by.onLine -= len(f.b.b) + datagramCost
	f.by.mu.Unlock()
	f.by.net.hand(f.from, f.to, f.b)
}

// hand gives a datagram to whoever has the address to.
func (n *Network) hand(from, to netip.AddrPort, b *block) {
	n.mu.Lock()
	p := n.sockets[to]
	if p == nil {
		p = n.sockets[everywhere(to)]
	}
	n.mu.Unlock()
	if p == nil {
		n.counters.unreachable.Add(1)
		n.blocks.put(b)
		return
	}
	p.mu.Lock()
	if p.closed || len(p.queue) >= p.limit {
		p.mu.Unlock()
		n.counters.queueOverflow.Add(1)
		n.blocks.put(b)
		return
	}
	p.queue = append(p.queue, datagram{from, b})
	p.cond.Signal()
	var f func()
	if p.tellRead {
		f, p.tellRead = p.notify, false
	}
	p.mu.Unlock()
	if f != nil {
		f()
	}
}

// ReadFrom implements net.PacketConn; the address is a *net.UDPAddr. What does not fit
// into b is lost.
func (p *PacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if !p.closed && p.readBy != 0 && p.net.now() >= p.readBy {
			return 0, nil, p.wrap("read", os.ErrDeadlineExceeded)
		}
		n, from, err := p.take(b)
		if err == nil {
			return n, udpAddr(from), nil
		}
		if err != ErrWouldBlock {
			return 0, nil, p.wrap("read", err)
		}
		p.await()
	}
}

// await blocks until something changed. mu is held before and after.
func (p *PacketConn) await() {
	if p.readBy != 0 {
		timer := time.AfterFunc(p.readBy-p.net.now(), func() {
			p.mu.Lock()
			p.cond.Broadcast()
			p.mu.Unlock()
		})
		defer timer.Stop()
	}
	p.cond.Wait()
}

// TryReadFrom is ReadFrom that does not wait: ErrWouldBlock when nothing is there. It
// allocates nothing.
func (p *PacketConn) TryReadFrom(b []byte) (int, netip.AddrPort, error) {
	p.mu.Lock()
	n, from, err := p.take(b)
	if err == ErrWouldBlock {
		p.tellRead = true
	}
	p.mu.Unlock()
	if err != nil && err != ErrWouldBlock {
		err = p.wrap("read", err)
	}
	return n, from, err
}

// take reads one datagram. mu is held.
func (p *PacketConn) take(b []byte) (int, netip.AddrPort, error) {
	if p.closed {
		return 0, netip.AddrPort{}, net.ErrClosed
	}
	if len(p.queue) == 0 {
		return 0, netip.AddrPort{}, ErrWouldBlock
	}
	d := p.queue[0]
	p.queue[0] = datagram{}
	if p.queue = p.queue[1:]; len(p.queue) == 0 {
		p.queue = nil
	}
	n := copy(b, d.b.b)
	p.net.blocks.put(d.b)
	return n, d.from, nil
}

// Notify makes f be called when TryReadFrom may give something; see Conn.Notify.
func (p *PacketConn) Notify(f func()) {
	p.mu.Lock()
	p.notify = f
	now := f != nil && len(p.queue) > 0
	p.tellRead = !now
	p.mu.Unlock()
	if now {
		f()
	}
}

// SetQueue bounds how many datagrams wait to be read; 256 unless told, at least 1.
func (p *PacketConn) SetQueue(n int) {
	p.mu.Lock()
	p.limit = max(n, 1)
	p.mu.Unlock()
}

// SetConditions makes k hold for what this socket sends, in place of the network's.
func (p *PacketConn) SetConditions(k Conditions) {
	p.mu.Lock()
	p.own = &k
	p.mu.Unlock()
}

// Close implements net.PacketConn.
func (p *PacketConn) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return p.wrap("close", net.ErrClosed)
	}
	p.closed = true
	p.queue, p.notify = nil, nil
	outer := p.outer
	p.cond.Broadcast()
	p.mu.Unlock()
	p.net.unbind(outer)
	return nil
}

// LocalAddr is a *net.UDPAddr.
func (p *PacketConn) LocalAddr() net.Addr { return udpAddr(p.inner) }

// SetDeadline implements net.PacketConn.
func (p *PacketConn) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn. TryReadFrom does not heed it.
func (p *PacketConn) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return p.wrap("set", net.ErrClosed)
	}
	p.readBy = p.net.deadline(t)
	p.cond.Broadcast() // they look at it anew
	return nil
}

// SetWriteDeadline implements net.PacketConn; writing never waits.
func (p *PacketConn) SetWriteDeadline(time.Time) error { return nil }

func (p *PacketConn) wrap(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Source: p.LocalAddr(), Err: err}
}
