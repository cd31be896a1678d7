package topic

import "strings"

// Filter is a valid Topic Filter, its prefixes stripped.
type Filter string

// ParseFilter checks s as a plain Topic Filter: a prefix in it is taken as
// ordinary text. The Filter shares the bytes of s.
func (l Limits) ParseFilter(s string) (Filter, error) {
	if err := l.checkText(s); err != nil {
		return "", err
	}
	for rest, more := s, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		switch {
		case level == "+": // [MQTT-4.7.1-2]
		case level == "#" && !more: // [MQTT-4.7.1-1]
		case strings.ContainsAny(level, "+#"):
			return "", ErrWildcardPosition
		}
	}
	return Filter(s), nil
}

// Wildcard reports whether f holds a wildcard, so that it can match more than
// the one Topic Name that equals it.
func (f Filter) Wildcard() bool { return strings.ContainsAny(string(f), "+#") }
