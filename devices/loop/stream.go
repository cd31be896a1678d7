package loop

import (
	"errors"
	"syscall"
)

// Stream is a connection that never blocks and has no descriptor: a Conn of
// internal/simnet, or one that goroutines serve. Its methods are called by the
// loop only.
type Stream interface {
	// TryRead takes what has come. When that is nothing, the error is EAGAIN to
	// errors.Is; io.EOF is the end in order.
	TryRead(b []byte) (int, error)
	// TryWrite takes a beginning of b; when that is not all of it, the error is
	// EAGAIN to errors.Is. It keeps nothing of b. While a stream is being
	// connected it takes nothing, not even nothing.
	TryWrite(b []byte) (int, error)
	// Notify sets what to call whenever TryRead or TryWrite may get further than
	// their last EAGAIN. It is called from any goroutine, and may be called too
	// often. nil ends it.
	Notify(f func())
	// Close ends the stream in order: what was written arrives, then the end.
	Close() error
	// Reset breaks it at once.
	Reset() error
}

// again tells whether an error means that nothing can be done at present.
func again(err error) bool {
	return err == errAgain || errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR)
}

// errAgain is again's own error. It is temporary to crypto/tls, which else would
// never read again.
var errAgain error = againError{}

type againError struct{}

func (againError) Error() string        { return "loop: nothing to be done at present" }
func (againError) Timeout() bool        { return true }
func (againError) Temporary() bool      { return true }
func (againError) Is(target error) bool { return target == syscall.EAGAIN }

// ending is how a transport ends.
type ending uint8

const (
	endOrderly ending = iota // what was written arrives, then the end
	endReset                 // the peer gets a reset
	endSilent                // the peer is not told
)

// What a transport is watched for.
const (
	watchRead uint8 = 1 << iota
	watchWrite
)

// raw is the transport below TLS, WebSocket and conditions. All of it belongs to
// the loop.
type raw interface {
	tryRead(b []byte) (int, error)  // as Stream.TryRead
	tryWrite(b []byte) (int, error) // as Stream.TryWrite
	watch(what uint8)               // what to report, until changed
	edges() bool                    // reports come only after EAGAIN
	smallBuffer()                   // little is to be received ahead of reading
	end(how ending)                 // and nothing more is called
}

// kernel is where the loop waits and transports come from.
type kernel interface {
	// collect waits so many nanoseconds at most for events, negative for ever; 0 only
	// looks.
	collect(wait int64)
	// deliver tells the loop what collect found.
	deliver()
	// wake ends collect's waiting, from any goroutine.
	wake()
	// dial begins to connect c to the i-th address of its endpoint; the outcome
	// goes to Loop.connected.
	dial(c *Conn, i int) error
	close()
}

// streamRaw makes a transport of a Stream.
type streamRaw struct {
	Stream
	c *Conn
}

func (s *streamRaw) tryRead(b []byte) (int, error)  { return s.TryRead(b) }
func (s *streamRaw) tryWrite(b []byte) (int, error) { return s.TryWrite(b) }
func (s *streamRaw) watch(uint8)                    {}
func (s *streamRaw) edges() bool                    { return true }
func (s *streamRaw) smallBuffer()                   {}

func (s *streamRaw) end(how ending) {
	s.Notify(nil)
	switch how {
	case endOrderly:
		_ = s.Close()
	case endReset:
		_ = s.Reset()
	}
	// A silent end leaves the stream to the garbage collector: nobody is told.
}

// attach begins to use a stream that may still be connecting.
func (l *Loop) attach(c *Conn, s Stream) {
	c.raw = &streamRaw{Stream: s, c: c}
	s.Notify(func() { l.note(c) })
	l.note(c)
}

// note asks for attention to a connection without descriptor. Any goroutine. The
// queue is bounded by the connections: each stands in it once.
func (l *Loop) note(c *Conn) {
	l.mu.Lock()
	fresh := !c.noted && !l.ended
	if fresh {
		c.noted = true
		l.noted = append(l.noted, c)
	}
	l.mu.Unlock()
	if fresh {
		l.rouse()
	}
}

// runNoted looks at all that asked.
func (l *Loop) runNoted() {
	l.mu.Lock()
	work := l.noted
	l.noted = l.spareNoted[:0]
	for _, c := range work {
		c.noted = false
	}
	l.mu.Unlock()
	for i, c := range work {
		work[i] = nil
		l.attend(c)
	}
	l.spareNoted = work
}

// attend does what can be done on a transport without events.
func (l *Loop) attend(c *Conn) {
	switch c.state {
	case stateConnecting:
		if c.raw == nil {
			return // still being opened elsewhere
		}
		_, err := c.raw.tryWrite(nil)
		if err == nil || !again(err) {
			l.connected(c, err)
		}
		return
	case stateSecuring:
		l.attendHandshake(c)
	}
	l.writable(c)
	if c.raw != nil && c.raw.edges() {
		l.readable(c, false)
	}
}
