package passwd

import (
	"bytes"
	"fmt"
	"strings"
)

// Bounds of a whole file: a million users need about 120 bytes each.
const (
	// MaxFile is the largest file in bytes.
	MaxFile = 256 << 20
	// MaxUsers is the most users a file may have.
	MaxUsers = 1_000_000
)

// line is one line of a file; user is "" for a comment.
type line struct {
	text  string // without its end
	end   string // "\n", "\r\n", or "" at the end of the file
	entry *Entry

	saltKey []byte // of a comment that holds the one for SCRAM, see withSaltKey
}

// Parse reads the users of a file; name is what faults call it. The error is a
// Faults that lists all there are (at most 100); then no users are returned.
func Parse(name string, content []byte) ([]Entry, error) {
	entries, _, err := parse(name, content)
	return entries, err
}

// parse is Parse with the key for the salts of unknown users, nil if there is none.
func parse(name string, content []byte) (entries []Entry, key []byte, err error) {
	lines, err := parseLines(name, content)
	if err != nil {
		return nil, nil, err
	}
	for _, l := range lines {
		if l.entry != nil {
			entries = append(entries, *l.entry)
		}
	}
	return entries, saltKey(lines), nil
}

// parseLines reads a file so that it can be written again unchanged.
func parseLines(name string, content []byte) ([]line, error) {
	if len(content) > MaxFile {
		return nil, Faults{{File: name, Problem: fmt.Sprintf("has %d bytes, at most %d are read", len(content), MaxFile)}}
	}
	p := fileParser{name: name, seen: map[string]int{}}
	for raw := range bytes.Lines(content) {
		p.row++
		p.add(string(raw))
		if len(p.faults) == maxFaults {
			break
		}
	}
	if len(p.faults) > 0 {
		return nil, p.faults
	}
	return p.lines, nil
}

// fileParser gathers the lines and faults of one file.
type fileParser struct {
	name   string
	row    int
	lines  []line
	faults Faults
	seen   map[string]int // user → row
}

func (p *fileParser) add(raw string) {
	text := strings.TrimSuffix(raw, "\n")
	text = strings.TrimSuffix(text, "\r")
	l := line{text: text, end: raw[len(text):]}
	if strings.HasPrefix(text, saltKeyLine) {
		var err error
		if l.saltKey, err = parseSaltKey(text); err != nil {
			p.faults = append(p.faults, Fault{File: p.name, Line: p.row, Problem: err.Error()})
			return
		}
	}
	if strings.HasPrefix(text, "#") {
		p.lines = append(p.lines, l)
		return
	}
	entry, err := p.parse(text)
	if err != nil {
		p.faults = append(p.faults, Fault{File: p.name, Line: p.row, Problem: err.Error()})
		return
	}
	p.seen[entry.User] = p.row
	l.entry = &entry
	p.lines = append(p.lines, l)
}

func (p *fileParser) parse(text string) (Entry, error) {
	if len(text) > maxLine {
		return Entry{}, fmt.Errorf("the line has %d bytes, at most %d are allowed", len(text), maxLine)
	}
	entry, err := parseEntry(text)
	if err != nil {
		return Entry{}, err
	}
	if row := p.seen[entry.User]; row > 0 {
		return Entry{}, fmt.Errorf("user %q stands in line %d already; remove one of the two", entry.User, row)
	}
	if len(p.seen) == MaxUsers {
		return Entry{}, fmt.Errorf("more than %d users; keep them in a database", MaxUsers)
	}
	return entry, nil
}
