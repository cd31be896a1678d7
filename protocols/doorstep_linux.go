package protocols

import (
	"errors"
	"runtime"

	"golang.org/x/sys/unix"
)

// doorBatch is how many guests are told of before others have the processor.
const doorBatch = 16

// doorstep is where guests wait for their clients: an epoll that tells of each once. One
// goroutine hears of them all.
type doorstep struct {
	engine *pumps
	epoll  *parkedEpoll
	guests [doorBatch]*guest
}

func newDoorstep(p *pumps) (*doorstep, error) {
	e, err := newParkedEpoll(doorBatch)
	if err != nil {
		return nil, err
	}
	return &doorstep{engine: p, epoll: e}, nil
}

// keep is the doorstep's goroutine. It has those come whose clients did something.
func (d *doorstep) keep() {
	for {
		ready, err := d.epoll.wait()
		if err != nil {
			return
		}
		n := 0
		d.engine.mu.Lock()
		for _, e := range ready {
			// One that is not the guest meant, as that has left, reads nothing and waits on.
			if c := d.engine.slots[e.Fd]; c != nil && c.socket.guest != nil {
				d.guests[n] = c.socket.guest
				n++
			}
		}
		d.engine.mu.Unlock()
		for i, g := range d.guests[:n] {
			g.come(nil)
			d.guests[i] = nil
		}
		runtime.Gosched()
		giveWay()
	}
}

// watch has g come once its client did something. Whoever had g's turn calls it.
func (d *doorstep) watch(g *guest) error {
	op := unix.EPOLL_CTL_MOD
	if !g.watched {
		op = unix.EPOLL_CTL_ADD
		g.watched = true // here, as afterwards it may be another's turn
	}
	at := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(g.conn.slot)}
	var fault error
	err := g.conn.socket.raw.Control(func(fd uintptr) { fault = unix.EpollCtl(d.epoll.fd, op, int(fd), &at) })
	return errors.Join(err, fault)
}

// forget watches g no more.
func (d *doorstep) forget(g *guest) {
	if g.watched {
		g.watched = false
		g.conn.socket.raw.Control(func(fd uintptr) { unix.EpollCtl(d.epoll.fd, unix.EPOLL_CTL_DEL, int(fd), nil) })
	}
}

// close ends keep. No guest is left.
func (d *doorstep) close() { d.epoll.close() }
