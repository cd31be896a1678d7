package protocols

import (
	"bufio"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fairlead-iot/fairlead/core"
)

// An idle connection is this struct, a wheel entry and a slot.
func TestConnectionIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(conn{}); n > 128 {
		t.Errorf("a connection has %d bytes, at most 128 were agreed", n)
	}
	if n := unsafe.Sizeof(wheelEntry{}); n != 16 {
		t.Errorf("a wheel entry has %d bytes, 16 were agreed", n)
	}
}

// BenchmarkIdleConnection opens connections that say one word and are silent
// then. The clients are bare descriptors without memory of their own here.
func BenchmarkIdleConnection(b *testing.B) {
	for _, wait := range []string{"auto", "pump"} {
		b.Run(wait, func(b *testing.B) {
			for b.Loop() {
				measureIdle(b, wait, 5000)
			}
		})
	}
}

func measureIdle(b *testing.B, wait string, count int) {
	cfg := DefaultConfig()
	path := b.TempDir() + "/s"
	cfg.Listeners["l"] = &ListenerConfig{Protocol: "line", Transport: Unix, Address: path}
	own := makeEngine(newLoops)
	if wait == "pump" {
		own = func(*Config, gateway, *slog.Logger, *tally) (engine, error) { return nil, nil }
	}
	s, err := newServer(cfg, newFakeGateway(), []Adapter{idleAdapter{}}, nil, own)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Open(); err != nil {
		b.Fatal(err)
	}
	if err := s.start(); err != nil {
		b.Fatal(err)
	}
	before := residentBytes(b)
	fds := make([]int, count)
	for i := range fds {
		fds[i] = dialBare(b, path)
	}
	b.ReportMetric((residentBytes(b)-before)/float64(count), "B/conn")
	for _, fd := range fds {
		unix.Close(fd)
	}
	s.Close()
}

// BenchmarkIdleConnectionOver is the memory of connections whose clients are another
// process, over transports that encrypt. QUIC is measured with and without data
// streams being possible: waiting for them has a goroutine.
func BenchmarkIdleConnectionOver(b *testing.B) {
	for _, c := range []struct {
		name, transport string
		streams         int
	}{{"tcp", TCP, 0}, {"tls", TLS, 0}, {"quic", QUIC, 0}, {"quic of one stream", QUIC, 1}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				measureIdleOver(b, c.transport, c.streams, 1000)
			}
		})
	}
}

func measureIdleOver(b *testing.B, transport string, streams, count int) {
	lc := &ListenerConfig{Transport: transport, Address: "127.0.0.1:0", QUIC: QUICConfig{Streams: streams}}
	h := startWith(b, "pump", lc, dividedEcho{})
	before := residentBytes(b)
	cmd := h.loadOf(count, 0, 0, 0)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		b.Fatalf("load: %q %v", line, err)
	}
	b.ReportMetric((residentBytes(b)-before)/float64(count), "B/conn")
	in.Close()
	cmd.Wait()
	h.stop()
}

// dividedEcho lets its clients have several streams.
type dividedEcho struct{ echoAdapter }

type dividedEchoMachine struct{ echoMachine }

func (dividedEcho) NewStreamMachine(*ConnInfo, core.Conn) StreamMachine { return &dividedEchoMachine{} }

func (m dividedEchoMachine) InputStream(t *core.Turn, s Stream, b []byte, a *Actions) int {
	a.Stream = s
	return m.Input(t, b, a)
}
func (dividedEchoMachine) StreamEnded(*core.Turn, Stream, bool, *Actions) {}
func (dividedEchoMachine) Owes(Stream) bool                               { return false }

// dialBare connects and has one word echoed.
func dialBare(b *testing.B, path string) int {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		b.Fatal(err)
	}
	unix.Write(fd, []byte("word"))
	var got [4]byte
	if n, err := unix.Read(fd, got[:]); n != 4 {
		b.Fatalf("%d bytes, %v", n, err)
	}
	return fd
}

func residentBytes(b *testing.B) float64 {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Skip(err)
	}
	pages, _ := strconv.Atoi(strings.Fields(string(text))[1])
	return float64(pages * os.Getpagesize())
}
