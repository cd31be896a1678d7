package oracle

import "math/bits"

const (
	histBits    = 6 // linear steps of an octave: 64, so that a step is 1/64 wide and its middle within 1/128
	histSteps   = 1 << histBits
	histOctaves = 64 - histBits
)

// Histogram counts durations in steps that grow with them: a quantile is within 0.8 %
// of the truth. It takes about 30 kB whatever it holds, and none before the first
// value. The zero value is ready. It is not safe for concurrent use.
type Histogram struct {
	steps    []uint64
	count    uint64
	sum      float64 // of all, ns
	min, max int64
}

// Record counts one duration in nanoseconds; a negative one counts as 0.
func (h *Histogram) Record(ns int64) {
	ns = max(ns, 0)
	if h.steps == nil {
		h.steps = make([]uint64, histOctaves*histSteps)
	}
	if h.count == 0 || ns < h.min {
		h.min = ns
	}
	h.max = max(h.max, ns)
	h.count++
	h.sum += float64(ns)
	h.steps[step(ns)]++
}

// Merge adds what o holds. Neither order nor grouping of merges matters.
func (h *Histogram) Merge(o *Histogram) {
	if o.count == 0 {
		return
	}
	if h.steps == nil {
		h.steps = make([]uint64, histOctaves*histSteps)
	}
	if h.count == 0 || o.min < h.min {
		h.min = o.min
	}
	h.max = max(h.max, o.max)
	h.count += o.count
	h.sum += o.sum
	for i, n := range o.steps {
		h.steps[i] += n
	}
}

// Count is how many were recorded.
func (h *Histogram) Count() uint64 { return h.count }

// Quantile is the duration that a share q (0 to 1) of all does not exceed, 0 if there
// are none.
func (h *Histogram) Quantile(q float64) int64 {
	if h.count == 0 {
		return 0
	}
	want := max(uint64(q*float64(h.count)+0.999999), 1)
	seen := uint64(0)
	for i, n := range h.steps {
		if seen += n; seen >= want {
			return min(max(middle(i), h.min), h.max)
		}
	}
	return h.max
}

// Quantiles are the usual ones of what was recorded.
func (h *Histogram) Quantiles() Quantiles {
	if h.count == 0 {
		return Quantiles{}
	}
	return Quantiles{
		Count: h.count, Min: h.min, Mean: int64(h.sum / float64(h.count)), Max: h.max,
		P50: h.Quantile(.5), P90: h.Quantile(.9), P99: h.Quantile(.99), P999: h.Quantile(.999),
	}
}

// step is where a duration counts: below histSteps each value has its own, above that
// each power of two is divided into histSteps.
func step(ns int64) int {
	if ns < histSteps {
		return int(ns)
	}
	shift := bits.Len64(uint64(ns)) - histBits - 1
	return shift*histSteps + int(ns>>shift)
}

func middle(i int) int64 {
	if i < 2*histSteps {
		return int64(i)
	}
	shift := i/histSteps - 1
	return int64(i-shift*histSteps)<<shift + int64(1)<<(shift-1)
}
