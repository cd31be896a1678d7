package pebble_test

import (
	"testing"

	"github.com/fairlead-iot/fairlead/backends/pebble"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// small is a configuration for tests: little memory, so that flushes and
// compactions take part.
func small(dir string) pebble.Config {
	cfg := pebble.DefaultConfig()
	cfg.Path = dir
	cfg.MemtableSize = 1 << 20
	cfg.CacheSize = 1 << 20
	cfg.MinFreeBytes = 0
	cfg.MaxPendingBytes = 8 << 20
	return cfg
}

func open(t *testing.T, cfg pebble.Config) *pebble.Store {
	t.Helper()
	s, err := pebble.Open(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	coretest.RunStore(t, func(t *testing.T, dir string) core.Store { return open(t, small(dir)) })
}
