package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/fairlead-iot/fairlead"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/devices/loop"
	"github.com/fairlead-iot/fairlead/internal/config"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// The exit codes. They are part of what the command promises.
const (
	exitOK        = 0
	exitFailure   = 1
	exitUsage     = 2
	exitConnect   = 3
	exitRefused   = 4
	exitTimeout   = 5
	exitListen    = 6
	exitDirectory = 7
	exitVerdict   = 8
)

// exits is what the help says of them.
func exits() []string {
	return []string{
		exitOK:        "done",
		exitFailure:   "something else went wrong",
		exitUsage:     "the arguments or the configuration are wrong",
		exitConnect:   "no connection came about, or it was lost",
		exitRefused:   "the server refused: credentials, access rules, limits",
		exitTimeout:   "the time given by --timeout was over too soon",
		exitListen:    "an address cannot be listened on (it is in use, …)",
		exitDirectory: "the data directory cannot be used (in use, unreadable, full, newer, …)",
		exitVerdict:   "a fleet ran, and what its scenario expects of the broker does not hold",
	}
}

func exitHelp() string {
	var b strings.Builder
	b.WriteString("Exit codes:\n")
	for code, what := range exits() {
		fmt.Fprintf(&b, "  %d  %s\n", code, what)
	}
	return b.String()
}

// usageError says that the command line is wrong.
type usageError struct{ error }

// Unwrap gives the cause.
func (e usageError) Unwrap() error { return e.error }

// hinted is an error with advice.
type hinted struct {
	error
	hints []string
}

// Unwrap gives the cause.
func (e hinted) Unwrap() error { return e.error }

func hint(err error, hints ...string) error { return hinted{err, hints} }

func usagef(format string, a ...any) error { return usageError{fmt.Errorf(format, a...)} }

// errTimeout says that --timeout is over and --count was not reached.
var errTimeout = errors.New("the time is over")

// exitCode is how the command ends after err.
func exitCode(err error) int {
	var usage usageError
	var faults config.Faults
	var gateway *fairlead.Error
	var refused *devices.ReasonError
	var wrong wrongPassword
	var malformed *packet.Error
	var dial *devices.DialError
	var fleetDial *loop.DialError
	switch {
	case err == nil, brokenPipe(err), errors.Is(err, context.Canceled):
		return exitOK
	case errors.As(err, &usage), errors.As(err, &faults):
		return exitUsage
	case errors.Is(err, errTimeout):
		return exitTimeout
	case errors.Is(err, errVerdict):
		return exitVerdict
	case errors.As(err, &gateway):
		return stageCode(gateway.Stage)
	case errors.As(err, &refused) && passing(refused.Code):
		return exitConnect
	case errors.As(err, &refused), errors.As(err, &wrong):
		return exitRefused
	case errors.As(err, &dial), errors.As(err, &fleetDial), errors.Is(err, devices.ErrLost), errors.Is(err, devices.ErrNoAnswer):
		return exitConnect
	case errors.As(err, &malformed):
		return exitUsage // the codec does not let it be said
	}
	return exitFailure
}

// passing tells whether a server's no is about its own state, and not about what
// was asked of it.
func passing(code packet.ReasonCode) bool {
	switch code {
	case packet.ReasonServerUnavailable, packet.ReasonServerBusy, packet.ReasonServerShuttingDown, packet.ReasonKeepAliveTimeout:
		return true
	}
	return false
}

func stageCode(s fairlead.Stage) int {
	switch s {
	case fairlead.StageConfig:
		return exitUsage
	case fairlead.StageStore:
		return exitDirectory
	case fairlead.StageListen:
		return exitListen
	}
	return exitFailure
}

// brokenPipe: who read our output has left, which is its right.
func brokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }

// tell writes an error for people.
func (t *terminal) tell(err error) {
	if err == nil || brokenPipe(err) || errors.Is(err, context.Canceled) {
		return
	}
	for _, line := range explain(err) {
		fmt.Fprintln(t.err, "fairlead: "+line)
	}
}

// explain turns an error into lines "error: …" and "hint: …".
func explain(err error) []string {
	var lines []string
	var faults config.Faults
	if errors.As(err, &faults) {
		for _, f := range faults {
			hint := f.Hint
			f.Hint = ""
			lines = append(lines, "error: "+f.String())
			if hint != "" {
				lines = append(lines, "hint: "+hint)
			}
		}
		return lines
	}
	for line := range strings.Lines(err.Error()) {
		lines = append(lines, explainLine(strings.TrimSpace(line))...)
	}
	var advice hinted
	if errors.As(err, &advice) {
		for _, h := range advice.hints {
			lines = append(lines, "hint: "+h)
		}
	}
	return lines
}

// explainLine parts one line at its semicolons: our errors say first what is
// wrong and then what to do. Names of packages mean nothing to a user.
func explainLine(line string) []string {
	for _, name := range [...]string{"protocols: ", "mqtt: ", "pebble: ", "admin: ", "passwd: ", "acl: ", "core: ", "fairlead: "} {
		line = strings.TrimPrefix(line, name)
	}
	what, rest, _ := strings.Cut(line, "; ")
	lines := []string{"error: " + what}
	for part := range strings.SplitSeq(rest, "; ") {
		if part != "" {
			lines = append(lines, "hint: "+part)
		}
	}
	return lines
}
