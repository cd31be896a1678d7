package simnet

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// Conn is one end of a stream. It is a net.Conn, safe for concurrent use.
type Conn struct {
	s *stream
	// What follows is behind s.mu but for addr.
	in      *block   // arrived and not read
	notify  func()   // nil: nobody asked for
	waiting *waiters // nil: no goroutine waits here
	readBy  time.Duration
	writeBy time.Duration
	addr    netip.AddrPort
	flags   flags
	fail    failure
}

// flags are what is true of an end.
type flags uint16

const (
	connecting flags = 1 << iota
	ended            // the other end said that nothing more comes
	finished         // this one did
	closed           // nobody uses this end any more
	writing          // a Write is under way: another one waits
	tellRead         // Notify is owed a call when there is something to read
	tellWrite        // Notify is owed a call when there is room
	madeUpPort       // the port was chosen by the network
)

func (c *Conn) has(f flags) bool { return c.flags&f != 0 }

// waiters are the goroutines blocked at one end.
type waiters struct {
	cond sync.Cond
	n    int
}

var _ net.Conn = (*Conn)(nil)

// wakeReader tells whoever waits for input. mu is held.
func (c *Conn) wakeReader(out *calls) { c.wake(tellRead, out) }

// wakeWriter tells whoever waits for room. mu is held.
func (c *Conn) wakeWriter(out *calls) { c.wake(tellWrite, out) }

func (c *Conn) wake(owed flags, out *calls) {
	if c.waiting != nil {
		c.waiting.cond.Broadcast()
	}
	if c.has(owed) && c.notify != nil && !c.has(closed) {
		c.flags &^= owed
		out.add(c.notify)
	}
}

// await blocks until something changed or the time by is over (0: never). mu is held
// before and after.
func (c *Conn) await(by time.Duration) {
	if c.waiting == nil {
		c.waiting = &waiters{}
		c.waiting.cond.L = &c.s.mu
	}
	w := c.waiting
	w.n++
	if by != 0 {
		timer := time.AfterFunc(by-c.s.net.now(), func() {
			c.s.mu.Lock()
			w.cond.Broadcast()
			c.s.mu.Unlock()
		})
		defer timer.Stop()
	}
	w.cond.Wait()
	if w.n--; w.n == 0 && c.waiting == w {
		c.waiting = nil
	}
}

func (c *Conn) late(by time.Duration) bool { return by != 0 && c.s.net.now() >= by }

// Read implements net.Conn. io.EOF follows the other end's CloseWrite or Close;
// ECONNRESET its reset, which also takes what was not read yet.
func (c *Conn) Read(b []byte) (int, error) {
	var out calls
	c.s.mu.Lock()
	for {
		if !c.has(closed) && c.late(c.readBy) {
			c.s.mu.Unlock()
			return 0, c.wrap("read", os.ErrDeadlineExceeded)
		}
		n, err := c.take(b, &out)
		if err == ErrWouldBlock {
			c.await(c.readBy)
			continue
		}
		c.s.mu.Unlock()
		out.do()
		return n, c.wrap("read", err)
	}
}

// TryRead is Read that does not wait: ErrWouldBlock when nothing is there. It does
// not heed the deadline.
func (c *Conn) TryRead(b []byte) (int, error) {
	var out calls
	c.s.mu.Lock()
	n, err := c.take(b, &out)
	if err == ErrWouldBlock {
		c.flags |= tellRead
	}
	c.s.mu.Unlock()
	out.do()
	return n, c.wrap("read", err)
}

// take reads what is there. mu is held.
func (c *Conn) take(b []byte, out *calls) (int, error) {
	switch {
	case c.has(closed):
		return 0, net.ErrClosed
	case c.fail != noFailure:
		return 0, c.fail.error("read")
	case len(b) == 0:
		return 0, nil
	case c.in != nil:
		before := c.peer().room()
		n := 0
		c.in, n = c.s.net.blocks.take(c.in, b)
		c.opened(before, out)
		return n, nil
	case c.has(ended):
		return 0, io.EOF
	}
	return 0, ErrWouldBlock
}

// opened wakes the other end's writer once a quarter of the window is free: not for
// each byte. mu is held.
func (c *Conn) opened(before int, out *calls) {
	peer := c.peer()
	enough := max(c.s.window/4, 1)
	if before < enough && peer.room() >= enough {
		peer.wakeWriter(out)
	}
}

// Write implements net.Conn. It copies b and blocks while the window is full.
func (c *Conn) Write(b []byte) (int, error) {
	c.s.mu.Lock()
	for c.has(writing) && !c.has(closed) && !c.late(c.writeBy) {
		c.await(c.writeBy)
	}
	if c.has(writing) {
		err := os.ErrDeadlineExceeded
		if c.has(closed) {
			err = net.ErrClosed
		}
		c.s.mu.Unlock()
		return 0, c.wrap("write", err)
	}
	c.flags |= writing
	total := 0
	for {
		n, err := 0, os.ErrDeadlineExceeded
		var out calls
		if c.has(closed) || !c.late(c.writeBy) {
			n, err = c.put(b[total:], &out)
		}
		total += n
		if out.n > 0 {
			c.s.mu.Unlock()
			out.do()
			c.s.mu.Lock()
		}
		if err != ErrWouldBlock {
			var next calls
			c.flags &^= writing
			c.wakeWriter(&next) // who waited for this Write
			c.s.mu.Unlock()
			next.do()
			return total, c.wrap("write", err)
		}
		if c.room() == 0 || c.has(connecting) {
			c.await(c.writeBy)
		}
	}
}

