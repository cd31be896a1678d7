package sessions

import (
	"context"
	"errors"
	"fmt"

	"github.com/fairlead-iot/fairlead/backends/image"
	"github.com/fairlead-iot/fairlead/core"
)

// committer is the goroutine that writes.
type committer struct {
	s       *Store
	build   image.Builder
	out     writer
	stamp   stamp // of the last transaction
	items   []image.Item
	scratch []byte
}

// groupBytes is what a transaction holds, if its batches are not larger.
const groupBytes = 4 << 20

// run is the committer's loop; it ends once Close asked for it and everything that was
// taken is answered.
func (c *committer) run() {
	s := c.s
	defer close(s.ended)
	for {
		select {
		case <-s.inbox.Wake():
			c.commitAll()
		case <-s.stop:
			c.commitAll()
			c.abandon()
			return
		}
	}
}

// commitAll writes what waits, group after group.
func (c *committer) commitAll() {
	for c.s.inbox.Waiting() && c.s.usable() == nil && c.s.life.Err() == nil {
		items, bytes, _ := c.s.inbox.Take(c.items[:0], groupBytes)
		<-c.s.turn
		c.group(items)
		c.s.turn <- struct{}{}
		c.answer(items, bytes)
		clear(items)
		c.items = items[:0]
		const roomy = 1 << 16
		if cap(c.items) > roomy {
			c.items = nil // a rare burst must not keep its memory
		}
	}
}

// group writes items as one transaction, and sets the Err of those that failed. The caller
// holds the turn.
func (c *committer) group(items []image.Item) {
	im, err := c.image()
	if err != nil {
		fail(items, err)
		return
	}
	c.prepare(im, items)
	if len(c.out.writes) == 1 { // the stamp: nothing changed
		return
	}
	err = c.write()
	if err != nil && !errors.Is(err, ErrRefused) {
		err = c.settle(err)
	}
	switch {
	case err == nil:
		c.s.confirmed.Store(c.build.Group())
		c.s.figures.commits.Add(1)
		c.s.measure(im)
	case !errors.Is(err, ErrRefused):
		fail(items, err)
	default:
		c.refused(im, items, err)
	}
}

// image gives the image, by a scan where nobody has loaded yet.
func (c *committer) image() (im *image.Image, err error) {
	if im = c.s.image.Load(); im != nil {
		return im, nil
	}
	for im, err = c.s.scan(c.s.life, nil); err != nil; im, err = c.s.scan(c.s.life, nil) {
		if !c.suspend(err, lastRetry) {
			return nil, fmt.Errorf("nothing of the batch was kept: %w", errors.Join(core.ErrStoreClosed, err))
		}
	}
	c.s.inbox.Refuse(nil)
	c.s.image.Store(im)
	return im, nil
}

// prepare turns items into writes. Each batch fails alone.
func (c *committer) prepare(im *image.Image, items []image.Item) {
	c.s.inner.Lock()
	defer c.s.inner.Unlock()
	im.Remember()
	c.out.begin(im)
	c.build.Begin(im, &c.out)
	for i := range items {
		items[i].Err = c.build.Add(items[i].Batch)
	}
	c.putStamp()
}

// putStamp gives the transaction its number.
func (c *committer) putStamp() {
	c.stamp.number++
	c.scratch = appendStamp(c.scratch[:0], &c.stamp)
	c.build.Put(stampKey(), c.scratch)
}

func (c *committer) write() error {
	ctx, cancel := context.WithTimeout(c.s.life, answerPatience)
	defer cancel()
	return c.s.table.Write(ctx, c.out.writes)
}

// refused deals with a transaction that the database will never take: its batches are
// written one by one, and the one that it is about fails.
func (c *committer) refused(im *image.Image, items []image.Item, err error) {
	c.s.inner.Lock()
	im.Undo()
	c.s.inner.Unlock()
	if len(items) == 1 {
		items[0].Err = fmt.Errorf("store %s: %w", c.s.o.Engine, err)
		c.s.log.Error("the database refuses a change for good; it is not kept", "operations", len(items[0].Batch.Ops), "bytes", items[0].Bytes, "err", err)
		return
	}
	for i := range items {
		if over := c.s.usable(); over != nil {
			items[i].Err = over
			continue
		}
		c.group(items[i : i+1])
	}
}

func fail(items []image.Item, err error) {
	for i := range items {
		if items[i].Err == nil {
			items[i].Err = err
		}
	}
}

// answer calls the done functions of items.
func (c *committer) answer(items []image.Item, bytes int64) {
	failed := uint64(0)
	for i := range items {
		it := &items[i]
		if it.Err != nil {
			failed++
		}
		if it.Done != nil {
			it.Done(it.Err)
		}
	}
	c.s.figures.failed.Add(failed)
	c.s.figures.batches.Add(uint64(len(items)) - failed)
	c.s.inbox.Answered(bytes)
}

// abandon answers what cannot be written any more, as the store closes, or is another's.
func (c *committer) abandon() {
	why := c.s.usable()
	if why == nil {
		why = core.ErrStoreClosed
	}
	for c.s.inbox.Waiting() {
		items, bytes, _ := c.s.inbox.Take(nil, groupBytes)
		fail(items, fmt.Errorf("store %s: nothing of the batch was kept: %w", c.s.o.Engine, why))
		c.answer(items, bytes)
	}
}
