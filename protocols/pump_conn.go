package protocols

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// Phases of a connection.
const (
	phaseOpen   = iota
	phaseLinger // the machine's last call is done; what was written still goes out
	phaseGone
)

// lingerTime is how long a goodbye may take to reach the client.
const lingerTime = 2 * time.Second

// pumpConn is one connection of the pump. Its reader goroutine parks in the
// socket; work from elsewhere runs in a goroutine of its own while there is some.
type pumpConn struct {
	engine   *pumps
	listener *Listener
	outlet
	slot     uint32 // with enrolled behind engine.mu
	enrolled bool
	stopping atomic.Bool

	// The machine's side, behind input.
	input     sync.Mutex
	machine   Machine
	turn      *core.Turn // while input is held for a batch of work
	act       Actions
	accepted  bool
	paused    bool
	stalled   bool
	throttled bool // it sends too fast, so nothing is read from it
	pace      *pace
	reading   bool // the reader runs; then in is its own
	again     bool // input came while it ran: it must look once more
	counted   bool
	timer     uint32
	inlet
	peer netip.AddrPort

	// The outgoing side, behind mu, as most of outlet.
	mu     sync.Mutex
	data   *dataStreams // nil until the client opens one; changed with input held, too
	phase  uint8
	ready  bool // the client was accepted: Output may run
	left   bool // the stream's goodbye was written
	reason core.Reason
	by     time.Time // when a lingering connection is closed at the latest

	// Work from elsewhere, behind tasks.
	tasks   sync.Mutex
	queue   []func(*pumpConn)
	working bool
	gone    bool // released: nothing is done any more
}

var _ core.Conn = (*pumpConn)(nil)

func newPumpConn(p *pumps, c net.Conn, s *pumpSocket, peer netip.AddrPort) *pumpConn {
	k := &pumpConn{engine: p, listener: s.of, peer: peer, reading: true}
	if s.of.rates != nil {
		k.pace = &pace{}
	}
	k.socket = newSocket(p, c)
	k.socket.drained = k.drained
	p.atDoor(k, c, s)
	return k
}

// Peer implements core.Conn.
func (c *pumpConn) Peer() netip.AddrPort { return c.peer }

// Complete implements core.Conn.
func (c *pumpConn) Complete(done core.Completion) {
	f := func(c *pumpConn) { c.complete(done) }
	if done.Op == core.OpConnect {
		c.postLate(f) // even when the client left: its session must learn of it
		return
	}
	c.post(f)
}

// Close implements core.Conn.
func (c *pumpConn) Close(r core.Reason) {
	if c.stopping.CompareAndSwap(false, true) {
		c.post(func(c *pumpConn) { c.stop(r) })
	}
}

// post has f run with the machine's side held. Any goroutine; never blocks.
func (c *pumpConn) post(f func(*pumpConn)) {
	c.tasks.Lock()
	gone := c.gone
	c.tasks.Unlock()
	if !gone {
		c.postLate(f)
	}
}

// postLate is post also for a connection that was released.
func (c *pumpConn) postLate(f func(*pumpConn)) {
	c.tasks.Lock()
	defer c.tasks.Unlock()
	c.queue = append(c.queue, f)
	if !c.working {
		c.working = true
		c.engine.wg.Go(c.work)
	}
}

// work runs what was posted until nothing is left.
func (c *pumpConn) work() {
	for {
		c.tasks.Lock()
		todo := c.queue
		c.queue = nil
		c.working = len(todo) > 0
		c.tasks.Unlock()
		if len(todo) == 0 {
			return
		}
		c.enter()
		for _, f := range todo {
			f(c)
		}
		c.leave()
	}
}

// enter takes the machine's side and a turn.
func (c *pumpConn) enter() {
	c.input.Lock()
	c.turn = c.engine.borrow()
	if c.data != nil {
		c.mu.Lock()
		c.data.busy = true
		c.mu.Unlock()
	}
}

// leave writes what the work touched, this connection first: its replies and its
// output travel together.
func (c *pumpConn) leave() {
	t := c.turn
	c.mu.Lock()
	if c.data != nil {
		c.data.busy = false
	}
	c.flush(t)
	c.mu.Unlock()
	c.socket.edge.moveTo(t)
	c.turn = nil
	c.engine.giveBack(t)
	c.input.Unlock()
}

// open is the connection's goroutine.
func (c *pumpConn) open() {
	if err := c.establish(); err != nil {
		c.dismiss(err)
		return
	}
	c.read()
}

// dismiss ends a connection that has no machine. The reader's.
func (c *pumpConn) dismiss(err error) {
	c.enter()
	c.lost(err)
	c.leave()
	c.read()
}

// establish goes through what stands in front of the machine.
func (c *pumpConn) establish() error {
	cfg := &c.listener.cfg
	info := ConnInfo{Listener: c.listener, Peer: c.peer, Local: netAddrPort(c.socket.LocalAddr())}
	deadline := time.Now().Add(cfg.HandshakeTimeout)
	if c.socket.guest == nil { // its timer runs already
		c.socket.Conn.SetReadDeadline(deadline)
	}
	if cfg.ProxyProtocol == "on" {
		h, err := c.readProxy()
		if err != nil {
			return err
		}
		local := info.Local
		info = h.info(c.listener, c.peer)
		if !info.Local.IsValid() {
			info.Local = local
		}
	}
	if err := c.enterAddress(info.Peer); err != nil {
		return err
	}
	if q, ok := c.socket.Conn.(*quicConn); ok {
		if err := q.begin(deadline); err != nil {
			return err
		}
		state := q.conn.ConnectionState().TLS
		info.TLS, info.ServerName = &state, state.ServerName
	}
	s, err := c.layers(&info)
	if err != nil {
		return err
	}
	if c.socket.guest == nil {
		c.socket.Conn.SetReadDeadline(time.Time{})
	}
	if err := c.begin(s, &info); err != nil {
		return err
	}
	c.listen()
	return nil
}

