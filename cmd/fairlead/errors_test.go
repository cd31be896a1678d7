package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/fairlead-iot/fairlead"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/internal/config"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

func TestExitCodes(t *testing.T) {
	refused := func(c packet.ReasonCode) error { return &devices.ReasonError{Op: "publish", Code: c} }
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"nothing", nil, exitOK},
		{"a signal", context.Canceled, exitOK},
		{"a reader that left", fmt.Errorf("write: %w", syscall.EPIPE), exitOK},
		{"anything", errors.New("x"), exitFailure},
		{"arguments", usagef("x"), exitUsage},
		{"arguments with advice", hint(usagef("x"), "y"), exitUsage},
		{"configuration", config.Faults{{Problem: "x"}}, exitUsage},
		{"configuration at New", &fairlead.Error{Stage: fairlead.StageConfig, Err: errors.New("x")}, exitUsage},
		{"data directory", &fairlead.Error{Stage: fairlead.StageStore, Err: errors.New("x")}, exitDirectory},
		{"address", &fairlead.Error{Stage: fairlead.StageListen, Err: errors.New("x")}, exitListen},
		{"while serving", &fairlead.Error{Stage: fairlead.StageServe, Err: errors.New("x")}, exitFailure},
		{"no connection", &devices.DialError{Err: syscall.ECONNREFUSED}, exitConnect},
		{"credentials", &devices.DialError{Err: refused(packet.ReasonBadUserNameOrPassword)}, exitRefused},
		{"server goes", refused(packet.ReasonServerShuttingDown), exitConnect},
		{"not authorised", refused(packet.ReasonNotAuthorized), exitRefused},
		{"lost", fmt.Errorf("x: %w", devices.ErrLost), exitConnect},
		{"time", fmt.Errorf("%w: %w", errTimeout, context.DeadlineExceeded), exitTimeout},
		{"time while connecting", fmt.Errorf("%w: %w", errTimeout, &devices.DialError{}), exitTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := exitCode(tt.err); got != tt.want {
				t.Errorf("exit code %d, want %d", got, tt.want)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want []string
	}{
		{"one line", errors.New("protocols: it is so; do this; or that"), []string{"error: it is so", "hint: do this", "hint: or that"}},
		{"many lines", errors.Join(errors.New("a"), errors.New("pebble: b; c")), []string{"error: a", "error: b", "hint: c"}},
		{"advice", hint(errors.New("a"), "b", "c"), []string{"error: a", "hint: b", "hint: c"}},
		{"faults", config.Faults{{Where: "f:1:2", Key: "k", Problem: "p", Hint: "h"}, {Problem: "q"}}, []string{"error: f:1:2: k: p", "hint: h", "error: q"}},
		{"an address in brackets", errors.New("mqtt://[::1]:1: x"), []string{"error: mqtt://[::1]:1: x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := explain(tt.err); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestEveryExitCodeIsExplained: the help has a line for each.
func TestEveryExitCodeIsExplained(t *testing.T) {
	for code, what := range exits() {
		if what == "" {
			t.Errorf("exit code %d is not explained", code)
		}
	}
}
