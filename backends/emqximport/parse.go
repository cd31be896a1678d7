package emqximport

import (
	"strings"
	"unicode/utf8"
)

// entry is one line KEY = VALUE.
type entry struct {
	file, key, value string
	line             int
}

// parse cuts a file into its settings; of a key that stands there twice the last counts,
// as in EMQ X.
func parse(f File) (entries []entry, notes []Note) {
	text := strings.TrimPrefix(string(f.Text), "\ufeff")
	seen := map[string]int{}
	line := 0
	for row := range strings.Lines(text) {
		line++
		e, why := parseLine(row)
		e.file, e.line = f.Name, line
		switch {
		case why != "":
			notes = append(notes, e.note(why, "write KEY = VALUE, or begin the line with #"))
			continue
		case e.key == "":
			continue
		}
		if at, twice := seen[e.key]; twice {
			notes = append(notes, entries[at].note("stands there again below, where it counts", "give each rule a number of its own, and each setting one line"))
			entries[at].key = ""
		}
		seen[e.key] = len(entries)
		entries = append(entries, e)
	}
	kept := entries[:0]
	for _, e := range entries {
		if e.key != "" {
			kept = append(kept, e)
		}
	}
	return kept, notes
}

// parseLine reads one line; no key: it says nothing. why is what is wrong with it.
func parseLine(row string) (e entry, why string) {
	row = strings.TrimSpace(row)
	if row == "" || row[0] == '#' {
		return e, ""
	}
	if !utf8.ValidString(row) {
		return e, "the line is not UTF-8"
	}
	key, value, found := strings.Cut(row, "=")
	if key = strings.TrimSpace(key); !found || key == "" || strings.ContainsAny(key, " \t") {
		return e, "the line is no KEY = VALUE"
	}
	value = strings.TrimSpace(value)
	if !strings.HasPrefix(value, "{") { // # is part of rules
		value = withoutComment(value)
	}
	return entry{key: key, value: value}, ""
}

// withoutComment takes away what follows a # with a blank before it.
func withoutComment(value string) string {
	for i := range len(value) {
		if value[i] == '#' && (i == 0 || value[i-1] == ' ' || value[i-1] == '\t') {
			return strings.TrimSpace(value[:i])
		}
	}
	return value
}
