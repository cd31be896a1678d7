package simnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// link makes a network of its own with one stream.
func link(t *testing.T, k Conditions) (n *Network, c, s *Conn) {
	t.Helper()
	n = New(7)
	ln, err := n.Listen("gateway:1883")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err = n.Dial(t.Context(), "10.1.0.7:0", "gateway:1883")
	if err != nil {
		t.Fatal(err)
	}
	a, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	n.SetConditions(k)
	return n, c, a.(*Conn)
}

// took is how long f takes on the bubble's clock.
func took(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

func readFull(t *testing.T, c net.Conn, n int) {
	t.Helper()
	if _, err := io.ReadFull(c, make([]byte, n)); err != nil {
		t.Error(err)
	}
}

func TestConditionsOfStreams(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name     string
		k        Conditions
		size     int
		from, to time.Duration
	}{
		{"nothing", Conditions{}, 1000, 0, 0},
		{"latency", Conditions{Latency: 30 * ms}, 1000, 30 * ms, 30 * ms},
		{"jitter", Conditions{Latency: 30 * ms, Jitter: 10 * ms}, 1000, 30*ms + 1, 40 * ms},
		{"bandwidth", Conditions{Bandwidth: 10_000}, 5000, 500 * ms, 501 * ms},
		{"loss", Conditions{Loss: 0.9}, 10_000, leastRetransmit, time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, a, b := link(t, c.k)
				got := took(func() {
					a.Write(make([]byte, c.size))
					readFull(t, b, c.size)
				})
				if got < c.from || got > c.to {
					t.Errorf("took %v, want %v to %v", got, c.from, c.to)
				}
			})
		})
	}
}

// The same seed gives the same run, another one another.
func TestRunsCanBeRepeated(t *testing.T) {
	run := func(seed uint64) (out []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			n := New(seed)
			ln, _ := n.Listen("gateway:1883")
			n.SetConditions(Conditions{Latency: time.Millisecond, Jitter: time.Second, Loss: 0.2})
			for i := range 5 {
				out = append(out, took(func() {
					c, err := n.Dial(t.Context(), fmt.Sprintf("10.1.0.%d:0", i), "gateway:1883")
					if err != nil {
						t.Fatal(err)
					}
					c.Write([]byte("x"))
					s, _ := ln.Accept()
					readFull(t, s, 1)
				}))
			}
		})
		return out
	}
	first := run(1)
	if again := run(1); !slices.Equal(first, again) {
		t.Errorf("%v, then %v", first, again)
	}
	if other := run(2); slices.Equal(first, other) {
		t.Errorf("%v whatever the seed", first)
	}
}

func TestCutHoldsStreams(t *testing.T) {
	for _, own := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n, c, s := link(t, Conditions{})
			set := n.SetConditions
			if own {
				set = c.SetConditions
			}
			set(Conditions{Cut: true})
			c.Write([]byte("held"))
			s.SetReadDeadline(time.Now().Add(time.Hour))
			if _, err := s.Read(make([]byte, 4)); !isTimeout(err) {
				t.Fatal(err)
			}
			s.SetReadDeadline(time.Time{})
			set(Conditions{})
			c.Write([]byte("more"))
			if d := took(func() { readFull(t, s, 8) }); d != leastRetransmit {
				t.Errorf("took %v", d)
			}
		})
	}
}

func TestCutHoldsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, c, s := link(t, Conditions{Latency: time.Second})
		c.Write([]byte("x"))
		n.SetConditions(Conditions{Cut: true})
		time.Sleep(time.Minute)
		if _, err := s.TryRead(make([]byte, 1)); err != ErrWouldBlock {
			t.Fatal(err)
		}
		n.SetConditions(Conditions{})
		readFull(t, s, 1)
	})
}

func TestHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, s := link(t, Conditions{HalfOpen: true})
		c.Close()
		s.SetDeadline(time.Now().Add(time.Hour))
		if _, err := s.Read(make([]byte, 1)); !isTimeout(err) {
			t.Errorf("the end was told: %v", err)
		}
		s.SetDeadline(time.Now().Add(time.Hour))
		if n, err := s.Write(make([]byte, 1<<20)); !isTimeout(err) || n != defaultWindow {
			t.Errorf("%d bytes, %v; want a full window", n, err)
		}
	})
}

func TestResetTakesWhatIsUnread(t *testing.T) {
	for _, k := range []Conditions{{}, {Latency: time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			n, c, s := link(t, k)
			c.Write([]byte("lost"))
			c.Reset()
			time.Sleep(2 * time.Second)
			if _, err := s.Read(make([]byte, 4)); !errors.Is(err, syscall.ECONNRESET) {
				t.Error(err)
			}
			if _, err := s.Write(make([]byte, 4)); !errors.Is(err, syscall.ECONNRESET) {
				t.Error(err)
			}
			if n.Stats().Resets != 1 {
				t.Errorf("%+v", n.Stats())
			}
		})
	}
}

func TestDialFails(t *testing.T) {
	for _, c := range []struct {
		name, to string
		k        Conditions
		want     error
		after    time.Duration
	}{
		{"nobody listens", "10.0.0.9:1", Conditions{}, syscall.ECONNREFUSED, 0},
		{"nobody listens far away", "10.0.0.9:1", Conditions{Latency: time.Second}, syscall.ECONNREFUSED, 2 * time.Second},
		{"cut", "gateway:1883", Conditions{Cut: true}, context.DeadlineExceeded, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := New(1)
				ln, _ := n.Listen("gateway:1883")
				defer ln.Close()
				n.SetConditions(c.k)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				d := took(func() {
					if _, err := n.Dial(ctx, "", c.to); !errors.Is(err, c.want) {
						t.Error(err)
					}
				})
				if d != c.after {
					t.Errorf("took %v, want %v", d, c.after)
				}
			})
		})
	}
	var unknown *net.DNSError
	if _, err := New(1).Dial(t.Context(), "", "nobody:1"); !errors.As(err, &unknown) {
		t.Error(err)
	}
}

func TestConnectGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		ln, _ := n.Listen("gateway:1883")
		defer ln.Close()
		n.SetConditions(Conditions{Cut: true})
		c, err := n.Connect("", "gateway:1883")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ETIMEDOUT) {
			t.Error(err)
		}
	})
}

func TestBacklogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		ln, _ := n.Listen("gateway:1883")
		ln.SetBacklog(2)
		var all []*Conn
		for range 5 {
			c, err := n.Connect("", "gateway:1883")
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
		there := 0
		for _, c := range all {
			if _, err := c.TryWrite([]byte("x")); err == nil {
				there++
			}
		}
		if there != 2 || n.Stats().BacklogOverflow != 3 {
			t.Errorf("%d connected, %+v", there, n.Stats())
		}
		for range 5 { // the others come when there is room
			if _, err := ln.Accept(); err != nil {
				t.Error(err)
			}
		}
		c, _ := n.Connect("", "gateway:1883")
		ln.Close()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestListenAddresses(t *testing.T) {
	n := New(1)
	for _, c := range []struct{ listen, dial string }{
		{"gateway:1883", "gateway:1883"}, {":2000", "192.0.2.9:2000"}, {"localhost:3000", "127.0.0.1:3000"},
		{"[2001:db8::1]:4000", "[2001:db8::1]:4000"}, {"0.0.0.0:5000", ":5000"},
	} {
		_, err := n.Listen(c.listen)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Listen(c.listen); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s twice: %v", c.listen, err)
		}
		k, err := n.Dial(t.Context(), "", c.dial)
		if err != nil {
			t.Fatal(err)
		}
		if a := k.LocalAddr().String(); !strings.HasPrefix(a, "10.64.0.") {
			t.Errorf("comes from %s", a)
		}
	}
	a, _ := n.Listen("10.0.0.1:0")
	b, _ := n.Listen("10.0.0.1:0")
	if a.Addr().String() == b.Addr().String() {
		t.Error("one free port twice")
	}
}

