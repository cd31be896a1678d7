package protocols

import (
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fairlead-iot/fairlead/core"
)

const (
	eventsSize  = 128 // events taken from the kernel at once; what they touched is written then
	flushBudget = 256 // connections woken before input is looked at again
	lingerTicks = uint32(lingerTime / tickLength)
)

// Tags in the slot half of epoll's data that are no connection.
const (
	tagGuest  = math.MinInt32 // a loop that is lent to this one; which, is in the other half
	tagWake   = -1
	tagAccept = -2 // and below: -2-i is the loop's i-th listening socket
)

// loop is one event loop: a goroutine that owns connections, reads for all of
// them into one buffer, and writes for whoever its turn touched. Everything in
// it belongs to that goroutine but for the fields behind mu and the atomics.
type loop struct {
	*loops
	turn   *core.Turn
	epfd   int
	wakefd int
	events []unix.EpollEvent

	slots []*conn
	free  []uint32
	freed []uint32 // in this turn: reused only in the next, so no event of a dead one hits a new one
	wheel wheel
	tick  uint32
	gen   uint32

	buf    []byte // readSize behind readSize: what was held goes in front of what comes
	act    Actions
	now    time.Time
	dirty  []*conn // have replies of their machine to be written
	again  []*conn // have had their share; what they sent goes on in the next turn
	greedy int     // of again, those of an earlier turn
	// Who waits for the end of the turn; see last_linux.go.
	callers  [strangerLines]line // strangers that said something, by their addresses
	calling  int                 // so many
	knocking bool                // connections wait to be accepted
	due      []due               // timers that fired
	dozers   []dozer             // see doze_linux.go
	eof      []*conn             // said that nothing more comes; closed once the turn's output is written
	over     []*conn             // ended by machine or edge, to be closed once their output is written
	more     bool                // work is left for the next turn: do not wait
	quit     bool
	swept    int // slots below it were asked to end while draining

	reads, readBytes uint64 // since the last count
	accepts          []*acceptor
	nextTurn         int       // whose turn it is of lines of callers and, behind them, listening sockets
	arrived          []arrival // of other loops
	warned           time.Time // that descriptors are lacking
	waiting          waiting

	throttle throttle

	// See lend_linux.go.
	own    *core.Turn    // turn is another loop's while this one is lent
	guests []*loop       // lent to this one
	back   chan struct{} // this one is given back
	ready  bool          // a guest that has something to do
	busy   atomic.Int32  // percent of the last window that was not spent waiting

	load     atomic.Int64 // connections, for placing new ones
	sleeping atomic.Bool
	mu       sync.Mutex
	posted   []func(*loop)
	ended    bool          // run has returned
	spare    []func(*loop) // the other half of a double buffer
}

// loops are the event loops of one server.
type loops struct {
	gateway     gateway
	log         *slog.Logger
	pools       pools
	born        time.Time
	all         []*loop
	tally       *tally
	wg          sync.WaitGroup
	procs       atomic.Int32 // how many goroutines may run at once, as of the latest window
	active      atomic.Int32 // loops that are not lent
	started     bool
	sockets     []*boundSocket
	descriptors descriptors
	steering    steering
}

// newLoop opens the loop's descriptors; run uses them, close gives them back.
func newLoop(ls *loops, mode string) (*loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("protocols: epoll_create1: %w", err)
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(epfd)
		return nil, fmt.Errorf("protocols: eventfd: %w", err)
	}
	l := &loop{
		loops: ls, epfd: epfd, wakefd: wakefd,
		events: make([]unix.EpollEvent, eventsSize),
		buf:    make([]byte, 2*readSize),
		back:   make(chan struct{}, 1),
	}
	if err := l.watch(wakefd, unix.EPOLLIN, tagWake, 0); err != nil {
		unix.Close(epfd)
		unix.Close(wakefd)
		return nil, fmt.Errorf("protocols: epoll_ctl eventfd: %w", err)
	}
	l.waiting.init(l, mode)
	return l, nil
}

func (l *loop) watch(fd int, events uint32, tag int32, gen uint32) error {
	return unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: tag, Pad: int32(gen)})
}

// post has f run in the loop; false once the loop has ended. Any goroutine; never
// blocks. The queue is bounded by its users: a connection has few operations
// under way at a time.
func (l *loop) post(f func(*loop)) bool {
	l.mu.Lock()
	open := !l.ended
	if open {
		l.posted = append(l.posted, f)
	}
	l.mu.Unlock()
	// Only a loop that sleeps costs a system call, and only one of many posters
	// makes it.
	if open && l.sleeping.CompareAndSwap(true, false) {
		l.wake()
	}
	return open
}

func (l *loop) wake() {
	one := [8]byte{1}
	unix.Write(l.wakefd, one[:]) // full counter: it is awake already
}

func (l *loop) hasPosted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.posted) > 0
}

// run is the loop until quit.
func (l *loop) run() {
	l.own = l.gateway.NewTurn()
	l.turn = l.own
	for !l.quit {
		n := l.wait()
		now := time.Now()
		l.turn.Begin(now)
		l.intake(now, n)
		l.intakeGuests()
		l.settle()
		if l.serveLast() {
			l.settle()
		}
		l.balance()
	}
	l.abandon()
}

