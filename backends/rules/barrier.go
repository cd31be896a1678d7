package rules

import (
	"context"
	"sync"
	"time"
)

// barrier is something to do once the entries up to a number are done, or its time is
// over.
type barrier struct {
	to    uint64
	until time.Time
	f     func()
}

// barriers are those of a pool, in the order in which they came, which is that in which
// they end.
type barriers struct {
	pool *pool
	some chan struct{} // holds one when there is something to look at

	mu   sync.Mutex
	list []barrier
}

func (b *barriers) init(p *pool) { b.pool, b.some = p, make(chan struct{}, 1) }

// add has f called once all entries up to the number to are done, or when sync_timeout
// has passed.
func (b *barriers) add(to uint64, f func()) {
	b.mu.Lock()
	b.list = append(b.list, barrier{to, time.Now().Add(b.pool.engine.cfg.SyncTime), f})
	b.mu.Unlock()
	b.look()
}

// look has the barriers looked at.
func (b *barriers) look() {
	select {
	case b.some <- struct{}{}:
	default:
	}
}

// run ends barriers until ctx ends, and then those that are left.
func (b *barriers) run(ctx context.Context) {
	for {
		var timer <-chan time.Time
		if next := b.pass(false); !next.IsZero() {
			timer = time.After(time.Until(next))
		}
		select {
		case <-b.some:
		case <-timer:
		case <-ctx.Done():
			b.pass(true)
			return
		}
	}
}

// pass ends those at the front whose time has come; next is when that of the first of the
// rest has.
func (b *barriers) pass(end bool) (next time.Time) {
	reached, now := b.pool.writing.reached(), time.Now()
	for {
		b.mu.Lock()
		if len(b.list) == 0 {
			b.list = nil
			b.mu.Unlock()
			return next
		}
		first := b.list[0]
		if !end && first.to > reached && now.Before(first.until) {
			b.mu.Unlock()
			return first.until
		}
		b.list[0] = barrier{}
		b.list = b.list[1:]
		b.mu.Unlock()
		first.f()
	}
}
