package sessions

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/fairlead-iot/fairlead/backends/image"
	"github.com/fairlead-iot/fairlead/core"
)

// windowEntries is how many queue entries are asked for at once.
const windowEntries = 256

// fetchPatience is how long Fetch tries to read while the database is away: whoever asked
// is disconnected when it cannot.
const fetchPatience = 10 * time.Second

// fetchRetry is the pause between two attempts.
const fetchRetry = 100 * time.Millisecond

// Fetch implements core.Store.
func (s *Store) Fetch(ctx context.Context, clientID string, from uint64, max, maxBytes int, dst []core.QueuedMessage) ([]core.QueuedMessage, error) {
	if err := s.usable(); err != nil {
		return dst, err
	}
	im, err := s.ready(ctx)
	if err != nil {
		return dst, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchPatience)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	f := fetch{s: s, im: im, clientID: clientID, left: maxBytes, start: len(dst), max: max, got: dst}
	for more := true; more; {
		from, more, err = f.window(ctx, from)
		if more = more || err != nil && f.retry(ctx); !more && s.usable() != nil {
			err = s.usable()
		}
	}
	if err != nil {
		err = fmt.Errorf("store %s: read the queue of %q: %w", s.o.Engine, clientID, err)
	}
	return f.got, err
}

// fetch is one reading of a queue.
type fetch struct {
	s        *Store
	im       *image.Image
	clientID string
	max      int
	left     int // bytes of payload that may still follow
	start    int // length of got at the beginning
	got      []core.QueuedMessage

	session *image.Session
	settled bool // all that the image knew of the session was in the table
	entries []image.Entry
	slots   []slot // one an entry
}

// slot is what was read of an entry.
type slot struct {
	found bool
	body  uint64
	size  int64 // at least that of the body
	entry core.QueuedMessage
	err   error // of the record
}

// retry waits; false when there is no time left.
func (f *fetch) retry(ctx context.Context) bool {
	timer := time.NewTimer(fetchRetry)
	defer timer.Stop()
	select {
	case <-timer.C:
		return f.s.usable() == nil
	case <-ctx.Done():
		return false
	}
}

// window reads the next entries; more says that others may follow. After an error, too,
// next is the first that was not taken.
func (f *fetch) window(ctx context.Context, from uint64) (next uint64, more bool, err error) {
	want := min(f.max-(len(f.got)-f.start), windowEntries)
	if want <= 0 || !f.look(from, want) {
		return 0, false, nil
	}
	if err := f.readEntries(ctx); err != nil {
		return from, false, err
	}
	for i := range f.entries {
		if at := &f.slots[i]; at.body != 0 && at.entry.Msg == nil {
			if err := f.readBodies(ctx, i); err != nil {
				return f.entries[i].Seq, false, err
			}
		}
		switch f.use(i) {
		case ended:
			return 0, false, nil
		case changed:
			return f.entries[i].Seq, true, nil
		}
	}
	last := f.entries[len(f.entries)-1].Seq
	return last + 1, len(f.entries) == want && last+1 != 0, nil
}

// look finds in the image which entries there are.
func (f *fetch) look(from uint64, want int) bool {
	f.s.inner.RLock()
	defer f.s.inner.RUnlock()
	f.session = f.im.Lookup(f.clientID)
	if f.session == nil {
		return false
	}
	f.settled = f.session.Group() <= f.s.confirmed.Load()
	f.entries = f.session.Window(f.entries[:0], from, want)
	f.slots = f.slots[:0]
	for _, e := range f.entries {
		f.slots = append(f.slots, slot{size: f.im.BodySize(e.Body)})
	}
	return len(f.entries) > 0
}

// readEntries asks for all entries, Block by Block.
func (f *fetch) readEntries(ctx context.Context) error {
	for i := 0; i < len(f.entries); {
		first, block := i, f.entries[i].Seq/image.Block
		var keys [][]byte
		for ; i < len(f.entries) && f.entries[i].Seq/image.Block == block; i++ {
			keys = append(keys, binary.BigEndian.AppendUint64(nil, f.entries[i].Seq))
		}
		part := appendQueuePart(nil, f.session.SID(), block*image.Block)
		err := f.s.table.Get(ctx, part, keys, func(rest, value []byte) error {
			for at := first; at < i; at++ {
				if string(keys[at-first]) == string(rest) {
					f.takeEntry(&f.slots[at], f.entries[at].Seq, value)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *fetch) takeEntry(to *slot, seq uint64, value []byte) {
	to.found = true
	if to.entry, to.body, to.err = image.OpenEntry(image.AppendEntryKey(nil, f.session.SID(), seq), value); to.err != nil {
		to.body = 0
	}
}

// readBodies asks for the message of entry i, and of those behind it whose messages lie in
// the same Block, as far as there is room for them.
func (f *fetch) readBodies(ctx context.Context, i int) error {
	block, room := f.slots[i].body/image.Block, int64(f.left)
	read := map[uint64]*core.Message{}
	var keys [][]byte
	for at := i; at < len(f.slots); at++ {
		id := f.slots[at].body
		if _, again := read[id]; again || id == 0 || id/image.Block != block {
			continue
		}
		if room -= f.slots[at].size; room < 0 && len(keys) > 0 {
			break
		}
		read[id] = nil
		keys = append(keys, binary.BigEndian.AppendUint64(nil, id))
	}
	damaged := map[uint64]error{}
	err := f.s.table.Get(ctx, appendBodyPart(nil, block*image.Block), keys, func(rest, value []byte) error {
		if len(rest) != numberBytes {
			return nil
		}
		id := binary.BigEndian.Uint64(rest)
		m, err := image.OpenMessage(image.AppendBodyKey(nil, id), value)
		if err != nil {
			damaged[id] = fmt.Errorf("its message: %w", err)
			return nil
		}
		read[id] = m
		return nil
	})
	if err != nil {
		return err
	}
	for at := i; at < len(f.slots); at++ {
		to := &f.slots[at]
		if to.body == 0 || to.entry.Msg != nil || to.err != nil {
			continue
		}
		to.entry.Msg, to.err = read[to.body], damaged[to.body]
	}
	if to := &f.slots[i]; to.entry.Msg == nil && to.err == nil {
		to.found = false // like the entry itself
	}
	return nil
}

// verdict is what becomes of an entry.
type verdict uint8

const (
	used    verdict = iota // or passed over
	ended                  // neither this one nor a later one
	changed                // look anew from here
)

// use takes entry i over.
func (f *fetch) use(i int) verdict {
	at := &f.slots[i]
	if !at.found && at.err == nil {
		switch present, same := f.still(f.entries[i]); {
		case !present:
			return used // acknowledged meanwhile
		case !f.settled:
			return ended // being written
		case !same:
			return changed // its message went meanwhile, not it
		}
		at.err = errMissing
	}
	if at.err != nil {
		f.s.lose(f.clientID, f.session.SID(), f.entries[i].Seq, at.err)
		return used
	}
	size := 0
	if at.entry.Msg != nil {
		size = len(at.entry.Msg.Payload)
	}
	if len(f.got) > f.start && size > f.left {
		return ended
	}
	f.left -= size
	f.got = append(f.got, at.entry)
	return used
}

// still says whether the image has the entry yet, and as it was.
func (f *fetch) still(e image.Entry) (present, same bool) {
	f.s.inner.RLock()
	defer f.s.inner.RUnlock()
	if f.im.Lookup(f.clientID) != f.session {
		return false, false
	}
	now := f.session.Window(nil, e.Seq, 1)
	return len(now) == 1 && now[0].Seq == e.Seq, len(now) == 1 && now[0] == e
}
