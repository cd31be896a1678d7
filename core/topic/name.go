package topic

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// MaxLength is the most bytes the specification lets a topic have.
//
// [MQTT-4.7.3-3]
const MaxLength = 65535

// Bounds used where Limits leaves a field at zero: deeper and longer topics
// than any fleet needs, short enough that one of them costs little.
const (
	DefaultLevels = 128
	DefaultLength = 4096
)

// Limits bounds the topics a gateway accepts. A field that is zero (or below)
// stands for its default; Length never exceeds MaxLength.
type Limits struct {
	Levels int // most levels of a name or filter
	Length int // most bytes, prefixes included
}

// length returns the bound in bytes.
func (l Limits) length() int {
	if l.Length <= 0 {
		return DefaultLength
	}
	return min(l.Length, MaxLength)
}

// levels returns the bound in levels.
func (l Limits) levels() int {
	if l.Levels <= 0 {
		return DefaultLevels
	}
	return l.Levels
}

// Name is a valid Topic Name.
type Name string

// ParseName checks s as a Topic Name under the default limits. The Name shares
// the bytes of s.
func ParseName(s string) (Name, error) { return Limits{}.ParseName(s) }

// ValidateName checks b as a Topic Name under the default limits, without
// allocating or keeping b. It returns one of this package's errors.
func ValidateName(b []byte) error { return Limits{}.ValidateName(b) }

// ParseName checks s as a Topic Name. The Name shares the bytes of s.
func (l Limits) ParseName(s string) (Name, error) {
	if err := l.checkText(s); err != nil {
		return "", err
	}
	// [MQTT-4.7.0-1] wildcards never stand in a Topic Name.
	if strings.IndexByte(s, '+') >= 0 || strings.IndexByte(s, '#') >= 0 {
		return "", ErrWildcard
	}
	return Name(s), nil
}

// ValidateName checks b as a Topic Name without allocating or keeping b.
func (l Limits) ValidateName(b []byte) error {
	switch {
	case len(b) == 0:
		return ErrEmpty // [MQTT-4.7.3-1]
	case len(b) > l.length():
		return ErrTooLong // [MQTT-4.7.3-3]
	case bytes.IndexByte(b, 0) >= 0:
		return ErrNull // [MQTT-4.7.3-2]
	case !utf8.Valid(b):
		return ErrUTF8 // [MQTT-1.5.4-1]
	case bytes.Count(b, []byte{'/'}) >= l.levels():
		return ErrTooManyLevels
	case bytes.IndexByte(b, '+') >= 0, bytes.IndexByte(b, '#') >= 0:
		return ErrWildcard // [MQTT-4.7.0-1]
	}
	return nil
}

// checkText checks what names and filters have in common.
func (l Limits) checkText(s string) error {
	switch {
	case len(s) == 0:
		return ErrEmpty // [MQTT-4.7.3-1]
	case len(s) > l.length():
		return ErrTooLong // [MQTT-4.7.3-3]
	case strings.IndexByte(s, 0) >= 0:
		return ErrNull // [MQTT-4.7.3-2]
	case !utf8.ValidString(s):
		return ErrUTF8 // [MQTT-1.5.4-1]
	case strings.Count(s, "/") >= l.levels():
		return ErrTooManyLevels
	}
	return nil
}
