package sessions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-iot/fairlead/backends/image"
	"github.com/fairlead-iot/fairlead/core"
)

// Options are what a Store needs to know.
type Options struct {
	Engine           string // the database's kind, for Stats and messages
	Namespace        string // for messages
	Who              string // this gateway, for the people who look after another one
	MaxPendingBytes  int64  // of batches that are not in the table yet; more are refused as busy
	CommitOperations int    // that make a transaction full
	Log              *slog.Logger
}

// Store is a core.Store over a Table. Safe for concurrent use.
type Store struct {
	o     Options
	log   *slog.Logger
	table Table
	inbox *image.Inbox

	turn  chan struct{} // a token: its holder may write to the table, or scan it
	image atomic.Pointer[image.Image]
	inner sync.RWMutex // guards the image's inside against Fetch; the committer reads without it

	confirmed atomic.Uint64 // the last image.Builder.Group of which all is in the table
	over      atomic.Pointer[error]

	life   context.Context // of what is asked of the table
	end    context.CancelFunc
	stop   chan struct{} // closed by Close
	ended  chan struct{} // closed when the committer is gone
	damage image.Damage

	closing  sync.Once
	closeErr error
	figures  figures
}

var _ core.Store = (*Store)(nil)

// figures are the store's counters.
type figures struct {
	commits, batches, failed            atomic.Uint64
	sessions, queued, retained, delayed atomic.Int64
}

// startPatience is how long Open waits for a database that is away.
const startPatience = 30 * time.Second

// answerPatience is how long the table may take to answer.
const answerPatience = 30 * time.Second

// Open claims t, and starts to write to it; Close ends that and closes t. A database that
// is away is tried for half a minute, or up to ctx; after an error t is the caller's.
func Open(ctx context.Context, t Table, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		o: o, log: o.Log, table: t, inbox: image.NewInbox(o.MaxPendingBytes, o.CommitOperations),
		turn: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{}),
	}
	s.turn <- struct{}{}
	s.life, s.end = context.WithCancel(context.Background())
	c := &committer{s: s, stamp: stamp{format: format, name: newName(), since: time.Now().UnixMilli(), who: o.Who}}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := c.begin(ctx); err != nil {
		s.end()
		return nil, fmt.Errorf("store %s: %w", o.Engine, err)
	}
	go c.run()
	return s, nil
}

// Commit implements core.Store.
func (s *Store) Commit(b *core.Batch, done func(error)) error { return s.inbox.Add(b, done) }

// Stats implements core.Store.
func (s *Store) Stats() core.StoreStats {
	st := core.StoreStats{
		Engine:   s.o.Engine,
		Sessions: s.figures.sessions.Load(),
		Queued:   s.figures.queued.Load(),
		Retained: s.figures.retained.Load(),
		Delayed:  s.figures.delayed.Load(),
		Commits:  s.figures.commits.Load(),
		Batches:  s.figures.batches.Load(),
		Failed:   s.figures.failed.Load(),
	}
	st.Damaged, _ = s.Faults()
	return st
}

// Faults gives how many records were found damaged since Open, and the names of the first
// of them. Damaged records are not served; queue entries among them are lost messages.
func (s *Store) Faults() (count uint64, names []string) { return s.damage.Faults() }

// Health implements core.Store.
func (s *Store) Health() error { return s.inbox.Refusal() }

// closePatience is how long Close tries to write what was taken while the database is away.
const closePatience = 5 * time.Second

// Close implements core.Store. Repeated calls give the first one's answer.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.inbox.Refuse(core.ErrStoreClosed)
		close(s.stop)
		timer := time.AfterFunc(closePatience, s.end)
		<-s.ended
		timer.Stop()
		s.end()
		closed := error(core.ErrStoreClosed)
		s.over.CompareAndSwap(nil, &closed)
		s.closeErr = s.table.Close()
	})
	return s.closeErr
}

// usable is nil, or why nothing more is read.
func (s *Store) usable() error {
	if err := s.over.Load(); err != nil {
		return *err
	}
	return nil
}

// ready gives the image, reading it from the table where nobody did yet.
func (s *Store) ready(ctx context.Context) (*image.Image, error) {
	if im := s.image.Load(); im != nil {
		return im, nil
	}
	if err := s.Load(ctx, nil); err != nil {
		return nil, err
	}
	return s.image.Load(), nil
}

// Load implements core.Store. What is committed meanwhile waits.
func (s *Store) Load(ctx context.Context, to core.Loader) error {
	if err := s.usable(); err != nil {
		return err
	}
	select {
	case <-s.turn:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.life.Done():
		return core.ErrStoreClosed
	}
	defer func() { s.turn <- struct{}{} }()
	im, err := s.scan(ctx, to)
	if err != nil {
		return err
	}
	// With an image at hand the scan was only a look.
	if s.image.CompareAndSwap(nil, im) {
		s.measure(im)
	}
	return nil
}

// measure publishes the image's figures.
func (s *Store) measure(im *image.Image) {
	f := im.Figures()
	s.figures.sessions.Store(f.Sessions)
	s.figures.queued.Store(f.Queued)
	s.figures.retained.Store(f.Retained)
	s.figures.delayed.Store(f.Delayed)
}

// fault reports the record under key as damaged.
func (s *Store) fault(key []byte, err error) { s.damage.Fault(s.log, key, err) }

// lose reports a queue entry as damaged and takes it out of the queue, so that
// the session does not wait for it. The message is lost, by name.
func (s *Store) lose(clientID string, sid, seq uint64, err error) {
	s.fault(image.AppendEntryKey(nil, sid, seq), err)
	ack := core.Op{Kind: core.OpAck, Session: clientID, Entry: core.QueuedMessage{Seq: seq}}
	// Refused (busy, closed): the next Fetch comes across it again.
	_ = s.Commit(&core.Batch{Ops: []core.Op{ack}}, nil)
}

// isDamage says whether err lies in the record, not in the way to it.
func isDamage(err error) bool {
	return errors.Is(err, image.ErrCorrupt) || errors.Is(err, image.ErrVersion) || errors.Is(err, errMissing)
}

var errMissing = errors.New("it is missing")
