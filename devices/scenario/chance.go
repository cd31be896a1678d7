package scenario

import "math/rand/v2"

// What a choice is for: choices for different ends do not depend on each other.
const (
	drawSchedule uint64 = iota + 1
	drawContent
	drawStay
	drawBackoff
	drawPick
	drawPhase
)

// chance is a source of choices that depends on nothing but what it was made from.
type chance struct{ rand.PCG }

// chanceOf makes a source from the seed of a run and what it is for.
func chanceOf(seed uint64, device uint32, draw, count uint64) chance {
	a := mix(seed ^ mix(uint64(device)+1))
	b := mix(draw<<56 ^ count)
	return chance{*rand.NewPCG(a, b)}
}

func (d Device) chance(draw, count uint64) chance {
	return chanceOf(d.Group.seed, d.Index, draw, count)
}

// share is a number from 0 to below 1.
func (c *chance) share() float64 { return float64(c.Uint64()>>11) / (1 << 53) }

// below is a whole number from 0 to below n; 0 for n = 0.
func (c *chance) below(n uint32) uint32 { return uint32(c.Uint64() >> 32 * uint64(n) >> 32) }

// mix spreads every bit of x over the whole word (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}
