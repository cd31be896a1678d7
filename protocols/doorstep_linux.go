package protocols

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// doorBatch is how many guests are told of before others have the processor.
const doorBatch = 16

// doorstep is where guests wait for their clients: an epoll that tells of each once, and
// that Go's poller watches, so that one goroutine hears of them all.
type doorstep struct {
	engine *pumps
	fd     int
	epoll  *os.File
	raw    syscall.RawConn
	look   func(fd uintptr) bool // made once: it would be allocated for each wait
	events [doorBatch]unix.EpollEvent
	ready  []unix.EpollEvent // of events
	guests [doorBatch]*guest
}

func newDoorstep(p *pumps) (*doorstep, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	unix.SetNonblock(fd, true) // or os.NewFile would not let the poller have it
	d := &doorstep{engine: p, fd: fd, epoll: os.NewFile(uintptr(fd), "epoll")}
	d.look = func(fd uintptr) bool {
		n, _ := unix.EpollWait(int(fd), d.events[:], 0) // does not wait, so nothing interrupts it
		d.ready = d.events[:max(n, 0)]
		return n > 0
	}
	if d.raw, err = d.epoll.SyscallConn(); err != nil {
		d.epoll.Close()
		return nil, err
	}
	return d, nil
}

// keep is the doorstep's goroutine. It has those come whose clients did something.
func (d *doorstep) keep() {
	for d.raw.Read(d.look) == nil {
		n := 0
		d.engine.mu.Lock()
		for _, e := range d.ready {
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
	err := g.conn.socket.raw.Control(func(fd uintptr) { fault = unix.EpollCtl(d.fd, op, int(fd), &at) })
	return errors.Join(err, fault)
}

// forget watches g no more.
func (d *doorstep) forget(g *guest) {
	if g.watched {
		g.watched = false
		g.conn.socket.raw.Control(func(fd uintptr) { unix.EpollCtl(d.fd, unix.EPOLL_CTL_DEL, int(fd), nil) })
	}
}

// close ends keep. No guest is left.
func (d *doorstep) close() { d.epoll.Close() }
