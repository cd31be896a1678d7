package pebble

import (
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fairlead-iot/fairlead/backends/image"
	"github.com/fairlead-iot/fairlead/core"
)

// Commit implements core.Store. An error means that nothing was taken: done is
// not called.
func (s *Store) Commit(b *core.Batch, done func(error)) error { return s.inbox.Add(b, done) }

// group is what is written at once.
type group struct {
	number uint64
	items  []image.Item
	bytes  int64
	h      *handle
	out    *pebble.Batch
	wrote  bool // something went to the log
}

// maxFlight is how many groups may wait for their fsync: the log syncs all that
// were written meanwhile at once, so a few suffice.
const maxFlight = 16

// maxGroup is how many bytes a group has, unless one batch has more: the database uses the
// memory of a batch of 1 MiB again, and leaves that of larger ones as garbage.
const maxGroup = 1<<20 - 64<<10

// flight is what lies between committer and finisher.
type flight struct {
	groups chan *group
	count  atomic.Int32 // groups written and not yet finished
	free   chan *group

	confirmed atomic.Uint64 // number of the last group whose batches were confirmed

	held   []*group // of unknown fate; the finisher's, and the committer's while count is 0
	landed chan struct{}
}

func (f *flight) init() {
	f.groups = make(chan *group, maxFlight)
	f.free = make(chan *group, maxFlight+2)
	f.landed = make(chan struct{})
}

// finish waits for the fsync of each group in order and calls its done functions.
func (s *Store) finish() {
	defer close(s.flight.landed)
	for g := range s.flight.groups {
		if g.wrote && s.cfg.Sync {
			if err := g.out.SyncWait(); err != nil {
				g.h.fence.condemn(err)
			}
		}
		// Once one group's fate is unknown, later ones wait behind it: done is
		// called in the order of commits.
		if len(s.flight.held) > 0 || g.h.fence.reason() != nil {
			s.flight.held = append(s.flight.held, g)
		} else {
			s.complete(g, nil)
		}
		if s.flight.count.Add(-1) == 0 {
			image.Poke(s.idle)
		}
	}
}

// complete calls the done functions of g; err is for the batches that did not
// fail by themselves.
func (s *Store) complete(g *group, err error) {
	if g.wrote && err == nil {
		s.figures.commits.Add(1)
	}
	failed := uint64(0)
	for i := range g.items {
		it := &g.items[i]
		if it.Err == nil {
			it.Err = err
		}
		if it.Err != nil {
			failed++
		}
		if it.Done != nil {
			it.Done(it.Err)
		}
	}
	if g.wrote && err == nil && s.cfg.Sync {
		s.flight.confirmed.Store(g.number)
	}
	s.figures.failed.Add(failed)
	s.figures.batches.Add(uint64(len(g.items)) - failed)
	s.inbox.Answered(g.bytes)
	s.recycle(g)
}

// recycle gives g back for another group.
func (s *Store) recycle(g *group) {
	if g.out != nil && g.h.fence.reason() == nil {
		_ = g.out.Close() // a batch that was applied closes without a fault
	}
	clear(g.items)
	*g = group{items: g.items[:0]}
	select {
	case s.flight.free <- g:
	default:
	}
}

func (s *Store) newGroup() *group {
	select {
	case g := <-s.flight.free:
		return g
	default:
		return &group{}
	}
}

// take moves pending batches into a group, as many as fit; more says that some
// are left.
func (s *Store) take(g *group) (more bool) {
	var bytes int64
	g.items, bytes, more = s.inbox.Take(g.items, min(s.cfg.MemtableSize/4, maxGroup))
	g.bytes += bytes
	return more
}

// gather waits until the next group should be closed: at once when nothing is
// under way, else when it is full, when it gathered for CommitDelay, or when
// the group before it is on disk.
func (c *committer) gather() {
	s := c.s
	if s.cfg.CommitDelay == 0 || s.flight.count.Load() == 0 {
		return
	}
	c.timer.Reset(s.cfg.CommitDelay)
	defer c.timer.Stop()
	for s.flight.count.Load() > 0 && !s.inbox.Full() {
		select {
		case <-s.inbox.Wake():
		case <-s.idle:
		case <-c.timer.C:
			return
		case <-s.stop:
			return
		}
	}
}

func newStoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}
