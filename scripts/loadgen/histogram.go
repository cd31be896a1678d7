package main

import "math/bits"

// halves is the number of equal steps between two powers of two, so that a value is kept within 1/64 = 1.6 %.
const (
	stepBits = 5
	steps    = 1 << stepBits
)

// histogram counts durations in ns, in buckets that grow with the value. Values under 0 count as 0.
type histogram struct {
	counts [(64 - stepBits) * steps]uint64
	n      uint64
	max    int64
}

func (h *histogram) add(ns int64) {
	ns = max(ns, 0)
	h.counts[bucket(uint64(ns))]++
	h.n++
	h.max = max(h.max, ns)
}

// bucket numbers the bucket of v: v itself below steps, then the power of two and the next stepBits bits.
func bucket(v uint64) int {
	if v < steps {
		return int(v)
	}
	power := bits.Len64(v) - 1 - stepBits
	return power*steps + int(v>>power)
}

// middle is the value in the middle of a bucket.
func middle(b int) int64 {
	if b < 2*steps {
		return int64(b)
	}
	power := b/steps - 1
	low := int64(b-power*steps) << power
	return low + int64(1)<<power/2
}

// quantile gives the value that a share q of all values does not exceed, 0 if there are none.
func (h *histogram) quantile(q float64) int64 {
	rank := uint64(q * float64(h.n))
	var below uint64
	for b, n := range h.counts {
		below += n
		if below > rank {
			return min(middle(b), h.max)
		}
	}
	return h.max
}
