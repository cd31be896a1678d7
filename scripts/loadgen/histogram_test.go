package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Every value must come back within 1/64 of itself, from the smallest to the largest.
func TestHistogramKeepsValues(t *testing.T) {
	values := []int64{0, 1, 31, 32, 33, 63, 64, 65, 1000, 999_999, 1 << 40, math.MaxInt64}
	for power := range 62 {
		values = append(values, 1<<power-1, 1<<power, 1<<power+1)
	}
	for _, v := range values {
		b := bucket(uint64(v))
		if b < 0 || b >= len(histogram{}.counts) {
			t.Fatalf("bucket(%d) = %d is outside", v, b)
		}
		if got := middle(b); math.Abs(float64(got-v)) > float64(v)/64 {
			t.Errorf("%d is kept as %d", v, got)
		}
	}
}

func TestHistogramBucketsAreInOrder(t *testing.T) {
	last := -1
	for v := uint64(0); v < 1<<14; v++ {
		b := bucket(v)
		if b != last && b != last+1 {
			t.Fatalf("bucket(%d) = %d after %d", v, b, last)
		}
		last = b
	}
}

func TestHistogramQuantiles(t *testing.T) {
	var h histogram
	if got := h.quantile(0.99); got != 0 {
		t.Errorf("quantile of nothing = %d", got)
	}
	random := rand.New(rand.NewPCG(1, 2))
	var all []int64
	for range 10_000 {
		v := int64(random.ExpFloat64() * 50_000)
		all = append(all, v)
		h.add(v)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.99, 0.999} {
		want := all[int(q*float64(len(all)))]
		if got := h.quantile(q); math.Abs(float64(got-want)) > float64(want)/30+1 {
			t.Errorf("quantile(%v) = %d, sorted says %d", q, got, want)
		}
	}
	if got, want := h.quantile(1), all[len(all)-1]; got != want || h.max != want {
		t.Errorf("quantile(1) = %d, max %d, want %d", got, h.max, want)
	}
	h.add(-5)
	if h.n != 10_001 || h.counts[0] == 0 {
		t.Error("a negative duration is not counted as 0")
	}
}
