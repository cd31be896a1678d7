package coretest

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// Disk is what a store lies on when a crash can be simulated.
type Disk interface {
	// Open opens the store that lies on the disk.
	Open(t *testing.T) core.Store
	// Crash gives the disk as a loss of power at this instant would leave it:
	// everything that was synced, and as much of the rest as chance wills. A
	// store that is open goes on with the disk that it has.
	Crash() Disk
}

// RunStoreCrash lets the power fail under a store at random points, again and
// again on what the last failure left. After each one everything whose done said
// nil must be there, and the content must be that of the first k batches for some
// k: nothing is half there, and nothing is out of order. The seed of a failing
// run is in its name.
func RunStoreCrash(t *testing.T, runs int, fresh func(t *testing.T, seed uint64) Disk) {
	for range runs {
		seed := rand.Uint64()
		t.Run(seedName(seed), func(t *testing.T) { crashRun(t, seed, fresh(t, seed)) })
	}
}

// RunStoreCrashSeed repeats one run of RunStoreCrash.
func RunStoreCrashSeed(t *testing.T, seed uint64, fresh func(t *testing.T, seed uint64) Disk) {
	crashRun(t, seed, fresh(t, seed))
}

func seedName(seed uint64) string {
	const digits = "0123456789abcdef"
	name := make([]byte, 16)
	for i := range name {
		name[i] = digits[seed>>(60-4*i)&15]
	}
	return "seed 0x" + string(name)
}

func crashRun(t *testing.T, seed uint64, disk Disk) {
	rng := rand.New(rand.NewPCG(seed, 1))
	g := newGenerator(func(n int, _ string) int { return rng.IntN(n) })
	const crashes = 5
	for range crashes {
		s := disk.Open(t)
		d, err := readAll(s)
		if err != nil {
			t.Fatal(err)
		}
		if diff := d.diff(g.model); diff != "" {
			t.Fatalf("what a crash left changed by a start:\n%s", diff)
		}
		g.resume(d)
		disk = crashOnce(t, rng, g, s, disk)
	}
}

// crashOnce commits until the power fails, and finds what is left.
func crashOnce(t *testing.T, rng *rand.Rand, g *generator, s core.Store, disk Disk) Disk {
	history := []*model{g.model.clone()}
	var confirmed atomic.Int64 // batches whose done was called
	for range 1 + rng.IntN(100) {
		b := g.batch()
		_ = g.model.apply(b) // a conflict changes nothing, here as there
		history = append(history, g.model.clone())
		if err := s.Commit(b, func(error) { confirmed.Add(1) }); err != nil {
			t.Fatalf("Commit: %v", err)
		}
		if rng.IntN(4) == 0 {
			waitFor(t, &confirmed, int64(rng.IntN(len(history))))
		}
	}
	low := int(confirmed.Load())
	after := disk.Crash()
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	left := after.Open(t)
	d, err := readAll(left)
	if err != nil {
		t.Fatalf("after a crash: %v", err)
	}
	found := -1
	for k := len(history) - 1; k >= 0 && found < 0; k-- {
		if d.diff(history[k]) == "" {
			found = k
		}
	}
	if found < low {
		t.Fatalf("%d of %d batches were confirmed, but the store holds the state after %d; against the confirmed state:\n%s",
			low, len(history)-1, found, d.diff(history[low]))
	}
	if err := left.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	g.model = history[found]
	return after
}

// waitFor waits until n batches are confirmed.
func waitFor(t *testing.T, confirmed *atomic.Int64, n int64) {
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Microsecond)
	defer tick.Stop()
	for confirmed.Load() < n {
		if <-tick.C; time.Now().After(deadline) {
			t.Fatalf("%d batches were confirmed within %s, want %d", confirmed.Load(), patience, n)
		}
	}
}
