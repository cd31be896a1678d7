package passwd

import (
	"fmt"
	"strings"
)

// maxFaults bounds how many faults of one file are told.
const maxFaults = 100

// Fault is one thing wrong with a file of users.
type Fault struct {
	File    string
	Line    int    // from 1; 0 when the whole file is meant
	Problem string // what is wrong and what to do; never a part of a hash
}

// Error gives the fault on one line: file:line: problem.
func (f Fault) Error() string {
	if f.Line == 0 {
		return f.File + ": " + f.Problem
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Problem)
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
