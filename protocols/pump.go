package protocols

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// pumps drives connections with a goroutine each: TLS, WebSocket, and on systems
// without event loops everything. It works in turns as the loops do, but borrows
// them: there are few, and nobody holds one while it waits.
type pumps struct {
	gateway gateway
	log     *slog.Logger
	tally   *tally
	pools   pools
	upgradings
	turns chan *core.Turn
	door  *doorstep // where strangers wait; nil for none
	wg    sync.WaitGroup
	born  time.Time

	sockets []*pumpSocket
	started bool

	mu     sync.Mutex // what follows
	slots  []*pumpConn
	free   []uint32
	wheel  wheel
	slow   []slowPump // that are not read from, as they send too fast
	slowAt int64      // when the first of them is due
	due    uint32     // tick for which the timer goroutine sleeps, 0: for ever
	swept  int
	closed bool // no connection comes in any more
	quit   bool
	kick   chan struct{} // wakes the timer goroutine
	stop   chan struct{} // closed: acceptors end
	up     chan struct{} // closed: there are turns
}

// pumpSocket is a listening socket of the pump.
type pumpSocket struct {
	net.Listener
	of *Listener

	given bool          // by a caller of Serve
	done  chan struct{} // of a given one: closed when nothing is accepted any more, then
	err   error         // is why; nil when the server ends
}

func newPumps(g gateway, log *slog.Logger, y *tally) *pumps {
	return &pumps{gateway: g, log: log, tally: y, born: time.Now(), kick: make(chan struct{}, 1), stop: make(chan struct{}), up: make(chan struct{})}
}

func (p *pumps) serves(string) bool { return true }

func (p *pumps) bind(ln *Listener) ([]net.Addr, error) {
	switch ln.cfg.Transport {
	case Unix:
		return p.bindUnix(ln)
	case QUIC:
		return p.bindQUIC(ln)
	}
	first := len(p.sockets)
	err := eachAddress(ln.cfg.Address, func(a netip.AddrPort) (netip.AddrPort, error) {
		l, err := listenTCP(ln, a, p.log)
		if err != nil {
			return a, err
		}
		p.sockets = append(p.sockets, &pumpSocket{Listener: l, of: ln})
		return l.Addr().(*net.TCPAddr).AddrPort(), nil
	}, func() {
		for _, s := range p.sockets[first:] {
			s.Close()
		}
		p.sockets = p.sockets[:first]
	})
	if err != nil {
		return nil, err
	}
	var addrs []net.Addr
	for _, s := range p.sockets[first:] {
		addrs = append(addrs, s.Addr())
	}
	return addrs, nil
}

func (p *pumps) bindUnix(ln *Listener) ([]net.Addr, error) {
	mode, err := parseMode(ln.cfg.Mode)
	if err != nil {
		return nil, err
	}
	if err := clearUnix(ln.cfg.Address); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", ln.cfg.Address)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(ln.cfg.Address, os.FileMode(mode)); err != nil {
		l.Close()
		return nil, err
	}
	p.sockets = append(p.sockets, &pumpSocket{Listener: l, of: ln})
	ln.queues.Store(1)
	return []net.Addr{l.Addr()}, nil
}

func (p *pumps) start() error {
	if len(p.sockets) == 0 {
		return nil
	}
	if err := p.openDoor(); err != nil {
		return err
	}
	p.started = true
	n := max(2*runtime.GOMAXPROCS(0), 4)
	p.turns = make(chan *core.Turn, n)
	for range n {
		p.turns <- p.gateway.NewTurn()
	}
	close(p.up)
	p.wg.Go(p.keepTime)
	for _, s := range p.sockets {
		p.wg.Go(func() { p.acceptFrom(s) })
		if q, ok := s.Listener.(*quicSocket); ok {
			p.wg.Go(q.finish)
		}
	}
	return nil
}

// openDoor makes the doorstep if strangers are to wait there.
func (p *pumps) openDoor() (err error) {
	for _, s := range p.sockets {
		if p.door == nil && !s.given && s.of.inTurns() {
			p.door, err = newDoorstep(p)
			break
		}
	}
	if p.door != nil {
		p.wg.Go(p.door.keep)
	}
	return err
}

// borrow takes a turn for one batch of work.
func (p *pumps) borrow() *core.Turn {
	t := <-p.turns
	t.Begin(time.Now())
	return t
}

