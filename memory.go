package fairlead

import (
	"context"
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
	for {
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
