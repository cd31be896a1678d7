package ldap

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/fairlead-iot/fairlead/backends/hashes"
	"github.com/fairlead-iot/fairlead/backends/identity"
)

// maxPassword bounds the work that a password costs, in bytes.
const maxPassword = hashes.MaxPassword

// matches says whether password is the one that stands in an entry: plain, or as
// {SCHEME}base64 of a hash and what was hashed behind the password (RFC 2307 and OpenLDAP).
// m makes bcrypt and argon2id. An error says that it is in a scheme that is not known, or
// wraps [hashes.ErrBusy].
func matches(ctx context.Context, m *hashes.Maker, stored string, password []byte) (bool, error) {
	scheme, rest, found := strings.Cut(strings.TrimPrefix(stored, "{"), "}")
	if !strings.HasPrefix(stored, "{") || !found {
		return same([]byte(stored), password), nil
	}
	scheme = strings.ToUpper(scheme)
	switch scheme {
	case "CLEARTEXT":
		return same([]byte(rest), password), nil
	case "CRYPT", "ARGON2", "BCRYPT":
		s, err := identity.ParseScheme("bcrypt") // the hash says itself what it is
		if err != nil {
			return false, err
		}
		ok, err := s.Verify(ctx, m, rest, "", password)
		if errors.Is(err, identity.ErrHash) {
			return false, fmt.Errorf("a password of the scheme {%s} that is neither bcrypt nor argon2id", scheme)
		}
		return ok, err
	}
	sum, salted := digest(scheme)
	if sum == nil {
		return false, fmt.Errorf("a password of the scheme {%s}, which is not known; use method = \"search_bind\", where the directory itself checks it", scheme)
	}
	both, err := base64.StdEncoding.DecodeString(rest)
	h := sum()
	if err != nil || len(both) < h.Size() || !salted && len(both) != h.Size() {
		return false, fmt.Errorf("a password that is no hash of its scheme {%s}", scheme)
	}
	h.Write(password)
	h.Write(both[h.Size():]) // the salt
	return subtle.ConstantTimeCompare(h.Sum(nil), both[:h.Size()]) == 1, nil
}

// digest gives the hash function of a scheme, nil for none.
func digest(scheme string) (sum func() hash.Hash, salted bool) {
	switch scheme {
	case "MD5", "SMD5":
		return md5.New, scheme == "SMD5"
	case "SHA", "SSHA":
		return sha1.New, scheme == "SSHA"
	}
	name, salted := strings.CutPrefix(scheme, "S")
	if !strings.HasPrefix(name, "SHA") {
		name, salted = scheme, false
	}
	switch name {
	case "SHA256":
		return sha256.New, salted
	case "SHA384":
		return sha512.New384, salted
	case "SHA512":
		return sha512.New, salted
	}
	return nil, false
}

// same compares two texts without telling how long the right one is. Nothing is no
// password.
func same(a, b []byte) bool {
	x, y := sha256.Sum256(a), sha256.Sum256(b)
	return len(a) > 0 && subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
