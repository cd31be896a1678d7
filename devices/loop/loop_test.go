package loop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kinds runs a test with each way of waiting.
func kinds(t *testing.T, f func(t *testing.T, o Options)) {
	t.Helper()
	t.Run("system", func(t *testing.T) { f(t, Options{}) })
	t.Run("portable", func(t *testing.T) { f(t, Options{Portable: true}) })
}

// start runs a loop until the test ends.
func start(t testing.TB, o Options) *Loop {
	t.Helper()
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := l.Counters().Conns; n != 0 {
			t.Errorf("%d connections are left", n)
		}
		if l.orphans != 0 {
			t.Errorf("%d orphans are left", l.orphans)
		}
	})
	return l
}

// do runs f in the loop and waits for it.
func do(t testing.TB, l *Loop, f func()) {
	t.Helper()
	done := make(chan struct{})
	if !l.Post(func() { f(); close(done) }) {
		t.Fatal("the loop takes no posts")
	}
	<-done
}

// device is a handler that tells the test what it hears.
type device struct {
	Conn
	opened chan struct{}
	closed chan error
	in     chan []byte
	drains chan struct{}
	input  func(c *Conn, b []byte) int // instead of sending to in
	onOpen func(c *Conn)
}

func newDevice() *device {
	return &device{opened: make(chan struct{}, 1), closed: make(chan error, 1), in: make(chan []byte, 4096), drains: make(chan struct{}, 4096)}
}

func (d *device) Opened(c *Conn) {
	if d.onOpen != nil {
		d.onOpen(c)
	}
	d.opened <- struct{}{}
}

func (d *device) Input(c *Conn, b []byte) int {
	if d.input != nil {
		return d.input(c, b)
	}
	d.in <- bytes.Clone(b)
	return len(b)
}

func (d *device) Closed(c *Conn, err error) { d.closed <- err }
func (d *device) Drained(*Conn)             { d.drains <- struct{}{} }

// dial opens d to url; what does not open fails the test.
func (d *device) dial(t testing.TB, l *Loop, url string, tls TLS, n *Conditions) {
	t.Helper()
	e, err := ParseEndpoint(url, tls)
	if err != nil {
		t.Fatal(err)
	}
	do(t, l, func() { l.Dial(&d.Conn, e, n, 1, d) })
	select {
	case <-d.opened:
	case err := <-d.closed:
		if len(d.opened) > 0 { // it was open in between
			<-d.opened
			d.closed <- err
			return
		}
		t.Fatalf("not opened: %v", err)
	}
}

// receive waits for n bytes.
func (d *device) receive(t testing.TB, n int) []byte {
	t.Helper()
	var got []byte
	for len(got) < n {
		select {
		case b := <-d.in:
			got = append(got, b...)
			continue
		default:
		}
		select {
		case b := <-d.in:
			got = append(got, b...)
		case err := <-d.closed:
			if len(d.in) > 0 { // it came before
				d.closed <- err
				continue
			}
			t.Fatalf("closed with %d of %d bytes: %v", len(got), n, err)
		}
	}
	return got
}

// serve accepts connections until the test ends, each with f in a goroutine.
func serve(t testing.TB, ln net.Listener, f func(net.Conn)) string {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	ended := false
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if ended {
				conn.Close()
			}
			open[conn] = true
			mu.Unlock()
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer conn.Close()
				f(conn)
			}()
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		ended = true
		for conn := range open {
			conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return ln.Addr().String()
}

func listen(t testing.TB, network, address string) net.Listener {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func echo(conn net.Conn) { _, _ = io.Copy(conn, conn) }

// tcp serves f and gives the URL.
func tcp(t testing.TB, f func(net.Conn)) string {
	return "mqtt://" + serve(t, listen(t, "tcp", "127.0.0.1:0"), f)
}

// pattern is n bytes that show where they belong.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + i>>16)
	}
	return b
}

// exchange sends b in parts as the room allows and compares the echo.
func exchange(t testing.TB, l *Loop, d *device, b []byte) {
	t.Helper()
	sent := 0
	for sent < len(b) {
		do(t, l, func() {
			n := min(len(b)-sent, d.Room())
			if n > 0 && !d.Write(b[sent:sent+n]) {
				t.Error("Write refuses what has room")
			}
			sent += n
		})
	}
	if got := d.receive(t, len(b)); !bytes.Equal(got, b) {
		t.Fatalf("the echo of %d bytes differs", len(b))
	}
}

func (d *device) close(t testing.TB, l *Loop) {
	t.Helper()
	do(t, l, func() { d.Close() })
	if err := <-d.closed; err != nil {
		t.Fatalf("Close: %v", err)
	}
	do(t, l, func() {
		if !d.Idle() {
			t.Error("not idle after Closed")
		}
	})
}

