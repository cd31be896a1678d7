package report

import (
	"fmt"
	"math"
	"time"
)

// axis maps figures to the unit interval, and has marks at round figures.
type axis struct {
	low, high float64
	log       bool
	marks     []mark
}

// mark is one labelled line of an axis.
type mark struct {
	at    float64 // the figure
	label string  // "": a line only
}

// place is where a figure lies: 0 at the low end, 1 at the high end.
func (a *axis) place(f float64) float64 {
	low, high := a.low, a.high
	if a.log {
		f, low, high = math.Log10(max(f, a.low)), math.Log10(low), math.Log10(high)
	}
	return min(max((f-low)/(high-low), 0), 1)
}

// linearAxis goes from 0 to the first mark that is not below most. Unit is what round
// figures are multiples of.
func linearAxis(most, unit float64, label func(float64) string) axis {
	most = finite(most)
	if most == 0 {
		most = unit
	}
	step := roundStep(most/unit/5) * unit
	a := axis{high: math.Ceil(most/step-1e-9) * step}
	for f := 0.0; f <= a.high+step/2; f += step {
		a.marks = append(a.marks, mark{f, label(f)})
	}
	return a
}

// roundStep is the least of 1, 2, 2.5 and 5 times a power of ten that is not below f;
// 2.5 only where that is a whole number.
func roundStep(f float64) float64 {
	if f <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(f)))
	for _, n := range []float64{1, 2, 2.5, 5} {
		if n*power >= f*(1-1e-9) && (n != 2.5 || power >= 10) {
			return n * power
		}
	}
	return 10 * power
}

// byteUnit is the power of 1,024 in which a figure is written.
func byteUnit(most float64) float64 {
	unit := 1.0
	for finite(most) >= unit*1024 {
		unit *= 1024
	}
	return unit
}

// countAxis has whole marks only: there is no half device.
func countAxis(most float64) axis {
	a := linearAxis(most, 1, shortCount)
	if len(a.marks) > 1 && a.marks[1].at < 1 {
		a = axis{high: 1, marks: []mark{{0, "0"}, {1, "1"}}}
	}
	return a
}

// shortCount writes 12,000 as it is, and what is longer as 1.2 M.
func shortCount(f float64) string {
	for _, big := range []struct {
		unit float64
		name string
	}{{1e15, " P"}, {1e12, " T"}, {1e9, " G"}, {1e6, " M"}} {
		if f >= big.unit {
			return figure(f/big.unit) + big.name
		}
	}
	return figure(f)
}

// logAxis covers durations in nanoseconds by whole powers of ten; between them there are
// marks at 2 and 5 if there is room.
func logAxis(least, most float64) axis {
	least, most = max(finite(least), 1), max(finite(most), 1)
	from, to := math.Floor(math.Log10(least)+1e-9), math.Ceil(math.Log10(most)-1e-9)
	if to <= from {
		to = from + 1
	}
	a := axis{low: math.Pow(10, from), high: math.Pow(10, to), log: true}
	every := math.Ceil((to - from) / 6) // powers of ten between labels
	for e := from; e <= to; e++ {
		power, label := math.Pow(10, e), ""
		if math.Mod(e-from, every) == 0 {
			label = span(time.Duration(power))
		}
		a.marks = append(a.marks, mark{power, label})
		if e == to || to-from > 3 {
			continue
		}
		for _, n := range []float64{2, 5} {
			label := ""
			if to-from <= 2 {
				label = span(time.Duration(n * power))
			}
			a.marks = append(a.marks, mark{n * power, label})
		}
	}
	return a
}

// timeAxis goes from 0 to the end of the run, in seconds, with marks at round times.
func timeAxis(end time.Duration) axis {
	high := max(end.Seconds(), 1e-3)
	step := high / 6
	rounds := []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400}
	switch i := firstNotBelow(rounds, step); {
	case step < 1:
		step = roundStep(step)
	case i < len(rounds):
		step = rounds[i]
	default:
		step = roundStep(step/86400) * 86400
	}
	a := axis{high: high}
	for f := 0.0; f <= high*(1+1e-9); f += step {
		a.marks = append(a.marks, mark{f, timeLabel(f, high)})
	}
	return a
}

func firstNotBelow(list []float64, f float64) int {
	for i, n := range list {
		if n >= f {
			return i
		}
	}
	return len(list)
}

// timeLabel writes a time of a run in the manner of its length: seconds, 1:30, 2:05 h.
func timeLabel(seconds, end float64) string {
	d := time.Duration(min(seconds, 9e9) * float64(time.Second))
	switch {
	case end < 1:
		return span(d)
	case end < 60:
		return figure(seconds) + " s"
	case end < 3600:
		return clock(d)
	case end < 48*3600:
		return fmt.Sprintf("%d:%02d h", d/time.Hour, d%time.Hour/time.Minute)
	}
	return figure(seconds/86400) + " d"
}
