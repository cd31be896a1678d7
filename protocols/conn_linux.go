package protocols

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/fairlead-iot/fairlead/core"
)

// conn is one connection of an event loop. An idle one is this struct, a slot in
// its loop's tables, and the machine.
type conn struct {
	// The outgoing side, behind mu, from any goroutine. phase changes under mu
	// and in the loop, so the loop reads it without.
	mu        sync.Mutex
	out       *pending
	fd        int32
	events    uint32 // what epoll watches; EPOLLOUT set: the loop goes on with the output
	phase     uint8
	ready     bool // the client was accepted: Output may run
	broken    bool // a write failed
	unwatched bool // epoll does not know it yet

	// The loop's own.
	accepted  bool
	paused    bool // the machine waits for Complete
	stalled   bool // the client does not read, so nothing is read from it
	throttled bool // it sends too fast, so nothing is read from it; in loop.throttle
	why       verdict
	again     bool  // in loop.again: what is held comes first, nothing more is read
	greedy    bool  // had its share when it was served last: comes last
	dirty     bool  // in loop.dirty
	goodbye   bool  // something was said last: wait until the client has it
	counted   bool  // its address is counted
	lingering bool  // the goodbye is written: only the client's end is awaited
	told      uint8 // what epoll said of a stranger that waits for its turn, see told

	stopping atomic.Bool // Close was called
	slot     uint32
	gen      uint32
	timer    uint32 // ticks asked for before the client was accepted
	machine  Machine
	listener *Listener
	loop     *loop
	in       *held // input that the machine has not consumed
	peer     netip.AddrPort
}

var _ core.Conn = (*conn)(nil)

// Peer implements core.Conn.
func (c *conn) Peer() netip.AddrPort { return c.peer }

// Complete implements core.Conn.
func (c *conn) Complete(done core.Completion) {
	c.loop.post(func(l *loop) { l.complete(c, done) })
}

// Close implements core.Conn.
func (c *conn) Close(r core.Reason) {
	if c.stopping.CompareAndSwap(false, true) {
		c.loop.post(func(l *loop) { l.stop(c, r) })
	}
}

// adopt makes fd a connection of this loop.
func (l *loop) adopt(fd int, ln *Listener, peer netip.AddrPort) {
	slot := l.takeSlot()
	l.gen++
	c := &conn{fd: int32(fd), slot: slot, gen: l.gen, listener: ln, loop: l, peer: peer, events: strangerEvents, unwatched: true}
	l.slots[slot] = c
	l.resetMeter(slot)
	l.wheel.set(slot, ticks(ln.cfg.ConnectTimeout))
	l.turn.Count(core.ConnectionsAccepted, 1)
	if ln.cfg.ProxyProtocol != "on" {
		l.begin(c, ConnInfo{Listener: ln, Peer: peer})
	}
	if c.phase != phaseOpen {
		return
	}
	// What a client says first comes right behind its connection: often it is there.
	l.readable(c, unix.EPOLLIN)
	c.mu.Lock()
	var err error
	if c.unwatched = false; c.fd >= 0 {
		err = l.watch(fd, c.events, int32(slot), c.gen)
	}
	c.mu.Unlock()
	if err != nil {
		l.refuse(c, core.ServerBusy, "epoll_ctl: "+err.Error())
	}
}

func (l *loop) takeSlot() uint32 {
	if n := len(l.free); n > 0 {
		slot := l.free[n-1]
		l.free = l.free[:n-1]
		return slot
	}
	l.slots = append(l.slots, nil)
	l.wheel.grow(len(l.slots))
	return uint32(len(l.slots) - 1)
}

// begin makes the machine, once it is known who the peer is.
func (l *loop) begin(c *conn, info ConnInfo) {
	c.peer = info.Peer
	if r := c.listener.perAddr.enter(c.peer.Addr()); r != core.Success {
		l.refuse(c, r, "too many connections of this address")
		return
	}
	c.counted = true
	if !info.Local.IsValid() {
		info.Local = localAddress(int(c.fd))
	}
	c.machine = c.listener.adapter.NewMachine(&info, c)
}

// connEvent handles what epoll says of c.
func (l *loop) connEvent(c *conn, events uint32) {
	if events&unix.EPOLLOUT != 0 {
		c.mu.Lock()
		c.flush(l.turn)
		armed := c.events&unix.EPOLLOUT != 0
		c.mu.Unlock()
		l.drained(c, armed)
	}
	if events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		l.readable(c, events)
	}
}

// drained goes on with what waited for the output; armed says that some is left.
func (l *loop) drained(c *conn, armed bool) {
	if c.phase == phaseLinger {
		l.finish(c)
		return
	}
	if c.stalled && c.phase == phaseOpen && !armed {
		c.stalled = false
		l.proceed(c)
	}
}

