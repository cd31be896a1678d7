package coretest

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/fairlead-iot/fairlead/core"
)

// runStoreProperty plays random batches into the store and the model, closes and
// opens now and then, and compares all of it.
func runStoreProperty(t *testing.T, open func(t *testing.T, dir string) core.Store) {
	root := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		dir, err := freshDir(root)
		if err != nil {
			t.Fatal(err)
		}
		p := &player{r: r, reopen: func() core.Store { return open(t, dir) }}
		p.generator = newGenerator(func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(r, what) })
		p.store = p.reopen()
		defer func() { p.store.Close() }()
		if _, err := readAll(p.store); err != nil {
			r.Fatal(err)
		}
		for range 1 + p.roll(8, "rounds") {
			p.round()
		}
	})
}

// player is one run of the property test.
type player struct {
	*generator
	r      *rapid.T
	store  core.Store
	reopen func() core.Store
}

// round commits a few batches at once, or starts the store anew.
func (p *player) round() {
	if p.roll(6, "restart") == 0 {
		p.restart()
		return
	}
	n := 1 + p.roll(6, "batches")
	results := make(chan error, n)
	wants := make([]error, n)
	for i := range n {
		batch := p.batch()
		wants[i] = p.model.apply(batch)
		if err := p.store.Commit(batch, func(err error) { results <- err }); err != nil {
			p.r.Fatalf("Commit: %v", err)
		}
	}
	for i, want := range wants {
		if err := <-results; !errors.Is(err, want) {
			p.r.Fatalf("batch %d of the round: %v, want %v", i, err, want)
		}
	}
	for _, id := range keys(p.model.sessions) {
		p.compareQueue(id)
	}
}

func (p *player) compareQueue(id string) {
	got, err := fetchAll(p.store, id, 0, 1+p.roll(5, "window"))
	if err != nil {
		p.r.Fatal(err)
	}
	want := p.model.sessions[id].entries()
	if len(got) != len(want) {
		p.r.Fatalf("session %q has %d entries, want %d", id, len(got), len(want))
	}
	for i := range got {
		if !sameEntry(got[i], want[i]) {
			p.r.Fatalf("session %q: got %s, want %s", id, describeEntry(got[i]), describeEntry(want[i]))
		}
	}
}

func (p *player) restart() {
	if err := p.store.Close(); err != nil {
		p.r.Fatalf("Close: %v", err)
	}
	p.store = p.reopen()
	d, err := readAll(p.store)
	if err != nil {
		p.r.Fatal(err)
	}
	if diff := d.diff(p.model); diff != "" {
		p.r.Fatalf("after a restart:\n%s", diff)
	}
	p.resume(d)
}
