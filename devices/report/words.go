package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// clean makes one harmless line of a string that a stranger may have written: client
// identifiers and topics can hold what moves a terminal's cursor or turns its text.
func clean(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n' || r == '\r' || r == '\t':
			b.WriteByte(' ')
		case unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// cleanText is clean for a text of several lines.
func cleanText(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i, line := range lines {
		lines[i] = clean(line)
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// cells is how many columns of a terminal a cleaned string takes, nearly: marks that
// combine take none, the wide scripts of East Asia and pictures take two.
func cells(s string) int {
	n := 0
	for _, r := range s {
		n += runeCells(r)
	}
	return n
}

func runeCells(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r < 0x1100:
		return 1
	case r <= 0x115F, r >= 0x2E80 && r <= 0xA4CF, r >= 0xAC00 && r <= 0xD7A3, r >= 0xF900 && r <= 0xFAFF,
		r >= 0xFE30 && r <= 0xFE6F, r >= 0xFF00 && r <= 0xFF60, r >= 0xFFE0 && r <= 0xFFE6, r >= 0x1F300 && r <= 0x1FAFF,
		r >= 0x20000 && r <= 0x3FFFD:
		return 2
	}
	return 1
}

// fit cuts a cleaned string to so many columns; what is cut ends in "…".
func fit(s string, width int) string {
	if cells(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	n := 0
	for i, r := range s {
		if n+runeCells(r) > width-1 {
			return s[:i] + "…"
		}
		n += runeCells(r)
	}
	return s
}

// count writes 1234567 as 1,234,567.
func count[N int | uint64](n N) string {
	s := fmt.Sprint(n)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// finite gives what can be drawn and written: neither NaN, nor infinite, nor below 0.
func finite(f float64) float64 {
	if math.IsNaN(f) || f < 0 {
		return 0
	}
	return min(f, 1e18)
}

// figure writes a number that need not be whole, to about three places.
func figure(f float64) string {
	f = finite(f)
	switch {
	case f == 0:
		return "0"
	case f < 0.01:
		return "<0.01"
	case f < 9.995:
		return trimZeros(strconv.FormatFloat(f, 'f', 2, 64))
	case f < 99.95:
		return trimZeros(strconv.FormatFloat(f, 'f', 1, 64))
	}
	return count(uint64(math.Round(f)))
}

func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// perSecond writes a rate.
func perSecond(f float64) string { return figure(f) + " /s" }

// percent writes a share in percent that is already one.
func percent(f float64) string { return figure(f) + " %" }

// span writes a duration in the unit that suits it.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0"
	case d == 0:
		return "0"
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", int64(d))
	case d < 999_500*time.Nanosecond:
		return scaled(d, time.Microsecond, "µs")
	case d < 999_500*time.Microsecond:
		return scaled(d, time.Millisecond, "ms")
	case d < 99_950*time.Millisecond:
		return scaled(d, time.Second, "s")
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d%time.Minute/time.Second)
	}
	hours := d / time.Hour // not rounded up: the longest duration has nothing above it
	return fmt.Sprintf("%s h %02d min", count(uint64(hours)), d%time.Hour/time.Minute)
}

func scaled(d, unit time.Duration, name string) string {
	return figure(float64(d)/float64(unit)) + " " + name
}

// size writes bytes in powers of 1,024.
func size(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	units := []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	f := float64(n) / 1024
	i := 0
	for f >= 1023.5 && i < len(units)-1 {
		f /= 1024
		i++
	}
	return figure(f) + " " + units[i]
}

// share writes part of whole in percent. Only what is all of it is "100 %", and only
// what is nothing is "0 %".
func share(part, whole uint64) string {
	if whole == 0 {
		return "–"
	}
	return ofHundred(float64(part) / float64(whole))
}

// ofHundred writes a share between 0 and 1 in percent, with the care of share.
func ofHundred(f float64) string {
	f = finite(f) * 100
	switch {
	case f == 0 || f == 100:
		return fmt.Sprintf("%.0f %%", f)
	case f < 0.001:
		return "<0.001 %"
	case f > 99.999 && f < 100:
		return ">99.999 %"
	case f < 1 || f > 99 && f < 100:
		return trimZeros(strconv.FormatFloat(f, 'f', 3, 64)) + " %"
	}
	return trimZeros(strconv.FormatFloat(f, 'f', 1, 64)) + " %"
}

// ratio writes how many times base a figure is; "" where that means nothing or is no
// news.
func ratio(f, base float64) string {
	f, base = finite(f), finite(base)
	if base == 0 || f == 0 || f == base {
		return ""
	}
	times := figure(f/base) + "×"
	if times == "1×" {
		return "≈1×"
	}
	return times
}

// plural writes "1 message", "2 messages".
func plural(n uint64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + one + "s"
}

// minus is a - b, but never below 0.
func minus(a, b uint64) uint64 {
	if b > a {
		return 0
	}
	return a - b
}
