package loop

import "time"

// Clock gives nanoseconds that only grow. On Linux it is CLOCK_MONOTONIC, which
// all processes of one machine share; elsewhere it counts from the wall clock's
// time at its making. Inside a testing/synctest bubble, made with wall, it follows
// the bubble's clock. It is immutable, so any goroutine may use it.
type Clock struct {
	base  int64
	start time.Time
}

// NewClock makes one; wall asks for the wall clock as the origin on every system.
func NewClock(wall bool) *Clock {
	c := &Clock{start: time.Now()}
	if c.base = c.start.UnixNano(); !wall {
		c.align()
	}
	return c
}

// Now is the present time.
func (c *Clock) Now() int64 { return c.base + int64(time.Since(c.start)) }
