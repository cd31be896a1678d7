package protocols

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fairlead-iot/fairlead/core"
)

// acceptor is one listening socket as one loop sees it. All loops watch the same sockets,
// exclusively: the kernel wakes one of them for a connection.
type acceptor struct {
	socket  *boundSocket
	ready   bool // connections wait, as far as this turn knows
	closed  bool
	resume  time.Time // when accepting goes on; zero while it does
	backOff time.Duration
}

// listen makes the loop accept from s. Before run.
func (l *loop) listen(s *boundSocket) error {
	l.accepts = append(l.accepts, &acceptor{socket: s})
	return l.watchAcceptor(len(l.accepts) - 1)
}

func (l *loop) watchAcceptor(i int) error {
	return l.watch(l.accepts[i].socket.fd, unix.EPOLLIN|unix.EPOLLEXCLUSIVE, int32(tagAccept-i), 0)
}

// accept takes a connection if the rate allows it, and tells whether there may be more.
func (l *loop) accept(a *acceptor) (more bool) {
	if a.closed || !a.resume.IsZero() {
		return false
	}
	ln := a.socket.listener
	if wait := ln.rate.take(l.now); wait > 0 {
		// Back pressure, not refusal: they wait in the kernel's backlog.
		l.suspend(a, wait)
		return false
	}
	fd, from, err := acceptNow(a.socket.fd)
	if err != nil {
		ln.rate.give()
		return !l.acceptFailed(a, err)
	}
	a.backOff = 0
	l.descriptors.took(fd, l.wg.Go)
	l.admit(fd, ln, from)
	return true
}

// acceptFailed tells whether to stop accepting for this turn.
func (l *loop) acceptFailed(a *acceptor, err error) (stop bool) {
	switch err {
	case unix.EAGAIN:
		return true
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
		// Nothing to be had at present. The socket stays readable, so without a
		// pause this would spin.
		a.backOff = min(max(2*a.backOff, firstBackOff), longBackOff)
		if l.now.Sub(l.warned) > repeatWarning { // all sockets lack them at once
			l.warned = l.now
			l.log.Warn(outOfDescriptors, "listener", a.socket.listener.name, "error", err, "connections", l.tally.count())
		}
		l.suspend(a, a.backOff)
		return true
	case unix.EBADF, unix.EINVAL, unix.ENOTSOCK:
		return true // closed while draining
	}
	return false // this one connection failed before it was ours
}

// suspend stops accepting for a while. An exclusive watch cannot be changed, only
// removed and added.
func (l *loop) suspend(a *acceptor, d time.Duration) {
	a.socket.listener.delayed.Add(1)
	a.resume = l.now.Add(d)
	unix.EpollCtl(l.epfd, unix.EPOLL_CTL_DEL, a.socket.fd, nil)
}

func (l *loop) resumeAccepting() {
	for i, a := range l.accepts {
		if a.resume.IsZero() || l.now.Before(a.resume) {
			continue
		}
		a.resume = time.Time{}
		if l.watchAcceptor(i) != nil { // the kernel lacks memory for it, as it may just then
			a.resume = l.now.Add(longBackOff)
		}
	}
}

// admit checks the limits and gives the connection to the loop with the fewest.
func (l *loop) admit(fd int, ln *Listener, peer netip.AddrPort) {
	reason, detail := ln.admits(peer)
	if reason != core.Success {
		ln.refuse(l.gateway, l.turn, reason, peer, detail)
		unix.Close(fd)
		return
	}
	l.tally.opened()
	best := l
	for _, o := range l.all {
		if o.load.Load() < best.load.Load() {
			best = o
		}
	}
	best.load.Add(1)
	if best == l {
		l.adopt(fd, ln, peer)
		return
	}
	best.post(func(o *loop) { o.arrived = append(o.arrived, arrival{fd, ln, peer}) })
}

// arrival is a connection that another loop accepted for this one.
type arrival struct {
	fd   int
	ln   *Listener
	peer netip.AddrPort
}

// adoptSome makes connections of arrivals; all of them without a budget.
func (l *loop) adoptSome(b *budget) {
	n := 0
	for ; n < len(l.arrived) && (b == nil || b.left()); n++ {
		a := &l.arrived[n]
		l.adopt(a.fd, a.ln, a.peer)
	}
	rest := copy(l.arrived, l.arrived[n:])
	clear(l.arrived[rest:])
	l.arrived = l.arrived[:rest]
}

// stopListening lets go of the sockets; who opened them closes them.
func (l *loop) stopListening() {
	for _, a := range l.accepts {
		unix.EpollCtl(l.epfd, unix.EPOLL_CTL_DEL, a.socket.fd, nil)
		a.closed, a.ready, a.resume = true, false, time.Time{}
	}
}
