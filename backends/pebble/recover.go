package pebble

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fairlead-iot/fairlead/backends/image"
	"github.com/fairlead-iot/fairlead/core"
)

// Pauses between attempts to open a failed database anew.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Second
)

// quietPatience is how long one attempt waits for operations of the condemned
// handle that are still inside the operating system.
const quietPatience = time.Second

// unstickAfter is how long a write may still hang in a condemned handle before
// its waiting background work is let go, at the price of reading from it.
const unstickAfter = time.Second

// onFault is called once when the disk fails below a handle, from anywhere in
// pebble: it only notes and signals.
func (s *Store) onFault(why error) {
	s.inbox.Refuse(describeFailure("writing to "+s.dir.path+" failed, it is tried again", why))
	image.Poke(s.broken)
	h := s.current.Load()
	time.AfterFunc(unstickAfter, func() {
		if h != nil && h.fence.reason() != nil && s.applying.Load() {
			h.fence.drain()
		}
	})
}

// recover opens the database anew after its handle was condemned, until that
// works; false when Close came first. On return the fate of every group is known.
func (c *committer) recover() bool {
	s := c.s
	old := s.current.Load()
	why := old.fence.reason()
	if why == nil {
		return true
	}
	s.log.Error("the store cannot write; it takes nothing until it can", "directory", s.dir.path, "err", why)
	c.land()
	pause := firstRetry
	for {
		err := c.reopen(old)
		if err == nil {
			s.log.Info("the store writes again", "directory", s.dir.path)
			return true
		}
		s.inbox.Refuse(describeFailure("the store cannot be opened again, it is tried on", err))
		s.log.Warn("the store cannot be opened again yet", "err", err, "next", pause)
		c.timer.Reset(pause)
		select {
		case <-c.timer.C:
		case <-s.stop:
			c.timer.Stop()
			return false
		}
		pause = min(2*pause, lastRetry)
	}
}

// land waits until the finisher has nothing left, so that held is the
// committer's.
func (c *committer) land() {
	for c.s.flight.count.Load() > 0 {
		<-c.s.idle
	}
}

// reopen opens the database once and, if it can be read, puts it in old's place.
func (c *committer) reopen(old *handle) error {
	s := c.s
	// What the condemned handle had under way must have ended before its files
	// are read.
	if !old.fence.quiet(quietPatience) {
		return errors.New("an earlier operation still hangs in the disk")
	}
	h, err := openHandle(&s.cfg, s.dir, s.log, s.onFault)
	if err != nil {
		return err
	}
	t, err := s.scanAll(context.Background(), h.db, nil)
	stored := uint64(0)
	if err == nil {
		stored, err = s.lastGroup(h.db)
	}
	if err == nil {
		err = c.probe(h, stored)
	}
	if err != nil {
		h.retire()
		<-h.closed
		return err
	}
	s.tables.image.Store(t)
	s.measure(t)
	s.current.Store(h)
	old.retire()
	c.resolve(stored)
	s.inbox.Refuse(nil)
	image.Poke(s.inbox.Wake())
	return nil
}

// probe writes to the log of a fresh handle and syncs it: opening alone does not
// show that the log can be written.
func (c *committer) probe(h *handle, stored uint64) error {
	out := h.db.NewBatch()
	c.begin(nil, h.db, out)
	c.put(stamp{number: stored, confirmed: stored})
	if err := h.db.Apply(out, pebble.Sync); err != nil {
		h.fence.condemn(err)
	}
	return h.fence.reason()
}

// resolve settles the groups of unknown fate: those up to stored are on disk, the
// others are put before what is pending, to be committed again.
func (c *committer) resolve(stored uint64) {
	s := c.s
	var again []image.Item
	for _, g := range s.flight.held {
		if len(again) == 0 && (!g.wrote || g.number <= stored) {
			s.complete(g, nil)
			continue
		}
		for _, it := range g.items {
			it.Err = nil
			again = append(again, it)
		}
	}
	s.flight.held = nil
	c.number = max(c.number, stored)
	s.inbox.Return(again)
}

// abandon answers what cannot be committed any more because the store closes
// while the disk fails. It is called with the finisher gone.
func (c *committer) abandon() {
	s := c.s
	why := s.current.Load().fence.reason()
	if why == nil {
		why = core.ErrStoreClosed
	}
	unknown := fmt.Errorf("pebble: closed while the disk failed, the batch may or may not have been kept: %w", errors.Join(core.ErrStoreClosed, why))
	for _, g := range s.flight.held {
		s.complete(g, unknown)
	}
	s.flight.held = nil
	g := &group{h: s.current.Load()}
	for s.take(g) {
	}
	if len(g.items) > 0 {
		s.complete(g, fmt.Errorf("pebble: closed while the disk failed, nothing of the batch was kept: %w", errors.Join(core.ErrStoreClosed, why)))
	}
}

// closePatience is how long Close waits for a step that hangs on the disk before
// it cuts the disk off.
const closePatience = 5 * time.Second

// wind ends the goroutines and closes what is open.
func (s *Store) wind() error {
	if !await(s.ended, closePatience) {
		s.current.Load().fence.condemn(errors.New("the disk did not answer while the store closed"))
		s.current.Load().fence.drain()
		if !await(s.ended, closePatience) {
			return errors.Join(errors.New("pebble: close: the disk does not answer"), s.dir.close())
		}
	}
	h := s.current.Load()
	h.retire()
	var err error
	if await(h.closed, closePatience) {
		err = h.err
	} else {
		err = errors.New("pebble: close: a reader is still at work, or the disk does not answer")
	}
	return errors.Join(err, s.dir.close())
}

func await(done <-chan struct{}, patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
