package hashes

import (
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// idleFor is how long a worker without work stays: its memory is that of a hash.
	idleFor = 30 * time.Second
	// restFor is how long none is begun after one that failed before its first answer.
	restFor = 10 * time.Second
	// warnEvery is how often failures are told.
	warnEvery = time.Minute
)

// Workers make the hashes of a [Maker], or of several, in processes of their own. A hash
// of 19 MiB in this process starts a collection of garbage, and runs until the scheduler
// takes the processor from it: whoever tries passwords would hold up everyone else.
//
// Each hash under way has a process, so that there are at most as many as the Makers'
// slots. A process is begun when it is needed, ends after 30 s without work, and by
// itself when this process is gone. Where one fails, the hash is made by another or in
// this process. Safe for concurrent use.
type Workers struct {
	begin func() (*worker, error)
	log   *slog.Logger

	mu     sync.Mutex
	free   []*worker // the one that was used last comes last
	rest   time.Time // until then none is begun
	closed bool

	apart, here, failed atomic.Uint64
	warning             rarely
}

// WorkerStats are the figures of Workers since they were made.
type WorkerStats struct {
	Apart  uint64 // hashes made by processes of their own
	Here   uint64 // hashes made in this process
	Failed uint64 // processes that failed or could not be begun
}

// NewWorkers makes Workers that begin the process that command describes. It must call
// [Work] with its standard input and output, and do nothing else with them. command is
// asked anew for each process; where it sets no environment, the process gets next to
// none. log may be nil. No process is begun yet; Close ends them all.
func NewWorkers(log *slog.Logger, command func() *exec.Cmd) *Workers {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Workers{log: log, begin: func() (*worker, error) { return startProcess(command()) }}
}

// Stats are the figures up to now.
func (w *Workers) Stats() WorkerStats {
	return WorkerStats{Apart: w.apart.Load(), Here: w.here.Load(), Failed: w.failed.Load()}
}

// Close ends all processes that have nothing to do and waits for them; the others end
// with their hash. Hashes that are asked for afterwards are made in this process.
func (w *Workers) Close() error {
	w.mu.Lock()
	free := w.free
	w.free, w.closed = nil, true
	w.mu.Unlock()
	for _, k := range free {
		k.idle.Stop()
		_ = k.end() // killed, which is no failure
	}
	return nil
}

// make makes a hash: the work of one, and of beginning a process if none is free. What is
// under way does not end with ctx: it is short, and a process that must be begun anew costs
// as much. But where one fails when nobody waits any more, no other takes its place.
func (w *Workers) make(ctx context.Context, r *Request, password []byte) ([]byte, error) {
	if len(password) > MaxPassword || len(r.Salt) > maxSalt || r.Validate() != nil {
		return w.makeHere(r, password)
	}
	for {
		k, err := w.take()
		if err != nil {
			w.fail(err, true)
		}
		if k == nil {
			return w.makeHere(r, password)
		}
		hash, err := k.make(r, password)
		if err == nil {
			w.apart.Add(1)
			w.put(k)
			return hash, nil
		}
		// One that was made before may have been ended by anyone since.
		again := k.used && !errors.Is(err, errLate)
		w.fail(errors.Join(err, k.end()), !again)
		switch {
		case ctx.Err() != nil:
			return nil, busy(ctx.Err())
		case !again:
			return w.makeHere(r, password)
		}
	}
}

func (w *Workers) makeHere(r *Request, password []byte) ([]byte, error) {
	w.here.Add(1)
	return makeHere(r, password)
}

// take gives a worker that is free or begun; nil without an error: none is to be begun now.
func (w *Workers) take() (*worker, error) {
	w.mu.Lock()
	if n := len(w.free); n > 0 {
		k := w.free[n-1]
		w.free = w.free[:n-1]
		w.mu.Unlock()
		k.idle.Stop()
		return k, nil
	}
	none := w.closed || time.Now().Before(w.rest)
	w.mu.Unlock()
	if none {
		return nil, nil
	}
	return w.begin()
}

// put lets others use a worker, which ends when nobody does.
func (w *Workers) put(k *worker) {
	w.mu.Lock()
	closed := w.closed
	if !closed {
		k.idle = time.AfterFunc(idleFor, func() { w.retire(k) })
		w.free = append(w.free, k)
	}
	w.mu.Unlock()
	if closed {
		_ = k.end()
	}
}

// retire ends a worker that is free.
func (w *Workers) retire(k *worker) {
	w.mu.Lock()
	i := slices.Index(w.free, k)
	if i >= 0 {
		w.free = slices.Delete(w.free, i, i+1)
	}
	w.mu.Unlock()
	if i >= 0 {
		_ = k.end()
	}
}

// fail counts and tells what went wrong with a worker.
func (w *Workers) fail(err error, rest bool) {
	w.failed.Add(1)
	if rest {
		w.mu.Lock()
		w.rest = time.Now().Add(restFor)
		w.mu.Unlock()
	}
	if times, ok := w.warning.now(warnEvery); ok {
		w.log.Warn("a process for the hashes of passwords failed; where none can be begun they are made in the gateway itself, and others may wait for that", "error", err, "not_told", times)
	}
}
