package packet

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// Masks to test eight bytes at once.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// zeroByte has a high bit set somewhere if one of the eight bytes of x is zero.
func zeroByte(x uint64) uint64 { return (x - ones) &^ x & highs }

// ValidUTF8 reports whether b may stand in an MQTT string: well-formed UTF-8 without surrogates and without
// U+0000. [MQTT-1.5.4-1] [MQTT-1.5.4-2]
func ValidUTF8(b []byte) bool { return checkUTF8(b) == nil }

// checkUTF8 says which of the two rules b breaks. A byte order mark is a character like others. [MQTT-1.5.4-3]
func checkUTF8(b []byte) *Error {
	for len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b)
		if (x|zeroByte(x))&highs != 0 {
			return slowUTF8(b)
		}
		b = b[8:]
	}
	for _, c := range b {
		if c == 0 || c >= 0x80 {
			return slowUTF8(b)
		}
	}
	return nil
}

// slowUTF8 takes over at a word with a byte that is not plain ASCII.
func slowUTF8(b []byte) *Error {
	if !utf8.Valid(b) { // also refuses surrogates and over-long forms [MQTT-1.5.4-1]
		return errUTF8
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return errNull // [MQTT-1.5.4-2]
	}
	return nil
}

// hasWildcard reports whether b holds a '+' or '#'.
func hasWildcard(b []byte) bool {
	for len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b)
		if zeroByte(x^(ones*'+'))|zeroByte(x^(ones*'#')) != 0 {
			return true
		}
		b = b[8:]
	}
	for _, c := range b {
		if c == '+' || c == '#' {
			return true
		}
	}
	return false
}
