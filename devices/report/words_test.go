package report

import (
	"math"
	"testing"
	"time"
)

func TestWords(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{count(0), "0"},
		{count(999), "999"},
		{count(-1234), "-1,234"},
		{count(uint64(math.MaxUint64)), "18,446,744,073,709,551,615"},
		{figure(0.001), "<0.01"},
		{figure(1.5), "1.5"},
		{figure(9.999), "10"},
		{figure(99.96), "100"},
		{figure(12345.6), "12,346"},
		{figure(math.NaN()), "0"},
		{figure(-3), "0"},
		{figure(math.Inf(1)), "1,000,000,000,000,000,000"},
		{span(0), "0"},
		{span(-1), "0"},
		{span(850), "850 ns"},
		{span(12_340), "12.3 µs"},
		{span(999_499), "999 µs"},
		{span(999_500), "1 ms"},
		{span(1_240_000), "1.24 ms"},
		{span(3_410 * time.Millisecond), "3.41 s"},
		{span(125 * time.Second), "2 min 05 s"},
		{span(62 * time.Minute), "1 h 02 min"},
		{span(math.MaxInt64), "2,562,047 h 47 min"},
		{size(0), "0 B"},
		{size(1023), "1023 B"},
		{size(1024), "1 KiB"},
		{size(1<<20 - 1), "1 MiB"},
		{size(12 << 20), "12 MiB"},
		{size(math.MaxUint64), "16 EiB"},
		{share(0, 0), "–"},
		{share(0, 5), "0 %"},
		{share(5, 5), "100 %"},
		{share(1, 1e9), "<0.001 %"},
		{share(1e9-1, 1e9), ">99.999 %"},
		{share(999, 1000), "99.9 %"},
		{share(1, 3), "33.3 %"},
		{ratio(3, 2), "1.5×"},
		{ratio(3, 0), ""},
		{ratio(3, 3), ""},
		{ratio(3, 3.001), "≈1×"},
		{plural(1, "device"), "1 device"},
		{plural(0, "device"), "0 devices"},
		{clock(65 * time.Second), "1:05"},
		{clock(2*time.Hour + 3*time.Minute + 9*time.Second), "2:03:09"},
		{clean("a\x1b[2J\r\nb\u202ec\xff\u00a0�"), `a\u001b[2J  b\u202ec\xff` + "\u00a0�"},
		{fit("abcdef", 4), "abc…"},
		{fit("日本語", 5), "日本…"},
		{fit("abc", 0), ""},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}

func TestAxesHaveRoundMarksAndHoldAll(t *testing.T) {
	for _, most := range []float64{0, 0.3, 1, 7, 10_020, 65_000, 1 << 33, 1e18} {
		for name, a := range map[string]axis{
			"linear": linearAxis(most, 1, figure), "bytes": linearAxis(most, byteUnit(most), figure), "count": countAxis(most), "log": logAxis(most/50, most),
		} {
			if len(a.marks) < 2 || len(a.marks) > 22 || a.high < most || a.place(a.high) != 1 || a.place(a.low) != 0 {
				t.Errorf("%s axis to %g: from %g to %g with %d marks", name, most, a.low, a.high, len(a.marks))
			}
		}
	}
	for _, end := range []time.Duration{0, 1, time.Second, 59 * time.Second, time.Hour, 47 * time.Hour, 900 * time.Hour, math.MaxInt64} {
		if a := timeAxis(end); len(a.marks) < 1 || len(a.marks) > 9 {
			t.Errorf("time axis to %v has %d marks", end, len(a.marks))
		}
	}
}