// layers goes through TLS and WebSocket, where the listener speaks them, in the turns of
// the client's address.
func (c *pumpConn) layers(info *ConnInfo) (s stream, err error) {
	if c.listener.inTurns() {
		if err := c.socket.inTurn(c.listener.handshakes.permitFor(info.Peer.Addr())); err != nil {
			return nil, c.silent(err)
		}
	}
	var under net.Conn = c.socket
	s = plainStream{c.socket}
	if c.listener.secure() {
		t, err := handshake(c.socket, c.listener.tls.Load())
		if err != nil {
			return nil, handshakeError(err)
		}
		state := t.ConnectionState()
		info.TLS = &state
		if info.ServerName == "" {
			info.ServerName = state.ServerName
		}
		under, s = t, tlsStream{t, c.socket}
	}
	if c.listener.web() {
		if err := c.upgrade(under); err != nil {
			return nil, err
		}
		s = newWSStream(s, c.listener, &c.engine.pools.helds)
	}
	// From here on reading takes what is there; for TLS, records that came with
	// the handshake's end are inside crypto/tls already, so the first read comes
	// before the first wait.
	c.socket.polling = true
	return s, nil
}

// silent is why a client is refused that said nothing.
func (c *pumpConn) silent(err error) error {
	if c.listener.secure() {
		return handshakeError(err)
	}
	return upgradeError(err, false)
}

func (c *pumpConn) upgrade(under net.Conn) error {
	err := upgrade(under, c.listener, &c.engine.upgradings)
	if t, ok := under.(*tls.Conn); ok && err != nil {
		t.CloseWrite() // the answer's end: without it, it counts as cut off. RFC 9112 section 9.8
	}
	c.socket.flush() // the answer, good or bad
	return err
}

// readProxy reads the PROXY header in front of everything else.
func (c *pumpConn) readProxy() (proxyHeader, error) {
	var got []byte
	for {
		if err := c.socket.fill(); err != nil {
			return proxyHeader{}, err
		}
		got = append(got, c.socket.rest...)
		c.socket.consume(len(c.socket.rest))
		h, err := parseProxy(got)
		if err == nil {
			c.socket.unread(got[h.size:])
			return h, nil
		}
		if !errors.Is(err, errProxyShort) {
			return h, &refusal{core.ProtocolError, err.Error()}
		}
	}
}

// enterAddress counts the address, which is known for sure now; before the TLS
// handshake and the WebSocket upgrade, which cost more than all that comes before.
func (c *pumpConn) enterAddress(peer netip.AddrPort) error {
	c.input.Lock()
	defer c.input.Unlock()
	if c.counted {
		return nil
	}
	c.peer = peer
	if r := c.listener.perAddr.enter(peer.Addr()); r != core.Success {
		return &refusal{r, "too many connections of this address"}
	}
	c.counted = true
	return nil
}

// begin makes the machine.
func (c *pumpConn) begin(s stream, info *ConnInfo) error {
	c.input.Lock()
	defer c.input.Unlock()
	if c.stopping.Load() {
		return &refusal{core.ServerShuttingDown, "the gateway ends"}
	}
	c.mu.Lock()
	c.stream = s
	c.mu.Unlock()
	c.machine = c.newMachine(info)
	if c.socket.guest != nil {
		c.socket.guest.over.Store(false) // it was in time
	}
	c.engine.setTimer(c, ticks(c.listener.cfg.ConnectTimeout))
	return nil
}

// read is the reader: it ends when the connection does, or while nothing is to
// be read because the machine waits.
func (c *pumpConn) read() {
	for {
		err := c.take(c.feedAll)
		nothing := errors.Is(err, errNothing)
		switch {
		case err == nil:
			if c.unfed {
				giveWay() // it has had its share of a turn
			}
		case !nothing && !errors.Is(err, errAgain{}):
		case c.tired():
			return
		case nothing:
			giveWay()
			err = nil
		case !c.polled():
			err = c.stream.wait()
		case c.resign():
			return
		default:
			err = nil
		}
		c.mu.Lock()
		over := c.phase != phaseOpen
		c.mu.Unlock()
		switch {
		case errors.Is(err, errPaused): // another reader may be at work already
			return
		case over:
			c.linger()
			return
		case err != nil:
			c.enter()
			c.lost(err)
			c.leave()
			c.linger()
			return
		}
	}
}

// errPaused says that the reader has ended because the machine waits.
var errPaused = errors.New("paused")

// take reads once and feeds the machine. A buffer is held only meanwhile.
func (c *pumpConn) take(feed func([]byte) error) error {
	if c.stream == nil {
		return net.ErrClosed
	}
	return c.readOnce(&c.engine.pools.helds, c.stream, feed)
}

// feedAll gives b to the machine in a turn of its own. Who is no stranger any more, or
// waits for something else, needs no permit to compute.
func (c *pumpConn) feedAll(b []byte) error {
	c.enter()
	defer c.leave()
	err := c.feedHere(b)
	if c.accepted || err != nil {
		c.socket.outOfTurn()
	}
	return err
}

// feedHere gives b to the machine in the turn that is under way. With errPaused the
// reader has ended; of a connection that is over it goes on, for it closes it.
func (c *pumpConn) feedHere(b []byte) error {
	if c.accepted {
		c.engine.touch(c)
	}
	if c.paused || c.throttled { // by what came on another stream
		c.in = c.engine.pools.helds.replace(c.in, b)
	} else {
		c.feed(b)
	}
	if (c.paused || c.stalled || c.throttled) && !c.over() {
		c.reading = false
		return errPaused
	}
	return nil
}
