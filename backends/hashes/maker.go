package hashes

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// maxSlots bounds the memory of hashes under way: 8 × 19 MiB as we write them, 8
// × 64 MiB with the most that may be asked for. Half of the processors stay with those
// who are in already, whoever guesses.
const maxSlots = 8

// ErrBusy is what an error wraps when nobody was free to make a hash in time.
var ErrBusy = errors.New("no processor was free to check the password in time")

func busy(err error) error { return fmt.Errorf("%w: %w", ErrBusy, err) }

// Maker makes hashes, a bounded number at once. Safe for concurrent use.
type Maker struct {
	workers *Workers
	slots   chan struct{} // one for each hash under way
}

// NewMaker makes a Maker that has its hashes made by workers, which may be those of other
// Makers, too, and stay the caller's. With nil it makes them in this process.
func NewMaker(workers *Workers) *Maker {
	return &Maker{workers: workers, slots: make(chan struct{}, min(max(1, runtime.GOMAXPROCS(0)/2), maxSlots))}
}

// Make gives the hash that r makes of a password; it is the caller's. It blocks until one
// of half as many slots as there are processors (at most 8) is free, at most until ctx
// ends, and then for the work. An error wraps ErrBusy and ctx's, or is one of Request.Hash.
func (m *Maker) Make(ctx context.Context, r *Request, password []byte) ([]byte, error) {
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil { // nobody waits any more
		return nil, busy(err)
	}
	if m.workers == nil {
		return makeHere(r, password)
	}
	return m.workers.make(ctx, r, password)
}
