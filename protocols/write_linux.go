package protocols

import (
	"golang.org/x/sys/unix"

	"github.com/fairlead-iot/fairlead/core"
)

// Wake implements core.Conn: it takes a batch from the machine and writes it
// with one system call. Whoever published writes, whichever loop owns the
// connection; only when the kernel's buffer is full does the owner go on.
func (c *conn) Wake(t *core.Turn) {
	c.mu.Lock()
	if c.ready && c.phase == phaseOpen && c.events&unix.EPOLLOUT == 0 {
		c.flush(t)
	}
	c.mu.Unlock()
}

// push writes the machine's replies at the end of the loop's turn, together with
// what Output has.
func (c *conn) push(t *core.Turn) {
	c.mu.Lock()
	if c.phase == phaseOpen && c.events&unix.EPOLLOUT == 0 {
		c.flush(t)
	}
	c.mu.Unlock()
}

// queue puts replies of the machine in front of what Output gives later.
func (c *conn) queue(l *loop, b []byte) {
	c.mu.Lock()
	if c.out == nil {
		c.out = l.pools.pendings.get()
	}
	c.out.own = append(c.out.own, b...)
	// A client that sends requests and never reads the answers: no more of them.
	c.stalled = c.stalled || len(c.out.own) > stallAbove && c.events&unix.EPOLLOUT != 0
	c.mu.Unlock()
	l.mark(c)
}

// flush writes what waits, then one batch. mu is held.
func (c *conn) flush(t *core.Turn) {
	if c.phase == phaseGone || c.broken {
		return
	}
	if !c.writeRest(t) {
		return
	}
	p := &c.loop.pools
	b := p.batches.get()
	if c.out != nil {
		b.Buf = append(b.Buf, c.out.own...)
		p.pendings.put(c.out)
		c.out = nil
	}
	more := false
	if c.ready && c.phase == phaseOpen {
		more = c.machine.Output(t, &b.Out)
	}
	if b.Len() > 0 && !c.write(t, b) {
		more = true
	}
	p.batches.put(b)
	c.watchOutput(more)
}

// write hands b to the kernel; what it does not take is kept. It tells whether
// everything went out.
func (c *conn) write(t *core.Turn, b *batch) bool {
	var n int
	var err error
	if len(b.refs) == 0 {
		n, err = writeNow(c.fd, b.Buf)
	} else {
		n, err = c.writev(b.segments())
	}
	n = c.wrote(t, n, err)
	if n == b.Len() || c.broken {
		return true
	}
	c.out = &pending{rest: b.rest(n)}
	return false
}

// writeRest writes what an earlier write left. It tells whether all of it went.
func (c *conn) writeRest(t *core.Turn) bool {
	if c.out == nil || c.out.rest == nil {
		return true
	}
	n, err := c.writev(c.out.rest)
	c.out.rest = advance(c.out.rest, c.wrote(t, n, err))
	if len(c.out.rest) > 0 {
		return false
	}
	c.out.rest = nil
	return !c.broken
}

func (c *conn) writev(segs [][]byte) (int, error) {
	if len(segs) > maxSegments {
		segs = segs[:maxSegments]
	}
	return unix.Writev(int(c.fd), segs)
}

// wrote counts a write and gives how much of it the kernel took. After an error
// other than a full buffer the connection is broken: its loop closes it.
func (c *conn) wrote(t *core.Turn, n int, err error) int {
	t.Count(core.WriteCalls, 1)
	if n > 0 {
		t.Count(core.BytesSent, uint64(n))
	}
	if err == nil || err == unix.EAGAIN || err == unix.EINTR {
		return max(n, 0)
	}
	c.broken = true
	c.loop.post(func(l *loop) {
		if c.phase == phaseOpen {
			l.end(c, core.ConnectionLost, false)
		}
	})
	return 0
}

// watchOutput asks epoll to say when c can be written, or no longer. mu is held.
func (c *conn) watchOutput(on bool) {
	events := c.events &^ unix.EPOLLOUT
	if on && !c.broken {
		events |= unix.EPOLLOUT
	}
	c.rewatch(events)
}

// watchInput switches reading on or off.
func (c *conn) watchInput(on bool) {
	c.mu.Lock()
	events := c.events &^ unix.EPOLLIN
	if on {
		events |= unix.EPOLLIN
	}
	c.rewatch(events)
	c.mu.Unlock()
}

// rewatch tells epoll the events, from whatever goroutine. mu is held.
func (c *conn) rewatch(events uint32) {
	if events == c.events || c.fd < 0 {
		return
	}
	c.events = events
	if c.unwatched { // adopt will say it
		return
	}
	unix.EpollCtl(c.loop.epfd, unix.EPOLL_CTL_MOD, int(c.fd),
		&unix.EpollEvent{Events: events, Fd: int32(c.slot), Pad: int32(c.gen)})
}

// watchLevel asks about c as about a client, see strangerEvents.
func (c *conn) watchLevel() {
	c.mu.Lock()
	c.rewatch(c.events &^ (unix.EPOLLET | unix.EPOLLRDHUP))
	c.mu.Unlock()
}
