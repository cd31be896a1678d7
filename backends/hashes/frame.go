package hashes

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// What a gateway asks a process that makes hashes, in big-endian numbers: two bytes for
// the length of the rest, algorithm, sum, memory, passes, threads, rounds, the lengths of hash
// and salt, the salt, and the password up to the end. The answer is the hash, and a sum of
// what was asked and the hash: a process that is none of ours, or that lost the thread, must
// not make a right password a wrong one. Who gives these bytes another meaning gives the
// algorithms other numbers: another version must not answer what it was not asked.
const (
	requestPrefix = 2
	requestHead   = 1 + 1 + 4 + 4 + 1 + 4 + 1 + 1
	maxSalt       = 255 // bytes; what is longer is not asked
	maxRequest    = requestHead + maxSalt + MaxPassword
	maxAnswer     = maxKey + sha256.Size
)

var errRequest = errors.New("hashes: not a request for a hash")

// appendRequest asks for the hash that r makes of the password. r is valid, its salt has at
// most maxSalt bytes and the password at most MaxPassword.
func appendRequest(b []byte, r *Request, password []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(requestHead+len(r.Salt)+len(password)))
	b = append(b, byte(r.Algorithm), byte(r.Sum))
	b = binary.BigEndian.AppendUint32(b, r.Memory)
	b = binary.BigEndian.AppendUint32(b, r.Passes)
	b = append(b, r.Threads)
	b = binary.BigEndian.AppendUint32(b, r.Rounds)
	b = append(b, byte(r.Size), byte(len(r.Salt)))
	b = append(b, r.Salt...)
	return append(b, password...)
}

// parseRequest reads what appendRequest writes, without the first two bytes. The salt of r
// and the password are parts of b.
func parseRequest(b []byte) (r Request, password []byte, err error) {
	if len(b) < requestHead {
		return Request{}, nil, errRequest
	}
	u32 := binary.BigEndian.Uint32
	r = Request{
		Algorithm: Algorithm(b[0]), Sum: crypto.Hash(b[1]), Costs: Costs{Memory: u32(b[2:]), Passes: u32(b[6:]), Threads: b[10]},
		Rounds: u32(b[11:]), Size: int(b[15]),
	}
	salt, rest := int(b[16]), b[requestHead:]
	if salt > len(rest) || len(rest)-salt > MaxPassword {
		return Request{}, nil, errRequest
	}
	r.Salt = rest[:salt]
	if err := r.Validate(); err != nil {
		return Request{}, nil, err
	}
	return r, rest[salt:], nil
}

// appendAnswer answers a request, which is without its first two bytes.
func appendAnswer(b, request, hash []byte) []byte {
	sum := answerSum(request, hash)
	b = append(b, hash...)
	return append(b, sum[:]...)
}

// answerHash gives the hash of an answer, a part of it; nil for an answer to something else.
func answerHash(answer, request []byte) []byte {
	hash := answer[:max(0, len(answer)-sha256.Size)]
	if sum := answerSum(request, hash); !bytes.Equal(sum[:], answer[len(hash):]) {
		return nil
	}
	return hash
}

func answerSum(request, hash []byte) (sum [sha256.Size]byte) {
	s := sha256.New()
	s.Write(request)
	s.Write(hash)
	s.Sum(sum[:0])
	return sum
}
