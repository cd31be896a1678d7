package route

import "sync"

// never is no number of changes.
const never = ^uint64(0)

// Reader matches topic names against a Table. Each event loop has its own, so
// that its lock is all but never waited for and its cache knows the loop's
// topics. It may be used from several goroutines, one at a time.
type Reader struct {
	mu    sync.Mutex
	_     [56]byte // keeps the lock's cache line from the next reader's
	t     *Table
	cache []cached // a power of two, or empty
	last  *cached  // slot of the topic seen last: Match mostly follows Intern
	seen  uint64   // the table's changes when last was valid, or never
	walk  walk
	m     Matches
}

func newReader(t *Table) *Reader {
	r := &Reader{t: t, cache: newCache(t.cacheEntries)}
	r.walk.t = t
	return r
}

// Close ends the reader's part in the table's locking. It must not be used
// afterwards.
func (r *Reader) Close() { r.t.leave(r) }

// Match calls fn with the filters that match the topic name. fn runs under the
// reader's lock: it copies what it needs, does not block and calls no method of
// the Reader or of its Table. The Matches are valid until it returns. The
// reader may keep topic in its cache.
func (r *Reader) Match(topic string, fn func(m *Matches)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.last; c == nil || c.topic != topic || !r.use(c) {
		hash := r.t.hash.text(topic)
		if !r.use(r.lookup(hash, topic)) {
			r.search(hash, topic)
		}
	}
	fn(&r.m)
}

// MatchBytes is Match for a topic that is still in a buffer. It allocates the
// topic's string only when the cache does not hold it; Matches.Topic returns it.
func (r *Reader) MatchBytes(topic []byte, fn func(m *Matches)) {
	hash := r.t.hash.bytes(topic)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.use(r.lookupBytes(hash, topic)) {
		r.search(hash, string(topic))
	}
	fn(&r.m)
}

// Intern returns the cache's own string for the topic, if it holds one. It
// allocates nothing.
func (r *Reader) Intern(topic []byte) (string, bool) {
	hash := r.t.hash.bytes(topic)
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.lookupBytes(hash, topic); c != nil {
		r.see(c)
		return c.topic, true
	}
	return "", false
}

// search finds the filters that match and remembers them.
func (r *Reader) search(hash uint64, topic string) {
	r.walk.begin(topic, hash, r.t.maxWork)
	r.give(&r.walk, r.walk.work)
	r.remember(&r.walk)
}

// give sets the matches to what w found.
func (r *Reader) give(w *walk, work int) {
	r.m = Matches{t: r.t, topic: w.topic, entries: w.found, Truncated: w.truncated, Work: work}
}
