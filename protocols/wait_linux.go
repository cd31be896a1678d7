package protocols

import (
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// waiting is how a loop waits for events. A loop that had events looks again
// without waiting first; then it either blocks in the kernel (cheapest while
// mostly idle: no scheduler in between) or parks in Go's poller (cheapest while
// saturated: its processor serves other goroutines).
type waiting struct {
	mode   string
	misses int // polls in a row that found nothing

	// While parking: a copy of epfd that Go's poller watches. It is closed while
	// the loop blocks, or every event would wake both.
	file  *os.File
	raw   syscall.RawConn
	poll  func(fd uintptr) bool // made once: it would be allocated for each wait
	found int
	until time.Time // deadline set at the poller, zero for none

	// How much of the present window was spent waiting.
	window time.Time
	idle   time.Duration
}

const (
	// pollMisses in a row and the loop waits without looking first.
	pollMisses = 4
	// autoWindow is how often auto decides; it parks once the loop is busy for more
	// than 90 % of it, and blocks again below 80 %.
	autoWindow = 100 * time.Millisecond
)

func (w *waiting) init(l *loop, mode string) {
	w.mode = mode
	if mode == "" {
		w.mode = "auto"
	}
	w.poll = func(uintptr) bool {
		// Posted work is seen here too: the poster's eventfd is one of the events.
		w.found = l.pollNow()
		return w.found != 0
	}
	if mode == "park" {
		w.park(l.epfd)
	}
}

// park hands a copy of epfd to Go's poller; where that does not work, the loop
// goes on blocking.
func (w *waiting) park(epfd int) {
	fd, err := unix.FcntlInt(uintptr(epfd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return
	}
	// Without O_NONBLOCK os.NewFile would not let the poller have it.
	unix.SetNonblock(fd, true)
	file := os.NewFile(uintptr(fd), "epoll")
	raw, err := file.SyscallConn()
	if err != nil || file.SetReadDeadline(time.Time{}) != nil {
		file.Close()
		return
	}
	w.file, w.raw, w.until = file, raw, time.Time{}
}

// block ends parking.
func (w *waiting) block() {
	if w.file != nil {
		w.file.Close()
		w.file, w.raw = nil, nil
	}
}

// wait gives the number of events.
func (l *loop) wait() int {
	w := &l.waiting
	if l.more || l.anyPosted() {
		return l.pollNow()
	}
	// Goroutines that this turn made runnable go first: once this thread blocks,
	// they would wait until the runtime notices. Where another goroutine may run at once,
	// one took them already: yielding would only have this loop wait behind them.
	if l.active.Load() >= l.procs.Load() {
		runtime.Gosched()
	}
	if w.misses < pollMisses {
		if n := l.pollNow(); n > 0 {
			w.misses = 0
			return n
		}
		w.misses++
	}
	l.setSleeping(true)
	defer l.setSleeping(false)
	if l.anyPosted() {
		return 0
	}
	n := l.sleep()
	if n > 1 {
		w.misses = 0 // more may be on its way
	}
	return n
}

// sleep waits as the mode says.
func (l *loop) sleep() (n int) {
	w := &l.waiting
	begin := time.Now()
	timeout := l.timeout(begin)
	if w.raw != nil {
		n = l.waitParked(begin, timeout)
	} else {
		n = l.waitBlocked(timeout)
	}
	w.idle += time.Since(begin)
	return n
}

// decide chooses between blocking and parking by how much there was to wait.
func (w *waiting) decide(epfd int, busy int32) {
	switch {
	case w.mode != "auto":
	case busy > 90 && w.raw == nil:
		w.park(epfd)
	case busy <= 80:
		w.block()
	}
}

// pollNow takes what is ready. A raw system call: it cannot block, so the
// scheduler need not know.
func (l *loop) pollNow() int {
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epfd), uintptr(unsafe.Pointer(&l.events[0])), uintptr(len(l.events)), 0, 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}

// waitBlocked waits in the kernel.
func (l *loop) waitBlocked(timeout time.Duration) int {
	ms := -1
	if timeout > 0 {
		ms = int((timeout + time.Millisecond - 1) / time.Millisecond)
	}
	n, err := unix.EpollWait(l.epfd, l.events, ms)
	if err != nil {
		return 0 // EINTR: the turn is empty, then it waits again
	}
	return n
}

// waitParked waits in Go's poller. Its deadline is moved only when it is more
// than a tick off: a timer's reset costs more than a turn without work.
func (l *loop) waitParked(now time.Time, timeout time.Duration) int {
	w := &l.waiting
	until := time.Time{}
	if timeout > 0 {
		until = now.Add(timeout)
	}
	if until.IsZero() != w.until.IsZero() || until.Sub(w.until).Abs() > tickLength {
		w.until = until
		w.file.SetReadDeadline(until)
	}
	w.found = 0
	if err := w.raw.Read(w.poll); err != nil {
		// The deadline passed: it holds until it is set anew.
		w.until = time.Time{}
		w.file.SetReadDeadline(time.Time{})
	}
	return w.found
}

// sooner is the shorter of two waits; -1 for the first means for ever.
func sooner(wait, in time.Duration) time.Duration {
	if wait < 0 {
		return in
	}
	return min(wait, in)
}

// timeout is how long the loop may wait from now on; -1 for ever.
func (l *loop) timeout(now time.Time) time.Duration {
	wait := time.Duration(-1)
	for _, g := range l.guests {
		if in := g.timeout(now); in >= 0 {
			wait = sooner(wait, in)
		}
	}
	if in := l.untilRouse(now); in >= 0 {
		wait = sooner(wait, in)
	}
	if ticks, ok := l.wheel.next(); ok {
		due := l.born.Add(time.Duration(l.wheel.now+ticks-1) * tickLength)
		wait = sooner(wait, max(due.Sub(now), time.Millisecond))
	}
	if in, ok := l.untilResume(now); ok && (wait < 0 || in < wait) {
		wait = in
	}
	for _, a := range l.accepts {
		if !a.resume.IsZero() {
			wait = sooner(wait, max(a.resume.Sub(now), time.Millisecond))
		}
	}
	return wait
}
