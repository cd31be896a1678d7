package redis

import (
	"sync"
	"time"
)

// sweeps is how often, in the time that messages are kept, the names of those that have
// expired are taken out of a topic.
const sweeps = 8

// rememberSwept is of how many topics it is known when they were swept. When there are
// more, everything is forgotten, and swept anew.
const rememberSwept = 100_000

// swept knows when the names of topics were swept. Safe for concurrent use.
type swept struct {
	mu   sync.Mutex
	last map[sweep]int64 // Unix milliseconds
}

// sweep is what a rule that keeps messages for so long does with a topic.
type sweep struct {
	topic string
	keep  time.Duration
}

// due tells whether a topic is to be swept now, and takes it that it is.
func (s *swept) due(topic string, keep time.Duration, now int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := sweep{topic, keep}
	if last, known := s.last[of]; known && now-last < keep.Milliseconds()/sweeps {
		return false
	}
	if s.last == nil || len(s.last) >= rememberSwept {
		s.last = make(map[sweep]int64)
	}
	s.last[of] = now
	return true
}

// forget has everything swept anew: it may not have been done.
func (s *swept) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = nil
}
