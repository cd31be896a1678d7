package rules

import (
	"hash/fnv"
	"math/bits"

	"github.com/fairlead-iot/fairlead/core"
)

// messageIDLength is enough for 128 bits in base 62.
const messageIDLength = 22

// digits are in the order of their bytes: texts of one length sort as their numbers do.
const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// MessageID is the text that names m in databases: 22 characters of base 62, the same on
// every node and after every restart, that sort by the time of publishing.
//
// They are 128 bits: 64 of microseconds, 8 that tell messages of one microsecond apart,
// and 56 of a hash of topic and publisher, that tell messages of several nodes apart.
func MessageID(m *core.Message) string {
	h := fnv.New64a()
	h.Write([]byte(m.Topic))
	h.Write([]byte{0})
	h.Write([]byte(m.Publisher))
	return base62(m.ID>>8, m.ID<<56|h.Sum64()>>8)
}

// MessageIDAt is the least MessageID of messages published at ms, Unix milliseconds, or
// later.
func MessageIDAt(ms int64) string { return base62(uint64(max(ms, 0))*1000, 0) }

// MessageIDAfter is the least MessageID of messages of this node whose ID is greater than
// id; see [core.Event].Before.
func MessageIDAfter(id uint64) string { return base62((id+1)>>8, (id+1)<<56) }

// IsMessageID says whether text could be a MessageID.
func IsMessageID(text string) bool {
	if len(text) != messageIDLength {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func base62(hi, lo uint64) string {
	var text [messageIDLength]byte
	for i := messageIDLength - 1; i >= 0; i-- {
		var rest uint64
		hi, rest = hi/62, hi%62
		lo, rest = bits.Div64(rest, lo, 62)
		text[i] = digits[rest]
	}
	return string(text[:])
}
