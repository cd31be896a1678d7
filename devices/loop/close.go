package loop

import (
	"errors"
	"io"
	"syscall"
)

// finish ends a connection: its transport at once, its device at the turn's end.
func (l *Loop) finish(c *Conn, how ending, err error) {
	switch c.state {
	case stateIdle, stateOver, stateOrphan:
		return
	}
	if c.flags&flagSilent != 0 {
		how = endSilent
	}
	slot := c.slot
	if c.raw != nil {
		c.raw.end(how)
		c.raw = nil
	}
	if l.slots[slot] == c {
		l.freeSlot(slot) // else an orphan has it
	}
	if c.x != nil && c.x.tls != nil {
		c.x.tls.abort()
	}
	l.dropExtra(c)
	// What was held is not reused: its handler may be reading it right now.
	l.buffers.put(c.out)
	c.out, c.in, c.err, c.state, c.fd = nil, nil, err, stateOver, -1
	l.over = append(l.over, c)
}

// dropRaw gives up a transport that did not come about.
func (l *Loop) dropRaw(c *Conn) {
	if c.raw != nil {
		c.raw.end(endReset)
		c.raw = nil
	}
	c.fd, c.watching = -1, 0
}

// tell is the last of a connection.
func (l *Loop) tell(c *Conn) {
	h, err := c.h, c.err
	c.h, c.e, c.err, c.state = nil, nil, nil, stateIdle
	l.conns--
	h.Closed(c, err)
}

// breakFor resets a connection, whatever it does.
func (l *Loop) breakFor(c *Conn, err error) {
	if c.state == stateOrphan {
		l.dropOrphan(c)
		return
	}
	l.finish(c, endReset, err)
}

// leave ends a connection in order.
func (l *Loop) leave(c *Conn) {
	switch {
	case c.state == stateOpen && c.flags&flagSilent == 0:
		c.state = stateLeaving
		l.stop(c, stopLeft, true)
		l.rewatch(c)
		x := l.extraOf(c)
		l.After(&x.limit, l.opt.DialTimeout, x.onLimit)
		c.markDirty()
	case c.state != stateLeaving:
		l.finish(c, endReset, nil)
	}
}

// silence makes a connection half-open.
func (l *Loop) silence(c *Conn) {
	c.flags |= flagSilent
	l.stop(c, stopLeft, true)
	c.flags &^= flagBlocked
	l.rewatch(c)
	l.dropOutput(c)
}

// dropOutput loses what was to be written.
func (l *Loop) dropOutput(c *Conn) {
	l.buffers.put(c.out)
	c.out = nil
	if x := c.x; x != nil {
		x.wire = x.wire[:0]
		if x.shape != nil {
			x.shape.up.clear()
			x.shape.down.clear()
		}
	}
}

// serverEnded tells the device of the end, behind what is still on its way.
func (l *Loop) serverEnded(c *Conn, err error) {
	if err == io.ErrUnexpectedEOF {
		err = io.EOF // TLS without its goodbye: so end those that were cut
	}
	if x := c.x; x != nil && x.shape != nil && c.state == stateOpen && x.shape.down.size() > 0 {
		x.ended = err
		l.stop(c, stopLeft, true)
		l.rewatch(c)
		return
	}
	if c.state == stateUpgrading {
		l.fail(c, err)
		return
	}
	how := endReset
	if errors.Is(err, io.EOF) {
		how = endOrderly
		if l.flush(c); c.state == stateOver {
			return
		}
	}
	if c.state == stateLeaving {
		err = nil
	}
	l.finish(c, how, err)
}

// orphan gives the descriptor of c, and its slot, to nobody: it is watched until
// the server ends its side. It is false if too many are watched already.
func (l *Loop) orphan(c *Conn, lingers bool) (*Conn, bool) {
	if l.quit {
		return nil, false
	}
	if l.orphans >= l.opt.MaxOrphans {
		l.counters.LostOrphans++
		return nil, false
	}
	o := &Conn{l: l, e: c.e, fd: c.fd, slot: c.slot, gen: c.gen, state: stateOrphan}
	if !lingers {
		o.flags = flagSilent
	}
	l.slots[c.slot] = o
	l.orphans++
	if lingers {
		x := l.extraOf(o)
		l.After(&x.limit, l.opt.Linger, x.onLimit)
	}
	return o, true
}

// dropOrphan closes what nobody waits for any more.
func (l *Loop) dropOrphan(o *Conn) {
	if o.raw != nil {
		o.raw.end(endReset)
		o.raw = nil
	}
	l.dropExtra(o)
	l.freeSlot(o.slot)
	l.orphans--
	o.state = stateIdle
}

// errReset is the end of a connection whose error nobody read.
func errReset() error { return syscall.ECONNRESET }
