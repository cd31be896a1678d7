package loop

import (
	"context"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestSourcesInTurn(t *testing.T) {
	kinds(t, func(t *testing.T, o Options) {
		var err error
		if o.Sources, err = ParseSources("127.7.0.1,127.7.0.2", 0); err != nil {
			t.Fatal(err)
		}
		l := start(t, o)
		from := make(chan string, 2)
		url := tcp(t, func(c net.Conn) {
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			from <- host
			echo(c)
		})
		for _, want := range []string{"127.7.0.1", "127.7.0.2", "127.7.0.1"} {
			d := newDevice()
			d.dial(t, l, url, TLS{}, nil)
			if got := <-from; got != want {
				t.Errorf("from %s, want %s", got, want)
			}
			d.close(t, l)
		}
	})
}

func TestClockIsTheMachines(t *testing.T) {
	c := NewClock(false)
	var before, after unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &before)
	now := c.Now()
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &after)
	const slack = int64(time.Millisecond)
	if now < before.Nano()-slack || now > after.Nano()+slack {
		t.Errorf("%d is not between %d and %d", now, before.Nano(), after.Nano())
	}
}

func TestExplainLimits(t *testing.T) {
	e, err := ParseEndpoint("mqtt://127.0.0.1", TLS{})
	if err != nil {
		t.Fatal(err)
	}
	for _, no := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.ENOBUFS, syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.EACCES} {
		d := explain(e, no).(*DialError)
		if d.Hint == "" || d.Problem == no.Error() {
			t.Errorf("%v is not explained: %v", no, d)
		}
	}
}

// acceptor takes connections and does nothing with them. It has none of Go's own
// connections, whose memory would be counted.
func acceptor(t testing.TB) (url string) {
	ln := listen(t, "tcp", "127.0.0.1:0")
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	s := int(file.Fd())
	_ = unix.SetNonblock(s, true)
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		var fds []int
		for !stop.Load() {
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(s), Events: unix.POLLIN}}, 20)
			for {
				fd, _, err := unix.Accept4(s, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
				if err != nil {
					break
				}
				fds = append(fds, fd)
			}
		}
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	t.Cleanup(func() {
		stop.Store(true)
		<-done
		file.Close()
		ln.Close()
	})
	return "mqtt://" + ln.Addr().String()
}

// bare is the smallest device.
type bare struct {
	Conn
	up     *int
	failed *error
}

func (b *bare) Opened(*Conn)                 { *b.up++ }
func (b *bare) Input(_ *Conn, in []byte) int { return len(in) }
func (b *bare) Closed(_ *Conn, err error) {
	*b.up--
	*b.failed = err
}

// TestIdleMemory: 9,000 connections, their server's ends in the same process.
func TestIdleMemory(t *testing.T) {
	const count, most = 9000, 500
	if room, why := Room(); room < 2*count {
		t.Skipf("NOT MEASURED: %d connections need %d descriptors here: %s", count, 2*count, why)
	}
	url := acceptor(t)
	sources, err := ParseSources(DefaultSources(), 0)
	if err != nil {
		t.Fatal(err)
	}
	l := start(t, Options{Sources: sources})
	e, err := ParseEndpoint(url, TLS{})
	if err != nil {
		t.Fatal(err)
	}
	up, failed := 0, error(nil)
	goroutines := runtime.NumGoroutine()
	before := heap()
	all := make([]bare, count)
	done := make(chan struct{})
	// In steps, as devices connect: all at once would overflow the backlog.
	var step Timer
	next := 0
	do(t, l, func() {
		l.After(&step, 0, func(int64) {
			for next-up < 200 && next < count {
				all[next].up, all[next].failed = &up, &failed
				l.Dial(&all[next].Conn, e, nil, 0, &all[next])
				next++
			}
			if up == count || failed != nil {
				close(done)
				return
			}
			l.After(&step, time.Millisecond, nil)
		})
	})
	<-done
	if failed != nil {
		t.Fatalf("with %d connections: %v", up, failed)
	}
	each := float64(heap()-before) / count
	t.Logf("%.0f bytes for an idle connection, %d of them its Conn", each, unsafe.Sizeof(Conn{}))
	if each > most {
		t.Errorf("%.0f bytes for an idle connection, allowed are %d", each, most)
	}
	if n := runtime.NumGoroutine(); n > goroutines+2 {
		t.Errorf("%d goroutines more", n-goroutines)
	}
	runtime.KeepAlive(all)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// pingPong answers each message with the next.
type pingPong struct {
	Conn
	left *int
	end  func()
	msg  []byte
}

func (p *pingPong) Opened(c *Conn) { c.Write(p.msg) }
func (p *pingPong) Input(c *Conn, in []byte) int {
	if len(in) < len(p.msg) {
		return 0
	}
	if *p.left--; *p.left > 0 {
		out := c.Out()
		*out = append(*out, p.msg...)
	} else if *p.left == 0 {
		p.end()
	}
	return len(p.msg)
}
func (p *pingPong) Closed(*Conn, error) {}

// BenchmarkEcho: 100 devices, each with one message of 100 bytes under way to an
// echoing server in the same process; an operation is one message there and back.
func BenchmarkEcho(b *testing.B) {
	url := tcp(b, echo)
	e, err := ParseEndpoint(url, TLS{})
	if err != nil {
		b.Fatal(err)
	}
	l, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	left := b.N
	b.ReportAllocs()
	b.ResetTimer()
	for range 100 {
		p := &pingPong{left: &left, end: stop, msg: pattern(100)}
		l.Dial(&p.Conn, e, nil, 0, p)
	}
	if err := l.Run(ctx); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
}