// TryWrite is Write that does not wait: it takes what there is room for, and gives
// ErrWouldBlock if that is not all of b. It does not heed the deadline.
func (c *Conn) TryWrite(b []byte) (int, error) {
	var out calls
	n, err := 0, ErrWouldBlock
	c.s.mu.Lock()
	if !c.has(writing) || c.has(closed) {
		n, err = c.put(b, &out)
	}
	if err == ErrWouldBlock {
		c.flags |= tellWrite
	}
	c.s.mu.Unlock()
	out.do()
	return n, c.wrap("write", err)
}

// put sends as much of b as there is room for. mu is held.
func (c *Conn) put(b []byte, out *calls) (int, error) {
	switch {
	case c.has(closed):
		return 0, net.ErrClosed
	case c.fail != noFailure:
		return 0, c.fail.error("write")
	case c.has(finished):
		return 0, os.NewSyscallError("write", syscall.EPIPE)
	case c.has(connecting):
		return 0, ErrWouldBlock
	}
	n := min(len(b), c.room())
	if n > 0 {
		c.s.send(c, data, b[:n], out)
	}
	if n < len(b) {
		return n, ErrWouldBlock
	}
	return n, nil
}

// Close implements net.Conn. What was written still arrives, unless something that
// had arrived was not read: then the stream is reset, as kernels do.
func (c *Conn) Close() error { return c.end(finish) }

// Reset ends the stream at once, as closing with SO_LINGER 0: the other end's reads
// and writes fail with ECONNRESET, and what was under way is lost.
func (c *Conn) Reset() error { return c.end(reset) }

func (c *Conn) end(k kind) error {
	var out calls
	c.s.mu.Lock()
	if c.has(closed) {
		c.s.mu.Unlock()
		return c.wrap("close", net.ErrClosed)
	}
	if c.in.len() > 0 {
		k = reset
	}
	if c.fail == noFailure && !c.has(connecting) && (k == reset || !c.has(finished)) {
		c.s.send(c, k, nil, &out)
	}
	c.drop()
	c.wakeReader(&calls{}) // only goroutines: whoever closes knows it
	c.flags |= closed | finished
	c.notify = nil
	c.peer().wakeWriter(&out)
	c.s.mu.Unlock()
	out.do()
	return nil
}

// CloseWrite says that nothing more is written; the other end reads io.EOF after it.
func (c *Conn) CloseWrite() error {
	var out calls
	c.s.mu.Lock()
	var err error
	switch {
	case c.has(closed):
		err = net.ErrClosed
	case c.has(connecting):
		err = os.NewSyscallError("shutdown", syscall.ENOTCONN)
	case c.fail != noFailure:
		err = c.fail.error("shutdown")
	case !c.has(finished):
		c.s.send(c, finish, nil, &out)
		c.flags |= finished
		c.wakeWriter(&out)
	}
	c.s.mu.Unlock()
	out.do()
	return c.wrap("close", err)
}

// Notify makes f be called when TryRead may give something (bytes, the end, an error)
// or, after TryWrite found no room, when there is room again, and when a Conn of
// Connect is there. It is edge-triggered: not again before TryRead (or TryWrite) has
// said ErrWouldBlock. f is called at once if there is something already; on any
// goroutine, also within calls of either end, but never under a lock of this package.
// It must not block and should only note the Conn for its loop. nil ends it, but a
// call that has begun may still come.
func (c *Conn) Notify(f func()) {
	c.s.mu.Lock()
	c.notify = f
	c.flags |= tellRead
	if c.has(connecting) {
		c.flags |= tellWrite
	}
	now := f != nil && !c.has(closed) && (c.in != nil || c.has(ended) || c.fail != noFailure)
	if now {
		c.flags &^= tellRead
	}
	c.s.mu.Unlock()
	if now {
		f()
	}
}

// SetConditions makes k hold for this stream, both directions, in place of the
// network's; a Cut also holds what is under way.
func (c *Conn) SetConditions(k Conditions) {
	c.s.mu.Lock()
	c.s.own = &k
	c.s.mu.Unlock()
	c.s.release()
}

// LocalAddr is a *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr { return tcpAddr(c.addr) }

// RemoteAddr is a *net.TCPAddr.
func (c *Conn) RemoteAddr() net.Addr { return tcpAddr(c.peer().addr) }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, true, true) }

// SetReadDeadline implements net.Conn. TryRead does not heed it.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, true, false) }

// SetWriteDeadline implements net.Conn. TryWrite does not heed it.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, false, true) }

func (c *Conn) setDeadlines(t time.Time, read, write bool) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.has(closed) {
		return c.wrap("set", net.ErrClosed)
	}
	by := c.s.net.deadline(t)
	if read {
		c.readBy = by
	}
	if write {
		c.writeBy = by
	}
	if c.waiting != nil {
		c.waiting.cond.Broadcast() // they look at it anew
	}
	return nil
}

// deadline turns t into the clock's time; 0 is none.
func (k *clock) deadline(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	by := k.now() + time.Until(t)
	if by == 0 {
		return -1 // which has passed as well
	}
	return by
}

// wrap makes an error what net's connections give.
func (c *Conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF || err == ErrWouldBlock {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
