package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// The exit codes; doc.go tells them.
const (
	exitMeasured = iota
	exitFailed
	exitUsage
	exitFaulty
)

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }

// execute is the whole command.
func execute(args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	if err != nil {
		if !errors.Is(err, errUsage) {
			fmt.Fprintln(stderr, "loadgen:", err)
		}
		return exitUsage
	}
	result, err := perform(o)
	if err != nil && !errors.Is(err, errFaulty) {
		fmt.Fprintf(stderr, "loadgen: %s: %v\n", o.mode, err)
		return exitFailed
	}
	line, jsonErr := json.Marshal(result)
	if jsonErr == nil {
		_, jsonErr = fmt.Fprintf(stdout, "%s\n", line)
	}
	switch {
	case jsonErr != nil:
		fmt.Fprintln(stderr, "loadgen: write the report:", jsonErr)
		return exitFailed
	case err != nil:
		fmt.Fprintf(stderr, "loadgen: %s: %v\n", o.mode, err)
		return exitFaulty
	}
	return exitMeasured
}

// perform measures, and gives errFaulty beside the report where that shows faults.
func perform(o *options) (any, error) {
	r, err := newRun(o)
	if err != nil {
		return nil, err
	}
	if o.mode == modeIdle {
		return r.idle()
	}
	out, err := r.measure()
	if err == nil && out.any() {
		err = errFaulty
	}
	return out, err
}
