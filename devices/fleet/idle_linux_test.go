package fleet

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/devices/scenario"
	"github.com/fairlead-iot/fairlead/internal/simnet"
)

// acceptor is a broker that only accepts, without a goroutine for each connection, so
// that what is measured is the fleet's.
func acceptor(ln *simnet.Listener) {
	for {
		accepted, err := ln.Accept()
		if err != nil {
			return
		}
		c := accepted.(*simnet.Conn)
		greeted := false
		c.Notify(func() {
			var b [512]byte
			for {
				n, err := c.TryRead(b[:])
				if err != nil || n == 0 {
					return
				}
				if !greeted {
					greeted = true
					_, _ = c.TryWrite([]byte{0x20, 3, 0, 0, 0}) // CONNACK
				}
			}
		})
	}
}

const idlers = `
title = "Idle devices"
broker = "mem://10.0.0.1:1883"
duration = "1h"
[groups.idle]
count = 20000
ramp = 20000
keep_alive = "1h"
will = { topic = "idle/{id}/online", payload = "offline", qos = 1, retain = true }
publish.value = { topic = "idle/{id}/value", qos = 1, every = "1h", after = "30m" }
`

// TestIdleDevicesAreSmall: an idle device takes no goroutine and less than 2 KiB, both
// ends of its connection in memory included.
func TestIdleDevicesAreSmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "idle.toml")
	if err := os.WriteFile(path, []byte(idlers), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := scenario.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := simnet.New(1)
	ln, err := n.Listen("10.0.0.1:1883")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go acceptor(ln)
	f, err := New(Options{Scenario: s, Streams: Memory(n), Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	before, goroutines := inUse(), runtime.NumGoroutine()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = f.Run(ctx) // interrupted on purpose
	}()
	devices := f.plan.Len()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if f.Connected() == devices {
			break
		}
	}
	each := (inUse() - before) / uint64(devices)
	more := runtime.NumGoroutine() - goroutines
	t.Logf("%d idle devices: %d bytes each, %d goroutines in all", devices, each, more)
	if (each > 2048 && !raceDetector) || more > 20 {
		t.Errorf("%d bytes each and %d goroutines in all; 2,048 and 20 are allowed", each, more)
	}
	stop()
	<-ended
}

// inUse is what lives on heap and stacks.
func inUse() uint64 {
	var m runtime.MemStats
	least := uint64(math.MaxUint64) // what is still in somebody's hands is none of a device
	for range 5 {
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		least = min(least, m.HeapAlloc+m.StackInuse)
	}
	return least
}
