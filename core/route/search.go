package route

import "slices"

// sieve is how many entries are sifted together with the last piece of a search; more
// are a piece of their own.
const sieve = 256

// Search is a match that Reader.Seek makes in pieces. The zero value has not begun. It
// may go from one Reader to another of the same Table, and be dropped at any time.
type Search struct{ walk *walk }

// Begun says that s holds memory.
func (s *Search) Begun() bool { return s.walk != nil }

// Unfinished says that Seek was not done.
func (s *Search) Unfinished() bool { return s.walk != nil && !s.walk.done }

// Topic returns the topic of a search that is unfinished, else "".
func (s *Search) Topic() string {
	if !s.Unfinished() {
		return ""
	}
	return s.walk.topic
}

// Known says that Seek would find the topic's matches in the cache. It takes no lock, and
// belongs to who owns the Reader.
func (r *Reader) Known(topic string) bool {
	return r.last != nil && r.seen == r.t.changes.Load() && r.last.topic == topic
}

// Seek looks for the filters that match the topic, for so many steps of work, and goes on
// with s if that is an unfinished search for the same topic. work is what it did. Once it
// is done, Found gives them; where one call is enough, s takes no memory.
//
// However the table changes between the calls, a filter that is there all the time is
// found. One that comes meanwhile may be.
func (r *Reader) Seek(topic string, s *Search, steps int) (work int, done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := s.walk; w != nil && w.topic == topic && !w.done {
		return r.seekOn(s, steps)
	}
	s.walk = nil
	if c := r.last; c != nil && c.topic == topic && r.see(c) || r.walk.holds(topic) {
		return 0, true
	}
	hash := r.t.hash.text(topic)
	if c := r.lookup(hash, topic); c != nil && r.see(c) {
		return 0, true
	}
	w := &r.walk
	w.begin(topic, hash, steps)
	switch {
	case !w.whole:
		w.date()
		s.walk = new(walk)
		*s.walk, r.walk = r.walk, walk{t: r.t}
		return s.walk.work, false
	case r.cacheable(w):
		r.remember(w)
	default:
		w.date()
	}
	return w.work, true
}

// seekOn is Seek for a search that is unfinished.
func (r *Reader) seekOn(s *Search, steps int) (work int, done bool) {
	w := s.walk
	if w.whole {
		w.sift()
		w.done = true
		return len(w.found), true
	}
	before := w.work
	w.goOn(steps)
	work = w.work - before
	switch {
	case !w.whole:
		return work, false
	case w.fresh():
		w.done = true
		r.remember(w)
	case len(w.found) <= sieve:
		w.done = true
		w.sift()
	}
	return work, w.done
}

// Found is Match after Seek for the same topic and with the same s was done, with
// nothing else of the Reader called in between. It never searches anew: of what Seek has
// found it leaves out what is there no longer.
func (r *Reader) Found(topic string, s *Search, fn func(m *Matches)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.last
	if s.walk != nil || c == nil || c.topic != topic || !r.use(c) {
		r.findFound(topic, s)
	}
	fn(&r.m)
}

// findFound sets the matches to what Seek found and the cache has not, or not any more.
func (r *Reader) findFound(topic string, s *Search) {
	c := r.last
	switch {
	case s.walk != nil && s.walk.done && s.walk.topic == topic:
		r.walk = *s.walk // with its memory
		s.walk = nil
	case r.walk.of(topic):
	case c != nil && c.topic == topic:
		r.walk.copy(c)
	default:
		r.search(r.t.hash.text(topic), topic)
		return
	}
	if !r.walk.fresh() {
		r.walk.sift()
	}
	r.give(&r.walk, 0)
}

// date notes that the walk has seen the table as it is now.
func (w *walk) date() {
	w.stamps, w.dated = w.buckets(), true
	w.stamp = w.t.epochs.stamp(&w.stamps)
}

// fresh says that no filter that concerns the topic came or went since date or sift.
func (w *walk) fresh() bool { return w.stamp == w.t.epochs.stamp(&w.stamps) }

// of says that w is a whole walk of the topic that has a date.
func (w *walk) of(topic string) bool { return w.whole && w.dated && w.topic == topic }

// holds says that w found all that matches the topic now.
func (w *walk) holds(topic string) bool { return w.of(topic) && !w.sifted && w.fresh() }

// copy makes w a walk that found what c holds, when that was valid.
func (w *walk) copy(c *cached) {
	w.topic, w.hash, w.levels, w.next = c.topic, c.hash, w.levels[:0], 0
	w.found, w.rest = append(w.found[:0], c.entries()...), w.rest[:0]
	w.truncated, w.whole, w.dated, w.sifted = c.truncated, true, true, false
	w.stamps, w.stamp = c.buckets, c.stamp
}

// sift leaves of what was found what is there still, each once: an entry may have gone,
// and its number may be another filter's now. A filter that was moved beside the trie
// meanwhile is looked for there.
func (w *walk) sift() {
	es := w.t.entries
	kept := w.found[:0]
	for _, e := range w.found {
		if es.live(e) != nil && matches(es.text(e), w.topic) {
			kept = append(kept, e)
		}
	}
	for _, e := range w.t.trie.odd {
		if matches(es.text(e), w.topic) {
			kept = append(kept, e)
		}
	}
	slices.Sort(kept)
	w.found = slices.Compact(kept)
	w.sifted = true
	w.stamp = w.t.epochs.stamp(&w.stamps)
}
