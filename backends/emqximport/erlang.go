package emqximport

import (
	"fmt"
	"strings"
)

// term is one Erlang term: an atom, a text, a list or a tuple.
type term struct {
	kind  termKind
	text  string
	items []term
	line  int
}

type termKind uint8

const (
	atom termKind = iota
	str
	list
	tuple
)

// maxDepth keeps brackets within brackets from filling the stack.
const maxDepth = 20

// scanner reads terms.
type scanner struct {
	rest string
	line int
}

// space skips blanks and comments.
func (s *scanner) space() {
	for s.rest != "" {
		switch c := s.rest[0]; {
		case c == '\n':
			s.line++
			s.rest = s.rest[1:]
		case c == ' ' || c == '\t' || c == '\r':
			s.rest = s.rest[1:]
		case c == '%':
			end := strings.IndexByte(s.rest, '\n')
			if end < 0 {
				end = len(s.rest)
			}
			s.rest = s.rest[end:]
		default:
			return
		}
	}
}

// term reads one.
func (s *scanner) term(depth int) (t term, err error) {
	s.space()
	t.line = s.line
	if s.rest == "" {
		return t, fmt.Errorf("it ends too soon")
	}
	if depth > maxDepth {
		return t, fmt.Errorf("there are too many brackets within brackets")
	}
	switch c := s.rest[0]; {
	case c == '{':
		t.kind = tuple
		t.items, err = s.items('}', depth)
	case c == '[':
		t.kind = list
		t.items, err = s.items(']', depth)
	case c == '"':
		t.kind = str
		t.text, err = s.quoted('"')
	case c == '\'':
		t.text, err = s.quoted('\'')
	default:
		t.text, err = s.word()
	}
	return t, err
}

func (s *scanner) items(end byte, depth int) (items []term, err error) {
	s.rest = s.rest[1:]
	for {
		if s.space(); s.rest != "" && s.rest[0] == end && len(items) == 0 {
			break
		}
		t, err := s.term(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, t)
		s.space()
		if s.rest == "" {
			return nil, fmt.Errorf("it ends too soon")
		}
		if s.rest[0] == end {
			break
		}
		if s.rest[0] != ',' {
			return nil, fmt.Errorf("%q stands where a comma or %q is wanted", s.rest[0], end)
		}
		s.rest = s.rest[1:]
	}
	s.rest = s.rest[1:]
	return items, nil
}

func (s *scanner) quoted(end byte) (string, error) {
	var b strings.Builder
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == end:
			s.rest = s.rest[i+1:]
			return b.String(), nil
		case c == '\\' && i+1 < len(s.rest):
			i++
			b.WriteByte(s.rest[i])
		case c == '\n':
			return "", fmt.Errorf("a text has no end in its line")
		default:
			b.WriteByte(c)
		}
	}
	return "", fmt.Errorf("a text has no end")
}

// word reads an atom or a number.
func (s *scanner) word() (string, error) {
	end := strings.IndexFunc(s.rest, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '@')
	})
	if end < 0 {
		end = len(s.rest)
	}
	if end == 0 {
		return "", fmt.Errorf("%q cannot be read", s.rest[0])
	}
	word := s.rest[:end]
	s.rest = s.rest[end:]
	return word, nil
}

// dot reads what ends a term, and skips to it: whole says that nothing else stood there.
func (s *scanner) dot() (whole bool) {
	s.space()
	if strings.HasPrefix(s.rest, ".") {
		s.rest = s.rest[1:]
		return true
	}
	for s.rest != "" {
		row, rest, _ := strings.Cut(s.rest, "\n")
		s.rest = rest
		s.line++
		if strings.HasSuffix(strings.TrimSpace(row), ".") {
			break
		}
	}
	return false
}
