package rules

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// waiter is one publisher's acknowledgement that waits.
type waiter struct {
	done     func(error)
	from, to uint64 // numbers of the entries that it may be about; to is 0 for none
	until    time.Time
	flushed  bool  // the spool said so, or need not
	err      error // that the spool said
}

// confirms are the waiters of a pool, in the order in which they came, which is that in
// which they are told.
type confirms struct {
	pool *pool
	some chan struct{} // holds one when there is something to look at

	mu      sync.Mutex
	waiters []*waiter
	begun   [takes]uint64 // where the latest takes began
	at      int
	refused []uint64 // numbers of entries that the database refused for good, the latest
}

const (
	takes      = 16   // that may be under way at once: more than there are event loops in a turn's end
	maxRefused = 4096 // that are remembered
)

var (
	errRefused = errors.New("the database refused a message of those that were published at this moment")
	errEnded   = errors.New("the gateway ends before the database has the message")
)

func (c *confirms) init(p *pool) { c.pool, c.some = p, make(chan struct{}, 1) }

// begin notes that a take begins behind the number last.
func (c *confirms) begin(last uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun[c.at%takes] = last
	c.at++
}

// add has w wait. Its entries are of one of the latest takes.
func (c *confirms) add(w *waiter, spool bool) {
	w.until = time.Now().Add(c.pool.engine.cfg.SyncTime)
	w.flushed = !spool
	c.mu.Lock()
	w.from = w.to
	for _, b := range c.begun[:min(c.at, takes)] {
		w.from = min(w.from, b)
	}
	c.waiters = append(c.waiters, w)
	c.mu.Unlock()
	if spool {
		c.pool.queue.Flushed(func(err error) {
			c.mu.Lock()
			w.flushed, w.err = true, err
			c.mu.Unlock()
			c.look()
		})
	}
	c.look()
}

// refuse notes an entry that the database will never have.
func (c *confirms) refuse(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused = append(c.refused, seq); len(c.refused) > maxRefused {
		c.refused = append([]uint64(nil), c.refused[maxRefused/2:]...)
	}
}

// look has the waiters looked at.
func (c *confirms) look() {
	select {
	case c.some <- struct{}{}:
	default:
	}
}

// run tells waiters until stop, and then those that are left.
func (c *confirms) run(stop <-chan struct{}) {
	for {
		next := c.tell(false)
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = time.After(time.Until(next))
		}
		select {
		case <-c.some:
		case <-timer:
		case <-stop:
			c.tell(true)
			return
		}
	}
}

// tell tells those at the front whose time has come; next is when that of the first of
// the rest has.
func (c *confirms) tell(end bool) (next time.Time) {
	reached, now := c.pool.writing.reached(), time.Now()
	for {
		c.mu.Lock()
		if len(c.waiters) == 0 {
			c.waiters = nil
			c.mu.Unlock()
			return next
		}
		w := c.waiters[0]
		settled, err := c.verdict(w, reached, now)
		if !settled && !end {
			c.mu.Unlock()
			return w.until
		}
		if !settled {
			err = errEnded
		}
		c.waiters[0] = nil
		c.waiters = c.waiters[1:]
		c.mu.Unlock()
		w.done(err)
	}
}

// verdict says whether w is settled. With the lock held.
func (c *confirms) verdict(w *waiter, reached uint64, now time.Time) (settled bool, err error) {
	if w.to <= reached && w.flushed {
		for _, seq := range c.refused {
			if seq > w.from && seq <= w.to {
				return true, errRefused
			}
		}
		return true, w.err
	}
	if now.Before(w.until) {
		return false, nil
	}
	return true, fmt.Errorf("%s has not taken the message within %s; it stays in the queue", c.pool.name, c.pool.engine.cfg.SyncTime)
}
