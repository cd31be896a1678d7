package pebble

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/fairlead-iot/fairlead/backends/image"
)

// writer is the image.Writer of one group. Writing to a batch in memory cannot
// fail but for a batch of 4 GiB, which the bounds of batch and group exclude.
type writer struct {
	db   *pebble.DB // what the groups before this one wrote
	out  *pebble.Batch
	from []byte // scratch: where the keys of a session begin
	to   []byte // and where they end
	keys []byte // scratch of deleteEach: keys, one behind the other
	ends []int  // where each of keys ends
}

var _ image.Writer = (*writer)(nil)

// Set implements image.Writer.
func (w *writer) Set(key, value []byte) { _ = w.out.Set(key, value, nil) }

// Delete implements image.Writer.
func (w *writer) Delete(key []byte) { _ = w.out.Delete(key, nil) }

// DeleteEntry implements image.Writer.
func (w *writer) DeleteEntry(_ *image.Session, _ uint64, key []byte) { w.Delete(key) }

// DeleteBody implements image.Writer.
func (w *writer) DeleteBody(_ uint64, key []byte) { w.Delete(key) }

// DeleteSession implements image.Writer. What this group wrote is not in the database yet:
// then only a range takes it away.
func (w *writer) DeleteSession(s *image.Session, fresh bool) {
	w.from = image.AppendSession(w.from[:0], s.SID())
	w.to = image.AppendSession(w.to[:0], s.SID()+1)
	if fresh || !w.deleteEach() {
		_ = w.out.DeleteRange(w.from, w.to, nil)
	}
}

// fewKeys is how many keys are deleted one by one. Pebble sorts all range
// deletions of a memtable anew for the reader that follows one: ten thousand of
// them cost each such reading 14 ms.
const fewKeys = 256

// deleteEach deletes the keys from w.from up to w.to one by one; false when they
// are too many, or cannot be read: then none is.
func (w *writer) deleteEach() bool {
	it, err := w.db.NewIter(&pebble.IterOptions{LowerBound: w.from, UpperBound: w.to})
	if err != nil {
		return false
	}
	defer it.Close()
	w.keys, w.ends = w.keys[:0], w.ends[:0]
	for ok := it.First(); ok; ok = it.Next() {
		if len(w.ends) == fewKeys {
			return false
		}
		w.keys = append(w.keys, it.Key()...)
		w.ends = append(w.ends, len(w.keys))
	}
	if it.Error() != nil {
		return false
	}
	start := 0
	for _, end := range w.ends {
		w.Delete(w.keys[start:end])
		start = end
	}
	return true
}
