package protocols

import (
	"net"
	"sync/atomic"
	"time"
)

// guest is a stranger at the doorstep. Its goroutine runs in turns only, and does not
// exist before the first one: what thousands of clients send at one moment makes as many
// goroutines runnable as there are permits, and all others are served in between.
type guest struct {
	permit
	conn    *pumpConn
	outside atomic.Bool // it waits for its client; who ends that has it wait for its turn
	over    atomic.Bool // its time is over, or its socket was closed: it waits for nobody
	left    atomic.Bool // it is no guest any more
	wake    chan struct{}

	// Of whoever has the turn, or gives it.
	runs    bool  // its goroutine was started
	fresh   bool  // nothing was read yet in the first turn
	watched bool  // the doorstep knows its descriptor
	fault   error // why it cannot be waited for
}

// inTurns tells whether what comes from strangers is worked off in turns.
func (l *Listener) inTurns() bool {
	return l.secure() || l.web()
}

// atDoor makes k a guest, where that is possible.
func (p *pumps) atDoor(k *pumpConn, c net.Conn, s *pumpSocket) {
	if _, ok := c.(*net.TCPConn); !ok || p.door == nil || s.given || !s.of.inTurns() {
		return
	}
	g := &guest{conn: k, wake: make(chan struct{}, 1), fresh: true}
	g.of, g.from = s.of.handshakes, k.peer.Addr()
	if s.of.cfg.ProxyProtocol == "on" {
		g.of = s.of.headers
	}
	k.socket.guest, k.socket.turn = g, g
}

// call has a guest that was enrolled wait for its client, if there may be another of its
// address. In front of a PROXY header nobody knows yet.
func (g *guest) call() {
	c := g.conn
	if c.listener.cfg.ProxyProtocol != "on" {
		if err := c.enterAddress(c.peer); err != nil {
			c.dismiss(err) // at once, as there is nothing to be said
			return
		}
	}
	c.engine.setTimer(c, ticks(c.listener.cfg.HandshakeTimeout))
	g.wait()
}

// wait has the doorstep watch for the client. Once it does, g may have its turn already.
func (g *guest) wait() {
	g.outside.Store(true)
	if g.over.Load() {
		g.come(nil)
	} else if err := g.conn.engine.door.watch(g); err != nil {
		g.come(err)
	}
}

// come has a guest that waits for its client wait for its turn; with an error, to end for
// it. Any goroutine.
func (g *guest) come(fault error) {
	if !g.outside.CompareAndSwap(true, false) {
		return
	}
	g.fault = fault
	front := g.begun || g.over.Load()
	g.begun = true
	g.of.line(g.from, g, front)
}

// given implements waiter.
func (g *guest) given() {
	g.held.Store(true)
	if g.runs {
		g.wake <- struct{}{}
		return
	}
	g.runs = true
	g.conn.engine.wg.Go(g.conn.open)
}

// await implements turn.
func (g *guest) await(s *socket) error {
	if !g.fresh {
		had := g.held.Swap(false)
		g.wait()
		if had {
			g.of.give()
		}
		<-g.wake
	}
	g.fresh = false
	giveWay() // one turn follows the other without an end, and the loops must be woken in between
	if g.over.Load() {
		s.Conn.SetReadDeadline(longAgo) // reading says so
	}
	return g.fault
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// moveTo has g wait for permits of next from now on, in the line of another address.
func (g *guest) moveTo(next *permit) {
	if g.of == next.of && g.from == next.from {
		return
	}
	g.giveBack()
	g.of, g.from, g.begun = next.of, next.from, false
}

// leave implements turn.
func (g *guest) leave() {
	g.left.Store(true)
	g.conn.engine.door.forget(g)
	g.giveBack()
}

// end ends waiting for the client. Any goroutine.
func (g *guest) end() {
	g.over.Store(true)
	g.come(nil)
}

// until has g wait for its client until t, a deadline of its socket. Any goroutine.
func (g *guest) until(t time.Time) {
	d := time.Until(t)
	switch {
	case g.left.Load():
	case d > 0:
		g.over.Store(false)
		g.conn.engine.setTimer(g.conn, ticks(d))
	default:
		g.end()
	}
}
