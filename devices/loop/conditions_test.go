package loop

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// pipeStream is a Stream in memory, for a bubble whose clock is false.
type pipeStream struct {
	in     []byte
	err    error
	out    []byte
	notify func()
	ended  ending
	over   bool
}

func (p *pipeStream) TryRead(b []byte) (int, error) {
	if len(p.in) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		return 0, errAgain
	}
	n := copy(b, p.in)
	p.in = p.in[n:]
	return n, nil
}

func (p *pipeStream) TryWrite(b []byte) (int, error) {
	p.out = append(p.out, b...)
	return len(b), nil
}

func (p *pipeStream) Notify(f func()) { p.notify = f }
func (p *pipeStream) Close() error    { p.over, p.ended = true, endOrderly; return nil }
func (p *pipeStream) Reset() error    { p.over, p.ended = true, endReset; return nil }

// inMemory runs f in a bubble with a device on a stream in memory; come lets the
// server say something, in the loop.
func inMemory(t *testing.T, n *Conditions, f func(t *testing.T, l *Loop, d *device, p *pipeStream)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &pipeStream{}
		l := start(t, Options{Portable: true, Streams: func(name string) (Stream, error) {
			if name != "gateway" {
				t.Errorf("stream %q", name)
			}
			return p, nil
		}})
		d := newDevice()
		began := time.Now()
		d.dial(t, l, "mem://gateway", TLS{}, n)
		if n != nil && n.Jitter == 0 && time.Since(began) != 2*n.Latency {
			t.Errorf("opened after %v", time.Since(began))
		}
		f(t, l, d, p)
	})
}

func (p *pipeStream) say(b []byte, err error) {
	p.in, p.err = append(p.in, b...), err
	p.notify()
}

func TestLatencyBothWays(t *testing.T) {
	inMemory(t, &Conditions{Latency: time.Second}, func(t *testing.T, l *Loop, d *device, p *pipeStream) {
		began := time.Now()
		do(t, l, func() {
			d.Write([]byte("up"))
			p.say([]byte("down"), io.EOF)
		})
		do(t, l, func() {
			if d.Pending() != 2 {
				t.Errorf("%d bytes pending under way", d.Pending())
			}
		})
		if got := string(d.receive(t, 4)); got != "down" || time.Since(began) != time.Second {
			t.Errorf("%q after %v", got, time.Since(began))
		}
		if err := <-d.closed; err != io.EOF {
			t.Error(err)
		}
		if string(p.out) != "up" {
			t.Errorf("the server got %q", p.out)
		}
	})
}

// TestCloseThroughTheLine: Close waits for what is under way.
func TestCloseThroughTheLine(t *testing.T) {
	inMemory(t, &Conditions{Latency: time.Second, Bandwidth: 1000}, func(t *testing.T, l *Loop, d *device, p *pipeStream) {
		began := time.Now()
		do(t, l, func() { d.Write(pattern(2000)); d.Close() })
		if err := <-d.closed; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("closed after %v", took)
		}
		if !bytes.Equal(p.out, pattern(2000)) || !p.over || p.ended != endOrderly {
			t.Errorf("%d bytes, %+v", len(p.out), p.ended)
		}
	})
}

// TestBandwidthIsBackPressure: a slow line holds a bounded part; the rest stays with
// the server.
func TestBandwidthIsBackPressure(t *testing.T) {
	inMemory(t, &Conditions{Bandwidth: 100_000}, func(t *testing.T, l *Loop, d *device, p *pipeStream) {
		const size = 500_000
		began := time.Now()
		do(t, l, func() { p.say(pattern(size), nil) })
		synctest.Wait()
		do(t, l, func() {
			if held := size - len(p.in); held > maxLine+l.opt.ReadSize {
				t.Errorf("%d bytes were read ahead", held)
			}
		})
		if got := d.receive(t, size); !bytes.Equal(got, pattern(size)) {
			t.Error("the bytes differ")
		}
		if took := time.Since(began); took < 5*time.Second || took > 5100*time.Millisecond {
			t.Errorf("500,000 bytes at 100,000 a second took %v", took)
		}
		d.close(t, l)
	})
}

