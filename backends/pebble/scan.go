package pebble

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fairlead-iot/fairlead/backends/image"
	"github.com/fairlead-iot/fairlead/core"
)

// scan reads the whole database once: it builds the image and, where there is a
// loader, hands over what core must know. Records that do not agree with their
// checksum are reported and left out.
type scan struct {
	s  *Store
	t  *image.Image
	to core.Loader // nil to build the image only

	cur image.Reading
	sid uint64 // of the keys that are being read
	seq uint64 // of the last entry that was read below sid
	cut bool   // what lies behind sid cannot be read, to the end
}

// scanAll runs over all families in db.
func (s *Store) scanAll(ctx context.Context, db *pebble.DB, to core.Loader) (*image.Image, error) {
	sc := &scan{s: s, t: image.New(), to: to}
	sc.cur.Reset(to == nil)
	if err := sc.sessions(ctx, db); err != nil {
		return nil, err
	}
	if err := sc.lastBody(db); err != nil {
		return nil, err
	}
	if err := sc.family(ctx, db, image.FamilyRetained, "retained messages", sc.t.TakeRetained); err != nil {
		return nil, err
	}
	if err := sc.family(ctx, db, image.FamilyDelayed, "delayed messages", sc.t.TakeDelayed); err != nil {
		return nil, err
	}
	return sc.t, nil
}

// discardedLeap is how many sequence numbers are passed over in each session when
// changes were discarded at the start: some of them may have used numbers.
const discardedLeap = 1 << 32

// interval is how many keys a scan reads between two looks at its context.
const interval = 1024

func (sc *scan) sessions(ctx context.Context, db *pebble.DB) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{image.FamilySession}, UpperBound: []byte{image.FamilySession + 1}})
	if err != nil {
		return fmt.Errorf("pebble: read sessions: %w", err)
	}
	defer it.Close()
	n := 0
	for ok := it.First(); ; ok = it.Next() {
		if !ok && !sc.pass(it) {
			break
		}
		if n++; n%interval == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := sc.key(it.Key(), it); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil && !sc.cut {
		return fmt.Errorf("pebble: read sessions: %w", err)
	}
	return sc.flush()
}

// pass goes on behind a damaged part of the database: first further on in the
// queue of the session that was being read, then at the sessions behind it. False
// at the end, or when nothing more can be read.
func (sc *scan) pass(it *pebble.Iterator) bool {
	err := it.Error()
	if err == nil || !pebble.IsCorruptionError(err) {
		return false
	}
	sc.s.fault(image.AppendEntryKey(nil, sc.sid, sc.seq), fmt.Errorf("unreadable from here, in session %q: %w", sc.cur.ClientID(), err))
	if seekBehind(it, func(step uint64) []byte { return image.AppendEntryKey(nil, sc.sid, beyond(sc.seq, step)) }) {
		return true
	}
	if !pebble.IsCorruptionError(it.Error()) ||
		seekBehind(it, func(step uint64) []byte { return image.AppendSession(nil, beyond(sc.sid, step)) }) {
		return it.Valid()
	}
	// To the end. Where something was read before it, the rest is told as lost.
	sc.cut = sc.sid != 0 && pebble.IsCorruptionError(it.Error())
	sc.t.UnreadableSIDs()
	return false
}

// key takes in one record below a session.
func (sc *scan) key(key []byte, it *pebble.Iterator) error {
	k, ok := image.ParseSessionKey(key)
	if !ok {
		sc.s.fault(key, image.ErrCorrupt)
		return nil
	}
	if k.SID != sc.sid {
		if err := sc.flush(); err != nil {
			return err
		}
		sc.sid, sc.seq = k.SID, 0
		sc.t.NoteSID(k.SID) // never given out again while keys are left
	}
	if k.Kind == image.KindEntry {
		sc.seq = k.Seq()
	}
	value, err := it.ValueAndErr()
	if err == nil {
		err = sc.cur.Take(k, key, value)
	} else {
		sc.cur.Damage(k)
	}
	if err != nil {
		sc.s.fault(key, err)
	}
	return nil
}

// flush ends the session that was being read and hands it over.
func (sc *scan) flush() error {
	leap := uint64(0)
	if sc.s.discarded {
		leap = discardedLeap
	}
	lost, err := sc.cur.Handover(sc.t, sc.to, leap)
	if lost > 0 {
		sc.s.fault(image.AppendSession(nil, sc.sid), fmt.Errorf("session #%d has no readable record: %d records below it are lost", sc.sid, lost))
	}
	sc.cur.Reset(sc.to == nil)
	return err
}
