package simnet

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// halves is what a stream has besides net.Conn.
type halves interface {
	net.Conn
	CloseWrite() error
}

// pairs makes connected streams of each kind: the table below holds for the kernel's
// TCP as for ours, so it cannot describe a behaviour that no network has.
func pairs() map[string]func(t *testing.T) (client, server halves) {
	return map[string]func(t *testing.T) (halves, halves){
		"tcp": func(t *testing.T) (halves, halves) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			return connected(t, ln, func(a string) (net.Conn, error) { return net.Dial("tcp", a) })
		},
		"simnet":         func(t *testing.T) (halves, halves) { return simPair(t, Conditions{}) },
		"simnet latency": func(t *testing.T) (halves, halves) { return simPair(t, Conditions{Latency: time.Millisecond}) },
		"simnet bandwidth": func(t *testing.T) (halves, halves) {
			return simPair(t, Conditions{Bandwidth: 50 << 20, Jitter: time.Millisecond})
		},
	}
}

func simPair(t *testing.T, k Conditions) (halves, halves) {
	n := New(1)
	n.SetConditions(k)
	ln, err := n.Listen("10.0.0.1:1883")
	if err != nil {
		t.Fatal(err)
	}
	return connected(t, ln, func(a string) (net.Conn, error) { return n.Dialer("")(t.Context(), "tcp", a) })
}

func connected(t *testing.T, ln net.Listener, dial func(string) (net.Conn, error)) (halves, halves) {
	t.Helper()
	defer ln.Close()
	c, err := dial(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(halves), s.(halves)
}

func isTimeout(err error) bool {
	var late net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) && errors.As(err, &late) && late.Timeout()
}

// soon keeps a test that hangs from hanging.
func soon(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
}

func TestConnBehaviour(t *testing.T) {
	cases := []struct {
		name string
		run  func(t *testing.T, c, s halves)
	}{
		{"bytes pass in order both ways", bothWays},
		{"more than the window passes", func(t *testing.T, c, s halves) { transfer(t, c, s, 3<<20) }},
		{"addresses agree", func(t *testing.T, c, s halves) {
			if c.LocalAddr().String() != s.RemoteAddr().String() || c.RemoteAddr().String() != s.LocalAddr().String() {
				t.Errorf("%v-%v, %v-%v", c.LocalAddr(), c.RemoteAddr(), s.LocalAddr(), s.RemoteAddr())
			}
			if _, ok := c.LocalAddr().(*net.TCPAddr); !ok {
				t.Errorf("%T", c.LocalAddr())
			}
		}},
		{"a past deadline fails at once", pastDeadline},
		{"a deadline ends a read and a write that wait", deadlineEnds},
		{"a deadline set during a read ends it", func(t *testing.T, c, _ halves) {
			ended := async(func() error { _, err := c.Read(make([]byte, 1)); return err })
			c.SetReadDeadline(time.Unix(1, 0))
			if err := <-ended; !isTimeout(err) {
				t.Error(err)
			}
		}},
		{"an expired deadline can be lifted", func(t *testing.T, c, s halves) {
			c.SetReadDeadline(time.Unix(1, 0))
			c.Read(make([]byte, 1))
			soon(t, c)
			s.Write([]byte("x"))
			if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
				t.Error(n, err)
			}
		}},
		{"close ends a read that waits", func(t *testing.T, c, _ halves) {
			ended := async(func() error { _, err := c.Read(make([]byte, 1)); return err })
			c.Close()
			if err := <-ended; !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		}},
		{"close ends a write that waits", func(t *testing.T, c, _ halves) {
			ended := async(func() error { return flood(c) })
			c.Close()
			if err := <-ended; !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		}},
		{"after close everything fails", afterClose},
		{"the other end reads the rest, then EOF", restThenEOF},
		{"a half closed stream goes on in the other direction", halfClosed},
		{"closing with input unread resets", closingUnread},
		{"writing to one that closed fails in the end", func(t *testing.T, c, s halves) {
			s.Close()
			soon(t, c)
			if err := flood(c); isTimeout(err) || !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				t.Error(err)
			}
		}},
		{"reading nothing gives nothing", func(t *testing.T, c, _ halves) {
			if n, err := c.Read(nil); n != 0 || err != nil {
				t.Error(n, err)
			}
		}},
		{"writes of many goroutines stay whole", wholeWrites},
		{"all methods at once", allAtOnce},
	}
	for kind, pair := range pairs() {
		for _, c := range cases {
			t.Run(kind+"/"+c.name, func(t *testing.T) {
				a, b := pair(t)
				c.run(t, a, b)
			})
		}
	}
}

