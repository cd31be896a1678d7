package protocols

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// queueOf is what the program computes.
func queueOf(s steering, from netip.Addr) int { return int(s.hash(from) >> (32 - acceptBits)) }

// needQueues skips t where the kernel does not steer connections to queues. It is asked
// apart from what is tested, which must use what there is.
func needQueues(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	first := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	if err == nil {
		err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &unix.SockFprog{Len: 1, Filter: &first[0]})
	}
	if err != nil {
		t.Skipf("this kernel has one queue for an address: %v", err)
	}
}

// openGroup opens a group of queues on an address, with a steering that the test knows.
func openGroup(t *testing.T, address string) ([]*boundSocket, steering) {
	t.Helper()
	needQueues(t)
	ln := newListener("l", &ListenerConfig{Transport: TCP, Address: address, Protocol: "line"}, newLineAdapter())
	group, err := bindTCP(ln, netip.MustParseAddrPort(address), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Skipf("%s: %v", address, err)
	}
	t.Cleanup(func() {
		for _, s := range group {
			s.close()
		}
	})
	if len(group) != acceptQueues {
		t.Fatalf("%d queues", len(group))
	}
	known := newSteering()
	if err := known.attach(group[0].fd); err != nil {
		t.Fatal(err)
	}
	return group, known
}

// waitsIn tells in which queue a connection from source waits, and takes it.
func waitsIn(t *testing.T, group []*boundSocket, source netip.Addr) int {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0)), Timeout: patience}
	c, err := d.Dial("tcp", group[0].addr.String())
	if err != nil {
		t.Fatal(err) // all of 127.0.0.0/8 is this machine
	}
	defer c.Close()
	for i, s := range group {
		fd, from, err := acceptNow(s.fd)
		if err == nil {
			unix.Close(fd)
			if from.Addr().Unmap() != source {
				t.Fatalf("accepted %v, dialled from %v", from, source)
			}
			return i
		}
	}
	t.Fatal("it waits nowhere")
	return -1
}

// TestQueuesByAddress: which queue a connection waits in is said by its source address,
// as the kernel computes it.
func TestQueuesByAddress(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "[::]:0"} {
		t.Run(listen, func(t *testing.T) {
			group, known := openGroup(t, listen)
			used := map[int]bool{}
			for i := range 64 {
				source := netip.AddrFrom4([4]byte{127, 0, byte(i), byte(i*37 + 2)})
				for range 2 {
					got := waitsIn(t, group, source)
					if got != queueOf(known, source) {
						t.Fatalf("%v waits in queue %d, expected is %d", source, got, queueOf(known, source))
					}
					used[got] = true
				}
			}
			if len(used) < acceptQueues/2 {
				t.Errorf("64 addresses wait in %d of %d queues", len(used), acceptQueues)
			}
		})
	}
}

func TestQueuesByAddressOfIPv6(t *testing.T) {
	group, known := openGroup(t, "[::1]:0")
	if got := waitsIn(t, group, netip.IPv6Loopback()); got != queueOf(known, netip.IPv6Loopback()) {
		t.Errorf("::1 waits in queue %d, expected is %d", got, queueOf(known, netip.IPv6Loopback()))
	}
}

// TestQueueOfAddress: a /64 has one queue, and addresses are spread evenly.
func TestQueueOfAddress(t *testing.T) {
	s := newSteering()
	var v4, v6 [acceptQueues]int
	const each = 1000
	for i := range each * acceptQueues {
		v4[queueOf(s, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))]++
		net64 := [16]byte{0x20, 1, 0x0d, 0xb8, 0, 0, byte(i >> 8), byte(i)}
		q := queueOf(s, netip.AddrFrom16(net64))
		v6[q]++
		net64[15], net64[8] = byte(i), 1
		if queueOf(s, netip.AddrFrom16(net64)) != q {
			t.Fatal("two addresses of a /64 wait in different queues")
		}
	}
	for _, n := range slices.Concat(v4[:], v6[:]) {
		if n < each/4 || n > 4*each {
			t.Fatalf("16,000 addresses in a row are spread as %v and %v", v4, v6)
		}
	}
	if queueOf(steering{1, 3, 5}, netip.MustParseAddr("::ffff:10.1.2.3")) != queueOf(steering{1, 3, 5}, netip.MustParseAddr("10.1.2.3")) {
		t.Error("an IPv4 address in an IPv6 socket is another one")
	}
}

// TestQueuesShareOnlyWithinTheListener: a second gateway is told that the port is taken,
// and its trial takes nothing from the first.
func TestQueuesShareOnlyWithinTheListener(t *testing.T) {
	group, _ := openGroup(t, "127.0.0.1:0")
	ln := newListener("second", &ListenerConfig{Transport: TCP, Address: group[0].addr.String(), Protocol: "line"}, newLineAdapter())
	_, err := bindTCP(ln, netip.MustParseAddrPort(group[0].addr.String()), slog.New(slog.DiscardHandler))
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("the second listener got %v", err)
	}
	for i := range 32 {
		waitsIn(t, group, netip.AddrFrom4([4]byte{127, 0, 1, byte(i + 1)}))
	}
}

// TestOneQueueWhereTheKernelCannot: the listener goes on with one, and says so.
func TestOneQueueWhereTheKernelCannot(t *testing.T) {
	closed := 0
	no := errors.New("no")
	for name, refused := range map[string]struct {
		open func() (int, error)
		do   func(int, func(int) error) error
	}{
		"another socket": {func() (int, error) { return 0, no }, func(int, func(int) error) error { return nil }},
		"sharing":        {func() (int, error) { return 2, nil }, func(int, func(int) error) error { return no }},
	} {
		all, err := queues(1, refused.open, refused.do, func(int) { closed++ })
		if !slices.Equal(all, []int{1}) || err == nil {
			t.Errorf("%s: %v, %v", name, all, err)
		}
	}
	steps := 0
	all, err := queues(1, func() (int, error) { return 2, nil }, func(int, func(int) error) error {
		if steps++; steps == 2 {
			return no
		}
		return nil
	}, func(int) { closed++ })
	if !slices.Equal(all, []int{1}) || err == nil || closed != acceptQueues-1 {
		t.Errorf("attaching: %v, %v, %d closed", all, err, closed)
	}
	var log lockedBuffer
	ln := newListener("l", &ListenerConfig{Transport: TCP, Protocol: "line"}, newLineAdapter())
	ln.divided(slog.New(slog.NewTextHandler(&log, nil)), 1, no)
	if ln.Stats().Queues != 1 || log.String() == "" {
		t.Errorf("%d queues, log %q", ln.Stats().Queues, log.String())
	}
}
