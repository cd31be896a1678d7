package spool

import (
	"context"
	"sync"
	"time"
)

// Lane is one queue of a spool. Next, Commit and Retry belong to one consumer:
// call them from one goroutine at a time.
type Lane struct {
	s  *Spool
	id int

	mu     sync.Mutex
	closed bool
	chunks []*chunk // by number; all but an emptied last one hold records
	spare  *chunk   // the last one that was freed
	tail   uint64   // number of the next record to come
	read   uint64   // number of the next record to serve

	encoded uint64     // below: written, or needless to write
	durable uint64     // below: safe on disk, or needless
	segs    []*segment // by base

	out       []held // served and not committed
	served    int    // how many of them are with the consumer; the rest is served again
	batch     [][]byte
	reader    *reader // nil while the consumer reads from disk, and before
	readFault error
	waiting   bool
	wake      chan struct{} // holds one token

	counts Stats
}

// held is a record that was served.
type held struct {
	seq  uint64
	data []byte
}

// low is the first number that is not committed.
func (l *Lane) low() uint64 {
	if len(l.out) > 0 {
		return l.out[0].seq
	}
	return l.read
}

// append takes records from the first on, and gives how many.
func (l *Lane) append(records [][]byte) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, r := range records {
		switch {
		case l.closed:
			l.counts.RefusedClosed += uint64(len(records) - i)
			return i
		case len(r) > l.s.maxRecord:
			l.counts.RefusedLarge++
			l.signal(i)
			return i
		case !l.push(r):
			l.refuse(len(records) - i)
			l.signal(i)
			return i
		}
		l.counts.Appended++
	}
	l.signal(len(records))
	return len(records)
}

// refuse counts n records for which memory has no room, by what keeps it full.
func (l *Lane) refuse(n int) {
	switch state(l.s.state.Load()) {
	case full:
		l.counts.RefusedFull += uint64(n)
	case failing:
		l.counts.RefusedFailing += uint64(n)
	default:
		l.counts.RefusedBusy += uint64(n)
	}
}

// signal wakes the consumer if it waits and n records came.
func (l *Lane) signal(n int) {
	if n == 0 || !l.waiting {
		return
	}
	l.waiting = false
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Next gives the next records, at most maxRecords of together at most maxBytes,
// but one at least: it waits until there is one. Records that Retry gave back
// come first; those that are still with the consumer do not come again, so a
// consumer may have several batches under way. The slice is good until the next
// call of Next; the records are good until they are committed, and must not be
// changed. ErrClosed after Close, ctx's error when it ends.
func (l *Lane) Next(ctx context.Context, maxRecords, maxBytes int) ([][]byte, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		batch, job, err := l.take(max(1, maxRecords), maxBytes)
		if len(batch) > 0 || err != nil {
			return batch, err
		}
		if job != nil {
			if l.readDisk(job) {
				continue
			}
			if err := pause(ctx, readRetry); err != nil {
				return nil, err
			}
			continue
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
		}
	}
}

// readRetry is how long a lane waits before it tries again to read from disk.
const readRetry = time.Second

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take serves what was given back, else what memory holds; with a job the
// records are on disk, with nothing at all the lane is empty.
func (l *Lane) take(maxRecords, maxBytes int) ([][]byte, *readJob, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, nil, ErrClosed
	}
	if l.served == len(l.out) {
		if job := l.fill(maxRecords, maxBytes); job != nil {
			return nil, job, nil
		}
	}
	if l.served == len(l.out) {
		l.waiting = true
		return nil, nil, nil
	}
	l.batch = l.batch[:0]
	for size := 0; l.served < len(l.out) && len(l.batch) < maxRecords; l.served++ {
		data := l.out[l.served].data
		if size += len(data); size > maxBytes && len(l.batch) > 0 {
			break
		}
		l.batch = append(l.batch, data)
	}
	return l.batch, nil, nil
}

// fill moves records from memory to out, or says what must be read from disk.
func (l *Lane) fill(maxRecords, maxBytes int) *readJob {
	if l.read < l.memoryFrom() {
		if job := l.diskJob(maxRecords, maxBytes); job != nil {
			return job
		}
		l.read = l.memoryFrom() // nothing lies between: it was dropped, or is damaged
	}
	for n, size := 0, 0; n < maxRecords; n++ {
		c, seq, ok := l.inMemory(l.read)
		if !ok {
			break
		}
		data := c.record(seq)
		if size += len(data); size > maxBytes && n > 0 {
			break
		}
		l.out = append(l.out, held{seq, data})
		l.read = seq + 1
	}
	return nil
}

// Commit confirms the first n records that are with the consumer: they are gone,
// and their bytes are the spool's again. More than there are counts as all.
func (l *Lane) Commit(n int) {
	l.mu.Lock()
	n = min(n, l.served)
	if n <= 0 {
		l.mu.Unlock()
		return
	}
	l.counts.Committed += uint64(n)
	kept := copy(l.out, l.out[n:])
	clear(l.out[kept:])
	l.out = l.out[:kept]
	l.served -= n
	l.release()
	reclaim := len(l.segs) > 0 && l.segs[0].end <= l.low() && state(l.s.state.Load()) == full
	l.mu.Unlock()
	if reclaim {
		l.s.kick()
	}
}

// Retry gives back what is with the consumer: Next serves it again, first.
func (l *Lane) Retry() {
	l.mu.Lock()
	l.counts.Retried += uint64(l.served)
	l.served = 0
	l.mu.Unlock()
}
