package protocols

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// whileHeld runs f in the first loop, in the midst of a turn, while the other one stands
// still.
func whileHeld(t *testing.T, h *harness, f func(l *loop)) {
	t.Helper()
	all := h.server.engines[0].(*loops).all
	stands, goOn := make(chan struct{}), make(chan struct{})
	defer close(goOn)
	all[1].post(func(*loop) { close(stands); <-goOn })
	await(t, stands, "the second loop")
	inLoop(h, f)
}

// awaitInput waits until so many of the loop's connections have something to read: a kernel
// under load delivers when it comes to it.
func awaitInput(t *testing.T, l *loop, connections int) {
	t.Helper()
	for late := time.Now().Add(patience); ; {
		have := 0
		for _, c := range l.slots {
			if c == nil {
				continue
			}
			if n, err := unix.IoctlGetInt(int(c.fd), unix.SIOCINQ); err == nil && n > 0 {
				have++
			}
		}
		if have >= connections {
			return
		}
		if time.Now().After(late) {
			t.Errorf("%d connections have something to read, %d should", have, connections)
			return
		}
	}
}

// onFirst has all connections go to the first loop.
func onFirst(h *harness) { h.server.engines[0].(*loops).all[1].load.Add(1 << 20) }

func (h *harness) dialFrom(source string) *client {
	h.t.Helper()
	c := connectFrom(h.t, source, h.server.Addresses()["l"].String())
	c.SetDeadline(time.Now().Add(patience))
	return &client{c, h.t}
}

