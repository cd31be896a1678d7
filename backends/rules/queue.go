package rules

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
)

// Queue keeps entries in lanes, each in its order, until they are done. What is done and
// not yet known to be so may come again after a restart. Package spool has one on disk.
type Queue interface {
	// Append copies an entry to the end of the key's lane. It never blocks. false:
	// there is no room.
	Append(key string, entry []byte) bool
	// Lanes are the queue's; entries of one key are in one of them.
	Lanes() []Lane
	// Flushed calls f once everything that was appended so far is on disk, or could
	// not be brought there; from any goroutine, in the order of the calls.
	Flushed(f func(error))
	// Close keeps what waits, if the queue can.
	Close() error
}

// Lane is one lane of a Queue; its calls belong to one goroutine.
type Lane interface {
	// Next waits for entries and gives those at the front: at most max, and at most
	// maxBytes unless the first has more. They stay with the caller, unchanged, until
	// Commit. An error means that no more come.
	Next(ctx context.Context, max, maxBytes int) ([][]byte, error)
	// Commit says that the first n entries that are with the caller are done.
	Commit(n int)
}

// memoryQueue is a Queue without a disk.
type memoryQueue struct {
	most  int // bytes
	seed  maphash.Seed
	lanes []*memoryLane

	mu    sync.Mutex
	bytes int
}

type memoryLane struct {
	q       *memoryQueue
	mu      sync.Mutex
	entries [][]byte
	served  int           // with the consumer
	some    chan struct{} // holds one when entries came
}

// entryOverhead is what an entry costs beside its bytes.
const entryOverhead = 48

// NewMemoryQueue makes a queue of lanes that holds at most bytes. Nothing of it outlives
// the process, and Flushed says so.
func NewMemoryQueue(lanes, bytes int) Queue {
	q := &memoryQueue{most: bytes, seed: maphash.MakeSeed()}
	for range lanes {
		q.lanes = append(q.lanes, &memoryLane{q: q, some: make(chan struct{}, 1)})
	}
	return q
}

func (q *memoryQueue) Lanes() (out []Lane) {
	for _, l := range q.lanes {
		out = append(out, l)
	}
	return out
}

func (q *memoryQueue) Append(key string, entry []byte) bool {
	if !q.reserve(len(entry) + entryOverhead) {
		return false
	}
	l := q.lanes[maphash.String(q.seed, key)%uint64(len(q.lanes))]
	kept := append([]byte(nil), entry...)
	l.mu.Lock()
	l.entries = append(l.entries, kept)
	l.mu.Unlock()
	select {
	case l.some <- struct{}{}:
	default:
	}
	return true
}

func (q *memoryQueue) reserve(n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes+n > q.most {
		return false
	}
	q.bytes += n
	return true
}

var errNoSpool = errors.New("there is no queue on disk")

func (q *memoryQueue) Flushed(f func(error)) { f(errNoSpool) }

func (q *memoryQueue) Close() error { return nil }

func (l *memoryLane) Next(ctx context.Context, most, maxBytes int) ([][]byte, error) {
	for {
		if batch := l.front(most, maxBytes); len(batch) > 0 {
			return batch, nil
		}
		select {
		case <-l.some:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *memoryLane) front(most, maxBytes int) (batch [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := 0
	for _, e := range l.entries[l.served:] {
		if size += len(e); len(batch) == most || size > maxBytes && len(batch) > 0 {
			break
		}
		batch = append(batch, e)
	}
	l.served += len(batch)
	return batch
}

func (l *memoryLane) Commit(n int) {
	l.mu.Lock()
	size := 0
	for i := range n {
		size += len(l.entries[i]) + entryOverhead
		l.entries[i] = nil
	}
	l.served -= n
	if l.entries = l.entries[n:]; len(l.entries) == 0 {
		l.entries = nil
	}
	l.mu.Unlock()
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	l.q.bytes -= size
}

// Retry gives back what is with the caller.
func (l *memoryLane) Retry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.served = 0
	select {
	case l.some <- struct{}{}:
	default:
	}
}
