package pebble_test

import (
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// memoryDisk is a disk in memory that forgets what was not synced.
type memoryDisk struct {
	fs  *vfs.MemFS
	rng *rand.Rand
}

func (d memoryDisk) Open(t *testing.T) core.Store {
	cfg := small("/data/fairlead")
	cfg.FS = d.fs
	cfg.MemtableSize = 256 << 10
	return open(t, cfg)
}

func (d memoryDisk) Crash() coretest.Disk {
	kept := 0
	if d.rng.IntN(2) == 0 {
		kept = d.rng.IntN(101)
	}
	return memoryDisk{fs: d.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: kept, RNG: d.rng}), rng: d.rng}
}

func newMemoryDisk(_ *testing.T, seed uint64) coretest.Disk {
	return memoryDisk{fs: vfs.NewCrashableMem(), rng: rand.New(rand.NewPCG(seed, 2))}
}

func TestCrash(t *testing.T) {
	runs := 20
	if testing.Short() {
		runs = 5
	}
	coretest.RunStoreCrash(t, runs, newMemoryDisk)
}

var powerLosses = flag.Int("power", 54, "how often the power fails under a whole gateway in TestGatewayCrash")

// Core and this store together lose the power.
func TestGatewayCrash(t *testing.T) {
	n := *powerLosses
	if testing.Short() {
		n = 18
	}
	coretest.RunGatewayCrash(t, n, newMemoryDisk)
}
