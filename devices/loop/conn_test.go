package loop

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestEnds: how a connection ends is told to both sides.
func TestEnds(t *testing.T) {
	kinds(t, func(t *testing.T, o Options) {
		l := start(t, o)
		heard := make(chan error, 1)
		listener := func(c net.Conn) {
			_, err := io.Copy(io.Discard, c)
			heard <- err
		}
		t.Run("close", func(t *testing.T) {
			d := newDevice()
			d.dial(t, l, tcp(t, listener), TLS{}, nil)
			d.close(t, l)
			if err := <-heard; err != nil {
				t.Fatal(err)
			}
		})
		t.Run("abort", func(t *testing.T) {
			d := newDevice()
			d.dial(t, l, tcp(t, listener), TLS{}, nil)
			do(t, l, d.Abort)
			if err := <-d.closed; err != ErrAborted {
				t.Fatal(err)
			}
			if err := <-heard; err == nil || !strings.Contains(err.Error(), "reset") {
				t.Fatalf("the server hears %v", err)
			}
		})
		t.Run("the server ends", func(t *testing.T) {
			d := newDevice()
			d.dial(t, l, tcp(t, func(c net.Conn) { _, _ = c.Write([]byte("bye")) }), TLS{}, nil)
			d.receive(t, 3)
			if err := <-d.closed; err != io.EOF {
				t.Fatal(err)
			}
		})
		t.Run("the server resets", func(t *testing.T) {
			d := newDevice()
			d.dial(t, l, tcp(t, func(c net.Conn) {
				_, _ = c.Read(make([]byte, 1))
				_ = c.(*net.TCPConn).SetLinger(0)
			}), TLS{}, nil)
			do(t, l, func() { d.Write([]byte("x")) })
			if err := <-d.closed; err == nil || !strings.Contains(err.Error(), "reset") {
				t.Fatal(err)
			}
		})
		t.Run("the loop ends", func(t *testing.T) {
			d := newDevice()
			t.Cleanup(func() {
				if err := <-d.closed; err != ErrStopped {
					t.Error(err)
				}
			})
			url := tcp(t, listener)
			d.dial(t, start(t, o), url, TLS{}, nil)
		})
	})
}

// TestCloseWritesFirst: what is pending arrives before the end, even if the server
// said things that nobody read.
func TestCloseWritesFirst(t *testing.T) {
	kinds(t, func(t *testing.T, o Options) {
		o.MaxPending = 4 << 20
		l := start(t, o)
		b := pattern(3 << 20)
		got := make(chan []byte, 1)
		d := newDevice()
		d.onOpen = func(c *Conn) {
			c.Pause(true)
			c.Write(b)
			c.Close()
			if c.Write(b[:1]) || c.Out() != nil || c.Room() != 0 {
				t.Error("writing after Close")
			}
		}
		d.dial(t, l, tcp(t, func(c net.Conn) {
			_, _ = c.Write([]byte("unread"))
			all, err := io.ReadAll(c)
			if err != nil {
				t.Error(err)
			}
			got <- all
		}), TLS{}, nil)
		if err := <-d.closed; err != nil {
			t.Fatal(err)
		}
		if all := <-got; !bytes.Equal(all, b) {
			t.Fatalf("%d of %d bytes", len(all), len(b))
		}
	})
}

func TestBackPressure(t *testing.T) {
	kinds(t, func(t *testing.T, o Options) {
		o.MaxPending = 64 << 10
		l := start(t, o)
		begin, total := make(chan struct{}), make(chan int, 1)
		d := newDevice()
		d.dial(t, l, tcp(t, func(c net.Conn) {
			<-begin
			n, _ := io.Copy(io.Discard, c)
			total <- int(n)
		}), TLS{}, nil)
		sent, chunk := 0, pattern(8<<10)
		for full := 0; full < 3; { // the kernel's buffers are full once nothing moves
			do(t, l, func() {
				if d.Write(chunk) {
					sent, full = sent+len(chunk), 0
					return
				}
				full++
				if d.Pending() <= o.MaxPending-len(chunk) || d.Pending() > o.MaxPending {
					t.Errorf("%d bytes pending at a refusal", d.Pending())
				}
			})
		}
		close(begin)
		for pending := 1; pending > 0; { // Drained may have come before as well
			<-d.drains
			do(t, l, func() { pending = d.Pending() })
		}
		do(t, l, func() {
			if l.Counters().RefusedWrites < 3 {
				t.Error("refused writes are not counted")
			}
		})
		d.close(t, l)
		if n := <-total; n != sent {
			t.Fatalf("%d of %d bytes arrived", n, sent)
		}
	})
}

