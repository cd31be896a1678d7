package scenario

import (
	"math"
	"math/rand/v2"
)

// What a choice is for: choices for different ends do not depend on each other.
const (
	drawSchedule uint64 = iota + 1 // of a stream
	drawContent                    // of a stream's message
	drawAnswer                     // of an answer
	drawStay                       // of a connection
	drawBackoff                    // of a wait
	drawPick                       // of a device
)

// chance is a source of choices that depends on nothing but what it was made from.
type chance struct{ rand.PCG }

// chance makes a source from who chooses, for what, and two numbers that say which
// choice it is.
func (d Device) chance(draw, a, b uint64) (c chance) {
	c.Seed(mix(d.Group.seed^mix(uint64(d.N))), mix(draw^mix(a^mix(b))))
	return c
}

// share is a number from 0 to below 1.
func (c *chance) share() float64 { return float64(c.Uint64()>>11) / (1 << 53) }

// below is a whole number from 0 to below n; 0 for n = 0.
func (c *chance) below(n uint32) uint32 { return uint32(c.Uint64() >> 32 * uint64(n) >> 32) }

// wait is a waiting time of a Poisson process with this mean; at most 50 times as long.
func (c *chance) wait(mean float64) float64 {
	return min(-math.Log(1-c.share()), 50) * mean
}

// around is a number around mean: off by up to the share jitter of it.
func (c *chance) around(mean, jitter float64) float64 {
	return mean * (1 + jitter*(2*c.share()-1))
}

// mix spreads every bit of x over the whole word (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}
