package spool

import (
	"context"
	"errors"
	"hash/fnv"
	"io"
	"sync"
	"sync/atomic"
)

// Spool is an open spool. All methods may be called from any goroutine.
type Spool struct {
	opts      Options
	lanes     []*Lane
	chunkSize int
	maxRecord int
	lock      io.Closer

	memory atomic.Int64 // bytes of chunks
	disk   atomic.Int64 // bytes of segments
	state  atomic.Int32
	spill  atomic.Bool
	holes  atomic.Uint64 // chunks dropped from memory

	flush struct {
		mu      sync.Mutex
		closed  bool
		waiters []func(error)
	}
	kicked   chan struct{} // holds one token: the writer has something to do
	stop     context.CancelFunc
	ended    chan struct{} // closed when the writer ended
	closeErr error         // of the writer; read after ended

	stats struct {
		mu            sync.Mutex
		fault         error // of writing
		positionFault error
		removeFault   error
	}
}

// Hash makes a key for Append from a text: the same in every process, so that a
// key keeps its lane over a restart.
func Hash(text string) uint64 {
	h := fnv.New64a()
	io.WriteString(h, text)
	return h.Sum64()
}

// Lanes gives how many lanes there are: Options.Lanes, or, while records of an
// earlier process are waiting, as many as that had.
func (s *Spool) Lanes() int { return len(s.lanes) }

// Lane gives lane i, from 0 to Lanes()-1.
func (s *Spool) Lane(i int) *Lane { return s.lanes[i] }

// MaxRecord is the size in bytes above which a record is refused: a quarter of
// MaxMemory, at most half a segment.
func (s *Spool) MaxRecord() int { return s.maxRecord }

// Append puts records behind the others of the lane that belongs to the key, and
// gives how many it took, from the first on. It copies them, and never waits. It
// stops at a record that is too large, which is counted; the caller may go on
// behind it. It stops when memory is full ([RefuseNewest], or nothing can be
// dropped) or the spool is closed; then what was not taken is counted as refused.
// Equal keys share a lane, over restarts only if the key is the same then: see [Hash].
func (s *Spool) Append(key uint64, records ...[]byte) (taken int) {
	taken = s.lanes[key%uint64(len(s.lanes))].append(records)
	if taken > 0 && (s.spill.Load() || s.pressed()) && state(s.state.Load()) == writing {
		s.kick()
	}
	return taken
}

// pressed tells whether records should go to disk to make room in memory.
func (s *Spool) pressed() bool { return s.memory.Load() > s.opts.MaxMemory/2 }

// kick wakes the writer.
func (s *Spool) kick() {
	select {
	case s.kicked <- struct{}{}:
	default:
	}
}

// Spill says whether records go to disk as they come, rather than when memory
// fills: for a time in which nobody consumes, and memory is wanted elsewhere.
func (s *Spool) Spill(on bool) {
	if s.spill.Swap(on) != on && on {
		s.kick()
	}
}

// Flushed calls done once everything appended before it is safe on disk or
// committed: with nil; or with why that failed, a *DiskError, ErrFull, ErrDropped
// or ErrClosed, while the records stay in the queue as far as they are not
// dropped. Calls of done come in the order of Flushed, from the writer or, after
// Close, from the caller; done must not block. One fsync serves all that wait; while
// the disk fails, an answer takes up to two seconds. How many may wait is for the
// caller to bound.
func (s *Spool) Flushed(done func(error)) {
	s.flush.mu.Lock()
	if s.flush.closed {
		s.flush.mu.Unlock()
		done(ErrClosed)
		return
	}
	s.flush.waiters = append(s.flush.waiters, done)
	first := len(s.flush.waiters) == 1
	s.flush.mu.Unlock()
	if first {
		s.kick()
	}
}

// waiters takes over who waits, into the slice that served the round before.
func (s *Spool) waiters(reuse []func(error)) []func(error) {
	s.flush.mu.Lock()
	defer s.flush.mu.Unlock()
	got := s.flush.waiters
	s.flush.waiters = reuse[:0]
	return got
}

// Close ends the spool: Append takes nothing more, Next says ErrClosed, what is
// not committed is written to disk. It blocks until that is done; the error says
// that it could not be, and how much is lost. Stop the consumers before, or what
// they do not commit in time is served again. A second Close gives the same.
func (s *Spool) Close() error {
	for _, l := range s.lanes {
		l.mu.Lock()
		l.closed = true
		l.waiting = true
		l.signal(1)
		l.mu.Unlock()
	}
	s.stop()
	<-s.ended
	return s.closeErr
}

// finish is the writer's last act.
func (s *Spool) finish(w *writer) {
	s.flush.mu.Lock()
	s.flush.closed = true
	s.flush.mu.Unlock()
	err := w.round(true)
	if err != nil {
		err = w.round(true) // in a new file
	}
	w.end()
	for _, l := range s.lanes {
		l.mu.Lock()
		l.reader.close()
		l.reader = nil
		l.mu.Unlock()
	}
	if n := s.unsafe(); err != nil && n > 0 {
		s.opts.Log.Error("the spool is closed while it cannot write", "dir", s.opts.Dir, "lost", n, "err", err)
		err = errors.Join(err, lostError(n))
	}
	s.closeErr = errors.Join(err, s.lock.Close())
	close(s.ended)
}

// unsafe counts the records that are in memory only.
func (s *Spool) unsafe() (n uint64) {
	for _, l := range s.lanes {
		l.mu.Lock()
		from := max(l.durable, l.low())
		for _, c := range l.chunks {
			if c.end() > from {
				n += c.end() - max(from, c.first)
			}
		}
		l.mu.Unlock()
	}
	return n
}
