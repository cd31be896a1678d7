package identity

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Bounds of what a database may ask for, so that a row cannot stop a gateway.
const (
	maxPassword   = 1024 // bytes; bcrypt takes 72
	maxIterations = 2_000_000
	maxBcrypt     = 14
	maxMemory     = 64 << 10 // KiB of argon2id
	maxWork       = 256 << 10
	maxThreads    = 16
	maxKey        = 64
)

// Scheme is how passwords stand in a database, as password_hash says it.
type Scheme struct {
	name       string
	sum        func() hash.Hash // nil for plain, bcrypt and what says itself what it is
	salt       int              // -1 before the password, 1 behind it, 0 none
	iterations int              // of PBKDF2, else 0
	length     int
}

// sums are the hash functions by their names.
func sums(name string) func() hash.Hash {
	switch name {
	case "md5":
		return md5.New
	case "sha":
		return sha1.New
	case "sha224":
		return sha256.New224
	case "sha256":
		return sha256.New
	case "sha384":
		return sha512.New384
	case "sha512":
		return sha512.New
	}
	return nil
}

var errScheme = errors.New("must be plain, md5, sha, sha224, sha256, sha384, sha512, bcrypt, argon2id, one of these with salt as in \"salt,sha256\" and \"sha256,salt\", or \"pbkdf2,sha256,ITERATIONS,LENGTH\"")

// ParseScheme reads password_hash. Self-describing hashes ($argon2id$, $2a$) are known
// with every scheme. Blanks part as commas do.
func ParseScheme(text string) (s Scheme, err error) {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	if len(words) == 0 {
		return s, errScheme
	}
	s.name = words[0]
	switch {
	case len(words) == 1 && (s.name == "plain" || s.name == "bcrypt" || s.name == "argon2id"):
		return s, nil
	case len(words) == 2 && words[1] == "bcrypt" && s.name == "salt":
		s.name = "bcrypt" // the salt is in the hash
		return s, nil
	case len(words) == 1:
		s.sum = sums(s.name)
	case len(words) == 2 && words[0] == "salt":
		s.sum, s.salt = sums(words[1]), -1
	case len(words) == 2 && words[1] == "salt":
		s.sum, s.salt = sums(words[0]), 1
	case len(words) == 4 && s.name == "pbkdf2":
		s.sum = sums(words[1])
		s.iterations, _ = strconv.Atoi(words[2])
		s.length, _ = strconv.Atoi(words[3])
		if s.iterations < 1 || s.iterations > maxIterations || s.length < 1 || s.length > maxKey {
			return s, errScheme
		}
	}
	if s.sum == nil {
		return s, errScheme
	}
	return s, nil
}

// errHash says that what stands in the database is no hash of the scheme: nobody gets in
// by it, and an operator should know.
var errHash = errors.New("the password in the database is no hash of the scheme that password_hash says")

// Verify compares a password with what stands in the database; in the time that the
// hash takes, whatever the password.
func (s *Scheme) Verify(stored, salt string, password []byte) (bool, error) {
	if len(password) > maxPassword {
		return false, nil
	}
	switch {
	case strings.HasPrefix(stored, "$argon2id$"):
		return verifyArgon2(stored, password)
	case isBcrypt(stored):
		return verifyBcrypt(stored, password)
	case s.name == "plain" && stored == "":
		return false, errHash // no password is none that anybody may have
	case s.name == "plain":
		return same([]byte(stored), password), nil
	case s.sum == nil:
		return false, errHash
	case s.iterations > 0:
		want, err := hex.DecodeString(stored)
		if err != nil || len(want) != s.length {
			return false, errHash
		}
		key, err := pbkdf2.Key(s.sum, string(password), []byte(salt), s.iterations, s.length)
		return err == nil && hmac.Equal(key, want), err
	}
	want, err := hex.DecodeString(stored)
	if err != nil || len(want) != s.sum().Size() {
		return false, errHash
	}
	h := s.sum()
	if s.salt < 0 {
		h.Write([]byte(salt))
	}
	h.Write(password)
	if s.salt > 0 {
		h.Write([]byte(salt))
	}
	return hmac.Equal(h.Sum(nil), want), nil
}

func isBcrypt(stored string) bool {
	return strings.HasPrefix(stored, "$2a$") || strings.HasPrefix(stored, "$2b$") || strings.HasPrefix(stored, "$2y$")
}

// same compares two texts without telling how long the right one is.
func same(a, b []byte) bool {
	x, y := sha256.Sum256(a), sha256.Sum256(b)
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func verifyBcrypt(stored string, password []byte) (bool, error) {
	cost, err := bcrypt.Cost([]byte(stored))
	if err != nil || cost > maxBcrypt {
		return false, errHash
	}
	err = bcrypt.CompareHashAndPassword([]byte(stored), password)
	if err == nil || errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return err == nil, nil
	}
	return false, errHash
}

// verifyArgon2 reads $argon2id$v=19$m=19456,t=2,p=1$SALT$KEY.
func verifyArgon2(stored string, password []byte) (bool, error) {
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[2] != "v=19" {
		return false, errHash
	}
	var memory, passes, threads uint32
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &threads); n != 3 || err != nil {
		return false, errHash
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	switch {
	case err1 != nil, err2 != nil, len(want) < 16, len(want) > maxKey, len(salt) < 8:
		return false, errHash
	case passes < 1, passes > 16, threads < 1, threads > maxThreads, memory < 8*threads, memory > maxMemory, memory*passes > maxWork:
		return false, errHash
	}
	return hmac.Equal(argon2.IDKey(password, salt, passes, memory, uint8(threads), uint32(len(want))), want), nil
}
