package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

var (
	errDuration     = errors.New(`is not a duration; write a number and a unit, such as "500ms", "5s", "10m", "2h" or "7d"`)
	errDurationLong = errors.New("is longer than 290 years")
	errSize         = errors.New(`is not a size; write a whole number and a unit, such as "512", "64KiB", "1MiB" or "10MB"`)
	errSizeLarge    = errors.New("is larger than 8 EiB")
)

const day = 24 * time.Hour

// parseDuration reads what time.ParseDuration reads, and days before it.
func parseDuration(text string) (time.Duration, error) {
	rest, days := text, time.Duration(0)
	if head, tail, found := strings.Cut(text, "d"); found {
		n, err := strconv.ParseInt(head, 10, 64)
		if err != nil {
			return 0, errDuration
		}
		if n > int64(math.MaxInt64/day) || n < int64(math.MinInt64/day) {
			return 0, errDurationLong
		}
		days, rest = time.Duration(n)*day, tail
		if rest == "" {
			return days, nil
		}
		if days < 0 || rest[0] == '-' || rest[0] == '+' {
			return 0, errDuration
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil {
		return 0, errDuration
	}
	if d > 0 && days > math.MaxInt64-d {
		return 0, errDurationLong
	}
	return days + d, nil
}

// formatDuration writes the shortest text that parseDuration reads back.
func formatDuration(d time.Duration) string {
	if d != 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// sizeUnit is a unit of bytes and what it stands for.
type sizeUnit struct {
	name  string
	bytes int64
}

// sizeUnits lists the binary units first, largest first, as formatSize tries
// them in this order.
func sizeUnits() []sizeUnit {
	return []sizeUnit{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
	}
}

// parseSize reads "512", "64KiB", "10 MB"; the case of the letters is free.
func parseSize(text string) (int64, error) {
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	name, scale := text[len(number):], int64(1)
	if name != "" {
		scale = 0
		for _, u := range sizeUnits() {
			if strings.EqualFold(u.name, name) {
				scale = u.bytes
			}
		}
	}
	if scale == 0 {
		return 0, errSize
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, errSizeLarge
	case err != nil:
		return 0, errSize
	case n > math.MaxInt64/scale || n < math.MinInt64/scale:
		return 0, errSizeLarge
	}
	return n * scale, nil
}

// formatSize writes a size with the largest binary unit that divides it, and
// tells whether there was one; else the number itself says it best.
func formatSize(n int64) (string, bool) {
	for _, u := range sizeUnits()[:4] {
		if n != 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name, true
		}
	}
	return strconv.FormatInt(n, 10), false
}
