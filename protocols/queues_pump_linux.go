package protocols

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
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
// each in turn. They are watched together, so that one goroutine accepts. Accept is for one
// goroutine, Close for any.
type pumpQueues struct {
	queues []*net.TCPListener
	epoll  *parkedEpoll
	ready  []unix.EpollEvent // queues with a connection, that have their turn still
}

// newPumpQueues takes the sockets over, even if it fails.
func newPumpQueues(group []*boundSocket) (*pumpQueues, error) {
	epoll, err := newParkedEpoll(len(group))
	if err != nil {
		closeAll(group)
		return nil, err
	}
	q := &pumpQueues{epoll: epoll}
	for i, s := range group {
		if err == nil {
			err = q.add(i, s)
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
func (q *pumpQueues) add(i int, s *boundSocket) error {
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
	err = raw.Control(func(fd uintptr) { fault = unix.EpollCtl(q.epoll.fd, unix.EPOLL_CTL_ADD, int(fd), &at) })
	return errors.Join(err, fault)
}

// Accept implements net.Listener.
func (q *pumpQueues) Accept() (net.Conn, error) {
	for len(q.ready) == 0 {
		ready, err := q.epoll.wait()
		if err != nil {
			return nil, net.ErrClosed
		}
		q.ready = ready
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
	err := q.epoll.close()
	for _, l := range q.queues {
		err = errors.Join(err, l.Close())
	}
	return err
}
