package identity

import (
	"fmt"
	"sync"
	"time"
)

const (
	breakAfter = 5 // failures in a row
	minBreak   = time.Second
	maxBreak   = 30 * time.Second
)

// Breaker spares a server that does not answer, and those who would wait for it: after some
// failures in a row nobody asks it for a while, then one does, to see. Safe for concurrent
// use.
type Breaker struct {
	now func() time.Time

	mu       sync.Mutex
	failures int // in a row
	hold     time.Duration
	until    time.Time
	trying   bool
	last     error
}

// NewBreaker makes a closed one. now is the clock; nil is the system's.
func NewBreaker(now func() time.Time) *Breaker {
	if now == nil {
		now = time.Now
	}
	return &Breaker{now: now}
}

// Allow says whether the server may be asked; an error says why not. Who may tells Done
// what became of it.
func (b *Breaker) Allow() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < breakAfter {
		return nil
	}
	if left := b.until.Sub(b.now()); left > 0 || b.trying {
		return fmt.Errorf("it failed %d times and is asked again in %s; the last time: %w", b.failures, max(left, 0).Round(time.Millisecond), b.last)
	}
	b.trying = true
	return nil
}

// Done tells how it went; nil closes the breaker.
func (b *Breaker) Done(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
	if err == nil {
		b.failures, b.hold = 0, 0
		return
	}
	b.failures++
	b.last = err
	if b.failures >= breakAfter && !b.until.After(b.now()) { // those who asked at once count once
		b.hold = min(max(2*b.hold, minBreak), maxBreak)
		b.until = b.now().Add(b.hold)
	}
}
