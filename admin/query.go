package admin

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// known refuses parameters that nobody reads: a misspelt filter must not look
// like one that matched everything.
func known(q url.Values, names ...string) error {
	for name, values := range q {
		if !slices.Contains(names, name) {
			return badRequest(fmt.Sprintf("unknown parameter %q", name), "known are "+strings.Join(names, ", "))
		}
		if len(values) > 1 {
			return badRequest(fmt.Sprintf("parameter %q is given twice", name), "")
		}
	}
	return nil
}

// number reads a parameter from 1 to most; def when it is absent.
func number(q url.Values, name string, def, most int) (int, error) {
	text := q.Get(name)
	if text == "" {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, badRequest(fmt.Sprintf("%s=%q must be a number from 1 to %d", name, text, most), "")
	}
	return n, nil
}

// flag reads true or false; nil when it is absent.
func flag(q url.Values, name string) (*bool, error) {
	switch text := q.Get(name); text {
	case "":
		return nil, nil
	case "true", "false":
		v := text == "true"
		return &v, nil
	default:
		return nil, badRequest(fmt.Sprintf("%s=%q must be true or false", name, text), "")
	}
}

// moment reads a point in time as Unix milliseconds: RFC 3339, or how long ago.
func moment(q url.Values, name string, now time.Time) (int64, error) {
	text := q.Get(name)
	if text == "" {
		return 0, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago).UnixMilli(), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, badRequest(fmt.Sprintf("%s=%q is no time", name, text), "write 10m for ten minutes ago, or 2026-01-31T12:00:00Z")
	}
	return at.UnixMilli(), nil
}
