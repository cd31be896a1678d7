package fairlead

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
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

// The percentage follows the heap, collection by collection. What other tests left
// counts with what is held here.
func TestCollectorIsTuned(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(2 * mostPercent))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	tuneCollector(ctx)
	held := make([][]byte, 24)
	for i := range held {
		held[i] = make([]byte, 1<<20)
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for late := time.After(time.Minute); ; {
		runtime.GC()
		metrics.Read(live)
		want := percentFor(live[0].Value.Uint64())
		percent := debug.SetGCPercent(77)
		debug.SetGCPercent(percent)
		if want <= 100 && percent*10 >= want*8 && percent*10 <= want*12 {
			break
		}
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("%d %%, want about %d", percent, want)
		}
	}
	runtime.KeepAlive(held)
}
