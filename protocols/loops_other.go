//go:build !linux

package protocols

import "log/slog"

// newLoops: event loops exist on Linux only; elsewhere the pump carries all.
func newLoops(*Config, gateway, *slog.Logger, *tally) (engine, error) { return nil, nil }
