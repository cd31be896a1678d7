package route

const (
	fewEntries    = 4   // matches a cached result holds in place
	mostEntries   = 256 // results with more are not worth remembering
	longestCached = 1024
	maxCacheSlots = 1 << 20
)

// cached is a remembered result. It counts while its stamp is its topic's.
type cached struct {
	hash      uint64
	stamp     uint64
	topic     string
	many      []Entry // when there are more than few can hold
	few       [fewEntries]Entry
	buckets   stamps
	count     uint16
	used      bool
	truncated bool
}

// entries returns the result's entries.
func (c *cached) entries() []Entry {
	if c.count <= fewEntries {
		return c.few[:c.count]
	}
	return c.many
}

// cacheWays is how many slots a topic may stand in, side by side: with one, two
// busy topics that want it would push each other out for ever.
const cacheWays = 2

// newCache returns n slots, rounded up to a power of two.
func newCache(n int) []cached {
	if n < 0 {
		return nil
	}
	size := cacheWays
	for size < min(n, maxCacheSlots) {
		size *= 2
	}
	return make([]cached, size)
}

// ways returns the slots where a topic with the hash can stand, none when there
// is no cache.
func (r *Reader) ways(hash uint64) []cached {
	if len(r.cache) == 0 {
		return nil
	}
	i := hash * cacheWays & uint64(len(r.cache)-1)
	return r.cache[i : i+cacheWays]
}

// lookup returns what the cache holds for the topic, valid or not; nil for
// nothing.
func (r *Reader) lookup(hash uint64, topic string) *cached {
	ways := r.ways(hash)
	for i := range ways {
		if c := &ways[i]; c.hash == hash && c.topic == topic && c.used {
			return c
		}
	}
	return nil
}

// lookupBytes is lookup for bytes.
func (r *Reader) lookupBytes(hash uint64, topic []byte) *cached {
	ways := r.ways(hash)
	for i := range ways {
		if c := &ways[i]; c.hash == hash && c.topic == string(topic) && c.used {
			return c
		}
	}
	return nil
}

// see notes that the topic of c was asked for, and tells whether what it holds is valid.
func (r *Reader) see(c *cached) (valid bool) {
	r.last = c
	valid = c.stamp == r.t.epochs.stamp(&c.buckets)
	if r.seen = never; valid {
		r.seen = r.t.changes.Load()
	}
	return valid
}

// use sets the matches to what c holds, if that is still valid.
func (r *Reader) use(c *cached) bool {
	if c == nil || !(c == r.last && r.seen == r.t.changes.Load()) && !r.see(c) {
		return false
	}
	r.m = Matches{t: r.t, topic: c.topic, entries: c.entries(), Truncated: c.truncated}
	return true
}

// cacheable says that what a walk found is remembered.
func (r *Reader) cacheable(w *walk) bool {
	return len(r.cache) > 0 && len(w.found) <= mostEntries && len(w.topic) <= longestCached
}

// remember puts what a walk found, which nothing has changed since it began, into the
// cache, in place of what the cache holds for the topic or of the older of its slots.
func (r *Reader) remember(w *walk) {
	if !r.cacheable(w) {
		return
	}
	hash, topic, found := w.hash, w.topic, w.found
	c := r.lookup(hash, topic)
	if c == nil {
		ways := r.ways(hash)
		ways[0], ways[1] = ways[1], ways[0]
		c = &ways[0]
	}
	c.hash, c.topic, c.used, c.truncated = hash, topic, true, w.truncated
	c.buckets = w.buckets()
	c.stamp = r.t.epochs.stamp(&c.buckets)
	c.count = uint16(len(found))
	r.last, r.seen = c, r.t.changes.Load()
	if len(found) <= fewEntries {
		copy(c.few[:], found)
		return
	}
	c.many = append(c.many[:0], found...)
}
