package aclfile

import (
	"strings"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// pattern is one topic of a rule, made so that a question needs no expanded
// text: a level with %c or %u stands as '+' in filter, and what that level must
// be is compared piece by piece. As a value never holds '/', '+' or '#', this
// is the same as matching the expanded filter (pattern_test.go checks it).
type pattern struct {
	filter string
	// head is what each topic and each filter that is meant begins with: most
	// rules are about other topics, and are passed over by this comparison.
	head string
	// literal: eq with a wildcard; only the same text as a subscription is
	// meant. (eq without a wildcard is an ordinary filter.)
	literal bool
	slots   []slot
}

// slot is a level that holds placeholders.
type slot struct {
	level  int // from 0
	pieces []piece
}

// piece is a part of such a level.
type piece struct {
	kind byte // 'c', 'u', or 0 for text
	text string
}

func (p *piece) value(id *core.Identity) string {
	switch p.kind {
	case 'c':
		return id.ClientID
	case 'u':
		return id.Username
	}
	return p.text
}

// newPattern compiles a valid filter.
func newPattern(filter string, literal bool) pattern {
	if literal {
		return pattern{filter: filter, literal: strings.ContainsAny(filter, "+#")}
	}
	var p pattern
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		if pieces := cutPieces(level); pieces != nil {
			p.slots = append(p.slots, slot{level: i, pieces: pieces})
			levels[i] = "+"
		}
	}
	p.filter = strings.Join(levels, "/")
	p.head = headOf(p.filter)
	return p
}

// headOf is the text before the first wildcard. "a/#" means "a" as well.
func headOf(filter string) string {
	i := strings.IndexAny(filter, "+#")
	switch {
	case i < 0:
		return filter
	case i > 0 && filter[i] == '#':
		i--
	}
	return filter[:i]
}

// cutPieces cuts a level at its placeholders; nil if it has none.
func cutPieces(level string) []piece {
	var pieces []piece
	for {
		i := strings.IndexByte(level, '%')
		for i >= 0 && !placeholder(level[i:]) {
			next := strings.IndexByte(level[i+1:], '%')
			if next < 0 {
				i = -1
				break
			}
			i += 1 + next
		}
		if i < 0 {
			break
		}
		if i > 0 {
			pieces = append(pieces, piece{text: level[:i]})
		}
		pieces = append(pieces, piece{kind: level[i+1]})
		level = level[i+2:]
	}
	if pieces != nil && level != "" {
		pieces = append(pieces, piece{text: level})
	}
	return pieces
}

func placeholder(s string) bool {
	return strings.HasPrefix(s, "%c") || strings.HasPrefix(s, "%u")
}

// matches tells whether a Topic Name is meant.
func (p *pattern) matches(id *core.Identity, name string) bool {
	return strings.HasPrefix(name, p.head) && !p.literal && topic.Match(p.filter, name) && p.fits(id, name)
}

// covers tells whether every topic of a Topic Filter is meant, or for eq the
// filter itself.
func (p *pattern) covers(id *core.Identity, filter string) bool {
	if p.literal {
		return p.filter == filter
	}
	return strings.HasPrefix(filter, p.head) && topic.MatchFilter(p.filter, filter) && p.fits(id, filter)
}

// overlaps tells whether some topic of a Topic Filter is meant.
func (p *pattern) overlaps(id *core.Identity, filter string) bool {
	if p.literal || !topic.Overlaps(p.filter, filter) {
		return false
	}
	for i := range p.slots {
		s := &p.slots[i]
		level, ok := levelOf(filter, s.level)
		if ok && level != "+" && level != "#" {
			if !s.equals(id, level) {
				return false
			}
		} else if !s.usable(id) {
			return false
		}
	}
	return true
}

// fits tells whether the levels with placeholders are as they must be.
func (p *pattern) fits(id *core.Identity, text string) bool {
	for i := range p.slots {
		level, ok := levelOf(text, p.slots[i].level)
		if !ok || !p.slots[i].equals(id, level) {
			return false
		}
	}
	return true
}

// equals compares a level with the pieces in the client's values.
func (s *slot) equals(id *core.Identity, level string) bool {
	if !s.usable(id) {
		return false
	}
	for i := range s.pieces {
		rest, ok := strings.CutPrefix(level, s.pieces[i].value(id))
		if !ok {
			return false
		}
		level = rest
	}
	return level == ""
}

// usable tells whether the client's values may stand in a topic, by the rules
// of topic.Expand.
func (s *slot) usable(id *core.Identity) bool {
	for i := range s.pieces {
		p := &s.pieces[i]
		if p.kind == 0 {
			continue
		}
		v := p.value(id)
		if v == "" || strings.ContainsAny(v, "/+#") || s.level == 0 && i == 0 && v[0] == '$' {
			return false
		}
	}
	return true
}

// levelOf gives the level of that number, from 0; ok is false when there are
// fewer.
func levelOf(text string, n int) (level string, ok bool) {
	for ; n > 0; n-- {
		i := strings.IndexByte(text, '/')
		if i < 0 {
			return "", false
		}
		text = text[i+1:]
	}
	if i := strings.IndexByte(text, '/'); i >= 0 {
		text = text[:i]
	}
	return text, true
}
