package core

import "hash/maphash"

// What a client says lies in the loop's buffer, and the strings that core is handed are
// copies of it. These make no more of them than somebody may want: a client that sends
// long texts to be refused, or one text again and again, makes little garbage.

// Filters are remembered by turn, as far as that costs little.
const (
	filterSlots   = 512 // a power of two
	longestFilter = 256
)

// FilterText gives the string of a filter that goes to Subscribe or Unsubscribe: one that
// the turn remembers, or a copy. Of a filter that is too long it gives no more than shows
// that it is, unless rules rewrite filters: they may make a shorter one of it.
func (t *Turn) FilterText(b []byte) string {
	switch {
	case len(b) <= longestFilter:
	case len(t.g.rewrites) > 0:
		return string(b)
	default:
		return string(shown(b, t.g.cfg.MaxTopicLength))
	}
	if t.filters == nil {
		t.filters = make([]string, filterSlots)
	}
	slot := &t.filters[maphash.Bytes(t.g.seed, b)&(filterSlots-1)]
	if *slot != string(b) {
		*slot = string(b)
	}
	return *slot
}

// ClientIDText gives the string of a ClientID that goes to Connect. Of one that is too long
// it gives no more than shows that it is.
func (t *Turn) ClientIDText(b []byte) string { return string(shown(b, t.g.cfg.MaxClientIDLength)) }

// shown is as much of b as shows that it is longer than most, and as records of explain
// have of it.
func shown(b []byte, most int) []byte { return b[:min(len(b), max(most, maxRecordText)+1)] }
