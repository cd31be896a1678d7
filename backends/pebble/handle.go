package pebble

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// handle is one opening of the database. Readers hold it while they read; it is
// closed when it was retired and the last reader left.
type handle struct {
	db    *pebble.DB
	fence *fence

	mu      sync.Mutex
	readers int
	retired bool
	gone    chan struct{} // closed when it is retired
	closed  chan struct{} // closed when the database is
	err     error         // of closing, valid then
}

// successorPatience is how long a reader waits for the next handle when the
// present one cannot answer.
const successorPatience = 2 * time.Second

// openHandle opens the database of dir. A failure leaves nothing open.
func openHandle(cfg *Config, dir *directory, log *slog.Logger, onFault func(error)) (h *handle, err error) {
	f := newFence(dir.fs, log, onFault)
	l := &logger{log: log, fence: f}
	defer func() {
		// Pebble gives some failures of the disk as a panic.
		if p := recover(); p != nil {
			f.condemn(fmt.Errorf("panic: %v", p))
			f.drain()
			h, err = nil, fmt.Errorf("pebble: open the database in %q: %w", dir.path, f.reason())
		}
	}()
	if err := inspect(cfg, dir, l); err != nil {
		return nil, fmt.Errorf("pebble: %w", err)
	}
	cache := pebble.NewCache(cfg.CacheSize)
	defer cache.Unref() // the database keeps its own reference
	compactions := newScheduler()
	o := options(cfg, f, cache, l)
	o.Experimental.CompactionScheduler = compactions
	db, err := pebble.Open(dir.database(), o)
	if err != nil {
		if pebble.IsCorruptionError(err) && !f.cut() {
			err = &DamageError{Dir: dir.path, Detail: err.Error()}
		}
		f.condemn(err)
		return nil, fmt.Errorf("pebble: open the database in %q: %w", dir.path, f.reason())
	}
	h = &handle{db: db, fence: f, gone: make(chan struct{}), closed: make(chan struct{})}
	if f.live(); f.reason() != nil {
		h.retire()
		<-h.closed
		return nil, fmt.Errorf("pebble: open the database in %q: %w", dir.path, f.reason())
	}
	compactions.start()
	return h, nil
}

func options(cfg *Config, f *fence, cache *pebble.Cache, l *logger) *pebble.Options {
	return &pebble.Options{
		FS:           f,
		Cache:        cache,
		Logger:       l,
		MemTableSize: uint64(cfg.MemtableSize),
		// Three memtables may wait for their flush before writers have to.
		MemTableStopWritesThreshold: 4,
		MaxOpenFiles:                cfg.MaxOpenFiles,
		// What the newest log format adds: a damaged record inside the synced
		// part is told from a torn tail.
		FormatMajorVersion: pebble.FormatWALSyncChunks,
		EventListener: &pebble.EventListener{
			BackgroundError: f.background,
			DataCorruption:  func(info pebble.DataCorruptionInfo) { l.Errorf("%s", info) },
			FlushEnd: func(info pebble.FlushInfo) {
				if info.Err == nil {
					f.background(nil)
				}
			},
			CompactionEnd: func(info pebble.CompactionInfo) {
				if info.Err == nil {
					f.background(nil)
				}
			},
		},
	}
}

// acquire takes the handle for reading; false when it is on its way out.
func (h *handle) acquire() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.retired {
		return false
	}
	h.readers++
	return true
}

func (h *handle) release() {
	h.mu.Lock()
	h.readers--
	last := h.retired && h.readers == 0
	h.mu.Unlock()
	if last {
		go h.close()
	}
}

// retire closes the handle as soon as no reader is left; h.closed tells when.
func (h *handle) retire() {
	h.mu.Lock()
	first := !h.retired
	h.retired = true
	idle := h.readers == 0
	h.mu.Unlock()
	if !first {
		return
	}
	close(h.gone)
	if idle {
		go h.close()
	}
}

// outlived waits for a successor of a condemned handle; false when none comes
// within successorPatience or ctx.
func (h *handle) outlived(ctx context.Context) bool {
	timer := time.NewTimer(successorPatience)
	defer timer.Stop()
	select {
	case <-h.gone:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (h *handle) close() {
	defer close(h.closed)
	defer func() {
		if p := recover(); p != nil {
			h.err = fmt.Errorf("pebble: close: %v", p)
		}
	}()
	if h.fence.reason() != nil {
		h.fence.drain() // let everything that still writes run into the void
	}
	if err := h.db.Close(); err != nil && h.fence.reason() == nil {
		h.err = fmt.Errorf("pebble: close: %w", err)
	}
}

// logger carries pebble's messages to the program's log.
type logger struct {
	log   *slog.Logger
	fence *fence
}

// Infof implements pebble.Logger.
func (l *logger) Infof(format string, args ...any) {
	l.log.Debug(fmt.Sprintf(format, args...))
}

// Errorf implements pebble.Logger.
func (l *logger) Errorf(format string, args ...any) {
	if l.fence.reason() == nil {
		l.log.Error(fmt.Sprintf(format, args...))
	}
}

// Fatalf implements pebble.Logger. It returns: the handle is condemned, and its
// fence sees to it that whatever pebble does from here changes nothing.
func (l *logger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	for _, a := range args {
		if cause, ok := a.(error); ok {
			err = fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), cause)
			break
		}
	}
	l.fence.condemn(err)
}
