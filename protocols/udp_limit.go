package protocols

import (
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/fairlead-iot/fairlead/internal/turns"
)

// answerBuckets is how many buckets the addresses without connections share. Their
// number is fixed: whoever invents addresses makes no state.
const answerBuckets = 8192

// answerLimit bounds the answers that addresses without a connection get: who sends in
// somebody else's name must not be able to flood him. Addresses that share a bucket
// share its rate.
type answerLimit struct {
	buckets []answerBucket // nil until the first answer
}

type answerBucket struct {
	second uint32
	used   uint32
}

// take counts an answer to a, and tells whether it may be sent.
func (l *answerLimit) take(t *peerTable, a netip.Addr, now time.Time, rate int) bool {
	if rate <= 0 {
		return true
	}
	if l.buckets == nil {
		l.buckets = make([]answerBucket, answerBuckets)
	}
	key := turns.Block(a).As16()
	b := &l.buckets[maphash.Bytes(t.seed, key[:])%answerBuckets]
	if s := uint32(now.Unix()); b.second != s {
		*b = answerBucket{second: s}
	}
	b.used++
	return b.used <= uint32(rate)
}

// explainedAtOnce is how many refusals of one port are explained in a second; all of
// them are counted.
const explainedAtOnce = 32

// hush says which refusals are explained.
type hush struct {
	second int64
	said   int
}

func (h *hush) allows(now time.Time) bool {
	if s := now.Unix(); s != h.second {
		*h = hush{second: s}
	}
	h.said++
	return h.said <= explainedAtOnce
}
