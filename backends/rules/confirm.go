package rules

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// waiter is one publisher's acknowledgement that waits.
type waiter struct {
	done  func(error) // nil once it was told
	left  int         // entries that the database must have, and the spool; and who makes it
	err   error       // why it is told of a failure
	until time.Time   // zero for no bound
}

// confirms are the waiters of a pool: each for its own entries alone.
type confirms struct {
	pool *pool
	some chan struct{} // holds one when there is a waiter with a bound

	mu    sync.Mutex
	of    map[uint64]*waiter // by the numbers of the entries
	dated []*waiter          // those with a bound, in its order
}

var errEnded = errors.New("the gateway ends before the database has the message")

func (c *confirms) init(p *pool) {
	c.pool, c.some, c.of = p, make(chan struct{}, 1), map[uint64]*waiter{}
}

// begin makes a waiter for e, which whoever called ends once by end.
func (c *confirms) begin(e *core.Event) *waiter {
	if e.Done == nil {
		return nil
	}
	w := &waiter{done: e.Done, left: 1}
	if e.Patient {
		return w
	}
	w.until = time.Now().Add(c.pool.engine.cfg.SyncTime)
	c.mu.Lock()
	for len(c.dated) > 0 && c.dated[0].done == nil {
		c.dated = c.dated[1:]
	}
	c.dated = append(c.dated, w)
	first := len(c.dated) == 1
	c.mu.Unlock()
	if first {
		select {
		case c.some <- struct{}{}:
		default:
		}
	}
	return w
}

// add has w wait for the entry seq, or with 0 for one more end.
func (c *confirms) add(w *waiter, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.left++
	if seq != 0 {
		c.of[seq] = w
	}
}

// finish notes entries that the database has, or with err will never have.
func (c *confirms) finish(err error, seqs ...uint64) {
	var space [64]func()
	over := space[:0]
	c.mu.Lock()
	for _, seq := range seqs {
		if len(c.of) == 0 {
			break
		}
		if w := c.of[seq]; w != nil {
			delete(c.of, seq)
			over = w.ended(over, err)
		}
	}
	c.mu.Unlock()
	for _, tell := range over {
		tell()
	}
}

// end ends one wait of each of ws.
func (c *confirms) end(err error, ws ...*waiter) {
	var space [64]func()
	over := space[:0]
	c.mu.Lock()
	for _, w := range ws {
		over = w.ended(over, err)
	}
	c.mu.Unlock()
	for _, tell := range over {
		tell()
	}
}

// ended ends one wait; the last adds to over what tells the publisher, to be called
// without the lock.
func (w *waiter) ended(over []func(), err error) []func() {
	if w.err == nil {
		w.err = err
	}
	if w.left--; w.left > 0 || w.done == nil {
		return over
	}
	return append(over, w.told(w.err))
}

func (w *waiter) told(err error) func() {
	done := w.done
	w.done = nil
	return func() { done(err) }
}

// forget takes w back: somebody else tells the publisher.
func (c *confirms) forget(w *waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.done = nil
}

// run tells those whose time is over until ctx ends, and then all that are left.
func (c *confirms) run(ctx context.Context) {
	for {
		var timer <-chan time.Time
		if next := c.late(); !next.IsZero() {
			timer = time.After(time.Until(next))
		}
		select {
		case <-c.some:
		case <-timer:
		case <-ctx.Done():
			c.giveUp()
			return
		}
	}
}

// late tells those whose time is over; next is when that of another may be, zero for
// none.
func (c *confirms) late() (next time.Time) {
	now := time.Now()
	var over []func()
	c.mu.Lock()
	for len(c.dated) > 0 && next.IsZero() {
		switch w := c.dated[0]; {
		case w.done != nil && w.until.After(now):
			next = w.until
			continue
		case w.done != nil:
			over = append(over, w.told(fmt.Errorf("%s has not taken the message within %s; it stays in the queue", c.pool.name, c.pool.engine.cfg.SyncTime)))
		}
		c.dated[0] = nil
		if c.dated = c.dated[1:]; len(c.dated) == 0 {
			c.dated = nil
		}
	}
	c.mu.Unlock()
	for _, tell := range over {
		tell()
	}
	return next
}

// giveUp tells everybody that the gateway ends.
func (c *confirms) giveUp() {
	var over []func()
	c.mu.Lock()
	for _, w := range c.of {
		c.dated = append(c.dated, w)
	}
	for _, w := range c.dated {
		if w.done != nil {
			over = append(over, w.told(errEnded))
		}
	}
	c.dated = nil
	clear(c.of)
	c.mu.Unlock()
	for _, tell := range over {
		tell()
	}
}
