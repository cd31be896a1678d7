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
	last := len(s) - 1
	for i := range len(s) {
		c := s[i]
		if c != '+' && c != '#' {
			continue
		}
		ends := i == last || c == '+' && s[i+1] == '/' // [MQTT-4.7.1-1] [MQTT-4.7.1-2]
		if !ends || i > 0 && s[i-1] != '/' {
			return "", ErrWildcardPosition
		}
	}
	return Filter(s), nil
}

// Wildcard reports whether f holds a wildcard, so that it can match more than
// the one Topic Name that equals it.
func (f Filter) Wildcard() bool {
	return strings.IndexByte(string(f), '+') >= 0 || strings.IndexByte(string(f), '#') >= 0
}