// intake handles n events and whatever else is due; settle writes what it touched.
func (l *loop) intake(now time.Time, n int) {
	l.now = now
	// A lender's now may be older than the last that the loop had itself.
	l.tick = max(l.tick, uint32(now.Sub(l.born)/tickLength)+1)
	l.wheel.clock = l.tick
	l.greedy = len(l.again)
	l.hear(n)
	l.runPosted()
	// Timers after input: what waited in the kernel while the loop was busy is
	// activity.
	l.note(l.wheel.advance(l.tick))
	l.rouse()
	l.resumeSlow()
	l.resumeAccepting()
}

func (l *loop) event(ev *unix.EpollEvent) {
	switch {
	case ev.Fd >= 0:
		slot := uint32(ev.Fd)
		if c := l.slots[slot]; c != nil && c.gen == uint32(ev.Pad) {
			l.connEvent(c, ev.Events)
		}
	case ev.Fd == tagWake:
		var count [8]byte
		unix.Read(l.wakefd, count[:])
	case ev.Fd == tagGuest:
		if i := int(ev.Pad); i < len(l.guests) {
			l.guests[i].ready = true
		}
	}
}

func (l *loop) runPosted() {
	l.mu.Lock()
	work := l.posted
	l.posted = l.spare[:0]
	l.mu.Unlock()
	for i, f := range work {
		work[i] = nil
		f(l)
	}
	if cap(work) > 4096 {
		work = nil
	}
	l.spare = work
}

// settle ends the turn: everything it touched is written, once each.
func (l *loop) settle() {
	l.more = l.turn.Flush(flushBudget)
	l.more = l.conclude() || l.more
	for _, g := range l.guests {
		l.more = g.conclude() || l.more
	}
	if !l.more {
		// What was written may have left something to commit.
		l.more = l.turn.Flush(flushBudget)
	}
}

// conclude writes the replies of machines and closes what has ended. It comes
// after core's part: one write carries both, as push takes the machine's output
// along, and what core woke has nothing left. It tells whether work is left.
func (l *loop) conclude() (more bool) {
	for i := 0; i < len(l.dirty); i++ {
		c := l.dirty[i]
		l.dirty[i] = nil
		c.dirty = false
		c.push(l.turn)
	}
	l.dirty = l.dirty[:0]
	for i, c := range l.eof {
		l.eof[i] = nil
		l.end(c, core.ConnectionLost, false)
	}
	l.eof = l.eof[:0]
	more = l.closeOver(&budget{})
	l.free = append(l.free, l.freed...)
	l.freed = l.freed[:0]
	l.count()
	return more || l.waits()
}

func (l *loop) count() {
	if l.reads > 0 {
		l.turn.Count(core.ReadCalls, l.reads)
		l.turn.Count(core.BytesReceived, l.readBytes)
		l.reads, l.readBytes = 0, 0
	}
}

// waits tells whether some of what is due was left to the next turn.
func (l *loop) waits() bool {
	return l.calling > 0 || len(l.again) > 0 || len(l.arrived) > 0 || len(l.over) > 0 || len(l.due) > 0 || l.drowsy()
}

// due is a timer that fired and was not handled yet.
type due struct{ slot, gen, tick uint32 }

// note puts the slots whose timer fired behind those that wait already.
func (l *loop) note(slots []uint32) {
	for _, slot := range slots {
		if c := l.slots[slot]; c != nil {
			l.due = append(l.due, due{slot, c.gen, l.tick})
		}
	}
}

// expire handles some of the timers that fired: thousands that came together go
// together, and others are served in between. Whoever said something meanwhile, or
// had its timer set anew, is not due any more.
func (l *loop) expire(b *budget) {
	n := 0
	for ; n < len(l.due) && b.left(); n++ {
		d := l.due[n]
		if c := l.slots[d.slot]; c != nil && c.gen == d.gen && l.wheel.idleSince(d.slot, d.tick) {
			l.fire(c)
			l.dismiss()
		}
	}
	if l.due = l.due[n:]; len(l.due) == 0 {
		l.due = nil
	}
}

// fire does what a connection's timer is for.
func (l *loop) fire(c *conn) {
	switch {
	case c.phase == phaseLinger:
		l.release(c)
	case c.paused || c.throttled:
		// The client waits for us: its silence is not its fault.
	case !c.accepted:
		l.refuse(c, core.ConnectTimeout, "nothing that the protocol accepts within "+c.listener.cfg.ConnectTimeout.String())
	default:
		l.act.Reset()
		c.machine.Tick(l.turn, &l.act)
		l.apply(c)
	}
}

// abandon closes everything without goodbye.
func (l *loop) abandon() {
	for again := true; again; {
		l.runPosted()
		l.giveBack()
		l.mu.Lock()
		again = len(l.posted) > 0
		l.ended = !again
		l.mu.Unlock()
	}
	l.adoptSome(nil)
	for _, c := range l.slots {
		if c == nil {
			continue
		}
		if c.phase == phaseOpen {
			l.end(c, core.ServerShuttingDown, false)
		}
		l.release(c)
	}
	l.turn.End()
	l.count()
	l.turn.Close()
	l.closeDescriptors()
}

func (l *loop) closeDescriptors() {
	l.waiting.block()
	unix.Close(l.wakefd)
	unix.Close(l.epfd)
}