// giveBack writes what the batch touched and gives the turn back.
func (p *pumps) giveBack(t *core.Turn) {
	t.End()
	p.turns <- t
}

// acceptBatch is how many connections are taken before others have the processor: some
// 100 us of it.
const acceptBatch = 8

// acceptFrom takes connections as the rate allows.
func (p *pumps) acceptFrom(s *pumpSocket) {
	defer p.ended(s)
	backOff := time.Duration(0)
	var warned time.Time
	n := 0
	for {
		for wait := s.of.rate.take(time.Now()); wait > 0; wait = s.of.rate.take(time.Now()) {
			s.of.delayed.Add(1)
			if !p.pause(wait) {
				return
			}
		}
		c, err := s.Accept()
		switch {
		case err == nil:
			backOff = 0
			p.admit(c, s)
			if n++; n%acceptBatch == 0 {
				runtime.Gosched() // goroutines,
				giveWay()         // and threads that block in the kernel, as those of the loops
			}
			continue
		case errors.Is(err, net.ErrClosed), s.given && !passing(err):
			s.err = err
			return
		case outOfResources(err) || s.given:
			backOff = min(max(2*backOff, firstBackOff), longBackOff)
			if time.Since(warned) > repeatWarning {
				warned = time.Now()
				p.log.Warn(outOfDescriptors, "listener", s.of.name, "error", err, "connections", p.tally.count())
			}
			s.of.delayed.Add(1)
			if !p.pause(backOff) {
				return
			}
		}
		s.of.rate.give()
	}
}

// pause waits, and tells whether to go on.
func (p *pumps) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-p.stop:
		return false
	}
}

func outOfResources(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// admit checks the limits and starts the connection's goroutine, or has it wait at the
// doorstep.
func (p *pumps) admit(c net.Conn, s *pumpSocket) {
	peer := netAddrPort(c.RemoteAddr())
	if r, detail := s.of.admits(peer); r != core.Success {
		t := p.borrow()
		s.of.refuse(p.gateway, t, r, peer, detail)
		p.giveBack(t)
		c.Close()
		return
	}
	setBuffers(c, &s.of.cfg)
	p.tally.opened()
	k := newPumpConn(p, c, s, peer)
	p.count(core.ConnectionsAccepted)
	switch {
	case !p.enroll(k):
		k.release()
	case k.socket.guest != nil:
		k.socket.guest.call()
	default:
		p.wg.Go(k.open)
	}
}

func (p *pumps) stopAccepting() {
	p.mu.Lock()
	sockets := p.sockets
	p.sockets = nil
	if !p.closed {
		p.closed = true
		close(p.stop)
	}
	p.mu.Unlock()
	for _, s := range sockets {
		s.Close()
		if p.started {
			continue
		}
		p.ended(s)
		if q, ok := s.Listener.(*quicSocket); ok {
			q.finish()
		}
	}
}

func (p *pumps) stopSome(n int, r core.Reason) (stopped int) {
	p.mu.Lock()
	var some []*pumpConn
	for ; p.swept < len(p.slots) && len(some) < n; p.swept++ {
		if c := p.slots[p.swept]; c != nil {
			some = append(some, c)
		}
	}
	p.mu.Unlock()
	for _, c := range some {
		c.Close(r)
	}
	return len(some)
}

func (p *pumps) shut() {
	p.stopAccepting()
	if !p.started {
		return
	}
	p.mu.Lock()
	p.quit = true
	all := append([]*pumpConn(nil), p.slots...)
	p.mu.Unlock()
	for _, c := range all {
		if c != nil {
			c.abandon()
		}
	}
	p.wake()
	p.wg.Wait()
	close(p.turns)
	for t := range p.turns {
		t.Close()
	}
	p.started = false
}

// setBuffers sizes the kernel's buffers: best effort, a tuning and no promise.
func setBuffers(c net.Conn, cfg *ListenerConfig) {
	b, ok := c.(interface {
		SetReadBuffer(int) error
		SetWriteBuffer(int) error
	})
	if !ok {
		return
	}
	if cfg.RecvBuffer > 0 {
		b.SetReadBuffer(cfg.RecvBuffer)
	}
	if cfg.SendBuffer > 0 {
		b.SetWriteBuffer(cfg.SendBuffer)
	}
}
