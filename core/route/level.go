package route

import (
	"hash/maphash"
	"math/bits"
	"strings"
)

// cut splits the first level off s; more tells whether another one follows.
func cut(s string) (level, rest string, more bool) {
	i := strings.IndexByte(s, '/')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// isWildcard reports whether the filter can match more than its own text.
func isWildcard(filter string) bool { return strings.ContainsAny(filter, "+#") }

// matches decides whether a filter matches a topic name, by their texts.
func matches(filter []byte, topic string) bool {
	if len(topic) > 0 && topic[0] == '$' && len(filter) > 0 && (filter[0] == '+' || filter[0] == '#') {
		return false // [MQTT-4.7.2-1]
	}
	i, f := 0, 0
	for f < len(filter) {
		switch c := filter[f]; {
		case wholeLevel(filter, f, '#') && f+1 == len(filter):
			return true
		case wholeLevel(filter, f, '+'):
			for i < len(topic) && topic[i] != '/' {
				i++
			}
		case i < len(topic) && topic[i] == c:
			i++
		default:
			// "sport/#" also matches "sport".
			return i == len(topic) && c == '/' && f+2 == len(filter) && filter[f+1] == '#'
		}
		f++
	}
	return i == len(topic)
}

// wholeLevel reports whether the byte at place f is a level of its own.
func wholeLevel(filter []byte, f int, c byte) bool {
	return filter[f] == c && (f == 0 || filter[f-1] == '/') && (f+1 == len(filter) || filter[f+1] == '/')
}

// hasher turns texts and paths into 64-bit hashes nobody outside can foresee.
type hasher struct {
	seed maphash.Seed
	a, b uint64 // multiplied with
	root uint64 // hash of the path without levels
	plus uint64 // hash of the level "+"
	mask uint64 // all ones but in tests that want collisions
}

func newHasher(seed maphash.Seed) *hasher {
	if seed == (maphash.Seed{}) {
		seed = maphash.MakeSeed()
	}
	return maskedHasher(seed, ^uint64(0))
}

// maskedHasher keeps of every hash only the bits of the mask.
func maskedHasher(seed maphash.Seed, mask uint64) *hasher {
	// No level has a '/', so none has the hash that would make a product zero.
	h := &hasher{seed: seed, a: maphash.String(seed, "/a"), b: maphash.String(seed, "/b"), mask: mask}
	h.root, h.plus = h.text("/root"), h.text("+")
	return h
}

// text returns the hash of a whole filter, topic or level.
func (h *hasher) text(s string) uint64 { return maphash.String(h.seed, s) & h.mask }

// bytes returns what text returns for the same bytes.
func (h *hasher) bytes(s []byte) uint64 { return maphash.Bytes(h.seed, s) & h.mask }

// step returns the hash, never 0, of the path one level longer, from the hash
// of the path and of the level.
func (h *hasher) step(path, level uint64) uint64 {
	hi, lo := bits.Mul64(path^h.a, level^h.b)
	return max((hi^lo+path)&h.mask, 1)
}

// tag is the part of a hash that an index keeps.
func tag(hash uint64) uint32 { return uint32(hash >> 32) }
