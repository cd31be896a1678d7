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

// committer is the goroutine that writes.
type committer struct {
	s       *Store
	build   image.Builder
	out     writer
	number  uint64 // of the last group
	begun   bool   // number was read from the disk
	scratch []byte
	timer   *time.Timer
}

// run is the committer's loop; it ends once Close asked for it and everything
// that was taken is answered.
func (s *Store) run() {
	defer close(s.ended)
	c := &committer{s: s, timer: newStoppedTimer()}
	go s.finish()
	for {
		select {
		case <-s.inbox.Wake():
			c.gather()
			c.commitAll()
		case <-s.broken:
			c.recover()
		case <-s.idle:
		case <-s.stop:
			c.commitAll()
			close(s.flight.groups)
			<-s.flight.landed
			c.farewell()
			c.abandon()
			return
		}
	}
}

// commitAll writes what is pending, group after group.
func (c *committer) commitAll() {
	for c.s.inbox.Waiting() {
		if c.s.current.Load().fence.reason() != nil && !c.recover() {
			return
		}
		g := c.s.newGroup()
		if more := c.s.take(g); len(g.items) > 0 {
			c.write(g)
			if more {
				c.gather()
			}
		}
	}
}

// write puts g into the log and hands it to the finisher, which waits for the
// fsync.
func (c *committer) write(g *group) {
	s := c.s
	g.h = s.current.Load()
	if err := c.turn(g); err != nil {
		for i := range g.items {
			g.items[i].Err = err
		}
	} else if !g.out.Empty() {
		c.stamp(g)
		s.apply(g)
	}
	s.flight.count.Add(1)
	s.flight.groups <- g
}

// turn turns g's batches into g.out. Each batch fails alone; an error means that
// nothing can be built at all.
func (c *committer) turn(g *group) error {
	t, err := c.s.tableReady(context.Background())
	if err != nil {
		return err
	}
	if err := c.count(g.h); err != nil {
		return err
	}
	tight := c.s.space()
	g.out = g.h.db.NewBatchWithSize(int(g.bytes)) // it does not grow: what it grows out of is garbage
	c.begin(t, g.h.db, g.out)
	for i := range g.items {
		it := &g.items[i]
		if tight != nil && grows(it.Batch) {
			it.Err = tight
			continue
		}
		it.Err = c.build.Add(it.Batch)
	}
	c.s.measure(t)
	return nil
}

// begin starts a group that is written to out, for db.
func (c *committer) begin(t *image.Image, db *pebble.DB, out *pebble.Batch) {
	c.out.db, c.out.out = db, out
	c.build.Begin(t, &c.out)
}

// put writes the number of the group.
func (c *committer) put(s stamp) {
	c.scratch = appendStamp(c.scratch[:0], s)
	c.build.Put(groupKey(), c.scratch)
}

// grows says whether b needs space that it does not give back.
func grows(b *core.Batch) bool {
	for i := range b.Ops {
		switch op := &b.Ops[i]; op.Kind {
		case core.OpEnqueue, core.OpPutSubscription, core.OpPutRetained, core.OpPutReceived, core.OpPutDelayed, core.OpPutRegistration, core.OpPutAttachment:
			return true
		case core.OpPutSession:
			if op.Expect == 0 {
				return true
			}
		}
	}
	return false
}

// count finds out once where the numbering of groups stands.
func (c *committer) count(h *handle) error {
	if c.begun {
		return nil
	}
	n, err := c.s.lastGroup(h.db)
	if err != nil {
		return err
	}
	c.number, c.begun = n, true
	return nil
}

// lastGroup reads the number of the last group that was stored.
func (s *Store) lastGroup(db *pebble.DB) (uint64, error) {
	value, closer, err := db.Get(groupKey())
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if pebble.IsCorruptionError(err) {
		s.fault(groupKey(), err)
		return uint64(time.Now().UnixMicro()), nil // beyond any that was counted up
	}
	if err != nil {
		return 0, fmt.Errorf("pebble: read the number of the last group: %w", err)
	}
	defer closer.Close()
	last, err := readStamp(value)
	if err != nil {
		s.fault(groupKey(), err)
		return uint64(time.Now().UnixMicro()), nil // beyond any that was counted up
	}
	return last.number, nil
}

// stamp gives g its number, in the same write.
func (c *committer) stamp(g *group) {
	c.number++
	g.number = c.number
	c.put(stamp{number: g.number, confirmed: c.s.flight.confirmed.Load()})
}

// farewell proves in the log that all groups were confirmed, when the store is
// closed in good health.
func (c *committer) farewell() {
	h := c.s.current.Load()
	if c.number == 0 || !c.s.cfg.Sync || h.fence.reason() != nil {
		return
	}
	out := h.db.NewBatch()
	c.begin(nil, h.db, out)
	c.put(stamp{number: c.number, confirmed: c.number})
	if err := h.db.Apply(out, pebble.Sync); err != nil {
		h.fence.condemn(err)
	}
}

// apply writes g to the log and the memtable. It may wait for a flush when
// memtables are full. What fails shows in the handle's fence.
func (s *Store) apply(g *group) {
	defer func() {
		s.applying.Store(false)
		if p := recover(); p != nil {
			g.h.fence.condemn(fmt.Errorf("panic: %v", p))
		}
	}()
	s.applying.Store(true)
	g.wrote = true
	var err error
	if s.cfg.Sync {
		err = g.h.db.ApplyNoSyncWait(g.out, pebble.Sync)
	} else {
		err = g.h.db.Apply(g.out, pebble.NoSync)
	}
	if err != nil {
		g.h.fence.condemn(err)
	}
}