func TestEcho(t *testing.T) {
	kinds(t, func(t *testing.T, o Options) {
		l := start(t, o)
		unix := filepath.Join(t.TempDir(), "s")
		serve(t, listen(t, "unix", unix), echo)
		for _, url := range []string{tcp(t, echo), "unix://" + unix} {
			d := newDevice()
			for range 2 { // a Conn is dialled anew
				d.dial(t, l, url, TLS{}, nil)
				exchange(t, l, d, []byte("hello"))
				exchange(t, l, d, pattern(3<<20))
				d.close(t, l)
			}
		}
	})
}

// TestUnusedInput: what a handler leaves comes again, whole and in order.
func TestUnusedInput(t *testing.T) {
	kinds(t, func(t *testing.T, o Options) {
		const size = 300_000 // held beyond ReadSize
		o.ReadSize = 4096
		l := start(t, o)
		b := pattern(size)
		d := newDevice()
		calls := 0
		d.input = func(c *Conn, in []byte) int {
			if calls++; len(in) < size {
				return 0
			}
			d.in <- bytes.Clone(in[:size])
			return len(in)
		}
		d.dial(t, l, tcp(t, func(c net.Conn) {
			for rest := b; len(rest) > 0; {
				n := min(len(rest), 1000)
				_, _ = c.Write(rest[:n])
				rest = rest[n:]
			}
			_, _ = io.Copy(io.Discard, c)
		}), TLS{}, nil)
		if got := d.receive(t, size); !bytes.Equal(got, b) {
			t.Fatal("the bytes differ")
		}
		do(t, l, func() {
			if calls < 2 {
				t.Errorf("%d calls of Input: nothing was held", calls)
			}
			if d.Conn.in != nil {
				t.Error("a buffer is kept for nothing")
			}
		})
		d.close(t, l)
	})
}

func TestByteByByte(t *testing.T) {
	kinds(t, func(t *testing.T, o Options) {
		l := start(t, o)
		want := pattern(500)
		d := newDevice()
		d.dial(t, l, tcp(t, func(c net.Conn) {
			for i := range want {
				_, _ = c.Write(want[i : i+1])
			}
			_, _ = io.Copy(io.Discard, c)
		}), TLS{}, nil)
		if got := d.receive(t, len(want)); !bytes.Equal(got, want) {
			t.Fatal("the bytes differ")
		}
		d.close(t, l)
	})
}

func TestHeldTooMuch(t *testing.T) {
	l := start(t, Options{MaxHeld: 1000})
	d := newDevice()
	d.input = func(*Conn, []byte) int { return 0 }
	d.dial(t, l, tcp(t, func(c net.Conn) {
		_, _ = c.Write(pattern(5000))
		_, _ = io.Copy(io.Discard, c)
	}), TLS{}, nil)
	if err := <-d.closed; !errors.Is(err, ErrHeldTooMuch) {
		t.Fatal(err)
	}
}

func TestPost(t *testing.T) {
	kinds(t, func(t *testing.T, o Options) {
		o.MaxPosted = 10
		l := start(t, o)
		hold, held := make(chan struct{}), make(chan struct{})
		l.Post(func() { close(held); <-hold })
		<-held
		ran := 0
		for i := range 12 {
			if ok := l.Post(func() { ran++ }); ok != (i < 10) {
				t.Errorf("post %d: %v", i, ok)
			}
		}
		close(hold)
		for !l.Post(func() {}) { // until the queue was taken
		}
		do(t, l, func() {
			if ran != 10 {
				t.Errorf("%d of 10 posts ran", ran)
			}
			if l.Counters().RefusedPosts < 2 {
				t.Error("refused posts are not counted")
			}
		})
	})
	l, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if l.Post(func() {}) {
		t.Fatal("a post after the end")
	}
}

// TestNoPolling: a loop without work makes no turns.
func TestNoPolling(t *testing.T) {
	kinds(t, func(t *testing.T, o Options) {
		l := start(t, o)
		fired := make(chan uint64, 1)
		var timer Timer
		var before uint64
		do(t, l, func() {
			before = l.Counters().Turns
			l.After(&timer, 100*time.Millisecond, func(int64) { fired <- l.Counters().Turns })
		})
		if turns := <-fired - before; turns > 10 {
			t.Fatalf("%d turns in 100 ms without work", turns)
		}
	})
}

func TestDialPanicsOnAConnectionInUse(t *testing.T) {
	l := start(t, Options{})
	d := newDevice()
	url := tcp(t, echo)
	d.dial(t, l, url, TLS{}, nil)
	e, _ := ParseEndpoint(url, TLS{})
	do(t, l, func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		l.Dial(&d.Conn, e, nil, 0, d)
	})
	d.close(t, l)
}

func ExampleLoop() {
	l, err := New(Options{Portable: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	var t Timer
	l.After(&t, time.Millisecond, func(int64) {
		fmt.Println("fired")
		stop()
	})
	fmt.Println(l.Run(ctx))
	// Output:
	// fired
	// <nil>
}
