package image

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/fairlead-iot/fairlead/core"
)

// lostReservation is where a session goes on when its used sequence numbers
// cannot be read; a session reaches it by itself after 300 years at 100 a second.
const lostReservation = 1 << 40

// Reading is one session whose records are being read, in any order. The zero value has
// read nothing.
type Reading struct {
	brief   bool // leave out what only a core.Loader needs
	known   bool // its record was read and good
	damaged bool // its used sequence numbers cannot be read
	taken   int  // records but the session's own
	record  core.SessionRecord
	subs    []core.SubscriptionRecord
	session Session
	loose   []looseEntry // entries that did not come in order
}

type looseEntry struct{ seq, body uint64 }

// Reset begins with another session; with brief what only a core.Loader needs is left out.
func (g *Reading) Reset(brief bool) { *g = Reading{brief: brief, subs: g.subs[:0]} }

// Known tells whether the session's own record was read.
func (g *Reading) Known() bool { return g.known }

// ClientID is the session's, once it is known.
func (g *Reading) ClientID() string { return g.record.ClientID }

// Take takes one record in: value is what lies under the key k. The error is of the
// record, which is left out.
func (g *Reading) Take(k SessionKey, key, value []byte) error {
	value, err := Unseal(key, value)
	if err == nil {
		err = g.take(k, &Reader{rest: value})
	}
	if err != nil {
		g.Damage(k)
	}
	return err
}

// Damage notes that the record k cannot be read.
func (g *Reading) Damage(k SessionKey) {
	// Which numbers were used is unknown now: Handover leaves far more than an
	// unacknowledged window, so that none comes back.
	g.damaged = g.damaged || k.Kind == KindReserved
}

// Keep leaves the entry seq, which cannot be read, in the queue, so that whoever comes to it
// there deals with it.
func (g *Reading) Keep(seq uint64) { g.entry(seq, 0) }

func (g *Reading) take(k SessionKey, r *Reader) error {
	if k.Kind == kindRecord {
		record, err := readSessionRecord(r, string(k.Rest))
		if err != nil {
			return err
		}
		record.Received, record.Registrations, record.Attachments = g.record.Received, g.record.Registrations, g.record.Attachments
		g.record, g.known = record, true
		g.session.sid, g.session.epoch = k.SID, record.Epoch
		return nil
	}
	g.taken++
	switch k.Kind {
	case KindReserved:
		g.session.reserved = r.Uvarint()
		return r.End()
	case kindSubscription, kindProxy:
		sub, err := readSubscriptionRecord(r, string(k.Rest), k.Kind == kindProxy)
		if err == nil && !g.brief {
			g.subs = append(g.subs, sub)
		}
		return err
	case kindReceived:
		if !g.brief {
			g.record.Received = append(g.record.Received, binary.BigEndian.Uint16(k.Rest))
		}
		return r.End()
	case kindRegistration:
		if topic := r.String(); !g.brief {
			g.record.Registrations = append(g.record.Registrations, core.Registration{ID: binary.BigEndian.Uint16(k.Rest), Topic: topic})
		}
		return r.End()
	case kindAttachment:
		if !g.brief {
			g.record.Attachments = append(g.record.Attachments, core.Attachment{Key: string(k.Rest), Value: bytes.Clone(r.rest)})
		}
		return nil
	default:
		e, body, err := readEntry(r, k.Seq(), true)
		if err == nil {
			g.entry(e.Seq, body)
		}
		return err
	}
}

// entry takes a queue entry in; those that come in order need no sorting.
func (g *Reading) entry(seq, body uint64) {
	if q := g.session.queue; len(q) == 0 || seq >= q[len(q)-1].end() {
		g.session.queue.add(seq, body)
		return
	}
	g.loose = append(g.loose, looseEntry{seq, body})
}

