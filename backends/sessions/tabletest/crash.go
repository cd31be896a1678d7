package tabletest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// crashWrites is how many writes come before the server dies.
const crashWrites = 40

// tryKilled: the server dies while it writes, and again. What was confirmed is there
// afterwards, what was not may be, and none of it by half.
func tryKilled(t *testing.T, s Site) {
	b, more := s.fresh(t)
	n := 0
	crashes := s.Crashes
	if crashes == 0 {
		crashes = 3
	}
	for range crashes {
		n = untilKilled(t, s, b, n)
		s.Start(t)
		b = more()
		claimSoon(t, b)
		stands := standing(t, b)
		if stands > n+1 || stands < n {
			t.Fatalf("write %d was confirmed last, %d stands there after the crash", n, stands)
		}
		n = stands
		if t.Failed() {
			return
		}
	}
}

// untilKilled writes from n+1 on, has the server killed meanwhile, and gives the last that
// was confirmed.
func untilKilled(t *testing.T, s Site, b table, n int) int {
	var last atomic.Int64
	last.Store(int64(n))
	enough := make(chan struct{})
	ended := make(chan error)
	go func() {
		for i := n + 1; ; i++ {
			if i == n+crashWrites {
				close(enough)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			err := b.Write(ctx, numbered(i))
			cancel()
			if err != nil {
				ended <- err
				return
			}
			last.Store(int64(i))
		}
	}()
	select {
	case <-enough:
		s.Kill(t)
	case err := <-ended:
		t.Fatalf("before the server was killed: %v", err)
	}
	if err := <-ended; errors.Is(err, sessions.ErrClaimed) {
		t.Errorf("the death of the server is told as a claim: %v", err)
	}
	return int(last.Load())
}

// claimSoon claims as soon as the server, which has just begun, lets it.
func claimSoon(t *testing.T, b table) {
	t.Helper()
	for ctx := within(t); ; {
		err := b.Claim(ctx, "after the crash")
		if err == nil {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("claim: %v", err)
		}
	}
}
