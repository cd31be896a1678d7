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
	if c.phase == phaseGone || c.stream == nil {
		return
	}
	if c.data != nil {
		c.flushStreams(t)
		return
	}
	if c.blocked {
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
	default:
		c.farewell()
	}
}

// farewell follows the last byte of a connection that ended. mu is held.
func (c *pumpConn) farewell() {
	if c.phase == phaseLinger && !c.left {
		c.left = true
		c.stream.leave(c.reason)
		c.socket.finish(c.by)
	}
}

// nothing is work that only has its turn's end in mind, which flushes.
func (c *pumpConn) nothing() {}

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