func async(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}

// flood writes until it fails.
func flood(c net.Conn) error {
	for {
		if _, err := c.Write(make([]byte, 64<<10)); err != nil {
			return err
		}
	}
}

func bothWays(t *testing.T, c, s halves) {
	soon(t, c)
	soon(t, s)
	for i := range 50 {
		for _, w := range [][2]halves{{c, s}, {s, c}} {
			want := bytes.Repeat([]byte{byte(i)}, i+1)
			w[0].Write(want)
			got := make([]byte, len(want))
			if _, err := io.ReadFull(w[1], got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d: %x, %v", i, got, err)
			}
		}
	}
}

// transfer sends size bytes that differ, and compares.
func transfer(t *testing.T, c, s halves, size int) {
	soon(t, c)
	soon(t, s)
	want := make([]byte, size)
	for i := range want {
		want[i] = byte(i * i >> 8)
	}
	ended := async(func() error {
		if _, err := c.Write(want); err != nil {
			return err
		}
		return c.CloseWrite()
	})
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func pastDeadline(t *testing.T, c, s halves) {
	s.Write([]byte("there is something"))
	c.SetDeadline(time.Now().Add(-time.Second))
	if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
		t.Error(err)
	}
	if _, err := c.Write(make([]byte, 1)); !isTimeout(err) {
		t.Error(err)
	}
}

func deadlineEnds(t *testing.T, c, _ halves) {
	c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
		t.Error(err)
	}
	c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	if err := flood(c); !isTimeout(err) {
		t.Error(err)
	}
}

func afterClose(t *testing.T, c, _ halves) {
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	_, read := c.Read(make([]byte, 1))
	_, write := c.Write(make([]byte, 1))
	for i, err := range []error{read, write, c.Close(), c.CloseWrite(), c.SetDeadline(time.Now())} {
		var op *net.OpError
		if !errors.Is(err, net.ErrClosed) || !errors.As(err, &op) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func restThenEOF(t *testing.T, c, s halves) {
	soon(t, s)
	c.Write([]byte("the rest"))
	c.Close()
	if got, err := io.ReadAll(s); err != nil || string(got) != "the rest" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := s.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
}

func halfClosed(t *testing.T, c, s halves) {
	soon(t, c)
	soon(t, s)
	c.CloseWrite()
	if _, err := s.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
	s.Write([]byte("still"))
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Error(err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
}

func closingUnread(t *testing.T, c, s halves) {
	soon(t, c)
	soon(t, s)
	c.Write([]byte("xy"))
	s.Read(make([]byte, 1))
	s.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}

func wholeWrites(t *testing.T, c, s halves) {
	soon(t, c)
	soon(t, s)
	const size, writers = 100_000, 4
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() { c.Write(bytes.Repeat([]byte{byte(i)}, size)) })
	}
	got := make([]byte, size)
	for range writers {
		if _, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, bytes.Repeat(got[:1], size)) {
			t.Error("mixed", err)
		}
	}
	wg.Wait()
}

func allAtOnce(t *testing.T, c, s halves) {
	soon(t, c)
	soon(t, s)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { c.Write([]byte("abc")) })
		wg.Go(func() { s.Write([]byte("abc")) })
		wg.Go(func() { c.SetDeadline(time.Now().Add(30 * time.Millisecond)) })
		wg.Go(func() { c.Read(make([]byte, 100)) })
		wg.Go(func() { s.SetDeadline(time.Now().Add(20 * time.Millisecond)) })
		wg.Go(func() { s.Read(make([]byte, 100)); s.LocalAddr(); c.RemoteAddr() })
	}
	wg.Wait()
	c.Close()
	s.Close()
}
