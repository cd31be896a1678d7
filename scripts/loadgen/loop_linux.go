package main

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
	"unsafe"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// loop is the one event loop: it owns the epoll set, the buffers and the clients' sockets.
type loop struct {
	epoll   int
	epoch   time.Time
	at      int64 // ns since epoch, taken after the last wait or read
	events  []syscall.EpollEvent
	buffer  []byte // what a read fills; idle clients hold no buffer
	clients []client
	dirty   []*client // have bytes to send
	handle  func(c *client, f packet.Frame) error
	precise bool // the kernel has epoll_pwait2
}

// readSize is what one read may bring: hundreds of small messages of a fan-in.
const readSize = 256 << 10

func newLoop(clients int, handle func(c *client, f packet.Frame) error) (*loop, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	l := &loop{
		epoll:   epoll,
		epoch:   time.Now(),
		events:  make([]syscall.EpollEvent, 1024),
		buffer:  make([]byte, readSize),
		clients: make([]client, clients),
		dirty:   make([]*client, 0, clients),
		handle:  handle,
		precise: true,
	}
	for i := range l.clients {
		l.clients[i].fd = -1
	}
	return l, nil
}

// close gives all descriptors back. The broker sees the connections end.
func (l *loop) close() {
	for i := range l.clients {
		if fd := l.clients[i].fd; fd >= 0 {
			syscall.Close(fd)
			l.clients[i].fd = -1
		}
	}
	syscall.Close(l.epoll)
}

// now reads the run's clock.
func (l *loop) now() int64 {
	l.at = int64(time.Since(l.epoch))
	return l.at
}

// turn waits at most so many ns for something to do, reads all that has come, and hands the packets to handle.
// What they cause to be sent goes out with the next flush.
func (l *loop) turn(timeout int64) error {
	n, err := l.wait(timeout)
	if err != nil {
		return fmt.Errorf("epoll_wait: %w", err)
	}
	l.now()
	for _, event := range l.events[:n] {
		c := &l.clients[event.Fd]
		if event.Events&(syscall.EPOLLIN|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 && c.state != connecting {
			err = l.readable(c)
		}
		if err == nil && c.fd >= 0 && (c.state == connecting || event.Events&syscall.EPOLLOUT != 0) {
			err = l.writable(c)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
	}
	return nil
}

// sysEpollPwait2 is the same number on all architectures. [epoll_pwait2(2)]
const sysEpollPwait2 = 441

// wait is epoll_wait with ns, where the kernel has that; else the time is rounded up to ms.
func (l *loop) wait(timeout int64) (int, error) {
	timeout = max(timeout, 0)
	var n int
	var err error
	if l.precise {
		ts := syscall.NsecToTimespec(timeout)
		r, _, errno := syscall.Syscall6(sysEpollPwait2, uintptr(l.epoll), uintptr(unsafe.Pointer(&l.events[0])),
			uintptr(len(l.events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
		if n = int(r); errno != 0 {
			n, err = 0, errno
		}
		if errno == syscall.ENOSYS || errno == syscall.EPERM { // an old kernel, or a filter that does not know the call
			l.precise = false
			return l.wait(timeout)
		}
	} else {
		n, err = syscall.EpollWait(l.epoll, l.events, int((timeout+999_999)/1_000_000))
	}
	if errors.Is(err, syscall.EINTR) {
		return 0, nil
	}
	return n, err
}

// readable reads once: the set is level-triggered, and a read that did not fill the buffer took all there was.
func (l *loop) readable(c *client) error {
	n, err := syscall.Read(c.fd, l.buffer)
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		return nil
	case errors.Is(err, syscall.ECONNRESET):
		return errReset
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case n == 0:
		return errClosed
	}
	l.now()
	data := l.buffer[:n]
	if len(c.in) > 0 {
		c.in = append(c.in, data...)
		data = c.in
	}
	used, err := l.packets(c, data)
	c.in = append(c.in[:0], data[used:]...)
	return err
}

// packets hands over the whole packets in data and says how many bytes they took.
func (l *loop) packets(c *client, data []byte) (used int, err error) {
	for {
		f, n, err := packet.Next(data[used:], 0)
		if err != nil || n == 0 {
			return used, err
		}
		if err := l.handle(c, f); err != nil {
			return used, err
		}
		used += n
	}
}

// writable goes on with a connect or with a write that the kernel could not take whole.
func (l *loop) writable(c *client) error {
	if c.state == connecting {
		errno, err := syscall.GetsockoptInt(c.fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
		if err == nil && errno != 0 {
			err = syscall.Errno(errno)
		}
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		c.state = greeting
	}
	return l.write(c)
}

// send marks a client whose out buffer has grown.
func (l *loop) send(c *client) {
	if !c.dirty {
		c.dirty = true
		l.dirty = append(l.dirty, c)
	}
}

// flush writes once for each client that has something to send.
func (l *loop) flush() error {
	for _, c := range l.dirty {
		c.dirty = false
		if c.state == connecting || c.blocked || c.fd < 0 {
			continue // EPOLLOUT will come
		}
		if err := l.write(c); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
	}
	l.dirty = l.dirty[:0]
	return nil
}

func (l *loop) write(c *client) error {
	for c.sent < len(c.out) {
		n, err := syscall.Write(c.fd, c.out[c.sent:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return l.watch(c, true)
		case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
			return errReset
		case err != nil:
			return fmt.Errorf("write: %w", err)
		case n == 0:
			return io.ErrShortWrite
		}
		c.sent += n
	}
	c.out, c.sent = c.out[:0], 0
	c.wrote = l.at
	return l.watch(c, false)
}

// watch asks for EPOLLOUT while the kernel's buffer is full.
func (l *loop) watch(c *client, blocked bool) error {
	if c.blocked == blocked {
		return nil
	}
	c.blocked = blocked
	events := uint32(syscall.EPOLLIN)
	if blocked {
		events |= syscall.EPOLLOUT
	}
	err := syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_MOD, c.fd, &syscall.EpollEvent{Events: events, Fd: c.number})
	if err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}
