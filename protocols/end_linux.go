package protocols

import (
	"golang.org/x/sys/unix"

	"github.com/fairlead-iot/fairlead/core"
)

// end takes the machine's leave. What was queued still goes out; the descriptor
// is closed at the end of the turn or, if there is a goodbye, once the client
// has it.
func (l *loop) end(c *conn, r core.Reason, goodbye bool) {
	if c.phase != phaseOpen {
		return
	}
	c.mu.Lock()
	c.phase = phaseLinger
	c.mu.Unlock()
	c.goodbye = goodbye
	if c.in != nil {
		l.pools.helds.put(c.in)
		c.in = nil
	}
	l.wheel.set(c.slot, lingerTicks)
	l.over = append(l.over, c)
	if c.machine != nil {
		c.machine.Closed(l.turn, r)
	}
}

// refuse ends what the edge itself does not let go on.
func (l *loop) refuse(c *conn, r core.Reason, detail string) {
	c.listener.refuse(l.gateway, l.turn, r, c.peer, detail)
	l.end(c, r, false)
}

// stop ends a connection for the gateway, in the protocol's own words.
func (l *loop) stop(c *conn, r core.Reason) {
	if c.phase != phaseOpen {
		return
	}
	if c.machine == nil {
		l.end(c, r, false)
		return
	}
	l.act.Reset()
	c.machine.Stop(l.turn, r, &l.act)
	l.act.Close, l.act.Reason = true, r
	l.apply(c)
}

// finish closes an ended connection as far as its output allows.
func (l *loop) finish(c *conn) {
	if c.phase != phaseLinger {
		return
	}
	c.mu.Lock()
	if c.events&unix.EPOLLOUT == 0 {
		c.flush(l.turn)
	}
	broken := c.broken
	waits := !broken && (c.out != nil || c.events&unix.EPOLLOUT != 0)
	c.mu.Unlock()
	switch {
	case waits: // until EPOLLOUT, or the wheel
	case c.goodbye && !broken:
		// A close with input unread would reset the connection and take the goodbye
		// from the client: say that nothing more comes, and wait for its end.
		c.goodbye = false
		unix.Shutdown(int(c.fd), unix.SHUT_WR)
		c.watchInput(true)
		c.lingering = true
	case broken || !c.lingering:
		l.release(c)
	}
}

// discard reads what an ended connection still sends, until its end.
func (l *loop) discard(c *conn, events uint32) {
	n, err := unix.Read(int(c.fd), l.buf[:readSize])
	l.reads++
	if err == unix.EAGAIN || err == unix.EINTR {
		return
	}
	if n > 0 {
		l.readBytes += uint64(n)
		return
	}
	if c.lingering || err != nil || events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		l.release(c)
		return
	}
	c.watchInput(false) // half closed: it still reads
}

// release closes the descriptor and forgets the connection.
func (l *loop) release(c *conn) {
	c.mu.Lock()
	fd := c.fd
	c.fd, c.phase, c.out = -1, phaseGone, nil
	c.mu.Unlock()
	if fd < 0 {
		return
	}
	unix.Close(int(fd))
	c.forgetSlow()
	l.wheel.set(c.slot, 0)
	l.slots[c.slot] = nil
	l.freed = append(l.freed, c.slot)
	l.load.Add(-1)
	l.turn.Count(core.ConnectionsClosed, 1)
	c.listener.leave(c.peer, !c.accepted, c.counted)
	l.tally.closed()
}

// closeOver closes what has ended, and tells whether there was any. A close takes the
// kernel ten times as long as we take to decide on it, so thousands at once would hold
// the others up: some go now, the rest in the next turn.
func (l *loop) closeOver(b *budget) (did bool) {
	n := 0
	for ; n < len(l.over) && b.left(); n++ {
		l.finish(l.over[n])
		// Its end may have touched others: a Will, a shared group.
		did = true
	}
	rest := copy(l.over, l.over[n:])
	clear(l.over[rest:])
	l.over = l.over[:rest]
	return did
}

// dismiss closes the stranger that just ended, so that it is paid for by who comes
// last. What had something to say is left to the end of the turn.
func (l *loop) dismiss() {
	if n := len(l.over); n > 0 {
		if c := l.over[n-1]; !c.accepted && !c.dirty && !c.goodbye {
			l.over[n-1] = nil
			l.over = l.over[:n-1]
			l.finish(c)
		}
	}
}
