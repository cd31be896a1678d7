package protocols

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Whichever loop accepts, connections go to the one with the fewest.
func TestConnectionsSpreadEvenly(t *testing.T) {
	h := start(t, "auto", &ListenerConfig{Transport: TCP, Address: "127.0.0.1:0"})
	const count = 200
	for range count {
		c := h.dial()
		c.say("hello\n")
		c.hears("welcome\n")
	}
	for i, l := range h.server.engines[0].(*loops).all {
		if n := l.load.Load(); n < count/2-2 || n > count/2+2 {
			t.Errorf("loop %d has %d of %d connections", i, n, count)
		}
	}
}

// A loop that could not watch a socket again tries once more.
func TestAcceptingIsResumedLater(t *testing.T) {
	h := start(t, "block", &ListenerConfig{Transport: TCP, Address: "127.0.0.1:0"})
	h.server.engines[0].(*loops).everywhere(func(l *loop) {
		const i = 0
		a := l.accepts[i]
		a.resume = l.now // it is watched already, so it cannot be again
		l.resumeAccepting()
		if a.resume.IsZero() {
			t.Error("it gave up")
			return
		}
		l.suspend(a, 0)
		l.resumeAccepting()
		if !a.resume.IsZero() {
			t.Error("it does not accept again")
		}
	})
	c := h.dial()
	c.say("hello\n")
	c.hears("welcome\n")
}

// Without descriptors the gateway says so, does not spin, and goes on once there
// are some.
func TestOutOfDescriptors(t *testing.T) {
	for _, wait := range []string{"block", "park", "pump"} { // auto may open and close one meanwhile
		t.Run(wait, func(t *testing.T) {
			h := start(t, wait, &ListenerConfig{Transport: Unix, Address: t.TempDir() + "/s"})
			starve(t, h, unix.AF_UNIX, &unix.SockaddrUnix{Name: h.server.Addresses()["l"].String()})
		})
	}
	t.Run("pump with queues", func(t *testing.T) {
		h := start(t, "pump", &ListenerConfig{Transport: TCP, Address: "127.0.0.1:0"})
		at := netAddrPort(h.server.Addresses()["l"])
		starve(t, h, unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()})
	})
}

func starve(t *testing.T, h *harness, family int, to unix.Sockaddr) {
	// The engine has started, and what it had open only meanwhile is closed.
	first := h.dial()
	first.say("hello\n")
	first.hears("welcome\n")
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = uint64(fd) + 1 // every descriptor below is taken
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	restore := func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) }
	defer restore()
	fill := fillDescriptors()
	defer func() {
		for _, f := range fill {
			unix.Close(f)
		}
	}()
	if err := unix.Connect(fd, to); err != nil {
		t.Fatal(err)
	}
	ln := h.server.listeners["l"]
	awaitCount(t, func() bool { return ln.delayed.Load() >= 2 })
	restore()
	unix.Write(fd, []byte("hello\n"))
	var got [8]byte
	if n, err := unix.Read(fd, got[:]); string(got[:n]) != "welcome\n" {
		t.Fatalf("read %q, %v", got[:n], err)
	}
	if n := ln.delayed.Load(); n > 50 {
		t.Errorf("it tried %d times", n)
	}
	text := h.log.String()
	if strings.Count(text, "ulimit") < 1 || strings.Count(text, "ulimit") > 2 || !strings.Contains(text, "listener=l") {
		t.Errorf("log: %s", text)
	}
}

// fillDescriptors takes those that are left below the limit.
func fillDescriptors() []int {
	var all []int
	for {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return all
		}
		all = append(all, fd)
	}
}
