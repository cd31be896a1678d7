package loop

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Options are the settings of a Loop; zero values mean the defaults.
type Options struct {
	// Portable keeps the loop off the system's event interface: a goroutine for each
	// connection over the network, and waiting in Go's own scheduler. It is the only
	// way off Linux, and the one inside a testing/synctest bubble.
	Portable bool
	// Clock is shared by the loops of a run; nil makes one, with the wall clock as
	// its origin if Portable.
	Clock *Clock
	// Sources are the addresses from which loopback servers are dialled; nil leaves
	// the choice to the system. Loops share it.
	Sources *Sources
	// Streams opens what mem:// URLs name. It must not block; the stream may begin
	// to give ErrAgain. nil: such URLs cannot be dialled.
	Streams func(name string) (Stream, error)
	// Packets opens a socket for datagrams to what mem:// URLs name, and tells the
	// address there. nil: there are none.
	Packets func(name string) (net.PacketConn, net.Addr, error)

	ReadSize    int           // bytes taken from one connection at once; 64 KiB
	MaxPending  int           // bytes of output that may wait on a connection; 256 KiB
	MaxHeld     int           // bytes of input that a handler may leave unused; 1 MiB
	MaxPosted   int           // functions that may wait after Post; 65,536
	MaxOrphans  int           // descriptors kept for connections that ended silently or linger; 1,024
	Handshakes  int           // handshakes under way at once, of TLS and of DTLS; 64 each
	DialTimeout time.Duration // until Opened, and for the output that Close waits for; 30 s
	Linger      time.Duration // how long after Close the server may take to end its side; 2 s
}

func (o Options) withDefaults() Options {
	o.ReadSize = orDefault(o.ReadSize, 64<<10)
	o.MaxPending = orDefault(o.MaxPending, 256<<10)
	o.MaxHeld = orDefault(o.MaxHeld, 1<<20)
	o.MaxPosted = orDefault(o.MaxPosted, 1<<16)
	o.MaxOrphans = orDefault(o.MaxOrphans, 1024)
	o.Handshakes = orDefault(o.Handshakes, 64)
	o.DialTimeout = orDefault(o.DialTimeout, 30*time.Second)
	o.Linger = orDefault(o.Linger, 2*time.Second)
	if o.Clock == nil {
		o.Clock = NewClock(o.Portable)
	}
	return o
}

func orDefault[T int | time.Duration](v, standard T) T {
	if v > 0 {
		return v
	}
	return standard
}

// Counters say what a loop did. They only grow, but for Conns.
type Counters struct {
	Conns         int    // dialled and not yet closed
	Dialled       uint64 // Dial was called
	Opened        uint64 // of these, Opened was called
	Turns         uint64
	Reads, Writes uint64 // system calls or calls of streams
	BytesIn       uint64 // as read: with the framing of WebSocket, without TLS
	BytesOut      uint64 // as written: with framing and TLS
	RefusedPosts  uint64 // Post found the queue full
	RefusedWrites uint64 // Write found too much pending
	LostOrphans   uint64 // ended at once, as MaxOrphans were kept already
}

// Loop is one event loop. Its methods but Post belong to the goroutine of Run, or
// to the maker before Run is called.
type Loop struct {
	opt      Options
	kernel   kernel
	timers   timers
	now      int64
	counters Counters

	slots   []*Conn // all connections and orphans; nil where free
	free    []uint32
	gen     uint32
	conns   int
	orphans int
	dirty   []*Conn // have output to be written at the end of the turn
	again   []*Conn // to be read in the next turn without an event
	over    []*Conn // Closed is due
	quit    bool
	buf     []byte // what was held goes in front of what comes
	buffers buffers
	extras  []*extra
	hubs    hubs
	guards  guards

	mu      sync.Mutex
	posted  []func()
	noted   []*Conn // streams that want attention
	ended   bool
	refused uint64

	sleeping atomic.Bool

	// The other halves of double buffers.
	spare                             []func()
	spareNoted, spareAgain, spareOver []*Conn

	securing atomic.Int32 // TLS handshakes under way
	toSecure []*tlsWire   // wait for their handshake
	secured  sync.WaitGroup
}

// New makes a loop. Run must be called once, or Close; else its descriptors stay
// open.
func New(o Options) (*Loop, error) {
	l := &Loop{opt: o.withDefaults()}
	l.now = l.opt.Clock.Now()
	l.buf = make([]byte, 2*l.opt.ReadSize)
	var err error
	if l.opt.Portable {
		l.kernel = newPortable(l)
	} else if l.kernel, err = newKernel(l); err != nil {
		return nil, fmt.Errorf("loop: %w", err)
	}
	return l, nil
}

// Post has f run in the loop's next turn. Any goroutine; never blocks. It is false
// when the loop has ended, or MaxPosted wait already.
func (l *Loop) Post(f func()) bool {
	l.mu.Lock()
	ok := !l.ended && len(l.posted) < l.opt.MaxPosted
	if ok {
		l.posted = append(l.posted, f)
	} else if !l.ended {
		l.refused++
	}
	l.mu.Unlock()
	if ok {
		l.rouse()
	}
	return ok
}

// rouse ends the loop's waiting; one of many callers pays for it.
func (l *Loop) rouse() {
	if l.sleeping.CompareAndSwap(true, false) {
		l.kernel.wake()
	}
}

// Now is the time of the turn, in nanoseconds of Options.Clock.
func (l *Loop) Now() int64 { return l.now }

// Counters are what the loop did so far.
func (l *Loop) Counters() Counters {
	c := l.counters
	c.Conns = l.conns
	l.mu.Lock()
	c.RefusedPosts = l.refused
	l.mu.Unlock()
	return c
}

// At has f called with the present time at the given time of Options.Clock or as
// soon after as the loop's millisecond allows, in the order of the times. A timer
// that was set is moved. nil for f keeps the one it had, so that setting a timer
// anew allocates nothing.
func (l *Loop) At(t *Timer, at int64, f func(now int64)) {
	if f != nil {
		t.fire = f
	}
	l.timers.set(t, at)
}

// After is At in so long.
func (l *Loop) After(t *Timer, in time.Duration, f func(now int64)) {
	l.At(t, l.now+int64(in), f)
}

// Stop takes a timer back; it tells whether it was set.
func (l *Loop) Stop(t *Timer) bool { return l.timers.stop(t) }

// Dial opens c to e, from this moment on under the conditions of n, whose choices
// come from seed; nil is a perfect network. It returns at once: h hears of the
// outcome. c must be new, or its last Closed be called: anything else is a mistake
// of the program, and panics. Once the loop is ending, nothing is dialled and nobody
// is told.
func (l *Loop) Dial(c *Conn, e *Endpoint, n *Conditions, seed uint64, h Handler) {
	l.dial(c, e, n, seed, h)
}

// Run is the loop until ctx ends. All connections are then reset and their
// handlers told with ErrStopped; timers do not fire any more. The error is never
// that of ctx.
func (l *Loop) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		l.posted = append(l.posted, func() { l.quit = true })
		l.mu.Unlock()
		l.rouse()
	})
	defer stop()
	return l.run()
}

// Close gives back what New took, for a loop that is not run.
func (l *Loop) Close() { l.abandon() }
