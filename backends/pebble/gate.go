package pebble

import (
	"context"
	"sync/atomic"

	"github.com/fairlead-iot/fairlead/backends/image"
	"github.com/fairlead-iot/fairlead/core"
)

// tableGate sees to it that the table is read from the disk once before it is
// used, in the same scan as Load where Load comes first, as it does in a gateway.
type tableGate struct {
	turn  chan struct{} // holds a token: whoever takes it may scan
	image atomic.Pointer[image.Image]
}

func (g *tableGate) init() {
	g.turn = make(chan struct{}, 1)
	g.turn <- struct{}{}
}

// load hands the content over, and keeps the table if there is none yet.
func (g *tableGate) load(ctx context.Context, s *Store, to core.Loader) error {
	select {
	case <-g.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { g.turn <- struct{}{} }()
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	t, err := s.scanAll(ctx, h.db, to)
	if err != nil {
		return err
	}
	// With a table at hand the scan was only a look at a moment past.
	if g.image.CompareAndSwap(nil, t) {
		s.measure(t)
	}
	return nil
}

// tableReady gives the table, reading it from the disk where nobody did yet.
func (s *Store) tableReady(ctx context.Context) (*image.Image, error) {
	if t := s.tables.image.Load(); t != nil {
		return t, nil
	}
	if err := s.tables.load(ctx, s, nil); err != nil {
		return nil, err
	}
	return s.tables.image.Load(), nil
}

// measure publishes the table's figures.
func (s *Store) measure(t *image.Image) {
	f := t.Figures()
	s.figures.sessions.Store(f.Sessions)
	s.figures.queued.Store(f.Queued)
	s.figures.retained.Store(f.Retained)
	s.figures.delayed.Store(f.Delayed)
}