// Notify calls once for what TryRead has not yet emptied, and for room once a write
// found none.
func TestNotifyIsEdgeTriggered(t *testing.T) {
	_, c, s := link(t, Conditions{})
	var told atomic.Int32
	want := func(n int32, when string) {
		t.Helper()
		if got := told.Swap(0); got != n {
			t.Errorf("%s: told %d times, want %d", when, got, n)
		}
	}
	b := make([]byte, 1<<20)
	c.Write([]byte("early"))
	s.Notify(func() { told.Add(1) })
	want(1, "what is there already")
	c.Write([]byte("more"))
	want(0, "more of it")
	s.TryRead(b)
	c.Write([]byte("not yet empty for TryRead"))
	want(0, "before ErrWouldBlock")
	s.TryRead(b)
	if _, err := s.TryRead(b); err != ErrWouldBlock || !errors.Is(err, syscall.EAGAIN) {
		t.Fatal(err)
	}
	for range 10 {
		c.Write([]byte("x"))
	}
	want(1, "new bytes")
	if n, err := s.TryWrite(b); n != defaultWindow || err != ErrWouldBlock {
		t.Fatal(n, err)
	}
	c.TryRead(b[:100])
	want(0, "a little room")
	c.TryRead(b)
	want(1, "room")
	s.TryRead(b)
	s.TryRead(b)
	c.Close()
	want(1, "the end")
	if _, err := s.TryRead(b); err != io.EOF {
		t.Fatal(err)
	}
}

func TestNotifyTellsOfConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		ln, _ := n.Listen("gateway:1883")
		defer ln.Close()
		n.SetConditions(Conditions{Latency: time.Second})
		for _, c := range []struct {
			to   string
			want error
		}{{"gateway:1883", nil}, {"gateway:1", syscall.ECONNREFUSED}} {
			k, _ := n.Connect("", c.to)
			told := 0
			k.Notify(func() { told++ })
			if _, err := k.TryWrite([]byte("x")); err != ErrWouldBlock {
				t.Error(err)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if _, err := k.TryWrite([]byte("x")); told == 0 || !errors.Is(err, c.want) {
				t.Errorf("%s: told %d times, %v", c.to, told, err)
			}
		}
	})
}

// Idle streams, both ends together, as the package comment promises; those that had
// something under way are larger, but not above it.
func TestIdleStreamIsSmall(t *testing.T) {
	for _, c := range []struct {
		count int
		k     Conditions
	}{{10_000, Conditions{}}, {500, Conditions{Latency: time.Microsecond}}} {
		n := New(1)
		n.SetConditions(c.k)
		ln, _ := n.Listen("gateway:1883")
		ends := make([]*Conn, 0, 2*c.count)
		before := heap()
		for range c.count {
			ends = append(ends, idleStream(t, n, ln)...)
		}
		per := float64(heap()-before) / float64(c.count)
		t.Logf("%.0f bytes for each idle stream, both ends, with %+v", per, c.k)
		if per > 600 {
			t.Error("that is more than 600")
		}
		if got := runtime.NumGoroutine(); got > 20 {
			t.Errorf("%d goroutines", got)
		}
		runtime.KeepAlive(ends)
	}
}

// idleStream makes one that worked before it idles.
func idleStream(t *testing.T, n *Network, ln *Listener) []*Conn {
	c, err := n.Dial(t.Context(), "", "gateway:1883")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := ln.Accept()
	s := a.(*Conn)
	b := make([]byte, 3000)
	for _, w := range [][2]*Conn{{c, s}, {s, c}} {
		w[0].Write(b)
		readFull(t, w[1], len(b))
		w[0].Notify(func() {})
	}
	return []*Conn{c, s}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
