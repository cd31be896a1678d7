package loop

import (
	"time"

	"golang.org/x/sys/unix"
)

// align moves the origin to that of CLOCK_MONOTONIC. Go's own monotonic clock is
// the same one, and cheaper to read; the offset is as good as the closest of a few
// readings.
func (c *Clock) align() {
	best := time.Duration(1 << 62)
	for range 16 {
		var ts unix.Timespec
		before := time.Since(c.start)
		if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
			return
		}
		after := time.Since(c.start)
		if after-before < best {
			best = after - before
			c.base = ts.Nano() - int64(before+after)/2
		}
	}
}
