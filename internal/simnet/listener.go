package simnet

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
)

// Listener accepts streams. It is a net.Listener.
type Listener struct {
	net  *Network
	addr netip.AddrPort

	mu      sync.Mutex
	cond    sync.Cond
	queue   []*Conn
	backlog int
	closed  bool
}

var _ net.Listener = (*Listener)(nil)

// Listen opens addr ("host:port") for streams; port 0 takes a free one. The error is
// a *net.OpError, EADDRINUSE when the address is taken.
func (n *Network) Listen(addr string) (*Listener, error) {
	a, err := n.parse(addr, true)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: err}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	taken := func(a netip.AddrPort) bool { return n.listeners[a] != nil }
	if a.Port() == 0 {
		if a, err = n.freePort(a.Addr(), taken); err != nil {
			return nil, &net.OpError{Op: "listen", Net: "tcp", Err: err}
		}
	}
	if taken(a) {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: tcpAddr(a), Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	l := &Listener{net: n, addr: a, backlog: defaultBacklog}
	l.cond.L = &l.mu
	n.listeners[a] = l
	return l, nil
}

// listenerAt finds who listens at a; nil for nobody.
func (n *Network) listenerAt(a netip.AddrPort) *Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.listeners[a]; l != nil {
		return l
	}
	return n.listeners[everywhere(a)]
}

// offer puts c into the backlog.
func (l *Listener) offer(c *Conn) (taken, full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.queue) >= l.backlog {
		return false, !l.closed
	}
	l.queue = append(l.queue, c)
	l.cond.Signal()
	return true, false
}

// Accept gives the next stream as a *Conn; it blocks until there is one. After Close
// the error is net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) == 0 && !l.closed {
		l.cond.Wait()
	}
	if l.closed {
		return nil, l.errClosed("accept")
	}
	c := l.queue[0]
	l.queue[0] = nil
	if l.queue = l.queue[1:]; len(l.queue) == 0 {
		l.queue = nil
	}
	return c, nil
}

// Close ends listening; streams that nobody accepted are reset.
func (l *Listener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return l.errClosed("close")
	}
	l.closed = true
	left := l.queue
	l.queue = nil
	l.cond.Broadcast()
	l.mu.Unlock()
	l.net.mu.Lock()
	delete(l.net.listeners, l.addr)
	l.net.mu.Unlock()
	for _, c := range left {
		c.Reset()
	}
	return nil
}

func (l *Listener) errClosed(op string) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
}

// Addr is the address, a *net.TCPAddr.
func (l *Listener) Addr() net.Addr { return tcpAddr(l.addr) }

// SetBacklog bounds how many streams wait for Accept; 4,096 unless told, at least 1.
// Those above it are told nothing and try again.
func (l *Listener) SetBacklog(n int) {
	l.mu.Lock()
	l.backlog = max(n, 1)
	l.mu.Unlock()
}
