package simnet

import (
	"errors"
	"net"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// sockets makes two of them.
func sockets(t *testing.T) (n *Network, device, gateway *PacketConn) {
	t.Helper()
	n = New(3)
	gateway, err := n.ListenPacket("gateway:1884")
	if err != nil {
		t.Fatal(err)
	}
	device, err = n.ListenPacket("10.1.0.7:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { device.Close(); gateway.Close() })
	return n, device, gateway
}

// sendNumbers sends 0 to count-1 as text.
func sendNumbers(t *testing.T, from, to *PacketConn, count int) {
	t.Helper()
	for i := range count {
		if _, err := from.WriteToAddrPort([]byte(strconv.Itoa(i)), to.OuterAddr()); err != nil {
			t.Fatal(err)
		}
	}
}

// received takes what is there.
func received(p *PacketConn) (got []int) {
	b := make([]byte, 100)
	for {
		n, _, err := p.TryReadFrom(b)
		if err != nil {
			return got
		}
		i, _ := strconv.Atoi(string(b[:n]))
		got = append(got, i)
	}
}

func TestConditionsOfDatagrams(t *testing.T) {
	const count = 1000
	for _, c := range []struct {
		name     string
		k        Conditions
		from, to int  // datagrams that come
		order    bool // in the order they were sent
		check    func(s Stats) bool
	}{
		{"nothing", Conditions{}, count, count, true, func(s Stats) bool { return s.Datagrams == count && s.Lost == 0 }},
		{"latency and jitter", Conditions{Latency: time.Second, Jitter: time.Second}, count, count, true, func(s Stats) bool { return s.Lost == 0 }},
		{"loss", Conditions{Loss: 0.3}, 600, 800, true, func(s Stats) bool { return s.Lost > 200 }},
		{"duplicate", Conditions{Duplicate: 0.3}, 1200, 1400, true, func(s Stats) bool { return s.Duplicated > 200 }},
		{"reorder", Conditions{Reorder: 0.3}, count, count, false, func(s Stats) bool { return s.Reordered > 200 }},
		{"cut", Conditions{Cut: true}, 0, 0, true, func(s Stats) bool { return s.Lost == count }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, d, g := sockets(t)
				n.SetConditions(c.k)
				g.SetQueue(10 * count)
				sendNumbers(t, d, g, count)
				time.Sleep(time.Minute)
				got := received(g)
				if len(got) < c.from || len(got) > c.to || !c.check(n.Stats()) {
					t.Errorf("%d came, want %d to %d; %+v", len(got), c.from, c.to, n.Stats())
				}
				order := true
				for i := 1; i < len(got); i++ {
					order = order && got[i-1] <= got[i]
				}
				if order != c.order {
					t.Errorf("in order: %v, want %v", order, c.order)
				}
			})
		})
	}
}

func TestQueuesOfDatagramsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, d, g := sockets(t)
		g.SetQueue(5)
		sendNumbers(t, d, g, 8)
		if got := received(g); len(got) != 5 || n.Stats().QueueOverflow != 3 {
			t.Errorf("%v, %+v", got, n.Stats())
		}
		d.SetConditions(Conditions{Bandwidth: 1000})
		for range 40 {
			d.WriteToAddrPort(make([]byte, 50_000), g.OuterAddr())
		}
		if s := n.Stats(); s.WireOverflow != 20 {
			t.Errorf("%+v", s)
		}
		if _, err := d.WriteToAddrPort(make([]byte, 70_000), g.OuterAddr()); !errors.Is(err, syscall.EMSGSIZE) {
			t.Error(err)
		}
		d.SetConditions(Conditions{})
		d.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9})
		if s := n.Stats(); s.Unreachable != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestRebind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, d, g := sockets(t)
		b := make([]byte, 10)
		inner, old := d.LocalAddr().String(), d.OuterAddr()
		if err := d.Rebind("203.0.113.5:0"); err != nil {
			t.Fatal(err)
		}
		sendNumbers(t, d, g, 1)
		_, from, err := g.ReadFrom(b)
		if err != nil || from.(*net.UDPAddr).IP.String() != "203.0.113.5" || d.LocalAddr().String() != inner {
			t.Fatalf("from %v, %v; %v", from, err, d.LocalAddr())
		}
		g.WriteTo([]byte("answer"), from)
		if got := received(d); len(got) != 1 {
			t.Error("the answer did not come")
		}
		g.WriteToAddrPort([]byte("late"), old)
		if got := received(d); len(got) != 0 || n.Stats().Unreachable != 1 {
			t.Errorf("the old address still leads there: %v", got)
		}
		if err := d.Rebind("gateway:1884"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Error(err)
		}
	})
}

func TestPacketDeadlinesAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, d, g := sockets(t)
		b := make([]byte, 10)
		d.SetReadDeadline(time.Now().Add(time.Second))
		if _, _, err := d.ReadFrom(b); !isTimeout(err) {
			t.Error(err)
		}
		d.SetReadDeadline(time.Time{})
		ended := async(func() error { _, _, err := d.ReadFrom(b); return err })
		synctest.Wait()
		d.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if _, err := d.WriteTo(b, g.LocalAddr()); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if err := d.Rebind("10.1.0.7:0"); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

// A deadline in the past ends a read at once, when the network was just made, too.
func TestPastDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, device, _ := sockets(t)
		ended := make(chan error, 1)
		go func() {
			_, _, err := device.ReadFrom(make([]byte, 1))
			ended <- err
		}()
		synctest.Wait()
		device.SetReadDeadline(time.Unix(1, 0))
		synctest.Wait()
		select {
		case err := <-ended:
			if !isTimeout(err) {
				t.Error(err)
			}
		default:
			t.Error("it waits still")
		}
	})
}

func TestPacketNotify(t *testing.T) {
	_, d, g := sockets(t)
	told := 0
	g.Notify(func() { told++ })
	sendNumbers(t, d, g, 3)
	if got := received(g); told != 1 || len(got) != 3 {
		t.Errorf("told %d times of %v", told, got)
	}
	sendNumbers(t, d, g, 3)
	if told != 2 {
		t.Errorf("told %d times", told)
	}
}

func TestIdleSocketIsSmall(t *testing.T) {
	const count = 10_000
	n := New(1)
	all := make([]*PacketConn, 0, count)
	before := heap()
	for range count {
		p, err := n.ListenPacket("10.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	per := float64(heap()-before) / count
	t.Logf("%.0f bytes for each idle socket", per)
	if per > 600 {
		t.Error("that is more than 600")
	}
	runtime.KeepAlive(all)
}
