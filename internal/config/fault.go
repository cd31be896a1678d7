package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Fault is one thing wrong with the configuration.
type Fault struct {
	Where   string // "fairlead.toml:3:7", "FAIRLEAD_CORE_MAX_QUEUED", "--set core.max_queued"
	Key     string // the dotted key, "" when the whole file is meant
	Problem string // what is wrong, one line
	Hint    string // what to do, "" when nothing better is known

	layer, row, col int    // order of printing
	meant           string // the key that an unknown one was probably meant to be
}

// String is the fault on one line: where: key: problem; hint.
func (f Fault) String() string {
	var b strings.Builder
	for _, part := range []string{f.Where, f.Key} {
		if part != "" {
			b.WriteString(part)
			b.WriteString(": ")
		}
	}
	b.WriteString(f.Problem)
	if f.Hint != "" {
		b.WriteString("; ")
		b.WriteString(f.Hint)
	}
	return b.String()
}

// Faults is the error that Load returns: all faults, the file's first, in the
// order of its rows.
type Faults []Fault

// maxFaults bounds what is collected: who loads the wrong file need not read
// all of it. maxLines bounds what is shown.
const (
	maxFaults = 1000
	maxLines  = 50
)

// Error gives one fault a line, the first 50.
func (fs Faults) Error() string {
	var lines []string
	for i, f := range fs {
		if i == maxLines {
			lines = append(lines, "and "+strconv.Itoa(len(fs)-i)+" more")
			break
		}
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

// The layers in the order in which their faults are printed.
const (
	layerFile = iota
	layerEnv
	layerSet
	layerValidate
)

// place is where a key or a value was written.
type place struct {
	layer    int
	source   string // file name, variable, or "--set key"
	row, col int    // from 1, columns in bytes; 0 outside of files
}

func (p place) String() string {
	if p.row == 0 {
		return p.source
	}
	return p.source + ":" + strconv.Itoa(p.row) + ":" + strconv.Itoa(p.col)
}

func (p place) fault(key, problem, hint string) Fault {
	return Fault{Where: p.String(), Key: key, Problem: problem, Hint: hint, layer: p.layer, row: p.row, col: p.col}
}

func sortFaults(faults []Fault) {
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.layer, b.layer), cmp.Compare(a.row, b.row), cmp.Compare(a.col, b.col))
	})
}

// quote shows a text from the file in a fault, shortened: what is wrong is
// seen at its beginning, and a fault stays one line.
func quote(text string) string {
	const most = 60
	if len(text) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return strconv.Quote(text)
}

// join appends one part to a dotted key, quoted where TOML would ask for it.
func join(path, part string) string {
	if !bareKey(part) {
		part = strconv.Quote(part)
	}
	if path == "" {
		return part
	}
	return path + "." + part
}

func bareKey(part string) bool {
	if part == "" {
		return false
	}
	for i := range len(part) {
		c := part[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
