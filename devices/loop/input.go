package loop

import "time"

// rateSteps is how often a second a slow reader reads what its rate allows.
const rateSteps = 10

// rewatch tells the transport what c waits for.
func (l *Loop) rewatch(c *Conn) {
	if c.raw == nil {
		return
	}
	var want uint8
	switch c.state {
	case stateSecuring, stateUpgrading, stateOpen:
		if c.stops == 0 {
			want = watchRead
		}
	}
	if c.flags&flagBlocked != 0 {
		want |= watchWrite
	}
	if want != c.watching {
		c.watching = want
		c.raw.watch(want)
	}
}

// stop adds or takes away a reason not to read. The kernel is told of a pause only
// when something comes: most end before.
func (l *Loop) stop(c *Conn, why uint8, on bool) {
	if on {
		c.stops |= why
		return
	}
	before := c.stops
	c.stops &^= why
	if before == c.stops || c.raw == nil {
		return
	}
	if why == stopPaused && len(c.in) > 0 {
		c.flags |= flagRefeed
		c.markAgain()
	}
	if c.stops == 0 {
		l.rewatch(c)
	}
	if c.sticky() || c.x != nil && c.x.shape != nil {
		c.markAgain()
	}
}

// sticky tells whether something may be there to be read without an event.
func (c *Conn) sticky() bool {
	return c.x != nil && c.x.tls != nil || c.raw != nil && c.raw.edges()
}

// readable is told that there is something to read; broken, that nothing can be
// written any more either.
func (l *Loop) readable(c *Conn, broken bool) {
	switch c.state {
	case stateSecuring:
		l.feedHandshake(c)
	case stateOrphan:
		l.drain(c)
	case stateUpgrading, stateOpen:
		switch {
		case c.stops == 0:
			l.read(c)
		case !broken:
			l.rewatch(c)
		default:
			l.brokenUnread(c)
		}
	case stateLeaving:
		if broken {
			l.finish(c, endReset, nil)
		}
	case stateDelayed:
		if broken {
			l.fail(c, errReset())
		}
	}
}

// brokenUnread is the end of a connection that is not read from.
func (l *Loop) brokenUnread(c *Conn) {
	switch {
	case c.flags&flagSilent != 0:
		// The server gave up; the device is not to know. The descriptor is of no use.
		c.raw.end(endReset)
		c.raw = nil
	case c.x != nil && c.x.shape != nil && c.x.ended == nil && c.x.shape.down.size() > 0:
		// A reset takes what was not read, but what was is on its way.
		c.raw.end(endReset)
		c.raw = nil
		l.stop(c, stopLeft, true)
		c.x.ended = errReset()
	case c.x != nil && c.x.ended != nil:
		c.raw.end(endReset)
		c.raw = nil
	default:
		l.finish(c, endReset, errReset())
	}
}

// resume reads on without an event.
func (l *Loop) resume(c *Conn) {
	if c.state == stateOpen && c.flags&flagRefeed != 0 && c.stops&stopPaused == 0 {
		c.flags &^= flagRefeed
		l.feed(c, c.in)
	}
	if c.state == stateOpen {
		l.deliver(c)
	}
	if c.raw != nil && c.stops == 0 {
		l.readable(c, false)
	}
}

// read takes what is there, at most ReadSize, and hands it on.
func (l *Loop) read(c *Conn) {
	front, into := l.window(c)
	if c.x != nil && c.x.rate > 0 {
		into = into[:min(len(into), max(c.x.rate/rateSteps, 1))]
	}
	n, err := l.pull(c, into)
	l.counters.Reads++
	if n > 0 {
		l.counters.BytesIn += uint64(n)
		l.slowDown(c, n)
		l.arrived(c, front, into, n)
	}
	switch {
	case c.state != stateOpen && c.state != stateUpgrading:
	case err == nil:
		if c.sticky() && c.stops == 0 {
			c.markAgain()
		}
	case !again(err):
		l.serverEnded(c, err)
	}
}

// window is room for ReadSize bytes behind what c holds: at the front of the shared
// buffer or, where that is too small, in what holds it.
func (l *Loop) window(c *Conn) (front int, into []byte) {
	size := l.opt.ReadSize
	front = len(c.in)
	if front > size {
		if cap(c.in)-front < size {
			c.in = append(make([]byte, 0, 2*cap(c.in)+size), c.in...)
		}
		return front, c.in[front : front+size]
	}
	copy(l.buf, c.in)
	return front, l.buf[front : front+size]
}

// pull reads through TLS, if there is.
func (l *Loop) pull(c *Conn, into []byte) (int, error) {
	if c.x != nil && c.x.tls != nil {
		n, err := c.x.tls.conn.Read(into)
		if c.x.wire != nil {
			c.markDirty() // an answer of TLS itself
		}
		return n, err
	}
	return c.raw.tryRead(into)
}

// arrived hands on the n bytes in into, which lies behind front bytes held.
func (l *Loop) arrived(c *Conn, front int, into []byte, n int) {
	x := c.x
	var end error
	if x != nil && x.ws != nil {
		b := into[:n]
		if c.state == stateUpgrading {
			if b = l.answer(c, b); c.state == stateUpgrading || c.state == stateOver {
				return
			}
			n = copy(into, b)
		}
		n, end = l.unframe(c, into[:n])
	}
	switch {
	case n == 0:
	case x != nil && x.shape != nil:
		l.delay(c, into[:n])
	case front > l.opt.ReadSize:
		l.feed(c, c.in[:front+n])
	default:
		l.feed(c, l.buf[:front+n])
	}
	if end != nil && c.state == stateOpen {
		l.serverEnded(c, end)
	}
}

// feed gives b to the handler and keeps what it does not use. b may be what c holds.
func (l *Loop) feed(c *Conn, b []byte) {
	if c.state != stateOpen {
		return // closed by the handler within Opened
	}
	used := c.h.Input(c, b)
	if c.state != stateOpen {
		return
	}
	rest := b[min(max(used, 0), len(b)):]
	switch {
	case len(rest) == 0:
		if c.in != nil {
			l.buffers.put(c.in)
			c.in = nil
		}
	case len(rest) > l.opt.MaxHeld:
		l.finish(c, endReset, ErrHeldTooMuch)
	default:
		if c.in == nil {
			c.in = l.buffers.get()
		}
		c.in = append(c.in[:0], rest...)
	}
}

// slowDown lets a slow reader wait after n bytes.
func (l *Loop) slowDown(c *Conn, n int) {
	x := c.x
	if x == nil || x.rate == 0 {
		return
	}
	l.stop(c, stopRate, true)
	l.At(&x.slow, l.now+int64(n)*int64(time.Second)/int64(x.rate), x.onSlow)
}

func (l *Loop) setReadRate(c *Conn, bytesPerSecond int) {
	x := l.extraOf(c)
	x.rate = max(bytesPerSecond, 0)
	if x.rate > 0 {
		c.raw.smallBuffer()
	} else if l.timers.stop(&x.slow) {
		l.stop(c, stopRate, false)
	}
}

// drain throws away what an orphan gets, until the server's end.
func (l *Loop) drain(o *Conn) {
	if o.flags&flagSilent != 0 {
		l.dropOrphan(o) // it is watched for nothing but the end
		return
	}
	if _, err := o.raw.tryRead(l.buf[:l.opt.ReadSize]); err != nil && !again(err) {
		l.dropOrphan(o)
	}
}
