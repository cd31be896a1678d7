package loop

// Conn is one connection of a loop: a field of the device, which must not be
// copied once dialled. All its methods belong to the loop's goroutine. On a
// connection that is not open they do nothing, unless they say otherwise.
type Conn struct {
	l    *Loop
	h    Handler
	raw  raw
	e    *Endpoint
	x    *extra // what a plain open connection does without
	out  []byte // appended, not yet converted or written
	in   []byte // input that the handler has not used
	err  error  // for Closed
	fd   int32
	slot uint32
	gen  uint32

	state    state
	watching uint8 // what the kernel reports
	stops    uint8 // reasons not to read
	flags    uint8
	noted    bool // behind Loop.mu
}

// state is how far a connection is.
type state uint8

const (
	stateIdle       state = iota
	stateConnecting       // the kernel or a goroutine connects
	stateSecuring         // the TLS handshake waits or is under way
	stateUpgrading        // the WebSocket is asked for
	stateDelayed          // open, but the network condition holds back the news
	stateOpen
	stateLeaving // Close was called: what is pending goes first
	stateOver    // Closed is due
	stateOrphan  // no device's any more: the descriptor waits for the server's end
)

// Reasons not to read.
const (
	stopPaused uint8 = 1 << iota // the device said so
	stopShape                    // the network condition holds enough
	stopRate                     // the device reads slowly
	stopLeft                     // nothing is of interest any more
)

const (
	flagDirty   uint8 = 1 << iota // in Loop.dirty
	flagAgain                     // in Loop.again
	flagBlocked                   // the transport takes nothing now
	flagSilent                    // half-open: nothing passes
	flagWaited                    // output had to wait: Drained is due
	flagRefeed                    // give the handler what it left once more
	flagBye                       // the goodbye of TLS and WebSocket is in the output
)

// Open tells whether the connection is between Opened and its end.
func (c *Conn) Open() bool { return c.state == stateOpen }

// Idle tells whether c may be dialled.
func (c *Conn) Idle() bool { return c.state == stateIdle }

// Loop is where the connection was dialled last.
func (c *Conn) Loop() *Loop { return c.l }

// Out is for appending output in place; it is written at the end of the turn. Look
// at Room before: what is appended beyond twice Options.MaxPending ends the
// connection. nil when the connection is not open.
func (c *Conn) Out() *[]byte {
	if c.state != stateOpen {
		return nil
	}
	if c.out == nil {
		c.out = c.l.buffers.get()
	}
	c.markDirty()
	return &c.out
}

// Write appends b to the output; false, and nothing taken, if there is no room or
// no open connection. b stays the caller's.
func (c *Conn) Write(b []byte) bool {
	if c.state != stateOpen {
		return false
	}
	if len(b) > c.Room() {
		c.l.counters.RefusedWrites++
		return false
	}
	out := c.Out()
	*out = append(*out, b...)
	return true
}

// Pending is how many bytes of output wait: for the end of the turn, for the
// network condition, for the kernel.
func (c *Conn) Pending() int {
	n := len(c.out)
	if c.x != nil {
		n += len(c.x.wire)
		if s := c.x.shape; s != nil {
			n += s.up.size()
		}
	}
	return n
}

// Room is how many bytes may be written now.
func (c *Conn) Room() int {
	if c.state != stateOpen {
		return 0
	}
	return max(c.l.opt.MaxPending-c.Pending(), 0)
}

// Pause stops or resumes reading, and with it in the end the server.
func (c *Conn) Pause(on bool) {
	if c.state == stateOpen {
		c.l.stop(c, stopPaused, on)
	}
}

// ReadRate lets the device read that many bytes a second at most, 0 for as many
// as come, and makes the kernel's buffer small, so that the server notices.
func (c *Conn) ReadRate(bytesPerSecond int) {
	if c.state == stateOpen {
		c.l.setReadRate(c, bytesPerSecond)
	}
}

// Silence makes the connection half-open: nothing passes any more in either
// direction, and neither the server nor the handler is told. The device finds out
// by its own timers, then calls Close or Abort, of which the server does not hear
// either: the loop keeps the descriptor until the server ends its side.
func (c *Conn) Silence() {
	if c.state == stateOpen {
		c.l.silence(c)
	}
}

// Close ends the connection once what is pending was written; while dialling, at
// once. Closed follows, with nil.
func (c *Conn) Close() {
	if c.l != nil {
		c.l.leave(c)
	}
}

// Abort ends the connection at once with a reset; pending output is lost. Closed
// follows, with ErrAborted.
func (c *Conn) Abort() { c.Cut(ErrAborted) }

// Cut is Abort for another reason, which Closed is told.
func (c *Conn) Cut(why error) {
	if c.l != nil {
		c.l.breakFor(c, why)
	}
}