func TestOutputTooMuch(t *testing.T) {
	l := start(t, Options{MaxPending: 1000})
	d := newDevice()
	d.dial(t, l, tcp(t, echo), TLS{}, nil)
	do(t, l, func() {
		out := d.Out()
		*out = append(*out, make([]byte, 2001)...)
	})
	if err := <-d.closed; err != ErrOutputTooMuch {
		t.Fatal(err)
	}
}

// TestPause: a paused device reads nothing, and nothing is lost.
func TestPause(t *testing.T) {
	kinds(t, func(t *testing.T, o Options) {
		l := start(t, o)
		d := newDevice()
		d.input = func(c *Conn, b []byte) int {
			c.Pause(true)
			d.in <- bytes.Clone(b[:1])
			return 1
		}
		d.dial(t, l, tcp(t, echo), TLS{}, nil)
		do(t, l, func() { d.Write([]byte("abc")) })
		for _, want := range []string{"a", "b", "c"} {
			if got := string(<-d.in); got != want {
				t.Fatalf("%q, want %q", got, want)
			}
			for range 3 {
				do(t, l, func() {})
			}
			if len(d.in) > 0 {
				t.Fatal("input while paused")
			}
			do(t, l, func() { d.Pause(false) })
		}
		d.close(t, l)
	})
}

// TestSilence: nobody is told anything, not even of the end.
func TestSilence(t *testing.T) {
	kinds(t, func(t *testing.T, o Options) {
		l := start(t, o)
		got, answer := make(chan string, 8), make(chan struct{})
		url := tcp(t, func(c net.Conn) {
			b := make([]byte, 100)
			for {
				n, err := c.Read(b)
				if err != nil {
					got <- "end"
					return
				}
				got <- string(b[:n])
				<-answer
				_, _ = c.Write([]byte("lost"))
			}
		})
		d := newDevice()
		d.dial(t, l, url, TLS{}, nil)
		do(t, l, func() { d.Write([]byte("said")) })
		if s := <-got; s != "said" {
			t.Fatal(s)
		}
		do(t, l, func() {
			d.Silence()
			d.Write([]byte("never"))
		})
		close(answer)
		do(t, l, d.Abort)
		if err := <-d.closed; err != ErrAborted {
			t.Fatal(err)
		}
		// The device is free for another connection, and only of that is heard.
		other := newDevice()
		other.dial(t, l, tcp(t, echo), TLS{}, nil)
		exchange(t, l, other, []byte("x"))
		if len(got) > 0 {
			t.Fatalf("the server hears %q", <-got)
		}
		if len(d.in) > 0 {
			t.Fatalf("the device hears %q", <-d.in)
		}
		other.close(t, l)
	})
}

func TestSlowReader(t *testing.T) {
	kinds(t, func(t *testing.T, o Options) {
		l := start(t, o)
		d := newDevice()
		largest := 0
		d.input = func(_ *Conn, b []byte) int {
			largest = max(largest, len(b))
			d.in <- bytes.Clone(b)
			return len(b)
		}
		d.onOpen = func(c *Conn) { c.ReadRate(100_000) }
		var begin int64
		do(t, l, func() { begin = l.Now() })
		d.dial(t, l, tcp(t, func(c net.Conn) {
			_, _ = c.Write(pattern(30_000))
			_, _ = io.Copy(io.Discard, c)
		}), TLS{}, nil)
		if got := d.receive(t, 30_000); !bytes.Equal(got, pattern(30_000)) {
			t.Fatal("the bytes differ")
		}
		do(t, l, func() {
			// The last part needs no wait behind it.
			if took := time.Duration(l.Now() - begin); took < 190*time.Millisecond {
				t.Errorf("30,000 bytes at 100,000 a second took %v", took)
			}
			if largest > 10_000 {
				t.Errorf("%d bytes at once", largest)
			}
		})
		d.close(t, l)
	})
}