func TestPausedLine(t *testing.T) {
	inMemory(t, &Conditions{Latency: time.Second}, func(t *testing.T, l *Loop, d *device, p *pipeStream) {
		do(t, l, func() { p.say([]byte("a"), nil) })
		do(t, l, func() { d.Pause(true) })
		time.Sleep(time.Minute)
		if len(d.in) > 0 {
			t.Error("input while paused")
		}
		do(t, l, func() { d.Pause(false) })
		d.receive(t, 1)
		d.close(t, l)
	})
}

func TestCuts(t *testing.T) {
	for _, c := range []struct {
		name string
		n    Conditions
		want error
	}{
		{"cut", Conditions{CutEvery: time.Minute}, ErrCut},
		{"rebind", Conditions{Rebind: time.Minute}, ErrRebound},
	} {
		t.Run(c.name, func(t *testing.T) {
			var first time.Duration
			for range 2 { // the same seed, the same moment
				inMemory(t, &c.n, func(t *testing.T, l *Loop, d *device, p *pipeStream) {
					began := time.Now()
					if err := <-d.closed; err != c.want || !p.over || p.ended != endReset {
						t.Error(err, p.ended)
					}
					if took := time.Since(began); first == 0 {
						first = took
					} else if took != first {
						t.Errorf("cut after %v, before after %v", took, first)
					}
				})
			}
		})
	}
	t.Run("half open", func(t *testing.T) {
		inMemory(t, &Conditions{CutEvery: time.Minute, HalfOpen: 1}, func(t *testing.T, l *Loop, d *device, p *pipeStream) {
			time.Sleep(24 * time.Hour)
			do(t, l, func() { d.Write([]byte("lost")); p.say([]byte("lost"), io.EOF) })
			synctest.Wait()
			if len(d.in)+len(d.closed)+len(p.out) > 0 || p.over {
				t.Error("something passes a silent connection")
			}
			do(t, l, d.Close)
			if err := <-d.closed; err != nil || p.over {
				t.Error("the server is told of a silent end", err)
			}
		})
	})
}

func TestMemoryStreamRefused(t *testing.T) {
	why := errors.New("no such stream")
	l := start(t, Options{Streams: func(string) (Stream, error) { return nil, why }})
	e, err := ParseEndpoint("mem://x", TLS{})
	if err != nil {
		t.Fatal(err)
	}
	d := newDevice()
	do(t, l, func() { l.Dial(&d.Conn, e, nil, 0, d) })
	if err := <-d.closed; !errors.Is(err, why) {
		t.Fatal(err)
	}
	l = start(t, Options{})
	wantDialError(t, l, "mem://x", TLS{}, "Options.Streams")
}

// TestConditionsOverTheNetwork: they hold on every transport, above its framing.
func TestConditionsOverTheNetwork(t *testing.T) {
	a := newAuthority(t)
	kinds(t, func(t *testing.T, o Options) {
		l := start(t, o)
		n := &Conditions{Latency: 5 * time.Millisecond, Jitter: 5 * time.Millisecond, Bandwidth: 4 << 20}
		for _, url := range []string{tcp(t, echo), "mqtts://" + a.serve(t, 0, 0, echo)} {
			var began int64
			do(t, l, func() { began = l.Now() })
			d := newDevice()
			d.dial(t, l, url, a.trusted(), n)
			do(t, l, func() {
				if took := time.Duration(l.Now() - began); took < 10*time.Millisecond {
					t.Errorf("opened after %v", took)
				}
				began = l.Now()
			})
			exchange(t, l, d, pattern(400_000))
			do(t, l, func() {
				if took := time.Duration(l.Now() - began); took < 100*time.Millisecond {
					t.Errorf("400,000 bytes there and back took %v", took)
				}
			})
			d.close(t, l)
		}
	})
}

// TestServerEndsBehindTheLine: a reset does not overtake what is under way.
func TestServerEndsBehindTheLine(t *testing.T) {
	l := start(t, Options{})
	d := newDevice()
	d.dial(t, l, tcp(t, func(c net.Conn) {
		_, _ = c.Write([]byte("last"))
		_, _ = c.Read(make([]byte, 1))
		_ = c.(*net.TCPConn).SetLinger(0)
	}), TLS{}, &Conditions{Latency: 50 * time.Millisecond})
	do(t, l, func() { d.Write([]byte("x")) })
	d.receive(t, 4)
	if err := <-d.closed; err == nil {
		t.Fatal("no error")
	}
}
