package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fairlead-iot/fairlead/backends/image"
	"github.com/fairlead-iot/fairlead/core"
)

// Store is the embedded engine of core.Store. Safe for concurrent use.
type Store struct {
	cfg Config
	log *slog.Logger
	dir *directory

	current atomic.Pointer[handle]
	tables  tableGate

	inbox *image.Inbox

	idle   chan struct{} // no group is under way
	broken chan struct{} // the current handle was condemned
	stop   chan struct{} // closed by Close
	ended  chan struct{} // closed when committer and finisher are gone
	flight flight

	closing  sync.Once
	closeErr error
	figures  figures
	lowSpace atomic.Bool
	applying atomic.Bool // the committer is inside pebble
	damage   image.Damage

	discarded bool // Open set a part aside: what was used of numbers is uncertain
}

var _ core.Store = (*Store)(nil)

// figures are the store's counters.
type figures struct {
	commits, batches, failed            atomic.Uint64
	sessions, queued, retained, delayed atomic.Int64
}

// Open opens or makes the store in cfg.Path and starts its goroutines; Close
// ends them. It replays the log of the last run, which takes about a second for
// each 100 MB of Config.MemtableSize. Errors say what the operator can do;
// *LockedError,
// *FormatError and *DamageError can be told from others.
func Open(cfg Config, log *slog.Logger) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("pebble: %w", err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	files := cfg.FS
	if files == nil {
		files = vfs.Default
	}
	dir, err := openDirectory(&cfg, files)
	if err != nil {
		return nil, err
	}
	s := &Store{
		cfg: cfg, log: log, dir: dir,
		inbox: image.NewInbox(cfg.MaxPendingBytes, cfg.CommitOperations), idle: make(chan struct{}, 1), broken: make(chan struct{}, 1),
		stop: make(chan struct{}), ended: make(chan struct{}),
	}
	s.tables.init()
	h, err := s.openRepaired()
	if err != nil {
		dir.close()
		if isFull(err) {
			return nil, explainPath(dir.path, err)
		}
		return nil, err
	}
	s.current.Store(h)
	s.flight.init()
	go s.run()
	return s, nil
}

// NodeID is the random identity of the data directory, 32 hexadecimal digits.
// It stays for the directory's life and says nothing about the machine.
func (s *Store) NodeID() string { return s.dir.id.NodeID }

// Load implements core.Store.
func (s *Store) Load(ctx context.Context, to core.Loader) error {
	return s.tables.load(ctx, s, to)
}

// Stats implements core.Store.
func (s *Store) Stats() core.StoreStats {
	st := core.StoreStats{
		Engine:   "pebble",
		Sessions: s.figures.sessions.Load(),
		Queued:   s.figures.queued.Load(),
		Retained: s.figures.retained.Load(),
		Delayed:  s.figures.delayed.Load(),
		Commits:  s.figures.commits.Load(),
		Batches:  s.figures.batches.Load(),
		Failed:   s.figures.failed.Load(),
	}
	st.Damaged, _ = s.Faults()
	if h, err := s.acquire(); err == nil {
		st.Bytes = int64(h.db.Metrics().DiskSpaceUsage())
		h.release()
	}
	return st
}

// Health implements core.Store. It asks the file system for its free space.
func (s *Store) Health() error {
	if refusal := s.inbox.Refusal(); refusal != nil {
		return refusal
	}
	if err := s.space(); err != nil {
		return err
	}
	h := s.current.Load()
	if err := h.fence.troubled(); err != nil {
		return describeFailure("a flush or compaction of the store failed and is tried again", err)
	}
	return nil
}

// Close implements core.Store. Repeated calls give the first one's answer.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.inbox.Refuse(core.ErrStoreClosed)
		close(s.stop)
		s.closeErr = s.wind()
	})
	return s.closeErr
}

// acquire takes the current handle for reading.
func (s *Store) acquire() (*handle, error) {
	for {
		h := s.current.Load()
		if h.acquire() {
			return h, nil
		}
		select {
		case <-s.stop:
			return nil, core.ErrStoreClosed
		default:
		}
		if s.current.Load() == h {
			return nil, core.ErrStoreClosed // retired without a successor
		}
	}
}

// space compares the free space with what must stay free. An unknown amount
// counts as enough.
func (s *Store) space() error {
	if s.cfg.MinFreeBytes == 0 {
		return nil
	}
	usage, err := s.dir.fs.GetDiskUsage(s.dir.path)
	least := uint64(s.cfg.MinFreeBytes)
	if s.lowSpace.Load() {
		least += least / 8 // not to and fro at the border
	}
	if err != nil || usage.AvailBytes >= least {
		if s.lowSpace.CompareAndSwap(true, false) {
			s.log.Info("the store has space again", "directory", s.dir.path)
		}
		return nil
	}
	err = fmt.Errorf("%w: %d MiB are free on the file system of %q, store.min_free_bytes keeps %d MiB: free some",
		core.ErrStoreFull, usage.AvailBytes>>20, s.dir.path, s.cfg.MinFreeBytes>>20)
	if s.lowSpace.CompareAndSwap(false, true) {
		s.log.Error("the store takes only what shrinks it", "err", err)
	}
	return err
}

// describeFailure makes err one that core can branch on.
func describeFailure(what string, err error) error {
	if isFull(err) && !errors.Is(err, core.ErrStoreFull) {
		return fmt.Errorf("pebble: %s: %w: %w", what, core.ErrStoreFull, err)
	}
	return fmt.Errorf("pebble: %s: %w", what, err)
}
