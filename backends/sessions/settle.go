package sessions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fairlead-iot/fairlead/backends/image"
	"github.com/fairlead-iot/fairlead/core"
)

// Pauses between attempts.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// newcomerPatience is how long a store that lost its claim waits for a stamp of whoever
// claimed, before it takes that one for gone and claims anew.
const newcomerPatience = time.Second

// begin claims the table and puts the first stamp there, after which it belongs to c.
func (c *committer) begin(ctx context.Context) error {
	wait := firstRetry
	for {
		err := c.take(ctx)
		var later *formatError
		if err == nil || errors.As(err, &later) || errors.Is(err, ErrRefused) {
			return err
		}
		// Whoever wrote before claims anew until it sees a stamp that is not its own.
		next := time.NewTimer(wait)
		if wait = min(2*wait, lastRetry); !errors.Is(err, ErrClaimed) {
			c.s.log.Warn("the database does not take the store's claim yet", "engine", c.s.o.Engine, "err", err, "next", wait)
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			next.Stop()
			return err
		}
	}
}

// formatError: a later program wrote here.
type formatError struct{ format uint64 }

// Error says what to do.
func (e *formatError) Error() string {
	return fmt.Sprintf("what it holds has format %d, this program knows up to %d: run the newer program, or give another store.namespace", e.format, format)
}

func (c *committer) take(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience/6)
	defer cancel()
	if err := c.s.table.Claim(ctx, c.s.o.Who); err != nil {
		return err
	}
	last, err := readStamp(ctx, c.s.table)
	switch {
	case errors.Is(err, errNoStamp):
	case isDamage(err):
		c.s.fault(stampKey(), err)
	case err != nil:
		return err
	case last.format > format:
		return &formatError{last.format}
	case last.name == c.stamp.name:
		return nil // an attempt before this one had arrived
	default:
		c.stamp.number = max(c.stamp.number, last.number)
	}
	c.out.begin(nil)
	c.build.Begin(nil, &c.out)
	c.putStamp()
	return c.s.table.Write(ctx, c.out.writes)
}

// settle finds out what became of a transaction whose Write failed, and writes it again
// where it did not arrive, until it has: nil. Another error tells that the store is over,
// or that the database will never take it.
func (c *committer) settle(err error) error {
	began, wait := time.Now(), firstRetry
	c.s.log.Error("the store cannot write; it takes nothing until it can", "engine", c.s.o.Engine, "err", err)
	for {
		if errors.Is(err, ErrClaimed) {
			wait = max(wait, newcomerPatience)
		}
		if !c.suspend(err, wait) {
			return fmt.Errorf("store %s: closed while the database did not answer, the batch may or may not have been kept: %w", c.s.o.Engine, errors.Join(core.ErrStoreClosed, err))
		}
		wait = min(2*wait, lastRetry)
		var arrived bool
		if arrived, err = c.reclaim(); err == nil && !arrived {
			err = c.write()
		}
		var end *endError
		switch {
		case errors.As(err, &end):
			return c.finish(end)
		case err == nil, errors.Is(err, ErrRefused):
			c.s.inbox.Refuse(nil)
			c.s.log.Info("the store writes again", "engine", c.s.o.Engine, "after", time.Since(began).Round(time.Millisecond).String())
			return err
		}
	}
}

// suspend makes Commit refuse with err, and waits; false when the store's life ends first.
func (c *committer) suspend(err error, wait time.Duration) bool {
	c.s.inbox.Refuse(fmt.Errorf("store %s: the database does not take what is to be kept, it is tried again: %w", c.s.o.Engine, err))
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.s.life.Done():
		return false
	}
}

// reclaim makes sure that nothing of the past can be written any more, and that nobody
// else wrote: an endError where somebody did. arrived tells whether the last transaction is
// in the table.
func (c *committer) reclaim() (arrived bool, err error) {
	ctx, cancel := context.WithTimeout(c.s.life, answerPatience)
	defer cancel()
	// Looked at before, too: the table is not claimed from whoever came after this one.
	if _, err := c.own(ctx); err != nil {
		return false, err
	}
	if err := c.s.table.Claim(ctx, c.s.o.Who); err != nil {
		return false, err
	}
	number, err := c.own(ctx)
	return err == nil && number == c.stamp.number, err
}

// own gives the number of the last transaction, if it is of this store.
func (c *committer) own(ctx context.Context) (number uint64, err error) {
	last, err := readStamp(ctx, c.s.table)
	switch {
	case errors.Is(err, errNoStamp):
		return 0, &endError{fmt.Errorf("%w: all that this gateway kept there is gone, somebody has deleted it; start this gateway again to begin empty", ErrClaimed)}
	case errors.Is(err, image.ErrCorrupt), errors.Is(err, image.ErrVersion):
		return 0, fmt.Errorf("the record of who writes is damaged: %w", err)
	case err != nil:
		return 0, err
	case last.format > format:
		return 0, &endError{fmt.Errorf("%w: a newer program, with format %d", ErrClaimed, last.format)}
	case last.name != c.stamp.name:
		return 0, &endError{fmt.Errorf("%w: %s, writes to the namespace %q now; stop one of the two, or give each its own store.namespace, then start this one again",
			ErrClaimed, last.describe(), c.s.o.Namespace)}
	}
	return last.number, nil
}

// endError: the table belongs to somebody else.
type endError struct{ error }

// Unwrap gives what is told.
func (e *endError) Unwrap() error { return e.error }

// finish ends the store for good.
func (c *committer) finish(why *endError) error {
	err := fmt.Errorf("store %s: %w", c.s.o.Engine, why.error)
	c.s.over.Store(&err)
	c.s.inbox.Refuse(err)
	c.s.log.Error("the store is another gateway's; this one keeps nothing any more", "engine", c.s.o.Engine, "err", why.error)
	// A transaction that arrived before was kept, but what has become of it is not known.
	return fmt.Errorf("the batch may or may not have been kept: %w", err)
}
