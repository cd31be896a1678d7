package topic

import "strings"

// MaxDelay is the longest delay in seconds that $delayed/ takes: what 2^32
// milliseconds can hold.
const MaxDelay = 4294967

const delayedPrefix = "$delayed/"

// ParseDelayed reads $delayed/SECONDS/TOPIC under the default limits. ok tells
// whether name carries the prefix at all; if it does, err tells what is wrong
// with it. rest is the name to publish to, taken literally: a second $delayed/
// in it has no meaning.
func ParseDelayed(name string) (seconds uint32, rest Name, ok bool, err error) {
	return Limits{}.ParseDelayed(name)
}

// ParseDelayed is the function of that name under the limits l.
func (l Limits) ParseDelayed(name string) (seconds uint32, rest Name, ok bool, err error) {
	text, ok := strings.CutPrefix(name, delayedPrefix)
	if !ok {
		return 0, "", false, nil
	}
	digits, text, slash := strings.Cut(text, "/")
	seconds, err = parseDelay(digits)
	if !slash {
		err = ErrDelay
	}
	if err != nil {
		return 0, "", true, err
	}
	if rest, err = l.ParseName(text); err != nil {
		return 0, "", true, err
	}
	return seconds, rest, true, nil
}

// parseDelay reads decimal digits, no sign and no other character.
func parseDelay(digits string) (uint32, error) {
	if digits == "" {
		return 0, ErrDelay
	}
	n := uint32(0)
	for i := range len(digits) {
		c := digits[i]
		if c < '0' || c > '9' {
			return 0, ErrDelay
		}
		n = min(n*10+uint32(c-'0'), MaxDelay+1) // no overflow, however long
	}
	if n > MaxDelay {
		return 0, ErrDelayTooLong
	}
	return n, nil
}
