package pebble

import (
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fairlead-iot/fairlead/core"
)

// item is a batch on its way.
type item struct {
	b     *core.Batch
	done  func(error)
	bytes int64
	err   error // why it fails alone
}

// Commit implements core.Store. An error means that nothing was taken: done is
// not called.
func (s *Store) Commit(b *core.Batch, done func(error)) error {
	size := batchSize(b)
	s.mu.Lock()
	if s.refusal != nil {
		err := s.refusal
		s.mu.Unlock()
		return err
	}
	// A batch that is larger than the bound passes when it is alone.
	if s.bytes > 0 && s.bytes+size > s.cfg.MaxPendingBytes {
		s.mu.Unlock()
		return core.ErrStoreBusy
	}
	first := s.head == len(s.pending)
	before := s.ops
	s.pending = append(s.pending, item{b: b, done: done, bytes: size})
	s.ops += len(b.Ops)
	s.bytes += size
	full := before < s.cfg.CommitOperations && s.ops >= s.cfg.CommitOperations
	s.mu.Unlock()
	if first || full {
		poke(s.wake)
	}
	return nil
}

// batchSize estimates what b holds in memory and will write, in bytes. A message
// that follows itself is counted once, as it is stored once.
func batchSize(b *core.Batch) int64 {
	const perOp = 64
	size := int64(len(b.Ops)+1) * perOp
	var last *core.Message
	for i := range b.Ops {
		op := &b.Ops[i]
		m := op.Entry.Msg
		if m == nil {
			m = op.Msg
		}
		if m == nil && op.Delayed != nil {
			m = op.Delayed.Msg
		}
		if m != nil && m != last {
			size += int64(m.Length())
			last = m
		}
	}
	return size
}

// poke signals without waiting; one signal that is not yet taken is enough.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// group is what is written at once.
type group struct {
	number uint64
	items  []item
	bytes  int64
	h      *handle
	out    *pebble.Batch
	wrote  bool // something went to the log
}

// maxFlight is how many groups may wait for their fsync: the log syncs all that
// were written meanwhile at once, so a few suffice.
const maxFlight = 16

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
			poke(s.idle)
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
		if it.err == nil {
			it.err = err
		}
		if it.err != nil {
			failed++
		}
		if it.done != nil {
			it.done(it.err)
		}
	}
	if g.wrote && err == nil && s.cfg.Sync {
		s.flight.confirmed.Store(g.number)
	}
	s.figures.failed.Add(failed)
	s.figures.batches.Add(uint64(len(g.items)) - failed)
	s.mu.Lock()
	s.bytes -= g.bytes
	s.mu.Unlock()
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
	most := s.cfg.MemtableSize / 4
	s.mu.Lock()
	defer s.mu.Unlock()
	rest, n, ops := s.pending[s.head:], 0, 0
	for n < len(rest) {
		it := &rest[n]
		if n > 0 && (ops+len(it.b.Ops) > s.cfg.CommitOperations || g.bytes+it.bytes > most) {
			break
		}
		ops += len(it.b.Ops)
		g.bytes += it.bytes
		n++
	}
	g.items = append(g.items, rest[:n]...)
	clear(rest[:n])
	s.ops -= ops
	if s.head += n; s.head > len(s.pending)/2 {
		// Moving what is left costs less than what was taken: the list does not
		// grow, and its length does not make a group dearer.
		left := copy(s.pending, s.pending[s.head:])
		clear(s.pending[left:])
		s.pending, s.head = s.pending[:left], 0
		const roomy = 1 << 16
		if left == 0 && cap(s.pending) > roomy {
			s.pending = nil // a rare burst must not keep its memory
		}
	}
	return n < len(rest)
}

// refuse makes Commit answer err from here on. The store's end is for good.
func (s *Store) refuse(err error) {
	s.mu.Lock()
	if s.refusal != core.ErrStoreClosed {
		s.refusal = err
	}
	s.mu.Unlock()
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
	for s.flight.count.Load() > 0 && !s.full() {
		select {
		case <-s.wake:
		case <-s.idle:
		case <-c.timer.C:
			return
		case <-s.stop:
			return
		}
	}
}

func (s *Store) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ops >= s.cfg.CommitOperations
}

func newStoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}
