//go:build unix

package exproto

import (
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/protocols"
	"github.com/fairlead-iot/fairlead/protocols/exproto/pb"
)

// Figures of a message that a handler echoes, beside one that an adapter in the process
// echoes: what the way out and back costs. Processor time is that of everything: clients,
// gateway and handler are one process, over real sockets.

// echoing is a handler that lets everyone in and echoes.
type echoing struct{ pb.UnimplementedHandlerServer }

func (echoing) Serve(s grpc.BidiStreamingServer[pb.FromGateway, pb.FromHandler]) error {
	if err := s.Send(&pb.FromHandler{Hello: &pb.Hello{}}); err != nil {
		return err
	}
	for {
		in, err := s.Recv()
		if err != nil {
			return err
		}
		out := &pb.FromHandler{}
		for _, ev := range in.GetEvents() {
			switch w := ev.GetWhat().(type) {
			case *pb.Event_Opened:
				out.Commands = append(out.Commands, &pb.Command{Conn: ev.Conn, What: &pb.Command_Authenticate{Authenticate: &pb.Authenticate{CleanStart: true}}})
			case *pb.Event_Received:
				out.Commands = append(out.Commands, send(ev.Conn, string(w.Received)))
			}
		}
		if len(out.Commands) > 0 {
			if err := s.Send(out); err != nil {
				return err
			}
		}
	}
}

// inside is the same as an adapter in the process.
type inside struct{ g *core.Gateway }

type insideMachine struct {
	protocols.Machine
	g    *core.Gateway
	conn core.Conn
	link core.Link
	in   bool
}

func (inside) Name() string { return protocols.Exproto }
func (a inside) NewMachine(_ *protocols.ConnInfo, c core.Conn) protocols.Machine {
	return &insideMachine{g: a.g, conn: c}
}

func (m *insideMachine) Input(t *core.Turn, b []byte, a *protocols.Actions) int {
	if !m.in {
		res, _ := m.g.Connect(t, &core.ConnectRequest{Conn: m.conn, Protocol: "echo", CleanStart: true})
		m.link, m.in, a.Accepted = res.Link, true, true
		m.g.Resume(t, m.link)
	}
	a.Out = append(a.Out, b...)
	return len(b)
}
func (m *insideMachine) Output(*core.Turn, *protocols.Out) bool                   { return false }
func (m *insideMachine) Stop(_ *core.Turn, r core.Reason, a *protocols.Actions)   { a.Close = true }
func (m *insideMachine) Complete(*core.Turn, core.Completion, *protocols.Actions) {}
func (m *insideMachine) Closed(t *core.Turn, r core.Reason) {
	if m.in {
		m.g.Disconnect(t, m.link, r, nil)
	}
}

// benchSite is a gateway on real sockets; it gives its address.
func benchSite(b *testing.B, out bool) string {
	g := coretest.Start(b, nil, nil).Gateway
	cfg := protocols.DefaultConfig()
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	lc := &protocols.ListenerConfig{Protocol: protocols.Exproto, Transport: protocols.TCP, Address: "127.0.0.1:0", MaxUnauthenticatedPerAddress: 1 << 20}
	cfg.Listeners["l"] = lc
	var adapter protocols.Adapter = inside{g}
	lc.Exproto.Handler = "127.0.0.1:1"
	if out {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		s := grpc.NewServer()
		pb.RegisterHandlerServer(s, echoing{})
		go s.Serve(ln)
		b.Cleanup(s.Stop)
		lc.Exproto.Handler = ln.Addr().String()
		a, err := New(Options{Listeners: cfg.Listeners}, g)
		if err != nil {
			b.Fatal(err)
		}
		ended.Go(func() { a.Run(ctx) })
		for a.Stats()["l"].Up == 0 {
			runtime.Gosched()
		}
		adapter = a
	}
	s, err := protocols.NewServer(cfg, g, []protocols.Adapter{adapter}, nil)
	if err == nil {
		err = s.Open()
	}
	if err != nil {
		b.Fatal(err)
	}
	ended.Go(func() { s.Run(ctx) })
	b.Cleanup(func() { cancel(); ended.Wait() })
	return s.Addresses()["l"].String()
}

// echoClients connects n clients, each of which was echoed once.
func echoClients(b *testing.B, address string, n int) []net.Conn {
	cs := make([]net.Conn, n)
	for i := range cs {
		c, err := net.Dial("tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		cs[i] = c
		echoOnce(b, c, make([]byte, 100))
	}
	return cs
}

func echoOnce(b *testing.B, c net.Conn, text []byte) {
	if _, err := c.Write(text); err != nil {
		b.Error(err)
	}
	if _, err := io.ReadFull(c, text); err != nil {
		b.Error(err)
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkEcho(b *testing.B) {
	for _, way := range []struct {
		name string
		out  bool
	}{{"inside", false}, {"handler", true}} {
		b.Run(way.name, func(b *testing.B) {
			cs := echoClients(b, benchSite(b, way.out), 100)
			each := b.N/len(cs) + 1
			b.ReportAllocs()
			b.ResetTimer()
			before := cpuTime()
			var wg sync.WaitGroup
			for _, c := range cs {
				wg.Go(func() {
					text := make([]byte, 100)
					for range each {
						echoOnce(b, c, text)
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(each*len(cs))/1000, "cpu-µs/msg")
		})
	}
}

// BenchmarkIdle is what an idle client holds in the process: its own end included.
func BenchmarkIdle(b *testing.B) {
	for _, way := range []struct {
		name string
		out  bool
	}{{"inside", false}, {"handler", true}} {
		b.Run(way.name, func(b *testing.B) {
			const n = 4000
			for b.Loop() {
				at := benchSite(b, way.out)
				echoClients(b, at, 10)
				before := held()
				echoClients(b, at, n)
				b.ReportMetric(float64(held()-before)/n, "bytes/client")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func held() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
