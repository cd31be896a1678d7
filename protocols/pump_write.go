package protocols

import "github.com/fairlead-iot/fairlead/core"

// Wake implements core.Conn: a batch of the machine's output into the socket,
// without blocking.
func (c *pumpConn) Wake(t *core.Turn) {
	c.mu.Lock()
	if c.ready && c.phase == phaseOpen {
		c.flush(t)
	}
	c.mu.Unlock()
	c.socket.edge.moveTo(t)
}

// flush writes what waits, then one batch. mu is held.
func (c *pumpConn) flush(t *core.Turn) {
	if c.phase == phaseGone || c.blocked || c.stream == nil {
		return
	}
	if len(c.rest) > 0 {
		c.rest = advance(c.rest, c.send(c.rest))
		if c.blocked || len(c.rest) > 0 {
			return
		}
	}
	b := c.engine.pools.batches.get()
	if c.own != nil {
		b.Buf = append(b.Buf, c.own.own...)
		c.engine.pools.pendings.put(c.own)
		c.own = nil
	}
	more := false
	if c.ready && c.phase == phaseOpen {
		more = c.machine.Output(t, &b.Out)
	}
	if n := b.Len(); n > 0 {
		if sent := c.send(b.segments()); sent < n {
			c.rest = b.rest(sent)
		}
	}
	c.engine.pools.batches.put(b)
	switch {
	case c.blocked:
	case more:
		// After others had their turn.
		c.post((*pumpConn).nothing)
	case c.phase == phaseLinger && !c.left:
		c.left = true
		c.stream.leave(c.reason)
		c.socket.finish(c.by)
	}
}

// nothing is work that only has its turn's end in mind, which flushes.
func (c *pumpConn) nothing() {}

// send puts segments through the stream and hands them to the kernel, until it
// has no room. It gives the bytes taken, of which the socket keeps what is left.
// mu is held.
func (c *pumpConn) send(segs [][]byte) (sent int) {
	size := 0
	for _, s := range segs {
		for len(s) > 0 {
			n := min(len(s), batchLimit-size)
			if c.stream.write(s[:n]) != nil {
				return total(segs) // broken: the reader ends the connection
			}
			s = s[n:]
			sent += n
			if size += n; size < batchLimit {
				continue
			}
			size = 0
			if c.blocked = !c.socket.flush(); c.blocked {
				return sent
			}
		}
	}
	c.blocked = !c.socket.flush()
	return sent
}

func total(segs [][]byte) (n int) {
	for _, s := range segs {
		n += len(s)
	}
	return n
}

// drained goes on once the kernel took everything. The socket's writer calls it.
func (c *pumpConn) drained() {
	c.post(func(c *pumpConn) {
		c.mu.Lock()
		c.blocked = false
		c.flush(c.turn)
		free := !c.blocked
		c.mu.Unlock()
		if free && c.stalled {
			c.stalled = false
			c.proceed()
		}
	})
}

// count counts one event in a turn of its own.
func (p *pumps) count(k core.Counter) {
	t := p.borrow()
	t.Count(k, 1)
	p.giveBack(t)
}
