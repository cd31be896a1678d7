package fairlead

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestPercentFor(t *testing.T) {
	for _, row := range []struct {
		live uint64
		want int
	}{{0, mostPercent}, {1 << 20, mostPercent}, {6 << 20, 200}, {12 << 20, 100}, {24 << 20, 50}, {48 << 20, 50}, {64 << 20, 100}, {8 << 30, 100}} {
		if got := percentFor(row.live); got != row.want {
			t.Errorf("%d MiB live: %d %%, want %d", row.live>>20, got, row.want)
		}
	}
}

// The percentage follows the heap, collection by collection.
func TestCollectorIsTuned(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	tuneCollector(ctx)
	held := make([][]byte, 24)
	for i := range held {
		held[i] = make([]byte, 1<<20)
	}
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for late := time.After(time.Minute); ; {
		runtime.GC()
		percent := debug.SetGCPercent(77)
		debug.SetGCPercent(percent)
		if percent == 50 {
			break
		}
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("%d %% with a heap of 24 MiB and more", percent)
		}
	}
	runtime.KeepAlive(held)
}
