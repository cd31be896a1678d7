package identity

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/fairlead-iot/fairlead/backends/hashes"
)

// checker compares passwords, and does for a user whom nobody knows the work that it does
// for those who are known: who tries names is not told by the time of an answer which of
// them there are. Safe for concurrent use.
type checker struct {
	scheme Scheme
	verify func(ctx context.Context, stored, salt string, password []byte) (bool, error)
	seed   maphash.Seed
	seen   atomic.Pointer[[]standIn] // one for each kind of hash that was seen; never empty
}

// standIn is what stands in for the password of a user who is not there. Nobody knows a
// password for it.
type standIn struct{ kind, stored, salt string }

// maxKinds bounds how many kinds of hashes are told apart. What is seen beyond them has no
// stand-in of its own.
const maxKinds = 8

// byScheme is the kind of hashes that do not say themselves what they cost.
const byScheme = "as password_hash says"

// newChecker makes one for a scheme, whose costly hashes m makes.
func newChecker(scheme Scheme, m *hashes.Maker) *checker {
	c := &checker{scheme: scheme, seed: maphash.MakeSeed()}
	c.verify = func(ctx context.Context, stored, salt string, password []byte) (bool, error) {
		return c.scheme.Verify(ctx, m, stored, salt, password)
	}
	c.seen.Store(&[]standIn{scheme.standIn()})
	return c
}

// known compares a password with what stands in the database. What stands there and is no
// hash costs the work all the same.
func (c *checker) known(ctx context.Context, name, stored, salt string, password []byte) (bool, error) {
	right, err := c.verify(ctx, stored, salt, password)
	switch {
	case errors.Is(err, ErrHash):
		err = cmp.Or(c.unknown(ctx, name, password), err)
	case err != nil:
	case len(password) <= maxPassword: // else nobody has looked at it
		c.learn(stored)
	}
	return right, err
}

// unknown does the work for a user who is not there. One name always costs the same, as
// long as no further kind of hash is seen. An error says why it could not be done: an answer
// must not tell then that there is no such user, as it would not come for one who is there.
func (c *checker) unknown(ctx context.Context, name string, password []byte) error {
	seen := *c.seen.Load()
	s := &seen[maphash.String(c.seed, name)%uint64(len(seen))]
	_, err := c.verify(ctx, s.stored, s.salt, password)
	return err
}

// learn has users who are not there cost what this one does. The first that is seen takes
// the place of what the scheme alone has made be expected.
func (c *checker) learn(stored string) {
	kind := kindOf(stored)
	for {
		old := c.seen.Load()
		if slices.ContainsFunc(*old, func(s standIn) bool { return s.kind == kind }) || len(*old) == maxKinds {
			return
		}
		one := c.scheme.standIn()
		if one.kind = kind; kind != byScheme {
			one.stored, one.salt = kind+noise(stored[len(kind):]), ""
		}
		fresh := append(slices.Clip(*old), one)
		if (*old)[0].kind == "" {
			fresh = fresh[1:]
		}
		if c.seen.CompareAndSwap(old, &fresh) {
			return
		}
	}
}

// kindOf is what stored begins with as far as it tells what it costs: $2b$10$, or
// $argon2id$v=19$m=19456,t=2,p=1$.
func kindOf(stored string) string {
	dollars := 0
	switch {
	case strings.HasPrefix(stored, "$argon2id$"):
		dollars = 4
	case isBcrypt(stored):
		dollars = 3
	default:
		return byScheme
	}
	for i := range len(stored) {
		if stored[i] == '$' {
			if dollars--; dollars == 0 {
				return stored[:i+1]
			}
		}
	}
	return byScheme
}

// noise is as long as salt and hash, and means nothing.
func noise(text string) string {
	random := make([]byte, len(text))
	rand.Read(random)
	out := []byte(text)
	for i := range out {
		if out[i] != '$' {
			out[i] = 'A' + random[i]%26 // of either alphabet of base64
		}
	}
	return string(out)
}

// standIn is one as the scheme alone makes be expected; it has no kind yet.
func (s *Scheme) standIn() standIn {
	switch random := make([]byte, 64); {
	case s.name == "bcrypt":
		return standIn{stored: "$2b$10$" + noise(strings.Repeat("A", 53))}
	case s.name == "argon2id":
		rand.Read(random)
		enc := base64.RawStdEncoding
		return standIn{stored: fmt.Sprintf("$argon2id$v=19$m=19456,t=2,p=1$%s$%s", enc.EncodeToString(random[:16]), enc.EncodeToString(random[16:48]))}
	case s.sum == 0: // plain
		rand.Read(random)
		return standIn{stored: hex.EncodeToString(random[:8])}
	default:
		rand.Read(random)
		length := s.length
		if s.iterations == 0 {
			length = s.sum.Size()
		}
		return standIn{stored: hex.EncodeToString(random[:length]), salt: hex.EncodeToString(random[:8])}
	}
}
