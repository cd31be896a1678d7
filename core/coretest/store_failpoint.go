package coretest

import (
	"context"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// Failure is how a gateway dies at one operation of its store.
type Failure string

// The ways to die. What a client can know of a dead gateway is what it was told
// before, and what the store holds: these are all that can be told apart, wherever in
// the code the process ends.
const (
	NotKept       Failure = "handed over and not kept, while the gateway goes on for a moment"
	KeptUntold    Failure = "kept, and nobody is told"
	ToldPublisher Failure = "kept, and only the publisher is told"
	ToldReceivers Failure = "kept, and only the receivers are told"
	ToldAll       Failure = "kept, and everybody is told"
	NotFetched    Failure = "before a queue is read"
	FetchedUnsent Failure = "after a queue was read, before it is sent"
	NotLoaded     Failure = "while the store is loaded"
)

// FailPoint is a store that kills its gateway at one operation. For bubbles of
// testing/synctest.
type FailPoint struct {
	core.Store
	At      int     // counted from 1, among the operations that How is about; 0 for never
	How     Failure // of Commit, Fetch or Load
	Kill    func(told Failure)
	mu      sync.Mutex
	commits int
	fetches int
	loaded  int
	dead    bool
	ops     []core.OpKind
}

// Dead says whether the gateway was killed.
func (f *FailPoint) Dead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// End makes the gateway dead, if it is not: nothing more of it is kept.
func (f *FailPoint) End() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
}

// Passed is how many commits, fetches and loaded records there were.
func (f *FailPoint) Passed() (commits, fetches, loaded int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commits, f.fetches, f.loaded
}

// Ops are the operations of the commit at which the gateway died.
func (f *FailPoint) Ops() []core.OpKind {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// die counts one operation; first says that it is the one, dead that it is too late.
func (f *FailPoint) die(count *int, about ...Failure) (first, dead bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*count++
	if f.dead {
		return false, true
	}
	for _, how := range about {
		first = first || f.How == how && f.At == *count
	}
	f.dead = first
	return first, false
}

// Commit implements core.Store.
func (f *FailPoint) Commit(b *core.Batch, done func(error)) error {
	first, dead := f.die(&f.commits, NotKept, KeptUntold, ToldPublisher, ToldReceivers, ToldAll)
	switch {
	case dead:
		f.Kill(KeptUntold)
		return nil // nobody is told
	case !first:
		return f.Store.Commit(b, done)
	}
	f.mu.Lock()
	for i := range b.Ops {
		f.ops = append(f.ops, b.Ops[i].Kind)
	}
	f.mu.Unlock()
	switch f.How {
	case NotKept:
		// Until nothing moves any more, whoever was answered too soon hears it.
		time.AfterFunc(time.Millisecond, func() { f.Kill(NotKept) })
		return nil
	case KeptUntold:
		f.Kill(f.How)
		return f.Store.Commit(b, func(error) {})
	}
	f.Kill(f.How) // some hear what is done with done, and the rest when the next operation comes
	return f.Store.Commit(b, done)
}

// Fetch implements core.Store.
func (f *FailPoint) Fetch(ctx context.Context, id string, from uint64, max, maxBytes int, dst []core.QueuedMessage) ([]core.QueuedMessage, error) {
	first, dead := f.die(&f.fetches, NotFetched, FetchedUnsent)
	if first || dead {
		f.Kill(KeptUntold)
	}
	if dead || first && f.How == NotFetched {
		return dst, core.ErrStoreClosed
	}
	return f.Store.Fetch(ctx, id, from, max, maxBytes, dst)
}

// Load implements core.Store.
func (f *FailPoint) Load(ctx context.Context, to core.Loader) error {
	return f.Store.Load(ctx, failLoader{to, f})
}

type failLoader struct {
	core.Loader
	f *FailPoint
}

// Session implements core.Loader.
func (l failLoader) Session(r core.SessionRecord) error {
	if first, dead := l.f.die(&l.f.loaded, NotLoaded); first || dead {
		return core.ErrStoreClosed
	}
	return l.Loader.Session(r)
}
