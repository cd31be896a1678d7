package aclfile

import "strings"

// word is one word of a line.
type word struct {
	text   string // quotes and escapes resolved
	column int    // of its first byte, from 1
	quoted bool   // never a keyword, a pattern or a mistake of habit
}

// is tells whether the word is that keyword.
func (w word) is(keyword string) bool { return !w.quoted && w.text == keyword }

// splitWords cuts a line at its blanks. ok is false when a quotation does not
// end, or goes on in the middle of a word; bad is the word then.
func splitWords(line string) (words []word, bad word, ok bool) {
	for i := 0; ; {
		for i < len(line) && blank(line[i]) {
			i++
		}
		if i == len(line) {
			return words, word{}, true
		}
		w := word{column: i + 1}
		if line[i] == '"' {
			w.quoted = true
			w.text, i, ok = unquote(line, i)
		} else {
			from := i
			for i < len(line) && !blank(line[i]) && line[i] != '"' {
				i++
			}
			w.text, ok = line[from:i], i == len(line) || blank(line[i])
		}
		if !ok {
			w.text = line[w.column-1:]
			return words, w, false
		}
		words = append(words, w)
	}
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// unquote reads the quotation that begins at line[i] and returns the place
// after it, where a blank or the end must be.
func unquote(line string, i int) (text string, next int, ok bool) {
	var b strings.Builder
	for i++; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			i++
			return b.String(), i, i == len(line) || blank(line[i])
		case c == '\\' && i+1 < len(line) && (line[i+1] == '"' || line[i+1] == '\\'):
			i++
			b.WriteByte(line[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", i, false
}