// connectFrom connects from an address of this machine, until the test ends.
func connectFrom(t testing.TB, source, address string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: patience}
	c, err := d.Dial("tcp", address)
	if err != nil {
		t.Fatal(err) // all of 127.0.0.0/8 is this machine
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestQueuesHaveTurns: whoever comes by another address than a crowd's is accepted as the
// second one, however many came before.
func TestQueuesHaveTurns(t *testing.T) {
	needQueues(t)
	h := start(t, "block", &ListenerConfig{Address: "127.0.0.1:0", Transport: TCP})
	first := h.dialFrom("127.0.0.1")
	first.say("hello\n")
	first.hears("welcome\n")
	await(t, h.adapter.made, "a machine")
	if n := h.server.listeners["l"].Stats().Queues; n != acceptQueues {
		t.Fatalf("%d queues", n)
	}
	onFirst(h)
	whileHeld(t, h, func(l *loop) {
		for range 6 {
			h.dialFrom("127.0.0.1")
		}
		// Which queue is whose is drawn anew each time: one of these is not the crowd's.
		for i := range 6 {
			h.dialFrom(fmt.Sprint("127.0.0.", i+2))
		}
		l.hear(l.pollNow())
		for range 3 {
			l.serveNext()
		}
		crowd, others := 0, 0
		for len(h.adapter.made) > 0 {
			if m := <-h.adapter.made; m.info.Peer.Addr().String() == "127.0.0.1" {
				crowd++
			} else {
				others++
			}
		}
		if crowd > 2 || others < 1 {
			t.Errorf("the first three were %d of the crowd and %d others", crowd, others)
		}
		for l.serveNext() {
		}
		if n := len(h.adapter.made); n != 9 {
			t.Errorf("%d of 9 more were accepted", n)
		}
	})
}

// TestLinesOfStrangers: a stranger that says something waits behind those of its own line,
// not behind those of others.
func TestLinesOfStrangers(t *testing.T) {
	h := start(t, "block", &ListenerConfig{Address: "127.0.0.1:0", Transport: TCP})
	onFirst(h)
	lines := &h.server.engines[0].(*loops).steering
	crowd := []*client{}
	for range 5 {
		crowd = append(crowd, h.dialFrom("127.0.0.1"))
	}
	var lone *client
	for i := 2; lone == nil; i++ {
		c := h.dialFrom(fmt.Sprint("127.0.0.", i))
		if at := netAddrPort(c.LocalAddr()).Addr(); lines.lineOf(at) != lines.lineOf(netAddrPort(crowd[0].LocalAddr()).Addr()) {
			lone = c
		}
	}
	for range 6 {
		await(t, h.adapter.made, "a machine")
	}
	inLoop(h, func(*loop) {}) // what it did when they came is over
	inLoop(h, func(*loop) {})
	whileHeld(t, h, func(l *loop) {
		for _, c := range crowd {
			c.say("hello\n")
		}
		lone.say("hello\n")
		awaitInput(t, l, 6)
		l.hear(l.pollNow())
		if l.calling != 6 || !l.waits() {
			t.Errorf("%d wait, the loop goes on: %v", l.calling, l.waits())
		}
		l.hear(l.pollNow()) // nobody is told of twice
		l.serveNext()
		l.serveNext()
		for _, c := range l.slots {
			if c != nil && c.peer == netAddrPort(lone.LocalAddr()) && !c.accepted {
				t.Error("the lone stranger waits behind the crowd")
			}
		}
	})
	for _, c := range append(crowd, lone) {
		c.hears("welcome\n")
	}
}

// TestClientsAreHeardBehindStrangers: what a client sent is seen in the same turn, though
// more strangers than epoll tells of at once said something before.
func TestClientsAreHeardBehindStrangers(t *testing.T) {
	h := start(t, "block", &ListenerConfig{Address: "127.0.0.1:0", Transport: TCP})
	onFirst(h)
	known := h.dial()
	known.say("hello\n")
	known.hears("welcome\n")
	strangers := make([]*client, 2*eventsSize+40)
	for i := range strangers {
		strangers[i] = h.dial()
	}
	for range len(strangers) + 1 {
		await(t, h.adapter.made, "a machine")
	}
	inLoop(h, func(*loop) {})
	inLoop(h, func(*loop) {})
	whileHeld(t, h, func(l *loop) {
		for _, c := range strangers {
			c.say("half a li")
		}
		known.say("hi\n")
		awaitInput(t, l, len(strangers)+1)
		l.hear(l.pollNow())
		if len(l.dirty) != 1 || l.calling != len(strangers) {
			t.Errorf("%d clients were heard, %d strangers wait", len(l.dirty), l.calling)
		}
	})
	known.hears("hi\n")
	for _, c := range strangers {
		c.say("ne\n")
		c.hears("half a line\n")
	}
}

// TestStrangerIsToldOfOnce: epoll says once what a stranger did; nothing of it is lost.
func TestStrangerIsToldOfOnce(t *testing.T) {
	h := start(t, "block", &ListenerConfig{Address: "127.0.0.1:0", Transport: TCP, ConnectTimeout: time.Hour})
	onFirst(h)
	half, long := h.dial(), h.dial()
	for range 2 {
		await(t, h.adapter.made, "a machine")
	}
	inLoop(h, func(*loop) {})
	inLoop(h, func(*loop) {})
	whileHeld(t, h, func(*loop) {
		half.say("half")
		half.Conn.(*net.TCPConn).CloseWrite()
		for range 20 { // more than one read takes, and no end of a line but the last
			long.say(string(make([]byte, readSize/10)))
		}
		long.say("\n")
	})
	if got := half.hearsEnd(); got != "" {
		t.Errorf("heard %q", got)
	}
	r := await(t, h.adapter.closed, "an end")
	if r.info.Peer != netAddrPort(half.LocalAddr()) && r.info.Peer != netAddrPort(long.LocalAddr()) {
		t.Error("another one ended")
	}
	// The long one is over its share or was answered: in no case it waits.
	long.SetReadDeadline(time.Now().Add(patience))
	var late net.Error
	if _, err := long.Read(make([]byte, 1)); errors.As(err, &late) && late.Timeout() {
		t.Error("what came beyond one read was not seen")
	}
}

func TestToldEvents(t *testing.T) {
	for _, events := range []uint32{0, unix.EPOLLIN, unix.EPOLLIN | unix.EPOLLRDHUP, unix.EPOLLHUP | unix.EPOLLERR | unix.EPOLLOUT} {
		if b := told(events); b == 0 || eventsOf(b) != events {
			t.Errorf("%#x is %#x in a byte, and back %#x", events, b, eventsOf(b))
		}
	}
	if both := told(unix.EPOLLIN) | told(unix.EPOLLRDHUP); eventsOf(both) != unix.EPOLLIN|unix.EPOLLRDHUP {
		t.Errorf("together %#x", eventsOf(both))
	}
}
