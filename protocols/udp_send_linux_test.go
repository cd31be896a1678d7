package protocols

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestWhatGoesOutAsOneMessage(t *testing.T) {
	a, b := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.1:2")
	items := func(to netip.AddrPort, at int, sizes ...int) (out []outItem) {
		for _, n := range sizes {
			out = append(out, outItem{to: to, low: at, end: at + n})
			at += n
		}
		return out
	}
	for name, c := range map[string]struct {
		items []outItem
		want  int
	}{
		"one":                   {items(a, 0, 10), 1},
		"of one size":           {items(a, 0, 10, 10, 10), 3},
		"the last is shorter":   {items(a, 0, 10, 10, 4), 3},
		"none behind that":      {items(a, 0, 10, 4, 4), 2},
		"a longer one":          {items(a, 0, 10, 11), 1},
		"an empty one":          {items(a, 0, 10, 0), 1},
		"empty first":           {items(a, 0, 0, 0), 1},
		"too large":             {items(a, 0, segmentSize+1, segmentSize+1), 1},
		"another peer":          {append(items(a, 0, 10, 10), items(b, 20, 10)...), 2},
		"not behind each other": {append(items(a, 0, 10), items(a, 30, 10)...), 1},
		"very many":             {items(a, 0, make64(70)...), mostSegments},
	} {
		if n := alike(c.items, true); n != c.want {
			t.Errorf("%s: %d, want %d", name, n, c.want)
		}
		if n := alike(c.items, false); n != 1 {
			t.Errorf("%s: %d although nobody divides", name, n)
		}
	}
}

func make64(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = 7
	}
	return out
}

// Whatever is sent as one message arrives as it was, in its order, also by a chosen
// address and where a datagram cannot go.
func TestDividedMessagesArriveWhole(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::]:0"} {
		ln := newListener("l", &ListenerConfig{Protocol: "line", Transport: UDP, Address: address}, newGramAdapter())
		sockets, err := openSockets(ln, netip.MustParseAddrPort(address), 1)
		if err != nil {
			t.Skip(err)
		}
		s := sockets[0].(*udpSocket)
		defer s.close()
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetReadDeadline(time.Now().Add(patience))
		var from *localAddr
		if s.wild {
			from = &localAddr{control: pktinfo(netip.MustParseAddr("127.0.0.1"), 0)}
		}
		box, p := &outbox{}, &port{socket: s}
		var want []string
		for i := range 100 {
			d := fmt.Sprintf("%0*d", 3+i/40*5, i)
			want = append(want, d)
			box.add(p, netAddrPort(c.LocalAddr()), from, []byte(d))
			if i%30 == 10 {
				box.add(p, netip.MustParseAddrPort("127.0.0.1:0"), nil, []byte("nowhere")) // refused by the kernel
			}
		}
		calls, _, failed := s.send(box, box.items)
		if failed != 3 || s.single.Load() || calls > 9 {
			t.Errorf("%s: %d failed in %d calls, divided %v", address, failed, calls, !s.single.Load())
		}
		b := make([]byte, 100)
		for _, w := range want {
			n, err := c.Read(b)
			if err != nil || string(b[:n]) != w {
				t.Fatalf("%s: %q, %v; want %q", address, b[:n], err, w)
			}
		}
	}
}
