package packet

import (
	"encoding/binary"
	"iter"
)

// UserProperties is a list of User Properties in wire form, each pair with its identifier in front, so that a list can
// be kept and sent on without being taken apart. The zero value is empty. Only Decode and Add make well-formed
// lists. [MQTT-3.3.2-17] [MQTT-3.3.2-18]
type UserProperties []byte

// Add appends a pair. Name and value are UTF-8 strings of at most 65,535 bytes. [MQTT-1.5.7-1]
func (u UserProperties) Add(name, value []byte) UserProperties {
	return appendBytes(appendBytes(append(u, byte(PropUserProperty)), name), value)
}

// Len counts the pairs.
func (u UserProperties) Len() int {
	n := 0
	for range u.All() {
		n++
	}
	return n
}

// All goes through the pairs in their order, without copying: names and values alias the list.
func (u UserProperties) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for rest := []byte(u); len(rest) > 0; {
			name, more := cutString(rest[1:])
			value, next := cutString(more)
			if next == nil || !yield(name, value) {
				return
			}
			rest = next
		}
	}
}

// wellFormed reports whether the list is nothing but whole pairs.
func (u UserProperties) wellFormed() bool {
	for rest := []byte(u); len(rest) > 0; {
		if Property(rest[0]) != PropUserProperty {
			return false
		}
		_, rest = cutString(rest[1:])
		if _, rest = cutString(rest); rest == nil {
			return false
		}
	}
	return true
}

// cutString takes a length-prefixed string off b; rest is nil if b is too short for one.
func cutString(b []byte) (s, rest []byte) {
	if len(b) < 2 {
		return nil, nil
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	if n > len(b) {
		return nil, nil
	}
	return b[2:n:n], b[n:]
}

// userBlock gathers the User Properties of a block. As a rule they stand together, and a slice of the block is enough;
// where other properties come in between, they are copied together into spare.
type userBlock struct {
	whole      []byte
	start, end int // the run gathered so far, while there was no gap
	spare      []byte
	gap        bool
	left       int // pairs that the limit still allows
}

// add takes the pair at whole[start:end] in. It reports false if that is one too many.
func (u *userBlock) add(start, end int) bool {
	if u.left--; u.left < 0 {
		return false
	}
	switch {
	case u.gap:
		u.spare = append(u.spare, u.whole[start:end]...)
	case u.end == 0:
		u.start, u.end = start, end
	case u.end == start:
		u.end = end
	default:
		u.gap = true
		u.spare = append(append(u.spare, u.whole[u.start:u.end]...), u.whole[start:end]...)
	}
	return true
}

// finish gives the list, and the spare memory to keep for the next block.
func (u *userBlock) finish() (list UserProperties, spare []byte) {
	if u.gap {
		return u.spare, u.spare
	}
	if u.end == 0 {
		return nil, u.spare
	}
	return u.whole[u.start:u.end:u.end], u.spare
}
