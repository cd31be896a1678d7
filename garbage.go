package fairlead

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// What garbage a heap may gather before it is collected.
const (
	// largeHeap and more live bytes: as much again, as Go does by itself.
	largeHeap = 64 << 20
	// A smaller one: half of it, at least leastGarbage. A client that makes garbage as
	// fast as it can then costs at most 32 MiB with what it has alive; and a gateway
	// that has little alive does not collect ten times a second because of it, which
	// others would feel.
	leastGarbage = 12 << 20
	// mostPercent bounds it for heaps of next to nothing.
	mostPercent = 400
)

// percentFor is by how much a heap with so many live bytes may grow before it is
// collected.
func percentFor(live uint64) int {
	garbage := live
	if live < largeHeap {
		garbage = max(live/2, leastGarbage)
	}
	return int(min(garbage*100/max(live, 1), mostPercent))
}

// tuneCollector sets after each collection when the next one comes, until ctx ends. It
// does nothing where GOGC is set: whoever started the process knows better.
func tuneCollector(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	t := &tuner{ctx: ctx, live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
	t.collected()
}

// tuner is told of each collection by one, as what nobody refers to is then cleaned up.
type tuner struct {
	ctx     context.Context
	live    []metrics.Sample
	percent int // as it is set
}

// sentinel is large enough to lie alone.
type sentinel struct{ _ [4]*int }

// collected tunes, and waits for the next collection.
func (t *tuner) collected() {
	if t.ctx.Err() != nil {
		return
	}
	metrics.Read(t.live)
	// Setting it stops the world for a moment: only when it matters.
	if want := percentFor(t.live[0].Value.Uint64()); want*10 < t.percent*9 || want*10 > t.percent*11 {
		debug.SetGCPercent(want)
		t.percent = want
	}
	runtime.AddCleanup(new(sentinel), (*tuner).collected, t)
}
