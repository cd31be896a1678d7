package protocols

import (
	"errors"
	"net"
	"syscall"
)

// PollConn is a net.Conn that can be asked without waiting. One that Serve accepts
// has no goroutine and no buffer while it is idle; any other
// net.Conn keeps a goroutine that reads.
type PollConn interface {
	net.Conn
	// TryRead is Read that does not wait: the error is syscall.EAGAIN for errors.Is
	// when nothing is there.
	TryRead(b []byte) (int, error)
	// TryWrite is Write that does not wait: it takes what there is room for, with
	// syscall.EAGAIN if that is not all of b.
	TryWrite(b []byte) (int, error)
	// Notify makes f be called when TryRead may give something (bytes, the end, an
	// error): at once if there is something already, and not again before TryRead has
	// said syscall.EAGAIN. Calls that are not needed do no harm. f does not block.
	Notify(f func())
}

// readNow is Read while polling: it never waits.
func (s *socket) readNow(b []byte) (int, error) {
	if s.poll == nil {
		return 0, errAgain{}
	}
	n, err := s.poll.TryRead(b)
	if errors.Is(err, syscall.EAGAIN) {
		err = errAgain{}
	}
	if n > 0 {
		s.edge.reads.Add(1)
		s.edge.readBytes.Add(uint64(n))
		return n, nil
	}
	return 0, err
}

// writeNow writes s.out as far as there is room. mu is held.
func (s *socket) writeNow() int {
	write := s.tryWriteOf()
	if write == nil {
		return s.tryOnce()
	}
	n, err := write(s.out)
	s.edge.writes.Add(1)
	s.edge.writeBytes.Add(uint64(n))
	if err != nil && !errors.Is(err, syscall.EAGAIN) {
		s.fail(err)
	}
	return n
}

// tryWriteOf is how to write without waiting; nil where only the kernel's way is left.
func (s *socket) tryWriteOf() func([]byte) (int, error) {
	if s.poll != nil {
		return s.poll.TryWrite
	}
	if q, ok := s.Conn.(interface{ writeNow([]byte) (int, error) }); ok {
		return q.writeNow
	}
	return nil
}

// polled tells whether input brings its own work along, so that nobody need park.
func (c *pumpConn) polled() bool { return c.socket.poll != nil && c.socket.polling }

// listen has input of a connection that can be polled bring its work along. From
// then on the reader need not park.
func (c *pumpConn) listen() {
	s := c.socket
	if !c.polled() {
		return
	}
	s.outOfTurn() // its work waits for turns of the pump
	tell := func() { c.post((*pumpConn).readable) }
	s.mu.Lock()
	s.gone = tell
	s.mu.Unlock()
	s.poll.Notify(tell)
}

// resign ends the reader of a polled connection, unless there is something again. It
// tells whether it did. The reader's.
func (c *pumpConn) resign() bool {
	c.socket.flush() // what reading had to say, as TLS may
	c.input.Lock()
	defer c.input.Unlock()
	if c.again || c.over() {
		c.again = false
		return false
	}
	c.reading = false
	return true
}

// readsAtOnce is how often one connection is read before others have their turn.
const readsAtOnce = 8

// readable reads in the turn of the work that input brought along. input is held.
func (c *pumpConn) readable() {
	if c.reading {
		c.again = true
		return
	}
	if c.machine == nil || c.paused || c.stalled || c.throttled || c.over() {
		return // whoever ends that state reads on
	}
	for range readsAtOnce {
		err := c.take(c.feedHere)
		switch {
		case c.over(), errors.Is(err, errPaused):
			return
		case errors.Is(err, errNothing):
			if c.tiredHere() {
				return
			}
		case errors.Is(err, errAgain{}):
			c.socket.flush()
			c.tiredHere()
			return
		case err != nil:
			c.lost(err)
			return
		}
		if c.unfed {
			break // it has had its share
		}
	}
	c.post((*pumpConn).readable)
}
