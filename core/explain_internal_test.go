package core

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestRecordsKeepLittleOfLongTexts(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a/b", "a/b"},
		{strings.Repeat("x", maxRecordText), strings.Repeat("x", maxRecordText)},
		{strings.Repeat("x", 65535), strings.Repeat("x", maxRecordText-3) + "…"},
		{strings.Repeat("ü", 30000), strings.Repeat("ü", (maxRecordText-3)/2) + "…"},
		{strings.Repeat("\x80", 1000), "…"}, // not UTF-8 at all: nothing of it is shown
	} {
		got := clip(c.text)
		if got != c.want || len(got) > maxRecordText {
			t.Errorf("%d bytes became %q", len(c.text), got)
		}
		if utf8.ValidString(c.text) && !utf8.ValidString(got) {
			t.Errorf("%q is cut within a character", got)
		}
	}
}
