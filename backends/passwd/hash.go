package passwd

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// MaxPassword is the longest password in bytes, so that nobody can make us hash
// the 64 KiB that MQTT lets a password have.
const MaxPassword = 1024

// Bounds of what a file may ask for. The largest hash they allow costs 64 MiB
// and some tenths of a second, so that a foreign file cannot stop a gateway.
const (
	maxMemory  = 64 << 10  // KiB
	maxWork    = 256 << 10 // KiB × passes
	maxPasses  = 16
	maxThreads = 16
	minSalt    = 8 // bytes
	maxSalt    = 64
	minKey     = 16
	maxKey     = 64
)

// Below these the hash is told as weak: what OWASP asks for at least.
const (
	weakMemory = 7 << 10
	weakWork   = 35 << 10
)

// Params are the costs of one argon2id hash [RFC 9106 section 3.1].
type Params struct {
	Memory  uint32 // KiB; 8 for each thread to 65,536
	Passes  uint32 // 1 to 16; Memory × Passes at most 262,144
	Threads uint8  // 1 to 16
}

// DefaultParams are 19 MiB and two passes: 20 to 50 ms on one core, and few
// enough megabytes that a small gateway can check several at once.
func DefaultParams() Params { return Params{Memory: 19456, Passes: 2, Threads: 1} }

func (p Params) validate() error {
	switch {
	case p.Threads < 1 || p.Threads > maxThreads:
		return fmt.Errorf("p=%d: must be between 1 and %d", p.Threads, maxThreads)
	case p.Memory < 8*uint32(p.Threads) || p.Memory > maxMemory:
		return fmt.Errorf("m=%d: must be between 8 for each thread and %d KiB", p.Memory, maxMemory)
	case p.Passes < 1 || p.Passes > maxPasses:
		return fmt.Errorf("t=%d: must be between 1 and %d", p.Passes, maxPasses)
	case p.Memory*p.Passes > maxWork:
		return fmt.Errorf("m=%d,t=%d: together too costly, m × t must not exceed %d", p.Memory, p.Passes, maxWork)
	}
	return nil
}

func (p Params) weak() bool { return p.Memory < weakMemory || p.Memory*p.Passes < weakWork }

// Hash is a salted argon2id hash of a password.
type Hash struct {
	Params
	Salt []byte // 8 to 64 bytes
	Key  []byte // 16 to 64 bytes
}

// NewHash hashes a password under a fresh random salt. It costs the work that p
// says, and fails when the password is empty or longer than MaxPassword.
func NewHash(password []byte, p Params) (Hash, error) {
	switch {
	case len(password) == 0:
		return Hash{}, errors.New("passwd: the password is empty")
	case len(password) > MaxPassword:
		return Hash{}, fmt.Errorf("passwd: the password has %d bytes, at most %d are allowed", len(password), MaxPassword)
	}
	if err := p.validate(); err != nil {
		return Hash{}, fmt.Errorf("passwd: hash: %w", err)
	}
	h := Hash{Params: p, Salt: make([]byte, 16), Key: make([]byte, 32)}
	rand.Read(h.Salt)
	h.Key = h.derive(password)
	return h, nil
}

// derive does the hash work for a password that may be the right one.
func (h Hash) derive(password []byte) []byte {
	return argon2.IDKey(password, h.Salt, h.Passes, h.Memory, h.Threads, uint32(len(h.Key)))
}

// Matches tells whether password is the one that was hashed. It costs the full
// hash work unless the password is longer than MaxPassword; the comparison
// takes the same time wherever the two differ.
func (h Hash) Matches(password []byte) bool {
	if len(password) > MaxPassword {
		return false
	}
	return subtle.ConstantTimeCompare(h.derive(password), h.Key) == 1
}

// String writes the hash the way files hold it (the PHC string format).
func (h Hash) String() string {
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.Memory, h.Passes, h.Threads, enc.EncodeToString(h.Salt), enc.EncodeToString(h.Key))
}

// errNoHash shows nothing of the text, which may be a password in the clear.
var errNoHash = errors.New("what follows the user's name is no argon2id hash ($argon2id$v=19$m=…,t=…,p=…$salt$hash); set the password anew with fairlead passwd FILE USER")

// ParseHash reads what String writes. An error says what is wrong without
// showing salt, key or anything that might be a password.
func ParseHash(s string) (Hash, error) {
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" {
		return Hash{}, errNoHash
	}
	if part[2] != "v="+strconv.Itoa(argon2.Version) {
		return Hash{}, fmt.Errorf("argon2 version: must be v=%d; set the password anew with fairlead passwd FILE USER", argon2.Version)
	}
	var h Hash
	var err error
	if h.Params, err = parseParams(part[3]); err != nil {
		return Hash{}, err
	}
	if h.Salt, err = parseBase64("argon2 salt", part[4], minSalt, maxSalt); err != nil {
		return Hash{}, err
	}
	if h.Key, err = parseBase64("argon2 hash", part[5], minKey, maxKey); err != nil {
		return Hash{}, err
	}
	return h, nil
}

// parseParams reads "m=19456,t=2,p=1", in this order and nothing more.
func parseParams(s string) (Params, error) {
	field := strings.Split(s, ",")
	var value [3]uint64
	for i, name := range [3]string{"m=", "t=", "p="} {
		if len(field) != 3 || !strings.HasPrefix(field[i], name) {
			return Params{}, errors.New("argon2 costs: must read m=…,t=…,p=…")
		}
		n, err := strconv.ParseUint(field[i][2:], 10, 32)
		if err != nil {
			return Params{}, fmt.Errorf("argon2 costs: %s must be followed by a whole number", name)
		}
		value[i] = n
	}
	if value[1] > maxPasses || value[2] > maxThreads {
		return Params{}, fmt.Errorf("argon2 costs: t must not exceed %d, p not %d", maxPasses, maxThreads)
	}
	p := Params{Memory: uint32(value[0]), Passes: uint32(value[1]), Threads: uint8(value[2])}
	if err := p.validate(); err != nil {
		return Params{}, fmt.Errorf("argon2 costs: %w", err)
	}
	return p, nil
}

func parseBase64(what, s string, low, high int) ([]byte, error) {
	if len(s) > base64.RawStdEncoding.EncodedLen(high) {
		return nil, fmt.Errorf("%s: longer than %d bytes", what, high)
	}
	b, err := base64.RawStdEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return nil, fmt.Errorf("%s: is not base64 without padding", what)
	}
	if len(b) < low {
		return nil, fmt.Errorf("%s: has %d bytes, at least %d are needed", what, len(b), low)
	}
	return b, nil
}
