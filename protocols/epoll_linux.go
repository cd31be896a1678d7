package protocols

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// parkedEpoll is an epoll that Go's poller watches, so that the one goroutine that waits for
// its events costs no thread. wait is for that goroutine, close for any.
type parkedEpoll struct {
	fd     int
	file   *os.File
	raw    syscall.RawConn
	look   func(fd uintptr) bool // made once: it would be allocated for each wait
	events []unix.EpollEvent
	ready  int // of events
}

// newParkedEpoll makes one that gives at most so many events at once.
func newParkedEpoll(events int) (*parkedEpoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	unix.SetNonblock(fd, true) // or os.NewFile would not let the poller have it
	e := &parkedEpoll{fd: fd, file: os.NewFile(uintptr(fd), "epoll"), events: make([]unix.EpollEvent, events)}
	e.look = func(fd uintptr) bool {
		n, _ := unix.EpollWait(int(fd), e.events, 0) // does not wait, so nothing interrupts it
		e.ready = max(n, 0)
		return n > 0
	}
	if e.raw, err = e.file.SyscallConn(); err != nil {
		e.file.Close()
		return nil, err
	}
	return e, nil
}

// wait waits for events. They are valid until the next call; the error says that it was closed.
func (e *parkedEpoll) wait() ([]unix.EpollEvent, error) {
	err := e.raw.Read(e.look)
	if err != nil {
		return nil, err
	}
	return e.events[:e.ready], nil
}

// close ends wait.
func (e *parkedEpoll) close() error { return e.file.Close() }
