package passwd

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// What a gateway asks a process that makes hashes, in big-endian numbers: two bytes for
// the length of the rest, memory, passes, threads, the lengths of key and salt, the salt,
// and the password up to the end. The answer is the key, and a sum of what was asked and
// the key: a process that is none of ours, or that lost the thread, must not make a
// right password a wrong one.
const (
	requestPrefix = 2
	requestHead   = 4 + 4 + 1 + 1 + 1
	maxRequest    = requestHead + maxSalt + MaxPassword
	maxAnswer     = maxKey + sha256.Size
)

var errRequest = errors.New("passwd: not a request for a hash")

// appendRequest asks for the hash that h's costs, salt and length of the key make of the
// password, which has at most MaxPassword bytes.
func appendRequest(b []byte, h *Hash, password []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(requestHead+len(h.Salt)+len(password)))
	b = binary.BigEndian.AppendUint32(b, h.Memory)
	b = binary.BigEndian.AppendUint32(b, h.Passes)
	b = append(b, h.Threads, byte(len(h.Key)), byte(len(h.Salt)))
	b = append(b, h.Salt...)
	return append(b, password...)
}

// parseRequest reads what appendRequest writes, without the first two bytes. The key of h
// has the length that is asked for; its salt and the password are parts of b.
func parseRequest(b []byte) (h Hash, password []byte, err error) {
	if len(b) < requestHead {
		return Hash{}, nil, errRequest
	}
	h.Memory, h.Passes, h.Threads = binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), b[8]
	key, salt, rest := int(b[9]), int(b[10]), b[requestHead:]
	if key < minKey || key > maxKey || salt < minSalt || salt > min(maxSalt, len(rest)) || len(rest)-salt > MaxPassword {
		return Hash{}, nil, errRequest
	}
	if err := h.validate(); err != nil {
		return Hash{}, nil, err
	}
	h.Key, h.Salt = make([]byte, key), rest[:salt]
	return h, rest[salt:], nil
}

// appendAnswer answers a request, which is without its first two bytes.
func appendAnswer(b, request, key []byte) []byte {
	sum := answerSum(request, key)
	b = append(b, key...)
	return append(b, sum[:]...)
}

// answerKey gives the key of an answer, a part of it; nil for an answer to something else.
func answerKey(answer, request []byte) []byte {
	key := answer[:max(0, len(answer)-sha256.Size)]
	if sum := answerSum(request, key); !bytes.Equal(sum[:], answer[len(key):]) {
		return nil
	}
	return key
}

func answerSum(request, key []byte) (sum [sha256.Size]byte) {
	s := sha256.New()
	s.Write(request)
	s.Write(key)
	s.Sum(sum[:0])
	return sum
}
