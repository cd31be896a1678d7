package protocols

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// errAgain says that nothing can be read at present. It is temporary in net's
// sense: crypto/tls would keep any other error for good.
type errAgain struct{}

func (errAgain) Error() string   { return "nothing to read at present" }
func (errAgain) Timeout() bool   { return false }
func (errAgain) Temporary() bool { return true }

// errFlooded: the peer makes us answer and does not read the answers.
var errFlooded = errors.New("the peer does not read what it asked for")

const (
	// socketKeep is what control answers (pong, alert) may add behind a write that
	// the kernel cut short.
	socketKeep = 256 << 10
	socketRead = 64 << 10
	// leastExpect is the least buffer with which a goroutine parks that has to hold one.
	leastExpect = 256
)

// socket is the raw end of a pumped connection, below TLS and WebSocket. Reading
// parks without a buffer and takes a pooled one only when something came; writing
// never blocks: what the kernel does not take is kept, and a goroutine exists just
// while some is. It is a net.Conn so that crypto/tls and gorilla can stand on it.
type socket struct {
	net.Conn
	raw     syscall.RawConn // nil: the system can only block
	poll    PollConn        // nil: Conn is none
	engine  *pumps
	guest   *guest // nil: it is none, and never was
	drained func() // called from the writer once all is out
	gone    func() // called when writing failed and no reader parks; nil while one does

	// The reader's own.
	in      *held  // what came and was not consumed, nil for none
	rest    []byte // of in.b
	polling bool   // Read gives errAgain in place of parking
	tryRead func(fd uintptr) bool
	readN   int
	readErr error
	expect  int  // bytes, of the next read that blocks with a buffer
	nowait  bool // tryRead does not have the reader park
	turn    turn // in which a stranger computes; nil for everyone else
	edge    ioCount

	// The writer's side.
	mu       sync.Mutex
	out      []byte // accepted, not yet written
	pooled   *batch // whose Buf out is, if any
	writing  bool   // the writer goroutine runs
	closing  bool   // say that nothing more comes once out is written
	broken   error
	tryWrite func(fd uintptr) bool
	writeN   int
	writeErr error
}

// ioCount counts system calls and bytes until a turn takes them over.
type ioCount struct{ reads, readBytes, writes, writeBytes atomic.Uint64 }

func (c *ioCount) moveTo(t *core.Turn) {
	move := func(v *atomic.Uint64, k core.Counter) {
		if n := v.Swap(0); n > 0 {
			t.Count(k, n)
		}
	}
	move(&c.reads, core.ReadCalls)
	move(&c.readBytes, core.BytesReceived)
	move(&c.writes, core.WriteCalls)
	move(&c.writeBytes, core.BytesSent)
}

func newSocket(e *pumps, c net.Conn) *socket {
	s := &socket{Conn: c, engine: e}
	s.poll, _ = c.(PollConn)
	s.setUp()
	return s
}

// Read gives what came. While polling it never blocks.
func (s *socket) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		if s.polling {
			return s.readNow(b)
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, s.rest)
	s.consume(n)
	return n, nil
}

func (s *socket) consume(n int) {
	s.rest = s.rest[n:]
	if len(s.rest) == 0 && s.in != nil {
		s.engine.pools.helds.put(s.in)
		s.in, s.rest = nil, nil
	}
}

// unread puts b in front of what comes.
func (s *socket) unread(b []byte) {
	if len(b) == 0 {
		return
	}
	joined := append(bytes.Clone(b), s.rest...)
	s.consume(len(s.rest))
	s.in = s.engine.pools.helds.keep(joined)
	s.rest = s.in.b
}

// fill parks until something came, then reads it. What was written so far goes
// out first: the peer may wait for it.
func (s *socket) fill() error {
	s.flush()
	if s.turn != nil {
		return s.parkInTurn()
	}
	return s.park()
}

// inTurn has the reader compute with p from now on until outOfTurn, and waits until
// something came and it has its turn, so that who waits holds nothing of the layers above.
// The permit is given back while the reader parks: who waits for its client must not keep
// others from theirs.
func (s *socket) inTurn(p *permit) error {
	if s.guest != nil {
		s.guest.moveTo(p)
	} else {
		s.turn = p
	}
	if len(s.rest) == 0 {
		return s.fill()
	}
	s.turn.take(nil)
	return nil
}

func (s *socket) outOfTurn() {
	if s.turn != nil {
		s.turn.leave()
		s.turn = nil
	}
}

