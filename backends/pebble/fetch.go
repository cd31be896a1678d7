package pebble

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fairlead-iot/fairlead/backends/image"
	"github.com/fairlead-iot/fairlead/core"
)

// Fetch implements core.Store.
func (s *Store) Fetch(ctx context.Context, clientID string, from uint64, max, maxBytes int, dst []core.QueuedMessage) ([]core.QueuedMessage, error) {
	t, err := s.tableReady(ctx)
	if err != nil {
		return dst, err
	}
	session := t.Lookup(clientID)
	if session == nil {
		return dst, nil
	}
	for {
		h, err := s.acquire()
		if err != nil {
			return dst, err
		}
		f := fetch{s: s, db: h.db, sid: session.SID(), clientID: clientID, max: max, left: maxBytes}
		got, err := f.run(ctx, from, dst)
		h.release()
		if err == nil || !h.fence.cut() || !h.outlived(ctx) {
			return got, err
		}
		// A condemned handle may miss what it never could write; its successor,
		// which has it all, is there.
	}
}

// fetch is one reading of a queue.
type fetch struct {
	s        *Store
	db       *pebble.DB
	sid      uint64
	clientID string
	max      int
	left     int // bytes of payload that may still follow
}

func (f *fetch) run(ctx context.Context, from uint64, dst []core.QueuedMessage) ([]core.QueuedMessage, error) {
	it, err := f.db.NewIter(&pebble.IterOptions{
		LowerBound: image.AppendEntryKey(nil, f.sid, from),
		UpperBound: append(image.AppendSession(nil, f.sid), image.KindEntry+1),
	})
	if err != nil {
		return dst, fmt.Errorf("pebble: read the queue of %q: %w", f.clientID, err)
	}
	defer it.Close()
	start := len(dst)
	for ok := it.First(); len(dst)-start < f.max; ok = it.Next() {
		if !ok && it.Error() == nil {
			break
		}
		// Damage ends a window that has something; a later one begins there.
		if !ok && (len(dst) > start || !f.pass(it, from)) {
			break
		}
		if err := ctx.Err(); err != nil {
			return dst, err
		}
		e, err := f.entry(it)
		switch {
		case errors.Is(err, errGone):
			continue
		case isDamage(err):
			f.s.lose(f.clientID, it.Key(), err)
			continue
		case err != nil:
			return dst, fmt.Errorf("pebble: read the queue of %q: %w", f.clientID, err)
		}
		if !f.fits(&e, len(dst) == start) {
			break
		}
		dst = append(dst, e)
	}
	// Damage up to the end of the queue is told already: nothing follows.
	if err := it.Error(); err != nil && len(dst) == start && !pebble.IsCorruptionError(err) {
		return dst, fmt.Errorf("pebble: read the queue of %q: %w", f.clientID, err)
	}
	return dst, nil
}

// fits takes an entry's payload out of what is left; the first one always fits.
func (f *fetch) fits(e *core.QueuedMessage, first bool) bool {
	size := 0
	if e.Msg != nil {
		size = len(e.Msg.Payload)
	}
	if !first && size > f.left {
		return false
	}
	f.left -= size
	return true
}

// pass goes on behind a damaged part of the queue that begins at from or soon
// after.
func (f *fetch) pass(it *pebble.Iterator, from uint64) bool {
	err := it.Error()
	if !pebble.IsCorruptionError(err) {
		return false
	}
	f.s.fault(image.AppendEntryKey(nil, f.sid, from), fmt.Errorf("part of the queue of %q is unreadable: %w", f.clientID, err))
	return seekBehind(it, func(step uint64) []byte { return image.AppendEntryKey(nil, f.sid, beyond(from, step)) })
}

// farthest is how far behind damage a reader looks for what can be read.
const farthest = 1 << 48

// seekBehind gets an iterator past a damaged part to the first key that can be read:
// key gives where to look, step numbers on. It looks in steps that double, then halves
// the last of them, so that nothing is passed over but what lies between two damaged
// parts. False without an error of the iterator: nothing lies behind.
func seekBehind(it *pebble.Iterator, key func(step uint64) []byte) bool {
	damaged := func(step uint64) bool {
		return !it.SeekGE(key(step)) && pebble.IsCorruptionError(it.Error())
	}
	low, high := uint64(0), uint64(1)
	for damaged(high) {
		if low, high = high, 2*high; high > farthest {
			return false
		}
	}
	for high-low > 1 {
		if mid := low + (high-low)/2; damaged(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return it.SeekGE(key(high))
}

// beyond is from + step, or the last number.
func beyond(from, step uint64) uint64 {
	if from+step < from {
		return 1<<64 - 1
	}
	return from + step
}

// errGone: the entry was acknowledged while it was being read.
var errGone = errors.New("acknowledged meanwhile")

// isDamage says whether err lies in the record or its block, not in the way to it.
func isDamage(err error) bool {
	return errors.Is(err, image.ErrCorrupt) || errors.Is(err, image.ErrVersion) || errors.Is(err, errNoBody) || pebble.IsCorruptionError(err)
}

var errNoBody = errors.New("its message is missing")

func (f *fetch) entry(it *pebble.Iterator) (core.QueuedMessage, error) {
	value, err := it.ValueAndErr()
	if err != nil {
		return core.QueuedMessage{}, err
	}
	e, body, err := image.OpenEntry(it.Key(), value)
	if err != nil || body == 0 {
		return e, err
	}
	e.Msg, err = f.message(it.Key(), body)
	return e, err
}

// message reads the body of the entry under key.
func (f *fetch) message(key []byte, body uint64) (*core.Message, error) {
	bodyKey := image.AppendBodyKey(nil, body)
	value, closer, err := f.db.Get(bodyKey)
	if errors.Is(err, pebble.ErrNotFound) {
		// The iterator sees the queue as it was; the last acknowledgement may
		// have taken the body away since. Then the entry is gone as well.
		if _, c, err := f.db.Get(key); err == nil {
			c.Close()
			return nil, errNoBody
		}
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return image.OpenMessage(bodyKey, value)
}
