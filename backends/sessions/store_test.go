package sessions_test

import (
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

func TestStore(t *testing.T) {
	servers := map[string]*server{} // by directory: the suite opens one again
	coretest.RunStore(t, func(t *testing.T, dir string) core.Store {
		if servers[dir] == nil {
			servers[dir] = newServer()
		}
		return open(t, servers[dir], "a")
	})
}

// memoryDisk is a server as a gateway's end leaves it: what it was sent last may come
// after all, or not.
type memoryDisk struct {
	v   *server
	rng *rand.Rand
}

func (d memoryDisk) Open(t *testing.T) core.Store { return open(t, d.v, "a") }

func (d memoryDisk) Crash() coretest.Disk { return memoryDisk{d.v.clone(d.rng), d.rng} }

func newMemoryDisk(_ *testing.T, seed uint64) coretest.Disk {
	return memoryDisk{newServer(), rand.New(rand.NewPCG(seed, 2))}
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
