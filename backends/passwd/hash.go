package passwd

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/fairlead-iot/fairlead/backends/hashes"
)

// MaxPassword is the longest password in bytes.
const MaxPassword = hashes.MaxPassword

// Bounds of what a file may ask for, beside those of its costs.
const (
	version = 19 // of argon2
	minSalt = 8  // bytes
	maxSalt = 64
	minKey  = 16
	maxKey  = 64
)

// Below these the hash is told as weak: what OWASP asks for at least.
const (
	weakMemory = 7 << 10
	weakWork   = 35 << 10
)

// Params are the costs of one argon2id hash [RFC 9106 section 3.1].
type Params = hashes.Costs

// DefaultParams are 19 MiB and two passes: 20 to 50 ms on one core, and few
// enough megabytes that a small gateway can check several at once.
func DefaultParams() Params { return Params{Memory: 19456, Passes: 2, Threads: 1} }

func weak(p Params) bool { return p.Memory < weakMemory || p.Memory*p.Passes < weakWork }

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
	if err := p.Validate(); err != nil {
		return Hash{}, fmt.Errorf("passwd: hash: %w", err)
	}
	h := Hash{Params: p, Salt: make([]byte, 16), Key: make([]byte, 32)}
	rand.Read(h.Salt)
	var err error
	h.Key, err = h.request().Hash(password)
	return h, err
}

// request is what the hash is made of.
func (h *Hash) request() *hashes.Request {
	return &hashes.Request{Algorithm: hashes.Argon2id, Costs: h.Params, Salt: h.Salt, Size: len(h.Key)}
}

// Matches tells whether password is the one that was hashed. It costs the full
// hash work unless the password is longer than MaxPassword; the comparison
// takes the same time wherever the two differ.
func (h Hash) Matches(password []byte) bool {
	key, err := h.request().Hash(password)
	return err == nil && subtle.ConstantTimeCompare(key, h.Key) == 1
}

// String writes the hash the way files hold it (the PHC string format).
func (h Hash) String() string {
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", version,
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
	if part[2] != "v="+strconv.Itoa(version) {
		return Hash{}, fmt.Errorf("argon2 version: must be v=%d; set the password anew with fairlead passwd FILE USER", version)
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
	if value[2] > math.MaxUint8 {
		return Params{}, fmt.Errorf("argon2 costs: p=%d: too many threads", value[2])
	}
	p := Params{Memory: uint32(value[0]), Passes: uint32(value[1]), Threads: uint8(value[2])}
	if err := p.Validate(); err != nil {
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
