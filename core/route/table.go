package route

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
)

// Defaults for Options.
const (
	// DefaultMatchWork is about a millisecond and far above what any sensible
	// set of filters needs.
	DefaultMatchWork = 100_000
	// DefaultCacheEntries is small enough to stay in the processor's caches.
	DefaultCacheEntries = 4096
)

// Options of a Table. The zero value is ready for use.
type Options struct {
	// MaxMatchWork bounds one match: visited trie nodes plus compared filters, each
	// 64 bytes of theirs. 0 means DefaultMatchWork.
	MaxMatchWork int
	// CacheEntries is how many topics a Reader remembers, rounded up to a power
	// of two. 0 means DefaultCacheEntries; below 0 means none.
	CacheEntries int
	// Seed of all hashes. The zero value means a random one.
	Seed maphash.Seed
}

// Table maps topic filters to values and nodes, and finds those that match a
// topic name. It has one writer at a time (Update) and any number of Readers.
// See the package comment for how it is built and locked.
type Table struct {
	maxWork      int
	cacheEntries int
	hash         *hasher

	// writer is held by Update, Walk, Stats and while readers come and go. Who
	// changes anything below holds it and the lock of every reader as well.
	writer  sync.Mutex
	readers []*Reader
	tx      Tx // that Update gives, one at a time

	entries *entries
	exact   *index // entries of exact filters
	trie    *trie  // entries of wildcard filters
	epochs  epochs
	changes atomic.Uint64 // updates; written as the above, read by anyone
}

// New returns an empty Table.
func New(o Options) *Table { return newTable(o, newHasher(o.Seed)) }

func newTable(o Options, hash *hasher) *Table {
	t := &Table{maxWork: o.MaxMatchWork, cacheEntries: o.CacheEntries, hash: hash}
	if t.maxWork <= 0 {
		t.maxWork = DefaultMatchWork
	}
	if t.cacheEntries == 0 {
		t.cacheEntries = DefaultCacheEntries
	}
	t.entries = newEntries()
	t.exact = newIndex()
	t.trie = newTrie(t.entries, hash)
	return t
}

// Update runs fn, which may change the table, while no reader reads; readers
// see all of its changes or none. fn must be short (callers batch: 64 changes
// or 200 µs), must not block and must not call methods of the Table or of its
// Readers. The Tx is valid until fn returns. Update waits for other writers and
// for matches under way.
func (t *Table) Update(fn func(tx *Tx)) {
	t.writer.Lock()
	defer t.writer.Unlock()
	for _, r := range t.readers {
		r.mu.Lock()
	}
	defer func() {
		for _, r := range t.readers {
			r.mu.Unlock()
		}
	}()
	t.changes.Add(1)
	t.tx.t = t
	fn(&t.tx)
}

// NewReader returns a Reader of the table; the caller closes it.
func (t *Table) NewReader() *Reader {
	r := newReader(t)
	t.writer.Lock()
	defer t.writer.Unlock()
	t.readers = append(t.readers, r)
	return r
}

// leave takes a reader off the list.
func (t *Table) leave(r *Reader) {
	t.writer.Lock()
	defer t.writer.Unlock()
	if i := slices.Index(t.readers, r); i >= 0 {
		t.readers = slices.Delete(t.readers, i, i+1)
	}
}

// find returns the entry of an exact filter with the hash, 0 for none.
func (t *Table) find(filter string, hash uint64) Entry {
	p := t.exact.probe(tag(hash))
	for id := p.next(); id != 0; id = p.next() {
		if string(t.entries.text(Entry(id))) == filter {
			return Entry(id)
		}
	}
	return 0
}

// Stats are figures about a Table.
type Stats struct {
	Exact, Wildcard int // filters
	Values          int // pairs of a filter and a value
	Nodes           int // pairs of a filter and a node of the cluster
	TrieNodes       int // nodes of the trie of wildcard filters
	Odd             int // wildcard filters whose path has the hash of another; 0 but for great luck
	Readers         int
	Bytes           int // memory of all parts but the readers' caches
}

// Stats returns the figures of this moment. It waits for a writer, not for
// readers, and takes some microseconds.
func (t *Table) Stats() Stats {
	t.writer.Lock()
	defer t.writer.Unlock()
	es := t.entries
	return Stats{
		Exact: es.exact, Wildcard: es.wild,
		Values: es.valueCount, Nodes: es.nodeCount,
		TrieNodes: t.trie.nodes.used, Odd: len(t.trie.odd),
		Readers: len(t.readers),
		Bytes:   es.bytes() + t.exact.bytes() + t.trie.bytes(),
	}
}