// Handover puts the session into im, and gives it to to, where there is one, with its
// subscriptions. Sequence numbers are passed over by leap. A session whose own record was
// not read is left out: lost says how many records below it were. The error is of to.
func (g *Reading) Handover(im *Image, to core.Loader, leap uint64) (lost int, err error) {
	if !g.known {
		return g.taken, nil
	}
	g.sort()
	s := g.session // what is read no more need not stay in memory
	if g.damaged {
		s.reserved = lostReservation
	}
	s.reserved += leap
	r := &g.record
	if n := len(s.queue); n > 0 {
		s.reserved = max(s.reserved, s.queue[n-1].end())
		r.QueueHead = s.queue[0].first
	} else {
		r.QueueHead = s.reserved
	}
	r.QueueEnd = s.reserved
	r.Queued = int(s.queue.length())
	im.take(r.ClientID, &s)
	if to == nil {
		return 0, nil
	}
	if err := to.Session(*r); err != nil {
		return 0, err
	}
	for i := range g.subs {
		if err := to.Subscription(r.ClientID, g.subs[i]); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// sort puts the entries that came out of order where they belong.
func (g *Reading) sort() {
	if len(g.loose) == 0 {
		return
	}
	for _, p := range g.session.queue {
		for i := range p.count {
			g.loose = append(g.loose, looseEntry{p.first + i, p.body(i)})
		}
	}
	slices.SortFunc(g.loose, func(a, b looseEntry) int { return cmp.Compare(a.seq, b.seq) })
	g.session.queue = nil
	for _, e := range g.loose {
		g.session.queue.add(e.seq, e.body)
	}
	g.loose = nil
}

// take adds a session that was read.
func (im *Image) take(clientID string, s *Session) {
	for i := range s.queue {
		for _, body := range s.queue[i].bodies {
			im.refer(body)
			im.lastBody = max(im.lastBody, body)
		}
	}
	im.queued += int64(s.queue.length())
	im.NoteSID(s.sid)
	im.insert(clientID, s)
}

// NoteSID keeps sid, under which something was found, from being given out again.
func (im *Image) NoteSID(sid uint64) { im.lastSID = max(im.lastSID, sid) }

// NoteBody keeps the body id, which was found, from being given out again; bytes is how
// long its record is, 0 where nobody will ask.
func (im *Image) NoteBody(id uint64, bytes int64) {
	im.lastBody = max(im.lastBody, id)
	im.sized(id, bytes)
}

// UnreadableSIDs keeps numbers that could not be read from being given out again.
func (im *Image) UnreadableSIDs() { im.lastSID += unreadable }

// UnreadableBodies keeps numbers that could not be read from being given out again.
func (im *Image) UnreadableBodies() { im.lastBody += unreadable }

// unreadable is beyond any number that was counted up.
const unreadable = 1 << 32

// TakeRetained takes a retained message in and gives it to to, where there is one: fault is
// of the record, err of to.
func (im *Image) TakeRetained(key, value []byte, to core.Loader) (fault, err error) {
	m, fault := OpenMessage(key, value)
	if fault != nil {
		return fault, nil
	}
	if !bytes.Equal(key[1:], []byte(m.Topic)) {
		return ErrCorrupt, nil
	}
	im.noteRetained(m.Topic, true)
	if to == nil {
		return nil, nil
	}
	return nil, to.Retained(m)
}

// TakeDelayed takes a delayed message in and gives it to to, where there is one: fault is
// of the record, err of to.
func (im *Image) TakeDelayed(key, value []byte, to core.Loader) (fault, err error) {
	value, fault = Unseal(key, value)
	if fault != nil {
		return fault, nil
	}
	d, fault := readDelayedRecord(&Reader{rest: value})
	if fault != nil {
		return fault, nil
	}
	if !bytes.Equal(key, appendDelayedKey(nil, d.Msg.ID)) {
		return ErrCorrupt, nil
	}
	im.noteDelayed(d.Msg.ID, true)
	if to == nil {
		return nil, nil
	}
	return nil, to.Delayed(d)
}

// OpenMessage reads a message that lies under a key of its own. It owns its bytes.
func OpenMessage(key, value []byte) (*core.Message, error) {
	value, err := Unseal(key, value)
	if err != nil {
		return nil, err
	}
	r := &Reader{rest: value}
	m := readMessage(r)
	return m, r.End()
}

// OpenEntry reads the queue entry under key; body is not 0 where its message lies under
// the key of that body. It owns its bytes.
func OpenEntry(key, value []byte) (e core.QueuedMessage, body uint64, err error) {
	k, ok := ParseSessionKey(key)
	if !ok || k.Kind != KindEntry {
		return e, 0, ErrCorrupt
	}
	if value, err = Unseal(key, value); err != nil {
		return e, 0, err
	}
	return readEntry(&Reader{rest: value}, k.Seq(), false)
}
