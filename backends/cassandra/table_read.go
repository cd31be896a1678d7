package cassandra

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// stateRow is a row of fairlead_state.
type stateRow struct {
	key, long, value []byte
	chunk, chunks    int
}

func (r *stateRow) whole() []byte {
	if r.long != nil {
		return r.long
	}
	return r.key
}

// mostKeys is how many keys one statement asks for.
const mostKeys = 100

// Get implements sessions.Table.
func (t *Table) Get(ctx context.Context, part []byte, keys [][]byte, f func(key, value []byte) error) error {
	s, err := t.settled(ctx)
	if err != nil {
		return t.fault("get", err)
	}
	part = append([]byte{}, part...) // nil would be null
	var page sessions.Pager
	for len(keys) > 0 {
		some := keys[:min(page.Rows(), mostKeys, len(keys))]
		keys = keys[len(some):]
		rows, err := t.firstRows(ctx, s, part, some)
		if err != nil {
			return t.fault("get", err)
		}
		size := 0
		for i := range rows {
			r := &rows[i]
			if err := t.rest(ctx, s, part, r); err != nil {
				return t.fault("get", err)
			}
			size += len(r.key) + len(r.long) + len(r.value)
			if err := f(r.whole(), r.value); err != nil {
				return err
			}
			r.value = nil
		}
		page.Read(len(some), size)
	}
	return nil
}

// firstRows reads the first row of each key.
func (t *Table) firstRows(ctx context.Context, s *gocql.Session, part []byte, keys [][]byte) (rows []stateRow, err error) {
	short := make([][]byte, len(keys))
	long := map[string][]byte{} // by what stands for them
	for i, key := range keys {
		var cut bool
		if short[i], cut = sessions.ShortKey(key, wholeKey); cut {
			long[string(short[i])] = key
		}
	}
	found := s.Query("SELECT key, long_key, chunks, value FROM fairlead_state WHERE namespace = ? AND part = ? AND key IN ? AND chunk = 0", t.namespace, part, short).IterContext(ctx)
	for r := (stateRow{}); found.Scan(&r.key, &r.long, &r.chunks, &r.value); r = (stateRow{}) {
		if wanted := long[string(r.key)]; wanted != nil && !bytes.Equal(wanted, r.long) {
			err = fmt.Errorf("two keys have the SHA-256 of %.32q", wanted)
		}
		rows = append(rows, r)
	}
	return rows, errors.Join(err, found.Close())
}

// rest reads what a value has in more rows.
func (t *Table) rest(ctx context.Context, s *gocql.Session, part []byte, r *stateRow) error {
	for n := 1; n < r.chunks; n++ {
		var chunk []byte
		if err := s.Query("SELECT value FROM fairlead_state WHERE namespace = ? AND part = ? AND key = ? AND chunk = ?", t.namespace, part, r.key, n).
			ScanContext(ctx, &chunk); err != nil {
			return fmt.Errorf("row %d of %d of %.60q: %w", n+1, r.chunks, r.whole(), err)
		}
		r.value = append(r.value, chunk...)
	}
	return nil
}

// scanAtOnce is how many parts are read side by side.
const scanAtOnce = 16

// Scan implements sessions.Table.
func (t *Table) Scan(ctx context.Context, f func(part, key, value []byte) error) error {
	s, err := t.settled(ctx)
	if err != nil {
		return t.fault("scan", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sc := scanning{t: t, ctx: ctx, cancel: cancel, s: s, f: f}
	parts := make(chan []byte, scanAtOnce)
	var listing, reading sync.WaitGroup
	for n := range scanAtOnce {
		listing.Go(func() {
			for b := n; b < buckets; b += scanAtOnce {
				sc.end(sc.list(b, parts))
			}
		})
		reading.Go(func() {
			for part := range parts {
				sc.end(sc.part(part))
			}
		})
	}
	listing.Wait()
	close(parts)
	reading.Wait()
	return sc.err
}

// scanning is one Scan.
type scanning struct {
	t      *Table
	ctx    context.Context
	cancel context.CancelFunc
	s      *gocql.Session

	mu  sync.Mutex // is held while f is called
	f   func(part, key, value []byte) error
	err error // the first; f is not called any more
}

// end notes the first fault, and has the others end.
func (sc *scanning) end(err error) {
	if err == nil {
		return
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if sc.err == nil {
		sc.err = err
	}
	sc.cancel()
}

// list names the parts of a bucket.
func (sc *scanning) list(bucket int, parts chan<- []byte) error {
	if sc.ctx.Err() != nil {
		return sc.ctx.Err()
	}
	found := sc.s.Query("SELECT part FROM fairlead_part WHERE namespace = ? AND bucket = ?", sc.t.namespace, bucket).IterContext(sc.ctx)
	for part := []byte(nil); found.Scan(&part); part = nil {
		select {
		case parts <- append([]byte{}, part...): // nil would be null
		case <-sc.ctx.Done():
			return errors.Join(sc.ctx.Err(), found.Close())
		}
	}
	return sc.t.fault("scan", found.Close())
}

// part reads one, page by page.
func (sc *scanning) part(part []byte) error {
	if sc.ctx.Err() != nil {
		return sc.ctx.Err()
	}
	var page sessions.Pager
	var whole stateRow // as far as it is read
	for state := []byte(nil); ; {
		found := sc.s.Query("SELECT key, long_key, chunk, chunks, value FROM fairlead_state WHERE namespace = ? AND part = ?", sc.t.namespace, part).
			PageSize(page.Rows()).PageState(state).IterContext(sc.ctx)
		rows, size := 0, 0
		for n := found.NumRows(); rows < n; rows++ {
			var r stateRow
			if !found.Scan(&r.key, &r.long, &r.chunk, &r.chunks, &r.value) {
				break
			}
			size += len(r.key) + len(r.long) + len(r.value)
			if err := sc.row(part, &whole, &r); err != nil {
				found.Close()
				return err
			}
		}
		state = found.PageState()
		if err := found.Close(); err != nil {
			return sc.t.fault("scan", err)
		}
		if len(state) == 0 {
			return nil
		}
		page.Read(rows, size)
	}
}

// row adds a row to whole, and gives that to f when it has all of its rows. Rows beyond its
// number are of a longer value that stood there before.
func (sc *scanning) row(part []byte, whole, r *stateRow) error {
	switch {
	case r.chunk == 0:
		*whole = *r
	case bytes.Equal(r.key, whole.key) && r.chunk < whole.chunks:
		whole.value = append(whole.value, r.value...)
	default:
		return nil
	}
	if r.chunk != whole.chunks-1 {
		return nil
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if sc.err != nil {
		return sc.err
	}
	if err := sc.f(part, whole.whole(), whole.value); err != nil {
		sc.err = err
		return err
	}
	whole.value = nil
	return nil
}
