package fairlead

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// Bounds of trimming.
const (
	trimInterval = 10 * time.Second
	// trimQuiet is how many messages a second still count as quiet: a collection
	// then costs nobody anything.
	trimQuiet = 1000
	// trimSlack is the share of the live heap that garbage and free pages may
	// have before they are given back; trimLeast is what is never worth it.
	trimSlack = 0.2
	trimLeast = 4 << 20

	// A heap of less than smallHeap is collected when it has grown by smallPercent: a
	// client that makes garbage as fast as it can then costs at most 32 MiB. It costs
	// 2 % more processor time per message when saturated, and nothing otherwise.
	smallHeap    = 64 << 20
	smallPercent = 50
	largePercent = 100 // Go's own
)

// trimMemory gives memory back to the system while the gateway is quiet. After a
// storm of connects half of the heap is garbage, and no allocation would make
// the collector look at it: a gateway that mostly holds idle connections is
// judged by what they cost.
func trimMemory(ctx context.Context, g *core.Gateway) error {
	clock := time.NewTicker(trimInterval)
	defer clock.Stop()
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	var before uint64
	tuned := os.Getenv("GOGC") == "" // else whoever starts the process knows better
	for {
		if tuned {
			debug.SetGCPercent(percentFor(liveHeap(samples[:1])))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-clock.C:
		}
		s := g.Stats()
		now := s.Get(core.MessagesReceived) + s.Get(core.Connects)
		quiet := now-before < trimQuiet*uint64(trimInterval/time.Second)
		before = now
		if quiet && slack(samples) {
			debug.FreeOSMemory()
		}
	}
}

// liveHeap is what the latest collection left, in bytes.
func liveHeap(live []metrics.Sample) uint64 {
	metrics.Read(live)
	return live[0].Value.Uint64()
}

// percentFor is by how much a heap with so many live bytes may grow before it is
// collected.
func percentFor(live uint64) int {
	if live < smallHeap {
		return smallPercent
	}
	return largePercent
}

// slack says whether giving memory back is worth a collection.
func slack(samples []metrics.Sample) bool {
	metrics.Read(samples)
	live := float64(samples[0].Value.Uint64())
	held := 0.0
	for _, s := range samples[1:] {
		held += float64(s.Value.Uint64())
	}
	return held-live > max(trimLeast, trimSlack*live)
}
