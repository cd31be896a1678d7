package core

import (
	"context"
	"log/slog"
	"sync"
)

// seldomPause is the time between two lines of one kind, in milliseconds.
const seldomPause = 1000

// seldom logs one kind of event at most once a second: what each client or each
// commit may cause must not fill the disk. A line says how many before it were left
// out; the counters have all of them.
type seldom struct {
	mu   sync.Mutex
	next int64 // Unix milliseconds
	left int
}

func (s *seldom) log(log *slog.Logger, level slog.Level, now int64, text string, about ...any) {
	s.mu.Lock()
	left := s.left
	due := now >= s.next
	if due {
		s.next, s.left = now+seldomPause, 0
	} else {
		s.left++
	}
	s.mu.Unlock()
	if !due {
		return
	}
	if left > 0 {
		about = append(about, "left_out_before", left)
	}
	log.Log(context.Background(), level, text, about...)
}

// complaints are the lines that clients can cause.
type complaints struct{ connects, renewals, commits, fetches, sources seldom }
