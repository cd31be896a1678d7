package coretest

import (
	"context"
	"sync"

	"github.com/fairlead-iot/fairlead/core"
)

// crashStep is a moment between receiving and acknowledging at which the power
// may fail. Core touches the disk through its Store alone, so that these are all.
type crashStep string

const (
	crashAnyTime      crashStep = "at any time"                    // between two of the clients' packets
	crashBeforeCommit crashStep = "before a commit is handed over" // received and routed, not given to the store
	crashAfterCommit  crashStep = "after a commit was handed over" // in the store's queue or on its way to the log
	crashBeforeDone   crashStep = "after the fsync, before done"   // kept, and nobody knows
	crashAfterDone    crashStep = "after done"                     // the acknowledgement is on its way
	crashMidGroup     crashStep = "between two dones"              // one batch is acknowledged, the next not yet
	crashBeforeFetch  crashStep = "before a queue is read"
	crashAfterFetch   crashStep = "after a queue was read" // redelivery is on its way
	crashLoading      crashStep = "while sessions are loaded"
)

func crashSteps() []crashStep {
	return []crashStep{crashAnyTime, crashBeforeCommit, crashAfterCommit, crashBeforeDone, crashAfterDone,
		crashMidGroup, crashBeforeFetch, crashAfterFetch, crashLoading}
}

// crashPoint is a store whose machine loses its power at a step. From that moment
// on nothing of it is heard any more.
type crashPoint struct {
	core.Store
	disk Disk
	gone chan struct{} // closed when the power fails

	mu    sync.Mutex
	step  crashStep // "" for none
	left  int       // times that the step is passed before the power fails
	after Disk      // what the failure left; nil while there is power
	dones int       // in all
}

// pass comes by a step; dead says that there is no power from here on.
func (c *crashPoint) pass(step crashStep) (dead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.after == nil && step == c.step {
		if c.left--; c.left < 0 {
			c.fall()
		}
	}
	return c.after != nil
}

// leftover gives the disk after the failure, nil before it.
func (c *crashPoint) leftover() Disk {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.after
}

// cut lets the power fail now.
func (c *crashPoint) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.after == nil {
		c.fall()
	}
}

func (c *crashPoint) fall() {
	c.after = c.disk.Crash()
	close(c.gone)
}

// arm lets the power fail once step was passed more than times.
func (c *crashPoint) arm(step crashStep, times int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step, c.left = step, times
}

// Commit implements core.Store.
func (c *crashPoint) Commit(b *core.Batch, done func(error)) error {
	if c.pass(crashBeforeCommit) {
		return nil // taken by nobody, and nobody is told
	}
	err := c.Store.Commit(b, func(err error) {
		if c.pass(crashBeforeDone) || c.again() && c.pass(crashMidGroup) {
			return
		}
		if done != nil {
			done(err)
		}
		c.pass(crashAfterDone)
	})
	c.pass(crashAfterCommit)
	return err
}

// again says whether a done has come before, every other time.
func (c *crashPoint) again() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dones++
	return c.dones%2 == 0
}

// Fetch implements core.Store.
func (c *crashPoint) Fetch(ctx context.Context, clientID string, from uint64, max, maxBytes int, dst []core.QueuedMessage) ([]core.QueuedMessage, error) {
	if c.pass(crashBeforeFetch) {
		return dst, core.ErrStoreClosed
	}
	got, err := c.Store.Fetch(ctx, clientID, from, max, maxBytes, dst)
	if c.pass(crashAfterFetch) {
		return dst, core.ErrStoreClosed
	}
	return got, err
}

// Load implements core.Store.
func (c *crashPoint) Load(ctx context.Context, to core.Loader) error {
	return c.Store.Load(ctx, crashLoader{to, c})
}

type crashLoader struct {
	core.Loader
	c *crashPoint
}

// Session implements core.Loader.
func (l crashLoader) Session(r core.SessionRecord) error {
	if l.c.pass(crashLoading) {
		return core.ErrStoreClosed
	}
	return l.Loader.Session(r)
}
