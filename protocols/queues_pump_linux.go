package protocols

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// listenTCP opens the queues of one address for the pump.
func listenTCP(ln *Listener, a netip.AddrPort, log *slog.Logger) (net.Listener, error) {
	group, err := bindTCP(ln, a, log)
	if err != nil {
		return nil, err
	}
	q, err := newPumpQueues(group)
	if err != nil {
		return nil, fmt.Errorf("cannot watch the sockets that listen: %w", err)
	}
	return q, nil
}

// pumpQueues is the queues of one address as one listener: Accept takes a connection of
// each in turn. They are watched together, by an epoll that Go's poller watches, so that
// one goroutine accepts. Accept is for one goroutine, Close for any.
type pumpQueues struct {
	queues []*net.TCPListener
	epoll  *os.File
	raw    syscall.RawConn
	look   func(fd uintptr) bool // made once: it would be allocated for each wait
	events []unix.EpollEvent
	ready  []unix.EpollEvent // of events: queues with a connection, that have their turn still
}

// newPumpQueues takes the sockets over, even if it fails.
func newPumpQueues(group []*boundSocket) (*pumpQueues, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		closeAll(group)
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	unix.SetNonblock(epfd, true) // or os.NewFile would not let the poller have it
	q := &pumpQueues{epoll: os.NewFile(uintptr(epfd), "epoll"), events: make([]unix.EpollEvent, len(group))}
	q.look = func(fd uintptr) bool {
		n, _ := unix.EpollWait(int(fd), q.events, 0) // does not wait, so nothing interrupts it
		q.ready = q.events[:max(n, 0)]
		return n > 0
	}
	q.raw, err = q.epoll.SyscallConn()
	for i, s := range group {
		if err == nil {
			err = q.add(epfd, i, s)
		}
	}
	closeAll(group)
	if err != nil {
		q.Close()
		return nil, err
	}
	return q, nil
}

func closeAll(group []*boundSocket) {
	for _, s := range group {
		s.close()
	}
}

// add makes a listener of Go's from s, with a descriptor of its own, and watches it as
// the queue i.
func (q *pumpQueues) add(epfd, i int, s *boundSocket) error {
	f := os.NewFile(uintptr(s.fd), "listener")
	s.fd = -1
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return err
	}
	tcp := l.(*net.TCPListener)
	q.queues = append(q.queues, tcp)
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	at := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
	var fault error
	err = raw.Control(func(fd uintptr) { fault = unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, int(fd), &at) })
	return errors.Join(err, fault)
}

// Accept implements net.Listener.
func (q *pumpQueues) Accept() (net.Conn, error) {
	for len(q.ready) == 0 {
		if err := q.raw.Read(q.look); err != nil {
			return nil, net.ErrClosed
		}
	}
	next := q.queues[q.ready[0].Fd]
	q.ready = q.ready[1:]
	c, err := next.AcceptTCP() // does not wait: nobody else takes what is there
	if err != nil {
		return nil, err
	}
	c.SetKeepAlivePeriod(keepAliveIdle * time.Second)
	return c, nil
}

// Addr implements net.Listener.
func (q *pumpQueues) Addr() net.Addr { return q.queues[0].Addr() }

// Close implements net.Listener.
func (q *pumpQueues) Close() error {
	err := q.epoll.Close()
	for _, l := range q.queues {
		err = errors.Join(err, l.Close())
	}
	return err
}
