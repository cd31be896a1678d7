package loop

import (
	"fmt"
	"io"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	eventsSize = 512 // events taken from the kernel at once
	pollMisses = 3   // looks in a row that found nothing, and the loop waits without looking first
	wakeSlot   = -1  // in place of a slot: the eventfd
	smallest   = 4096
)

// epoll is the kernel of a loop on Linux. It is level-triggered: what is left is
// reported again, after others had their turn.
type epoll struct {
	l      *Loop
	fd     int
	waker  int
	events []unix.EpollEvent
	n      int // events that collect found
	misses int
}

func newKernel(l *Loop) (kernel, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	waker, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	k := &epoll{l: l, fd: fd, waker: waker, events: make([]unix.EpollEvent, eventsSize)}
	err = unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, waker, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeSlot})
	if err != nil {
		k.close()
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	return k, nil
}

func (k *epoll) close() {
	unix.Close(k.waker)
	unix.Close(k.fd)
}

func (k *epoll) wake() {
	one := [8]byte{1}
	unix.Write(k.waker, one[:]) // full counter: it is awake already
}

// collect looks first, then waits: a busy loop mostly finds something, and a look
// that cannot block costs the scheduler nothing.
func (k *epoll) collect(wait int64) {
	if wait == 0 || k.misses < pollMisses {
		if k.n = k.look(); k.n > 0 || wait == 0 {
			k.misses = 0
			return
		}
		k.misses++
		// Who was made runnable by this turn goes first.
		runtime.Gosched()
	}
	n, err := unix.EpollWait(k.fd, k.events, millis(wait))
	if err != nil {
		n = 0 // EINTR: the turn is empty, then it waits again
	}
	if k.n = n; n > 1 {
		k.misses = 0
	}
}

func (k *epoll) look() int {
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(k.fd), uintptr(unsafe.Pointer(&k.events[0])), uintptr(len(k.events)), 0, 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}

func (k *epoll) deliver() {
	for i := range k.n {
		ev := &k.events[i]
		if ev.Fd == wakeSlot {
			var count [8]byte
			unix.Read(k.waker, count[:])
			continue
		}
		// A connection that ended in this turn may have left its slot to another.
		if c := k.l.slots[ev.Fd]; c != nil && c.gen == uint32(ev.Pad) {
			k.event(c, ev.Events)
		}
	}
	k.n = 0
}

func (k *epoll) event(c *Conn, events uint32) {
	if c.state == stateConnecting {
		k.l.connected(c, socketError(int(c.fd), events))
		return
	}
	gen := c.gen
	if events&unix.EPOLLOUT != 0 {
		k.l.writable(c)
	}
	if events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR|unix.EPOLLRDHUP) != 0 && c.gen == gen && c.raw != nil {
		k.l.readable(c, events&(unix.EPOLLHUP|unix.EPOLLERR) != 0)
	}
}

// socketError is how connecting went.
func socketError(fd int, events uint32) error {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		return err
	case code != 0:
		return unix.Errno(code)
	case events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 && events&unix.EPOLLOUT == 0:
		return unix.ECONNRESET
	}
	return nil
}

// dial begins to connect.
func (k *epoll) dial(c *Conn, i int) error {
	fd, to, err := k.socket(c.e, i)
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS && err != unix.EINTR {
		unix.Close(fd)
		return err
	}
	c.fd, c.watching = int32(fd), watchWrite
	ev := unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(c.slot), Pad: int32(c.gen)}
	if err := unix.EpollCtl(k.fd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		unix.Close(fd)
		return err
	}
	c.raw = (*socket)(c)
	return nil
}

// socket opens one for the i-th address of e, bound to its source.
func (k *epoll) socket(e *Endpoint, i int) (int, unix.Sockaddr, error) {
	family := unix.AF_UNIX
	if e.network() {
		family = unix.AF_INET
		if e.addrs[i].Addr().Is6() {
			family = unix.AF_INET6
		}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, err
	}
	if family == unix.AF_UNIX {
		return fd, &unix.SockaddrUnix{Name: e.path}, nil
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if src := k.l.opt.Sources.pick(e.addrs[i].Addr()); src.IsValid() {
		// The port is chosen only when the server is known: so it may be one that
		// other connections to other servers use.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: src.As4()}); err != nil {
			unix.Close(fd)
			return 0, nil, err
		}
	}
	if family == unix.AF_INET {
		return fd, &unix.SockaddrInet4{Port: int(e.port), Addr: e.addrs[i].Addr().As4()}, nil
	}
	return fd, &unix.SockaddrInet6{Port: int(e.port), Addr: e.addrs[i].Addr().As16()}, nil
}

// socket is a Conn as its own transport, so that it costs nothing.
type socket Conn

func (s *socket) tryRead(b []byte) (int, error) {
	n, err := callNow(unix.SYS_READ, s.fd, b)
	if err == nil && n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, err
}

func (s *socket) tryWrite(b []byte) (int, error) {
	n, err := callNow(unix.SYS_WRITE, s.fd, b)
	if err == nil && n < len(b) {
		err = errAgain
	}
	return n, err
}

// callNow is a system call that cannot block, without telling Go's scheduler: there
// is nobody to hand the processor to, and telling costs a tenth of a small packet.
func callNow(call uintptr, fd int32, b []byte) (int, error) {
	n, _, e := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	switch e {
	case 0:
		return int(n), nil
	case unix.EAGAIN, unix.EINTR:
		return 0, errAgain
	}
	return 0, e
}

func (s *socket) edges() bool { return false }

func (s *socket) watch(what uint8) {
	events := uint32(0)
	if what&watchRead != 0 {
		events |= unix.EPOLLIN
	}
	if what&watchWrite != 0 {
		events |= unix.EPOLLOUT
	}
	s.control(events)
}

func (s *socket) control(events uint32) {
	ev := unix.EpollEvent{Events: events, Fd: int32(s.slot), Pad: int32(s.gen)}
	unix.EpollCtl(s.l.kernel.(*epoll).fd, unix.EPOLL_CTL_MOD, int(s.fd), &ev)
}

func (s *socket) smallBuffer() {
	_ = unix.SetsockoptInt(int(s.fd), unix.SOL_SOCKET, unix.SO_RCVBUF, smallest)
}

func (s *socket) end(how ending) {
	fd := int(s.fd)
	if how == endReset {
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		unix.Close(fd)
		return
	}
	if how == endOrderly {
		// Closed at once, a socket with unread input would send a reset, which may
		// overtake the goodbye.
		if unix.Shutdown(fd, unix.SHUT_WR) != nil {
			unix.Close(fd)
			return
		}
	}
	o, ok := s.l.orphan((*Conn)(s), how == endOrderly)
	if !ok {
		unix.Close(fd)
		return
	}
	o.raw = (*socket)(o)
	if how == endOrderly {
		(*socket)(o).control(unix.EPOLLIN)
	} else {
		(*socket)(o).control(unix.EPOLLRDHUP)
	}
}
