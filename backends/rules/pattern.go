package rules

import (
	"strings"
	"unicode/utf8"

	"github.com/fairlead-iot/fairlead/core/topic"
)

// Prefix is what every topic that filter matches begins with. exact says that filter has
// no wildcard, so that it matches this one topic only.
func Prefix(filter string) (prefix string, exact bool) {
	n := strings.IndexAny(filter, "+#")
	if n < 0 {
		return filter, true
	}
	if filter[n] == '#' {
		n-- // [MQTT-4.7.1-2]: the level before it, too
	}
	return filter[:max(n, 0)], false
}

// Above is the least text that is greater than every text that begins with prefix, in the
// order of code points, which is that of the bytes. ok is false when there is none.
func Above(prefix string) (text string, ok bool) {
	for prefix != "" {
		r, n := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-n]
		switch {
		case r == 0xD7FF:
			return prefix + "\uE000", true // surrogates are no text
		case r != utf8.MaxRune && (r != utf8.RuneError || n == 3):
			return prefix + string(r+1), true
		}
	}
	return "", false
}

// Pattern is a regular expression for just the topics that filter matches, as databases
// read it: end stands for the end of the text. No letter of filter has a meaning of its
// own in it.
func Pattern(filter, end string) string {
	var b strings.Builder
	b.WriteByte('^')
	if strings.HasPrefix(filter, "+") || strings.HasPrefix(filter, "#") {
		b.WriteString(`(?!\$)`) // [MQTT-4.7.2-1]
	}
	for i, level := range strings.Split(filter, "/") {
		if level == "#" {
			if i > 0 {
				b.WriteString("(/|" + end + ")")
			}
			return b.String()
		}
		if i > 0 {
			b.WriteByte('/')
		}
		if level == "+" {
			b.WriteString("[^/]*")
		} else {
			quote(&b, level)
		}
	}
	b.WriteString(end)
	return b.String()
}

// quote writes text so that it means itself.
func quote(b *strings.Builder, text string) {
	for i := range len(text) {
		if strings.IndexByte(`\.+*?()|[]{}^$-/&~#`, text[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
}

// Matching keeps of ms what filter matches: where the database's own comparison is
// coarser.
func Matching(filter string, ms []Message) []Message {
	kept := ms[:0]
	for i := range ms {
		if topic.Match(filter, ms[i].Topic) {
			kept = append(kept, ms[i])
		}
	}
	return kept
}
