package aclfile

import (
	"fmt"
	"strings"
)

// maxFaults bounds how many faults of one file are told.
const maxFaults = 100

// Fault is one thing wrong with a file of rules.
type Fault struct {
	File    string
	Line    int    // from 1; 0 when the whole file is meant
	Column  int    // of the word's first byte, from 1
	Word    string // the offending word, "" when a word is missing
	Problem string
	Hint    string // what was probably meant, or what to do; may be ""
}

// Error gives the fault on one line: file:line:column: "word": problem; hint.
func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	if f.Word != "" {
		fmt.Fprintf(&b, ": %.60q", f.Word)
	}
	b.WriteString(": " + f.Problem)
	if f.Hint != "" {
		b.WriteString("; " + f.Hint)
	}
	return b.String()
}

// Faults is what is wrong with a file, in the order of its lines, at most 100.
type Faults []Fault

// Error gives one fault a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}
