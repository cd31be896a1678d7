package loop

import (
	"context"
	"errors"
	"syscall"
	"time"
)

// networkSeed is what a Dial said of the network.
type networkSeed struct {
	*Conditions
	seed uint64
}

// retryBacklog is how long to wait when a Unix socket's queue is full: it has no
// event for that.
const retryBacklog = 10 * time.Millisecond

func (l *Loop) dial(c *Conn, e *Endpoint, n *Conditions, seed uint64, h Handler) {
	if c.state != stateIdle {
		panic("loop: Dial of a connection that is in use")
	}
	if l.quit {
		return
	}
	l.gen++
	c.l, c.h, c.e, c.err = l, h, e, nil
	c.fd, c.gen, c.slot = -1, l.gen, l.takeSlot(c)
	c.watching, c.stops, c.state = 0, 0, stateConnecting
	c.flags &= flagDirty | flagAgain
	l.conns++
	l.counters.Dialled++
	x := l.extraOf(c)
	if shaped(n) {
		x.network = &networkSeed{n, seed}
	}
	l.After(&x.limit, l.opt.DialTimeout, x.onLimit)
	l.connect(c)
}

func (l *Loop) takeSlot(c *Conn) uint32 {
	if n := len(l.free); n > 0 {
		slot := l.free[n-1]
		l.free = l.free[:n-1]
		l.slots[slot] = c
		return slot
	}
	l.slots = append(l.slots, c)
	return uint32(len(l.slots) - 1)
}

func (l *Loop) freeSlot(slot uint32) {
	l.slots[slot] = nil
	l.free = append(l.free, slot)
}

// connect begins with the address whose turn it is.
func (l *Loop) connect(c *Conn) {
	x := c.x
	switch {
	case c.e.scheme == "mem":
		if l.opt.Streams == nil {
			l.fail(c, errNoStreams)
			return
		}
		s, err := l.opt.Streams(c.e.path)
		if err != nil {
			l.fail(c, err)
			return
		}
		l.attach(c, s)
	case c.e.tries() == 0:
		l.fail(c, errUnresolved)
	default:
		if err := l.kernel.dial(c, x.try); err != nil {
			l.connected(c, err)
		}
	}
}

// connected is told the outcome of a try.
func (l *Loop) connected(c *Conn, err error) {
	if c.state != stateConnecting {
		return
	}
	if err == nil {
		l.proceed(c)
		return
	}
	l.dropRaw(c)
	switch {
	case c.e.scheme == "unix" && errors.Is(err, syscall.EAGAIN):
		l.After(&c.x.pace, retryBacklog, c.x.onPace)
	case c.x.try+1 < c.e.tries() && !ownFault(err):
		c.x.try++
		l.connect(c)
	default:
		l.fail(c, err)
	}
}

// ownFault tells errors that another address does not help against.
func ownFault(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}

// proceed goes on from a transport that stands, or a layer above it.
func (l *Loop) proceed(c *Conn) {
	x := c.x
	switch {
	case c.e.secure != nil && x.tls == nil:
		l.secure(c)
	case c.e.websocket() && x.ws == nil:
		l.upgrade(c)
	case x.network != nil && x.shape == nil:
		x.shape = newShaper(x.network)
		if wait := x.shape.opening(c.e); wait > 0 {
			c.state = stateDelayed
			l.rewatch(c)
			l.At(&x.pace, l.now+wait, x.onPace)
			return
		}
		l.opened(c)
	default:
		l.opened(c)
	}
}

// opened gives the connection to its device.
func (l *Loop) opened(c *Conn) {
	x := c.x
	c.state = stateOpen
	l.counters.Opened++
	l.timers.stop(&x.limit)
	layered := x.tls != nil || x.ws != nil
	if x.shape != nil {
		if at := x.shape.plan(l.now); at > 0 {
			l.At(&x.cut, at, x.onCut)
		}
	}
	if !layered && x.shape == nil && len(x.wire) == 0 {
		l.dropExtra(c)
	}
	l.rewatch(c)
	if c.sticky() {
		c.markAgain() // what came with the last of a handshake has no event
	}
	c.h.Opened(c)
}

// late is the limit's timer.
func (l *Loop) late(c *Conn) {
	switch c.state {
	case stateConnecting, stateSecuring, stateUpgrading, stateDelayed:
		l.fail(c, context.DeadlineExceeded)
	case stateLeaving:
		l.finish(c, endReset, nil)
	case stateOrphan:
		l.dropOrphan(c)
	}
}

// paced is the timer of what is delayed.
func (l *Loop) paced(c *Conn) {
	switch c.state {
	case stateConnecting:
		l.connect(c)
	case stateDelayed:
		l.opened(c)
	case stateOpen, stateLeaving:
		l.flush(c)
		l.deliver(c)
	}
}

// fail ends a connection that was never open.
func (l *Loop) fail(c *Conn, err error) {
	l.finish(c, endReset, explain(c.e, err))
}
