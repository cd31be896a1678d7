package protocols

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// listenQueues opens the queues of an address for the pump, that nobody accepts from.
func listenQueues(t *testing.T, lc *ListenerConfig) *pumpQueues {
	t.Helper()
	needQueues(t)
	lc.Transport, lc.Address, lc.Protocol = WebSocket, "127.0.0.1:0", "line"
	ln := newListener("l", lc, newLineAdapter())
	l, err := listenTCP(ln, netip.MustParseAddrPort(lc.Address), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if n := ln.Stats().Queues; n != acceptQueues {
		t.Fatalf("%d queues", n)
	}
	return l.(*pumpQueues)
}

func (q *pumpQueues) dialFrom(t *testing.T, source string) {
	t.Helper()
	connectFrom(t, source, q.Addr().String())
}

// TestPumpQueuesHaveTurns: whoever comes by another address than a crowd's is accepted as
// the second one, however many came before, where Go accepts, too.
func TestPumpQueuesHaveTurns(t *testing.T) {
	q := listenQueues(t, &ListenerConfig{})
	for range 20 {
		q.dialFrom(t, "127.0.0.1")
	}
	// Which queue is whose is drawn anew each time: one of these is not the crowd's.
	for i := range 6 {
		q.dialFrom(t, fmt.Sprint("127.0.0.", i+2))
	}
	crowd, others := 0, 0
	for i := range 26 {
		c, err := q.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if netAddrPort(c.RemoteAddr()).Addr().String() == "127.0.0.1" {
			crowd++
		} else {
			others++
		}
		c.Close()
		if i == 1 && others == 0 {
			t.Error("the first two were the crowd's")
		}
	}
	if crowd != 20 || others != 6 {
		t.Errorf("%d of the crowd and %d others", crowd, others)
	}
}

// TestPumpQueuesClose: it ends who waits for a connection, and frees the port.
func TestPumpQueuesClose(t *testing.T) {
	q := listenQueues(t, &ListenerConfig{})
	ended := make(chan error)
	go func() {
		for { // the first comes at once, the second waits
			c, err := q.Accept()
			if err != nil {
				ended <- err
				return
			}
			c.Close()
		}
	}()
	c, err := net.Dial("tcp", q.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("accepted and closed, read %v", err)
	}
	c.Close()
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if err := await(t, ended, "the end"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept gave %v", err)
	}
	if _, err := net.Dial("tcp", q.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the port still takes connections: %v", err)
	}
}

// TestPumpQueuesKeepTheSettings: the kernel's queue is as long as backlog says, and what is
// accepted is probed after the same silence as on the loops.
func TestPumpQueuesKeepTheSettings(t *testing.T) {
	q := listenQueues(t, &ListenerConfig{Backlog: 17})
	for i, l := range q.queues {
		raw, err := l.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			if err != nil || info.Sacked != 17 { // of a socket that listens: its backlog
				t.Errorf("queue %d holds %d connections, %v", i, info.Sacked, err)
			}
		})
	}
	q.dialFrom(t, "127.0.0.1")
	c, err := q.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		for _, o := range []struct{ level, option, want int }{
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepAliveIdle}, {unix.IPPROTO_TCP, unix.TCP_NODELAY, 1}, {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		} {
			if got, err := unix.GetsockoptInt(int(fd), o.level, o.option); err != nil || got != o.want {
				t.Errorf("option %d is %d, %v; want %d", o.option, got, err, o.want)
			}
		}
	})
}

// TestPumpListenersHaveQueues: those of every transport over TCP, each address by itself,
// and only within the listener.
func TestPumpListenersHaveQueues(t *testing.T) {
	for _, c := range []ListenerConfig{{Transport: TLS, TLS: TLSConfig{CertFile: "?"}}, {Transport: WebSocket}, {Transport: SecureWS, TLS: TLSConfig{CertFile: "?"}}} {
		t.Run(c.Transport, func(t *testing.T) {
			c.Address = "localhost:0"
			h := start(t, "auto", &c)
			if n := h.server.listeners["l"].Stats().Queues; n != acceptQueues && steers() == nil {
				t.Errorf("%d queues", n)
			}
			all := h.server.AllAddresses()["l"]
			if len(all) > 2 {
				t.Errorf("addresses %v", all)
			}
			for _, a := range all {
				k := h.dialAddr(a)
				k.say("hello\n")
				k.hears("welcome\n")
				if l, err := listenTCP(newListener("second", &ListenerConfig{}, nil), netAddrPort(a), slog.New(slog.DiscardHandler)); !errors.Is(err, syscall.EADDRINUSE) {
					t.Errorf("a second listener on %v: %v, %v", a, l, err)
				}
			}
			h.stop()
			for _, a := range all {
				if _, err := net.Dial("tcp", a.String()); !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("%v still takes connections: %v", a, err)
				}
			}
		})
	}
}
