package sessions

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/fairlead-iot/fairlead/backends/image"
)

// The families of parts. A part of a session, a body, retained or delayed messages begins
// with the family of its keys.
const familyQueue = 'Q' // ‖ sid (8) ‖ number of the Block (8)

// numberBytes are those of a key that is a number.
const numberBytes = 8

// place splits a key of backends/image: part is appended to dst, rest aliases key or is
// appended behind.
func place(dst, key []byte) (part, rest []byte) {
	switch key[0] {
	case image.FamilySession:
		k, ok := image.ParseSessionKey(key)
		if ok && k.Kind == image.KindEntry {
			return appendQueuePart(dst, k.SID, k.Seq()), k.Rest
		}
		return append(dst, key[:image.SessionPrefix]...), key[image.SessionPrefix:]
	case image.FamilyBody:
		return appendBodyPart(dst, binary.BigEndian.Uint64(key[1:])), key[1:]
	case image.FamilyMeta:
		return append(dst, image.FamilyMeta), key[1:]
	default:
		return append(dst, key[0], spread(key)), key
	}
}

// spread chooses one of the parts of a family.
func spread(key []byte) byte {
	return byte(crc32.Checksum(key, crc32.MakeTable(crc32.Castagnoli)))
}

func appendQueuePart(dst []byte, sid, seq uint64) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, familyQueue), sid)
	return binary.BigEndian.AppendUint64(dst, seq/image.Block)
}

func appendBodyPart(dst []byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, image.FamilyBody), id/image.Block)
}

// join makes of part and key again what place split; ok is false where place does not put
// such a key there.
func join(dst, part, key []byte) (whole []byte, ok bool) {
	if len(part) == 0 || len(key) == 0 {
		return dst, false
	}
	switch part[0] {
	case image.FamilySession:
		whole = append(append(dst, part...), key...)
		k, fits := image.ParseSessionKey(whole)
		return whole, fits && len(part) == image.SessionPrefix && k.Kind != image.KindEntry
	case familyQueue:
		if len(part) != 1+2*numberBytes || len(key) != numberBytes {
			return dst, false
		}
		seq := binary.BigEndian.Uint64(key)
		whole = image.AppendEntryKey(dst, binary.BigEndian.Uint64(part[1:]), seq)
		return whole, binary.BigEndian.Uint64(part[1+numberBytes:]) == seq/image.Block
	case image.FamilyBody:
		if len(part) != 1+numberBytes || len(key) != numberBytes {
			return dst, false
		}
		id := binary.BigEndian.Uint64(key)
		return image.AppendBodyKey(dst, id), binary.BigEndian.Uint64(part[1:]) == id/image.Block
	case image.FamilyMeta:
		return append(append(dst, part...), key...), len(part) == 1
	default:
		return append(dst, key...), len(part) == 2 && part[0] == key[0] && part[1] == spread(key)
	}
}
