package core_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// BenchmarkHugeFanOut measures for how long one publish to 100,000 subscribers holds
// its loop before others are served: in core, then for each slice of wake-ups (without
// the kernel's part).
func BenchmarkHugeFanOut(b *testing.B) {
	for _, filters := range []int{1, 2} {
		b.Run(fmt.Sprintf("filters=%d", filters), func(b *testing.B) {
			g := coretest.Start(b, nil, func(o *core.Options) { o.Config.SysInterval = 0 })
			p := connectSink(g, "publisher", 0)
			for i := range 100_000 {
				c := connectSink(g, fmt.Sprint("s", i), 0, "all/x")
				if filters == 2 {
					subscribeSink(g, c, "all/+")
				}
			}
			g.T.End()
			var publishing, flushing time.Duration
			slices := 0
			b.ResetTimer()
			for range b.N {
				begun := time.Now()
				g.Gateway.Publish(g.T, p.link, &core.Publish{Topic: "all/x", Payload: make([]byte, 64)})
				publishing += time.Since(begun)
				for more := true; more; {
					begun = time.Now()
					more = g.T.Flush(256)
					flushing += time.Since(begun)
					slices++
				}
			}
			b.ReportMetric(float64(publishing.Microseconds())/float64(b.N), "µs/publish")
			b.ReportMetric(float64(flushing.Microseconds())/float64(slices), "µs/slice")
		})
	}
}
