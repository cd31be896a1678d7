package protocols

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// threadTime is the processor time of the calling thread.
func threadTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(1, &u) // RUSAGE_THREAD
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// plainEcho is the way without batches: a goroutine a socket, a read and a write for
// each datagram, and a map of the peers. spent asks for its thread's time.
func plainEcho(b *testing.B) (to net.Addr, spent func() time.Duration) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	c.SetReadBuffer(udpBuffer)
	b.Cleanup(func() { c.Close() })
	times := make(chan time.Duration)
	go func() {
		runtime.LockOSThread()
		peers := map[netip.AddrPort]int{}
		for buf := make([]byte, 1<<16); ; {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if n == 1 {
				times <- threadTime()
				continue
			}
			peers[from]++
			c.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	return c.LocalAddr(), func() time.Duration {
		d := dialDatagrams(b, c.LocalAddr())
		d.say("?")
		return <-times
	}
}

// portEcho is one port with machines that say what they hear.
func portEcho(b *testing.B, batches bool) (to net.Addr, spent func() time.Duration, g *fakeGateway) {
	ln := newListener("l", &ListenerConfig{Protocol: "line", Transport: UDP, Address: "127.0.0.1:0"}, &repeatAdapter{})
	g = newFakeGateway()
	e := newDatagrams(&Config{Loops: 1}, g, nil, &tally{})
	a := netip.MustParseAddrPort("127.0.0.1:0")
	sockets, err := openSockets(ln, a, 1)
	if !batches {
		sockets, err = openPlain(ln, a)
	}
	if err != nil {
		b.Fatal(err)
	}
	p := newPort(e, ln, sockets[0])
	e.ports = []*port{p}
	e.started = true
	e.wg.Go(func() {
		runtime.LockOSThread()
		p.run()
	})
	b.Cleanup(e.shut)
	return p.socket.addr(), func() time.Duration {
		times := make(chan time.Duration)
		p.post(func(*port) { times <- threadTime() })
		return <-times
	}, g
}

// volley has 64 clients each keep 16 datagrams of 100 bytes under way until b.N were
// answered.
func volley(b *testing.B, to net.Addr, spent func() time.Duration) {
	const clients, window = 64, 16
	left := atomic.Int64{}
	left.Store(int64(b.N))
	conns := make([]*dgramClient, clients)
	for i := range conns {
		conns[i] = dialDatagrams(b, to)
	}
	message := make([]byte, 100)
	before := spent()
	b.ResetTimer()
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() {
			buf := make([]byte, 200)
			for left.Add(-window) > -window {
				for range window {
					c.Write(message)
				}
				c.SetReadDeadline(time.Now().Add(time.Second))
				for range window {
					if _, err := c.Read(buf); err != nil {
						break
					}
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(spent()-before)/float64(b.N), "server-ns/op")
}

// BenchmarkDatagrams compares the ways to carry datagrams, in one run.
func BenchmarkDatagrams(b *testing.B) {
	b.Run("plain loop", func(b *testing.B) { volley(plainArgs(b)) })
	for name, batches := range map[string]bool{"port, batches": true, "port, plain socket": false} {
		b.Run(name, func(b *testing.B) {
			to, spent, g := portEcho(b, batches)
			volley(b, to, spent)
			s := g.Stats()
			b.ReportMetric(float64(s.Counters[core.ReadCalls])/float64(b.N), "reads/op")
			b.ReportMetric(float64(s.Counters[core.WriteCalls])/float64(b.N), "writes/op")
		})
	}
}

func plainArgs(b *testing.B) (*testing.B, net.Addr, func() time.Duration) {
	to, spent := plainEcho(b)
	return b, to, spent
}

// repeatAdapter has machines that say what they hear, and do nothing else.
type repeatAdapter struct{ gramAdapter }

type repeatMachine struct{ quietMachine }

func (*repeatAdapter) Split(b []byte) (node, message []byte)             { return nil, b }
func (*repeatAdapter) Meet(*core.Turn, *ConnInfo, []byte, *Actions) bool { return true }
func (*repeatAdapter) NewMachine(*ConnInfo, core.Conn) Machine           { return repeatMachine{} }

func (m repeatMachine) Input(t *core.Turn, b []byte, a *Actions) int {
	a.Out = append(a.Out, b...)
	return m.quietMachine.Input(t, b, a)
}

// BenchmarkDatagramsToOne sends 64 datagrams to one peer at a time, as to a device that
// wakes, with the kernel dividing messages and without.
func BenchmarkDatagramsToOne(b *testing.B) {
	for name, single := range map[string]bool{"divided": false, "single": true} {
		b.Run(name, func(b *testing.B) {
			ln := newListener("l", &ListenerConfig{Protocol: "line", Transport: UDP, Address: "127.0.0.1:0"}, &repeatAdapter{})
			sockets, err := openSockets(ln, netip.MustParseAddrPort("127.0.0.1:0"), 1)
			if err != nil {
				b.Fatal(err)
			}
			s := sockets[0].(*udpSocket)
			defer s.close()
			s.single.Store(single)
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close() // what it does not read is lost, as it should
			box, p := &outbox{}, &port{socket: s}
			to := netAddrPort(c.LocalAddr())
			message := make([]byte, 100)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			begin := threadTime()
			for b.Loop() {
				for range 64 {
					box.add(p, to, nil, message)
				}
				if _, _, failed := s.send(box, box.items); failed > 0 {
					b.Fatal(failed)
				}
				box.items, box.out.Buf = box.items[:0], box.out.Buf[:0]
			}
			b.ReportMetric(float64(threadTime()-begin)/float64(b.N)/64, "ns/datagram")
			if s.single.Load() != single {
				b.Fatal("the kernel does not divide")
			}
		})
	}
}

// TestMeasureDatagrams reports the memory of 100,000 idle peers, of so many
// handshakes under way, and of spoofed hellos; only when asked for.
func TestMeasureDatagrams(t *testing.T) {
	if os.Getenv("FAIRLEAD_MEASURE") == "" {
		t.Skip("set FAIRLEAD_MEASURE=1")
	}
	t.Run("1,000,000 spoofed hellos", func(t *testing.T) {
		begin := time.Now()
		p, answers, grown := floodDTLS(t, 1_000_000)
		t.Logf("%d answers, %d sessions, heap %+d bytes, %s each", answers, len(p.guard.sessions), grown, time.Since(begin)/1_000_000)
	})
	t.Run("100,000 idle peers", func(t *testing.T) { measureIdlePeers(t, 100_000) })
	t.Run("2,000 DTLS peers", func(t *testing.T) { measureDTLS(t, 2000) })
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// quietAdapter has machines of no size, so that the edge's own memory is seen.
type quietAdapter struct{ gramAdapter }

type quietMachine struct{}

func (*quietAdapter) NewMachine(*ConnInfo, core.Conn) Machine { return quietMachine{} }

func (quietMachine) Input(_ *core.Turn, b []byte, a *Actions) int {
	a.Accepted, a.Proven = true, true
	a.SetTimer, a.Timer = true, time.Hour
	return len(b)
}
func (quietMachine) Complete(*core.Turn, core.Completion, *Actions) {}
func (quietMachine) Tick(*core.Turn, *Actions)                      {}
func (quietMachine) Output(*core.Turn, *Out) bool                   { return false }
func (quietMachine) Stop(_ *core.Turn, _ core.Reason, a *Actions)   { a.Close = true }
func (quietMachine) Closed(*core.Turn, core.Reason)                 {}

func measureIdlePeers(t *testing.T, n int) {
	ln := newListener("l", &ListenerConfig{Protocol: "line", Transport: UDP, Address: "127.0.0.1:0"}, &quietAdapter{})
	g := newFakeGateway()
	e := newDatagrams(&Config{Loops: 1}, g, nil, &tally{})
	p := newPort(e, ln, &sink{})
	p.turn = g.NewTurn()
	p.box, p.now = boxOf(p.turn), time.Now()
	before := heap()
	begin := time.Now()
	hello := []byte("hello")
	for i := range n {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1000)
		p.datagram(&inItem{b: hello, from: from, size: 5})
	}
	took := time.Since(begin)
	p.settle()
	t.Logf("%d connections: %d bytes each, %s each to make", p.open, (heap()-before)/uint64(n), took/time.Duration(n))
	begin = time.Now()
	for i := range n {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1000)
		p.datagram(&inItem{b: hello, from: from, size: 5})
	}
	t.Logf("a datagram of a known peer: %s", time.Since(begin)/time.Duration(n))
	runtime.KeepAlive(p)
}

func measureDTLS(t *testing.T, n int) {
	e := startDTLS(t, &ListenerConfig{})
	begin := time.Now()
	before := heap()
	goroutines := runtime.NumGoroutine()
	for range n {
		c, err := e.dialDTLS(withKey("meter-1", testKey)...)
		if err != nil {
			t.Fatal(err)
		}
		c.asks("hello", "welcome")
	}
	t.Logf("%d pairs of client and connection: %d bytes a pair, %d goroutines a pair, %s a handshake (both ends)", n, (heap()-before)/uint64(n), (runtime.NumGoroutine()-goroutines)/n, time.Since(begin)/time.Duration(n))
}