// parkInTurn parks until something came and it is this connection's turn. What came
// stays in the kernel until then: there are many who wait, and some leave meanwhile or
// are too late.
func (s *socket) parkInTurn() error {
	if s.raw == nil {
		s.turn.giveBack()
		err := s.parkBlocking()
		if err == nil {
			s.turn.take(nil)
		}
		return err
	}
	s.nowait = true
	defer func() { s.nowait = false }()
	for {
		if err := s.turn.await(s); err != nil {
			return err
		}
		if err := s.brokenOff(); err != nil {
			return err
		}
		if err := s.park(); !errors.Is(err, errAgain{}) {
			return err
		}
	}
}

// parkBlocking reads with a buffer held all the while: a small one, as most who park
// for long say little, that grows with what comes.
func (s *socket) parkBlocking() error {
	h := s.engine.pools.helds.room(max(s.expect, leastExpect))
	n, err := s.Conn.Read(h.b[:cap(h.b)])
	switch {
	case n == cap(h.b):
		s.expect = min(4*n, socketRead)
	case n < cap(h.b)/4:
		s.expect = cap(h.b) / 4
	}
	if n <= 0 {
		s.engine.pools.helds.put(h)
		return err
	}
	s.took(h, n)
	return nil
}

// took notes what a read brought into h.
func (s *socket) took(h *held, n int) {
	s.in, s.rest = h, h.b[:n]
	s.edge.reads.Add(1)
	s.edge.readBytes.Add(uint64(n))
}

// Write takes all of b and never blocks; flush hands it to the kernel.
func (s *socket) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return 0, s.broken
	}
	if s.writing && len(s.out)+len(b) > batchKeep+socketKeep {
		s.fail(errFlooded)
		return 0, s.broken
	}
	if s.out == nil {
		s.pooled = s.engine.pools.batches.get()
		s.out = s.pooled.Buf
	}
	s.out = append(s.out, b...)
	return len(b), nil
}

// flush writes what was taken, as far as the kernel has room. It tells whether
// all of it went out; if not, the writer goroutine goes on.
func (s *socket) flush() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing {
		return false
	}
	if len(s.out) == 0 || s.broken != nil {
		return true
	}
	n := s.writeNow()
	if s.broken != nil || n == len(s.out) {
		s.emptied()
		return true
	}
	// A copy of the exact size: a peer that does not read holds no large buffer.
	left := bytes.Clone(s.out[n:])
	s.emptied()
	s.out, s.writing = left, true
	s.engine.wg.Go(s.write)
	return false
}

// emptied gives the buffer back. mu is held.
func (s *socket) emptied() {
	if s.pooled != nil {
		s.pooled.Buf = s.out[:0]
		s.engine.pools.batches.put(s.pooled)
	}
	s.out, s.pooled = nil, nil
}

// write is the writer goroutine: it lives while the kernel has no room.
func (s *socket) write() {
	for {
		s.mu.Lock()
		b := s.out
		if len(b) == 0 || s.broken != nil {
			s.out, s.writing = nil, false
			done := s.closing
			s.mu.Unlock()
			if done {
				s.closeWrite()
			}
			s.drained()
			return
		}
		s.out = nil
		s.mu.Unlock()
		n, err := s.Conn.Write(b)
		s.edge.writes.Add(1)
		s.edge.writeBytes.Add(uint64(n))
		if err != nil {
			s.mu.Lock()
			s.fail(err)
			s.mu.Unlock()
		}
	}
}

// fail breaks the connection: the reader sees its end. mu is held.
func (s *socket) fail(err error) {
	if s.broken == nil {
		s.broken = err
		s.closeNow()
		if s.gone != nil {
			s.gone()
		}
	}
}

// finish says that nothing more will be written, now or once all is out.
func (s *socket) finish(by time.Time) {
	s.setDeadlines(by)
	if s.flush() {
		s.closeWrite()
		return
	}
	s.mu.Lock()
	late := s.writing
	s.closing = true
	s.mu.Unlock()
	if !late { // it drained in between
		s.closeWrite()
	}
}

// setDeadlines ends at that time whoever waits for the peer. Any goroutine.
func (s *socket) setDeadlines(by time.Time) {
	s.Conn.SetReadDeadline(by)
	s.Conn.SetWriteDeadline(by)
	if s.guest != nil {
		s.guest.until(by)
	}
}

// closeNow has the reader see its end. Any goroutine.
func (s *socket) closeNow() {
	s.Conn.Close()
	if s.guest != nil {
		s.guest.end()
	}
}

func (s *socket) closeWrite() {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
}

// SetWriteDeadline is for crypto/tls and gorilla, whose writes do not block here.
func (s *socket) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline sets the reader's.
func (s *socket) SetDeadline(t time.Time) error { return s.Conn.SetReadDeadline(t) }

// Close is for crypto/tls and gorilla: only the pump closes.
func (s *socket) Close() error { return nil }
