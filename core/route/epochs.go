package route

// epochBuckets is how many counters there are; with 8 bytes each they fit the
// processor's first caches.
const epochBuckets = 4096

// prefixLevels is how many leading literal levels tell wildcard filters apart.
const prefixLevels = 3

// epochs count the changes of the set of filters, apart by what topics they can
// concern: one counter for filters that begin with a wildcard, and buckets by
// the hash of an exact filter or of a wildcard filter's leading literal levels.
// A topic's stamp is the sum of the counters that concern it; it grows whenever
// one of them does.
type epochs struct {
	global  uint64
	buckets [epochBuckets]uint64
}

// stamps are the buckets of one topic.
type stamps [1 + prefixLevels]uint16

func bucket(hash uint64) uint16 { return uint16(hash >> 20 & (epochBuckets - 1)) }

// stamp returns the sum of the counters that concern a topic.
func (ep *epochs) stamp(s *stamps) uint64 {
	sum := ep.global
	for _, b := range s {
		sum += ep.buckets[b]
	}
	return sum
}

// bump counts a change of the set of filters.
func (ep *epochs) bump(h *hasher, filter string, wild bool) {
	if !wild {
		ep.buckets[bucket(h.text(filter))]++
		return
	}
	path, depth := h.root, 0
	for rest, more := filter, true; more && depth < prefixLevels; depth++ {
		var level string
		level, rest, more = cut(rest)
		if level == "+" || level == "#" && !more {
			break
		}
		path = h.step(path, h.text(level))
	}
	if depth == 0 {
		ep.global++
		return
	}
	ep.buckets[bucket(path)]++
}