// readable reads once: what is left is reported again, after others had a turn.
func (l *loop) readable(c *conn, events uint32) {
	if c.phase == phaseLinger {
		l.discard(c, events)
		return
	}
	if c.phase != phaseOpen || c.again {
		return // with again: epoll says it once more afterwards
	}
	if c.paused || c.stalled || c.throttled {
		if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			l.end(c, core.ConnectionLost, false)
			return
		}
		// Switched off only now: most pauses end before anything comes.
		c.watchInput(false)
		return
	}
	room := l.roomFor(c)
	if room == 0 || l.putOff(c) {
		return
	}
	n, err := l.read(c, room)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
	case err != nil:
		l.end(c, core.ConnectionLost, false)
	case n == 0 && !c.accepted: // nobody waits for what a stranger did
		l.end(c, core.ConnectionLost, false)
	case n == 0:
		c.paused = true
		l.eof = append(l.eof, c)
	case !c.accepted && c.phase == phaseOpen && (n == room || events&unix.EPOLLRDHUP != 0):
		l.call(c, events) // nobody else says that there is more
	}
}

// read takes what the kernel has, at most room, which is at most readSize, and feeds it.
func (l *loop) read(c *conn, room int) (int, error) {
	var into []byte
	front := 0
	if c.in != nil {
		front = len(c.in.b)
	}
	if front > readSize {
		c.in = l.pools.helds.grow(c.in, readSize)
		into = c.in.rest()[:room]
	} else {
		into = l.buf[front : front+room]
	}
	n, err := readNow(c.fd, into)
	l.reads++
	if err != nil || n <= 0 {
		return n, err
	}
	l.readBytes += uint64(n)
	if c.accepted {
		l.wheel.touch(c.slot)
	}
	if front > readSize {
		c.in.b = c.in.b[:front+n]
		l.feed(c, c.in.b, n)
		l.doze(c)
		return n, nil
	}
	if front > 0 {
		copy(l.buf, c.in.b)
	}
	l.feed(c, l.buf[:front+n], n)
	l.doze(c)
	return n, nil
}

// feed gives b to the machine and keeps what it does not take. b may be what c.in
// holds; the last fresh bytes of it were just read.
func (l *loop) feed(c *conn, b []byte, fresh int) {
	if c.machine == nil {
		if b = l.greet(c, b); c.machine == nil || len(b) == 0 {
			c.in = l.pools.helds.replace(c.in, b)
			return
		}
	}
	l.act.Reset()
	m := l.meterOf(c)
	before := 0
	if m != nil {
		if !c.accepted {
			c.listener.rates.judge(m, l.now.UnixNano()) // it may be the first
		}
		before = c.listener.rates.messages(m, c.accepted)
		l.act.Limited, l.act.Messages = true, before
		l.turn.Allot() // what is charged, whether or not the machine looks at its share
	}
	used := c.machine.Input(l.turn, b, &l.act)
	left := l.act.Messages
	c.in = l.pools.helds.replace(c.in, b[used:])
	l.apply(c)
	if m != nil {
		l.charge(c, m, before-left, left, fresh)
	}
	// The machine knows the limit in its protocol's words; this is the backstop.
	if c.in != nil && c.phase == phaseOpen && !c.paused && !c.again && len(c.in.b) > c.listener.heldLimit(c.accepted) {
		l.refuse(c, core.PacketTooLarge, errHeldTooMuch.Error())
	}
}

// apply does what the machine wants, as l.act says.
func (l *loop) apply(c *conn) {
	a := &l.act
	said := len(a.Out) > 0
	if said {
		c.queue(l, a.Out)
		if cap(a.Out) > readSize {
			a.Out = nil
		}
	}
	if !c.accepted && (said || a.Pause || a.Again || a.Accepted) {
		c.watchLevel()
	}
	if a.Accepted && !c.accepted {
		l.welcome(c)
	}
	if a.SetTimer {
		c.timer = ticks(a.Timer)
		if c.accepted {
			l.wheel.set(c.slot, c.timer)
		}
	}
	if a.Pause {
		c.paused = true
	}
	if a.Again && !c.again && !a.Close {
		c.greedy = true
		l.queueAgain(c)
	}
	if a.Close {
		l.end(c, a.Reason, said)
	}
}

// welcome ends the limits before authentication. From here on Output may run: what
// the machine says of the acceptance is queued already, so it goes first.
func (l *loop) welcome(c *conn) {
	c.accepted = true
	c.listener.settle(c.peer)
	l.wheel.set(c.slot, c.timer)
	c.mu.Lock()
	c.ready = true
	c.mu.Unlock()
	l.mark(c)
}

func (l *loop) mark(c *conn) {
	if !c.dirty {
		c.dirty = true
		l.dirty = append(l.dirty, c)
	}
}

// complete gives the machine a late result, then goes on with its input.
func (l *loop) complete(c *conn, done core.Completion) {
	if c.machine == nil {
		return
	}
	l.act.Reset()
	if c.phase != phaseOpen {
		if done.Op == core.OpConnect { // core has a session for a client that left
			c.machine.Complete(l.turn, done, &l.act)
			l.more = true
		}
		return
	}
	c.paused = false
	c.machine.Complete(l.turn, done, &l.act)
	l.apply(c)
	l.proceed(c)
}

// proceed feeds what was held while c was paused, then reads on.
func (l *loop) proceed(c *conn) {
	if c.phase != phaseOpen || c.paused || c.stalled || c.throttled {
		return
	}
	if c.accepted {
		l.wheel.touch(c.slot)
	}
	if c.in != nil {
		l.feed(c, c.in.b, 0)
	}
	if c.phase == phaseOpen && !c.paused && !c.throttled {
		c.watchInput(true)
	}
}
