package identity

import (
	"context"
	"crypto"
	"crypto/hmac"
	_ "crypto/md5" // what sums names
	_ "crypto/sha1"
	"crypto/sha256"
	_ "crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/fairlead-iot/fairlead/backends/hashes"
)

// maxPassword is in bytes; of bcrypt 72 count.
const maxPassword = hashes.MaxPassword

// Scheme is how passwords stand in a database, as password_hash says it.
type Scheme struct {
	name       string
	sum        crypto.Hash // 0 for plain, bcrypt and what says itself what it is
	salt       int         // -1 before the password, 1 behind it, 0 none
	iterations uint32      // of PBKDF2, else 0
	length     int
}

// sums are the hash functions by their names.
func sums(name string) crypto.Hash {
	switch name {
	case "md5":
		return crypto.MD5
	case "sha":
		return crypto.SHA1
	case "sha224":
		return crypto.SHA224
	case "sha256":
		return crypto.SHA256
	case "sha384":
		return crypto.SHA384
	case "sha512":
		return crypto.SHA512
	}
	return 0
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
		iterations, _ := strconv.ParseUint(words[2], 10, 32)
		s.iterations = uint32(iterations)
		s.length, _ = strconv.Atoi(words[3])
		if s.pbkdf2("").Validate() != nil {
			return s, errScheme
		}
	}
	if s.sum == 0 {
		return s, errScheme
	}
	return s, nil
}

// ErrHash says that what stands in the database is no hash of the scheme: nobody gets in
// by it, and an operator should know.
var ErrHash = errors.New("the password in the database is no hash of the scheme that password_hash says")

// Verify compares a password with what stands in the database; in the time that the
// hash takes, whatever the password. Costly hashes (argon2id, bcrypt, PBKDF2) are made by
// m, and it blocks for that as [hashes.Maker.Make] does. An error is ErrHash, or m's.
func (s *Scheme) Verify(ctx context.Context, m *hashes.Maker, stored, salt string, password []byte) (bool, error) {
	if len(password) > maxPassword {
		return false, nil
	}
	r, want, err := s.costly(stored, salt)
	switch {
	case err != nil:
		return false, err
	case r == nil:
		return s.compare(stored, salt, password)
	case r.Validate() != nil:
		return false, ErrHash
	}
	hash, err := m.Make(ctx, r, password)
	return err == nil && hmac.Equal(hash, want), err
}

// costly says how the hash is made that stands in the database, and gives it; nil for one
// that costs nothing. What is asked for may be beyond the bounds.
func (s *Scheme) costly(stored, salt string) (r *hashes.Request, want []byte, err error) {
	switch {
	case strings.HasPrefix(stored, "$argon2id$"):
		return parseArgon2(stored)
	case isBcrypt(stored):
		return parseBcrypt(stored)
	case s.iterations == 0:
		return nil, nil, nil
	}
	want, err = hex.DecodeString(stored)
	if err != nil || len(want) != s.length {
		return nil, nil, ErrHash
	}
	return s.pbkdf2(salt), want, nil
}

func (s *Scheme) pbkdf2(salt string) *hashes.Request {
	return &hashes.Request{Algorithm: hashes.PBKDF2, Sum: s.sum, Rounds: s.iterations, Size: s.length, Salt: []byte(salt)}
}

// compare is Verify for what costs nothing.
func (s *Scheme) compare(stored, salt string, password []byte) (bool, error) {
	switch {
	case s.name == "plain" && stored == "":
		return false, ErrHash // no password is none that anybody may have
	case s.name == "plain":
		return same([]byte(stored), password), nil
	case s.sum == 0:
		return false, ErrHash
	}
	want, err := hex.DecodeString(stored)
	if err != nil || len(want) != s.sum.Size() {
		return false, ErrHash
	}
	h := s.sum.New()
	if s.salt < 0 {
		h.Write([]byte(salt))
	}
	h.Write(password)
	if s.salt > 0 {
		h.Write([]byte(salt))
	}
	return hmac.Equal(h.Sum(nil), want), nil
}

// same compares two texts without telling how long the right one is.
func same(a, b []byte) bool {
	x, y := sha256.Sum256(a), sha256.Sum256(b)
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func isBcrypt(stored string) bool {
	return strings.HasPrefix(stored, "$2a$") || strings.HasPrefix(stored, "$2b$") || strings.HasPrefix(stored, "$2y$")
}

const (
	bcryptHead = len("$2b$10$")
	bcryptSalt = 22 // letters
	bcryptKey  = 31
)

// parseBcrypt reads $2b$10$ and behind it, in an alphabet of its own, salt and hash.
func parseBcrypt(stored string) (r *hashes.Request, want []byte, err error) {
	if len(stored) != bcryptHead+bcryptSalt+bcryptKey || stored[bcryptHead-1] != '$' {
		return nil, nil, ErrHash
	}
	letters := base64.NewEncoding("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789").WithPadding(base64.NoPadding)
	cost, err1 := strconv.ParseUint(stored[4:6], 10, 8)
	salt, err2 := letters.DecodeString(stored[bcryptHead:][:bcryptSalt])
	want, err3 := letters.DecodeString(stored[bcryptHead+bcryptSalt:])
	if errors.Join(err1, err2, err3) != nil {
		return nil, nil, ErrHash
	}
	return &hashes.Request{Algorithm: hashes.Bcrypt, Rounds: uint32(cost), Salt: salt, Size: hashes.BcryptSize}, want, nil
}

// parseArgon2 reads $argon2id$v=19$m=19456,t=2,p=1$SALT$KEY.
func parseArgon2(stored string) (r *hashes.Request, want []byte, err error) {
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[2] != "v=19" {
		return nil, nil, ErrHash
	}
	r = &hashes.Request{Algorithm: hashes.Argon2id}
	n, err1 := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &r.Memory, &r.Passes, &r.Threads)
	salt, err2 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err3 := base64.RawStdEncoding.DecodeString(parts[5])
	if n != 3 || errors.Join(err1, err2, err3) != nil {
		return nil, nil, ErrHash
	}
	r.Salt, r.Size = salt, len(want)
	return r, want, nil
}
