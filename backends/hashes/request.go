package hashes

import (
	"crypto"
	_ "crypto/md5" // PBKDF2 of it is in databases
	"crypto/pbkdf2"
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"errors"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// MaxPassword is the longest password in bytes, so that nobody can make us hash
// the 64 KiB that MQTT lets a password have.
const MaxPassword = 1024

// Bounds of what a file or a database may ask for, so that it cannot stop a gateway. The
// largest argon2id they allow costs 64 MiB and some tenths of a second, the dearest of the
// others a second or two.
const (
	maxMemory     = 64 << 10  // KiB
	maxWork       = 256 << 10 // KiB × passes
	maxPasses     = 16
	maxThreads    = 16
	maxIterations = 2_000_000
	minCost       = 4
	maxCost       = 14
	minSalt       = 8  // bytes, of argon2id
	minKey        = 16 // of argon2id
	maxKey        = 64
)

// Algorithm is a way to make a hash. Its number is a part of what workers are asked.
type Algorithm uint8

// The algorithms. The version of argon2id is 19, that of bcrypt 2b.
const (
	Argon2id Algorithm = 1 + iota
	Bcrypt
	PBKDF2
)

// Costs are those of one argon2id hash [RFC 9106 section 3.1].
type Costs struct {
	Memory  uint32 // KiB; 8 for each thread to 65,536
	Passes  uint32 // 1 to 16; Memory × Passes at most 262,144
	Threads uint8  // 1 to 16
}

// Validate says which cost is beyond its bounds.
func (c Costs) Validate() error {
	switch {
	case c.Threads < 1 || c.Threads > maxThreads:
		return fmt.Errorf("p=%d: must be between 1 and %d", c.Threads, maxThreads)
	case c.Memory < 8*uint32(c.Threads) || c.Memory > maxMemory:
		return fmt.Errorf("m=%d: must be between 8 for each thread and %d KiB", c.Memory, maxMemory)
	case c.Passes < 1 || c.Passes > maxPasses:
		return fmt.Errorf("t=%d: must be between 1 and %d", c.Passes, maxPasses)
	case c.Memory*c.Passes > maxWork:
		return fmt.Errorf("m=%d,t=%d: together too costly, m × t must not exceed %d", c.Memory, c.Passes, maxWork)
	}
	return nil
}

// Request is all that a hash is made of but the password. What an algorithm has no use
// for is zero.
type Request struct {
	Algorithm Algorithm
	Costs                 // of Argon2id
	Rounds    uint32      // PBKDF2: iterations, 1 to 2,000,000. Bcrypt: the cost, 4 to 14, which is 2^cost rounds
	Sum       crypto.Hash // PBKDF2: MD5, SHA1, SHA224, SHA256, SHA384 or SHA512
	Size      int         // bytes of the hash. Argon2id: 16 to 64. Bcrypt: 23. PBKDF2: 1 to 64
	Salt      []byte      // Argon2id: at least 8 bytes. Bcrypt: 16. PBKDF2: any
}

var errBounds = errors.New("hashes: a request beyond its bounds")

// Validate reports a request beyond its bounds, or with what its algorithm has no use for.
func (r *Request) Validate() error {
	switch r.Algorithm {
	case Argon2id:
		if err := r.Costs.Validate(); err != nil {
			return fmt.Errorf("hashes: %w", err)
		}
		if r.Rounds != 0 || r.Sum != 0 || len(r.Salt) < minSalt || r.Size < minKey || r.Size > maxKey {
			return errBounds
		}
	case Bcrypt:
		if r.Costs != (Costs{}) || r.Sum != 0 || len(r.Salt) != BcryptSalt || r.Size != BcryptSize || r.Rounds < minCost || r.Rounds > maxCost {
			return errBounds
		}
	case PBKDF2:
		// The sums from MD5 to SHA512 are numbered in this order.
		if r.Costs != (Costs{}) || r.Sum < crypto.MD5 || r.Sum > crypto.SHA512 || r.Rounds < 1 || r.Rounds > maxIterations || r.Size < 1 || r.Size > maxKey {
			return errBounds
		}
	default:
		return errBounds
	}
	return nil
}

// Hash makes the hash in this goroutine. An error is Validate's, or says that the
// password is longer than MaxPassword, or that this process may not use the algorithm.
func (r *Request) Hash(password []byte) ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if len(password) > MaxPassword {
		return nil, errBounds
	}
	switch r.Algorithm {
	case Argon2id:
		return argon2.IDKey(password, r.Salt, r.Passes, r.Memory, r.Threads, uint32(r.Size)), nil
	case Bcrypt:
		return bcrypt(password, r.Salt, r.Rounds)
	default:
		return pbkdf2.Key(r.Sum.New, string(password), r.Salt, int(r.Rounds), r.Size)
	}
}
