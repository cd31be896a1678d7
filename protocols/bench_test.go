//go:build unix

package protocols

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// Figures of the edge alone: the machine echoes and core does nothing. The load
// runs in another process (this test binary again), so processor time is the
// gateway's side only; system calls are those that the edge counts.

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkEcho(b *testing.B) {
	for _, s := range []struct {
		name              string
		clients, pipeline int
		interval          time.Duration
	}{
		{"saturated", 100, 1, 0},
		{"pipelined16", 100, 16, 0},
		{"paced10k", 200, 1, 20 * time.Millisecond},
	} {
		for _, wait := range []string{"block", "park", "auto", "pump"} {
			b.Run(s.name+"/"+wait, func(b *testing.B) { benchEcho(b, wait, s.clients, s.pipeline, s.interval) })
		}
	}
}

// echoAdapter's machines cost next to nothing, so that what is seen is the edge.
type echoAdapter struct{}

type echoMachine struct{ idleMachine }

func (echoAdapter) Name() string                            { return "line" }
func (echoAdapter) NewMachine(*ConnInfo, core.Conn) Machine { return &echoMachine{} }

func (echoMachine) Input(_ *core.Turn, b []byte, a *Actions) int {
	used := bytes.LastIndexByte(b, '\n') + 1
	if bytes.HasPrefix(b, []byte("hello\n")) {
		a.Accepted = true
		a.Out = append(a.Out, "welcome\n"...)
		return used
	}
	a.Out = append(a.Out, b[:used]...)
	return used
}

func benchEcho(b *testing.B, wait string, clients, pipeline int, interval time.Duration) {
	benchEchoOver(b, wait, TCP, clients, pipeline, interval)
}

// BenchmarkEchoOver is the same over transports that encrypt, all in one run.
func BenchmarkEchoOver(b *testing.B) {
	for _, transport := range []string{TCP, TLS, QUIC} {
		b.Run("saturated/"+transport, func(b *testing.B) { benchEchoOver(b, "pump", transport, 100, 1, 0) })
		b.Run("pipelined16/"+transport, func(b *testing.B) { benchEchoOver(b, "pump", transport, 100, 16, 0) })
		b.Run("paced2k/"+transport, func(b *testing.B) { benchEchoOver(b, "pump", transport, 200, 1, 100*time.Millisecond) })
	}
}

// loadOf is the command that makes such a load on h.
func (h *harness) loadOf(clients, pipeline int, lasting, interval time.Duration) *exec.Cmd {
	a := h.server.Addresses()["l"]
	network := a.Network()
	if t := h.server.listeners["l"].cfg.Transport; t == TLS || t == QUIC {
		network = t
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d %d %s %s", loadVariable, network, a, clients, pipeline, lasting, interval))
	return cmd
}

func benchEchoOver(b *testing.B, wait, transport string, clients, pipeline int, interval time.Duration) {
	h := startWith(b, wait, &ListenerConfig{Transport: transport, Address: "127.0.0.1:0"}, echoAdapter{})
	for b.Loop() {
		before, cpu := h.calls(), cpuTime()
		var mem [2]runtime.MemStats
		runtime.ReadMemStats(&mem[0])
		out, err := h.loadOf(clients, pipeline, time.Second, interval).CombinedOutput()
		if err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		cpu = cpuTime() - cpu
		n, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		if err != nil || n == 0 {
			b.Fatalf("load: %s", out)
		}
		after := h.calls()
		runtime.ReadMemStats(&mem[1])
		b.ReportMetric(float64(mem[1].Mallocs-mem[0].Mallocs)/n, "allocs/msg")
		b.ReportMetric(float64(cpu.Microseconds())/n, "cpu-µs/msg")
		b.ReportMetric(float64(after[0]-before[0])/n, "reads/msg")
		b.ReportMetric(float64(after[1]-before[1])/n, "writes/msg")
		b.ReportMetric(n, "msg/s")
	}
	b.ReportMetric(0, "ns/op")
}

// calls gives the read and write calls that all turns counted.
func (h *harness) calls() [2]uint64 {
	return [2]uint64{h.gateway.Stats().Counters[core.ReadCalls], h.gateway.Stats().Counters[core.WriteCalls]}
}
