package packet

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

// naiveUTF8 says what the two statements say, a character at a time.
func naiveUTF8(b []byte) *Error {
	null := false
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			return errUTF8
		}
		null = null || r == 0
		b = b[n:]
	}
	if null {
		return errNull
	}
	return nil
}

// agree holds the fast checks against the naive ones.
func agree(t *testing.T, b []byte) {
	t.Helper()
	if got, want := checkUTF8(b), naiveUTF8(b); got != want {
		t.Errorf("checkUTF8(%q) = %v, want %v", b, got, want)
	}
	if ValidUTF8(b) != (naiveUTF8(b) == nil) {
		t.Errorf("ValidUTF8(%q) differs from checkUTF8", b)
	}
	if got, want := hasWildcard(b), bytes.ContainsAny(b, "+#"); got != want {
		t.Errorf("hasWildcard(%q) = %t", b, got)
	}
}

// One byte of every value at every place of strings around the eight-byte stride.
func TestStringChecks(t *testing.T) {
	for size := range 26 {
		for at := range size {
			b := bytes.Repeat([]byte("a"), size)
			for c := range 256 {
				b[at] = byte(c)
				agree(t, b)
			}
		}
	}
	for _, s := range []string{"", "ä", "日本語のトピック", "a/ä/\x00", "\ufeff", "\U0010ffff", "\xed\x9f\xbf", "\xed\xa0\x80",
		"\xf4\x90\x80\x80", "\xc0\x80", "abcdefg\xc3", "abcdefg\xc3\xa4bcdefg"} {
		agree(t, []byte(s))
	}
}

func FuzzStrings(f *testing.F) {
	f.Add([]byte("a/ä/+/\x00"))
	f.Fuzz(agree)
}
