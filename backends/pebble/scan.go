package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fairlead-iot/fairlead/core"
)

// scan reads the whole database once: it builds the table and, where there is a
// loader, hands over what core must know. Records that do not agree with their
// checksum are reported and left out.
type scan struct {
	s  *Store
	t  *table
	to core.Loader // nil to build the table only

	open   bool // a session's record was read and good
	record core.SessionRecord
	subs   []core.SubscriptionRecord
	cur    *session
	sid    uint64 // of the keys that are being read
	seq    uint64 // of the last entry that was read below sid
	lost   int    // entries of a session whose record is missing
	cut    bool   // what lies behind sid cannot be read, to the end
}

// scanAll runs over all families in db.
func (s *Store) scanAll(ctx context.Context, db *pebble.DB, to core.Loader) (*table, error) {
	sc := &scan{s: s, t: newTable(), to: to}
	if err := sc.sessions(ctx, db); err != nil {
		return nil, err
	}
	if err := sc.lastBody(db); err != nil {
		return nil, err
	}
	if err := sc.family(ctx, db, familyRetained, "retained messages", sc.retained); err != nil {
		return nil, err
	}
	if err := sc.family(ctx, db, familyDelayed, "delayed messages", sc.delayed); err != nil {
		return nil, err
	}
	return sc.t, nil
}

// lostReservation is where a session goes on when its used sequence numbers
// cannot be read; a session reaches it by itself after 300 years at 100 a second.
const lostReservation = 1 << 40

// discardedLeap is how many sequence numbers are passed over in each session when
// changes were discarded at the start: some of them may have used numbers.
const discardedLeap = 1 << 32

// interval is how many keys a scan reads between two looks at its context.
const interval = 1024

func (sc *scan) sessions(ctx context.Context, db *pebble.DB) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{familySession}, UpperBound: []byte{familySession + 1}})
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
	sc.s.fault(appendEntryKey(nil, sc.sid, sc.seq), fmt.Errorf("unreadable from here, in session %q: %w", sc.record.ClientID, err))
	if seekBehind(it, func(step uint64) []byte { return appendEntryKey(nil, sc.sid, beyond(sc.seq, step)) }) {
		return true
	}
	if !pebble.IsCorruptionError(it.Error()) ||
		seekBehind(it, func(step uint64) []byte { return appendSession(nil, beyond(sc.sid, step)) }) {
		return it.Valid()
	}
	// To the end. Where something was read before it, the rest is told as lost.
	sc.cut = sc.sid != 0 && pebble.IsCorruptionError(it.Error())
	sc.t.lastSID += 1 << 32 // beyond any that stands there
	return false
}

// key takes in one record below a session.
func (sc *scan) key(key []byte, it *pebble.Iterator) error {
	k, ok := parseSessionKey(key)
	if !ok {
		sc.s.fault(key, errCorrupt)
		return nil
	}
	if k.sid != sc.sid {
		if err := sc.flush(); err != nil {
			return err
		}
		sc.sid, sc.seq = k.sid, 0
		sc.t.lastSID = max(sc.t.lastSID, k.sid) // never given out again while keys are left
	}
	if k.kind == kindEntry {
		sc.seq = k.seq()
	}
	value, err := it.ValueAndErr()
	if err == nil {
		value, err = unseal(key, value)
	}
	if err == nil {
		err = sc.take(k, &reader{rest: value})
	}
	if err != nil {
		sc.s.fault(key, err)
		if k.kind == kindReserved && sc.open {
			// Which numbers were used is unknown now: leave far more than an
			// unacknowledged window, so that none comes back.
			sc.cur.reserved = lostReservation
		}
	}
	return nil
}

func (sc *scan) take(k sessionKey, r *reader) error {
	if k.kind == kindRecord {
		record, err := readSessionRecord(r, string(k.rest))
		if err != nil {
			return err
		}
		sc.record, sc.open = record, true
		sc.cur = &session{sid: k.sid, epoch: record.Epoch}
		return nil
	}
	if !sc.open {
		sc.lost++
		return nil
	}
	switch k.kind {
	case kindReserved:
		sc.cur.reserved = r.uvarint()
		return r.end()
	case kindSubscription, kindProxy:
		sub, err := readSubscriptionRecord(r, string(k.rest), k.kind == kindProxy)
		if err == nil && sc.to != nil {
			sc.subs = append(sc.subs, sub)
		}
		return err
	case kindReceived:
		if sc.to != nil {
			sc.record.Received = append(sc.record.Received, binary.BigEndian.Uint16(k.rest))
		}
		return r.end()
	case kindRegistration:
		if topic := r.string(); sc.to != nil {
			sc.record.Registrations = append(sc.record.Registrations, core.Registration{ID: binary.BigEndian.Uint16(k.rest), Topic: topic})
		}
		return r.end()
	case kindAttachment:
		if sc.to != nil {
			sc.record.Attachments = append(sc.record.Attachments, core.Attachment{Key: string(k.rest), Value: bytes.Clone(r.rest)})
		}
		return nil
	default:
		e, body, err := readEntry(r, k.seq(), true)
		if err != nil {
			return err
		}
		sc.cur.queue.add(e.Seq, body)
		sc.t.refer(body)
		sc.t.lastBody = max(sc.t.lastBody, body)
		return nil
	}
}

// flush ends the session that was being read and hands it over.
func (sc *scan) flush() error {
	if sc.lost > 0 {
		sc.s.fault(appendSession(nil, sc.sid), fmt.Errorf("session #%d has no readable record: %d records below it are lost", sc.sid, sc.lost))
		sc.lost = 0
	}
	if !sc.open {
		return nil
	}
	sc.open = false
	r, c := &sc.record, sc.cur
	if sc.s.discarded {
		c.reserved += discardedLeap
	}
	if n := len(c.queue); n > 0 {
		c.reserved = max(c.reserved, c.queue[n-1].end())
		r.QueueHead = c.queue[0].first
	} else {
		r.QueueHead = c.reserved
	}
	r.QueueEnd = c.reserved
	r.Queued = int(c.queue.length())
	sc.t.queued += int64(r.Queued)
	sc.t.insert(r.ClientID, c)
	if sc.to == nil {
		return nil
	}
	subs := sc.subs
	sc.subs = sc.subs[:0]
	if err := sc.to.Session(*r); err != nil {
		return err
	}
	for i := range subs {
		if err := sc.to.Subscription(r.ClientID, subs[i]); err != nil {
			return err
		}
	}
	return nil
}
