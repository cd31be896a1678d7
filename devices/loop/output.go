package loop

// flush writes what waits on c, as far as the transport takes it.
func (l *Loop) flush(c *Conn) {
	switch c.state {
	case stateSecuring, stateUpgrading, stateOpen, stateLeaving:
	default:
		return
	}
	if c.flags&flagSilent != 0 || c.raw == nil {
		if l.dropOutput(c); c.state == stateLeaving {
			l.finish(c, endReset, nil)
		}
		return
	}
	if c.Pending() > 2*l.opt.MaxPending {
		l.finish(c, endReset, ErrOutputTooMuch)
		return
	}
	if c.x != nil {
		l.convert(c)
	}
	if c.flags&flagBlocked == 0 {
		l.push(c)
	}
	if c.state == stateLeaving && c.raw != nil && c.Pending() == 0 {
		l.goodbye(c)
	}
}

// goodbye ends the layers, then the connection.
func (l *Loop) goodbye(c *Conn) {
	if x := c.x; x != nil && c.flags&flagBye == 0 {
		c.flags |= flagBye
		if x.ws != nil {
			l.seal(c, x.ws.bye())
		}
		if x.tls != nil {
			_ = x.tls.conn.CloseWrite() // it only appends to the wire
		}
		if l.push(c); c.Pending() > 0 || c.state != stateLeaving {
			return
		}
	}
	l.finish(c, endOrderly, nil)
}

// convert takes the output through condition, WebSocket and TLS to the wire.
func (l *Loop) convert(c *Conn) {
	x := c.x
	if x.shape != nil {
		l.throughLine(c)
		return
	}
	if len(c.out) == 0 {
		return
	}
	if len(x.wire) == 0 && x.ws == nil && x.tls == nil {
		l.buffers.put(x.wire)
		x.wire, c.out = c.out, nil
		return
	}
	l.wrap(c, c.out)
	l.buffers.put(c.out)
	c.out = nil
}

// wrap frames bytes of the device and puts them on the wire.
func (l *Loop) wrap(c *Conn, b []byte) {
	if c.x.ws == nil {
		l.seal(c, b)
		return
	}
	frame := appendFrame(l.buffers.get(), opBinary, b)
	l.seal(c, frame)
	l.buffers.put(frame)
}

// seal puts bytes on the wire, encrypted if need be.
func (l *Loop) seal(c *Conn, b []byte) {
	x := c.x
	if x.tls != nil {
		_, _ = x.tls.conn.Write(b) // it only appends to the wire
		return
	}
	if x.wire == nil {
		x.wire = l.buffers.get()
	}
	x.wire = append(x.wire, b...)
}

// push hands the wire to the transport.
func (l *Loop) push(c *Conn) {
	p := &c.out
	if c.x != nil {
		p = &c.x.wire
	}
	if len(*p) == 0 {
		return
	}
	n, err := c.raw.tryWrite(*p)
	l.counters.Writes++
	l.counters.BytesOut += uint64(n)
	switch {
	case n == len(*p):
		l.buffers.put(*p)
		*p = nil
	case err == nil || again(err):
		*p = append((*p)[:0], (*p)[n:]...)
		c.flags |= flagBlocked | flagWaited
		l.rewatch(c)
	default:
		l.lastWords(c, err)
	}
}

// lastWords ends a connection that cannot be written to, after what the server still
// said: often why.
func (l *Loop) lastWords(c *Conn, err error) {
	l.dropOutput(c)
	if c.state == stateOpen {
		for range 4 {
			if c.state == stateOpen && c.stops == 0 {
				l.read(c)
			}
		}
	}
	switch c.state {
	case stateLeaving:
		l.finish(c, endReset, nil)
	case stateOpen:
		l.finish(c, endReset, err)
	default:
		l.fail(c, err)
	}
}

// writable goes on with output that the transport did not take.
func (l *Loop) writable(c *Conn) {
	if c.flags&flagBlocked == 0 || c.raw == nil {
		return
	}
	c.flags &^= flagBlocked
	l.flush(c)
	l.rewatch(c)
	if c.flags&(flagBlocked|flagWaited) == flagWaited && c.state == stateOpen {
		c.flags &^= flagWaited
		if d, ok := c.h.(Drainer); ok {
			d.Drained(c)
		}
	}
}
