package passwd

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/fairlead-iot/fairlead/core"
)

// Bounds of the SCRAM keys that a file may hold. It is the client that does the work
// of the iterations, at each connect, so a file must not ask for minutes of it.
const (
	minIterations = 4096 // RFC 7677 section 4
	maxIterations = 1_000_000
	// ScramIterations is what fairlead passwd stores by default: some 20 ms on a
	// server, a second on a small computer.
	ScramIterations = 50_000
)

// scramHashes are those a file may hold keys for, in the order of writing.
func scramHashes() []core.ScramHash { return []core.ScramHash{core.ScramSHA256, core.ScramSHA512} }

// scramAttribute is the attribute's name in a file: scram-sha-256.
func scramAttribute(h core.ScramHash) string { return strings.ToLower(h.Method()) }

// Scram are the keys of one user for SCRAM, by hash; nil where there are none.
type Scram [2]*core.ScramKeys

// NewScram derives the keys for one hash under a fresh random salt. It costs the
// iterations (4,096 to 1,000,000), and fails when the password is empty or longer than
// MaxPassword. The password's bytes are taken as they are, without SASLprep.
func NewScram(h core.ScramHash, password []byte, iterations int) (*core.ScramKeys, error) {
	switch {
	case len(password) == 0:
		return nil, errors.New("passwd: the password is empty")
	case len(password) > MaxPassword:
		return nil, fmt.Errorf("passwd: the password has %d bytes, at most %d are allowed", len(password), MaxPassword)
	case iterations < minIterations || iterations > maxIterations:
		return nil, fmt.Errorf("passwd: %d iterations for SCRAM: must be between %d and %d", iterations, minIterations, maxIterations)
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	k, err := h.Keys(password, salt, iterations)
	if err != nil {
		return nil, fmt.Errorf("passwd: %w", err)
	}
	return &k, nil
}

// scramText writes keys the way files hold them: ITERATIONS$SALT$STOREDKEY$SERVERKEY.
func scramText(k *core.ScramKeys) string {
	enc := base64.RawStdEncoding
	return strconv.Itoa(k.Iterations) + "$" + enc.EncodeToString(k.Salt) + "$" + enc.EncodeToString(k.StoredKey) + "$" + enc.EncodeToString(k.ServerKey)
}

// parseScram reads what scramText writes. An error shows nothing of the keys.
func parseScram(h core.ScramHash, s string) (*core.ScramKeys, error) {
	name := scramAttribute(h)
	part := strings.Split(s, "$")
	if len(part) != 4 {
		return nil, fmt.Errorf("%s must read %s=ITERATIONS$SALT$STOREDKEY$SERVERKEY; set the password anew with fairlead passwd FILE USER", name, name)
	}
	var k core.ScramKeys
	var err error
	if k.Iterations, err = strconv.Atoi(part[0]); err != nil || k.Iterations < minIterations || k.Iterations > maxIterations {
		return nil, fmt.Errorf("%s: the iterations must be a number between %d and %d", name, minIterations, maxIterations)
	}
	if k.Salt, err = parseBase64(name+" salt", part[1], minSalt, maxSalt); err != nil {
		return nil, err
	}
	if k.StoredKey, err = parseBase64(name+" stored key", part[2], h.Size(), h.Size()); err != nil {
		return nil, err
	}
	if k.ServerKey, err = parseBase64(name+" server key", part[3], h.Size(), h.Size()); err != nil {
		return nil, err
	}
	return &k, nil
}

// scramMatches tells whether the keys are of password. It costs their iterations.
func scramMatches(h core.ScramHash, k *core.ScramKeys, password []byte) bool {
	own, err := h.Keys(password, k.Salt, k.Iterations)
	return err == nil && hmac.Equal(own.StoredKey, k.StoredKey) && hmac.Equal(own.ServerKey, k.ServerKey)
}

// saltKeyLine begins the comment that holds the key of unknown users' salts. To
// readers that know nothing of SCRAM it is a comment like any other.
const saltKeyLine = "#scram-salt-key "

// saltKeySize is the length of that key in bytes.
const saltKeySize = 32

// saltKey gives the key that the file holds, nil if none.
func saltKey(lines []line) []byte {
	for i := range lines {
		if lines[i].saltKey != nil {
			return lines[i].saltKey
		}
	}
	return nil
}

// withSaltKey puts such a key in front where there is none.
func withSaltKey(lines []line) []line {
	if saltKey(lines) != nil {
		return lines
	}
	key := make([]byte, saltKeySize)
	rand.Read(key)
	end := "\n"
	if len(lines) > 0 {
		end = lineEnd(lines)
	}
	return append([]line{{text: saltKeyLine + base64.RawStdEncoding.EncodeToString(key), end: end, saltKey: key}}, lines...)
}

// parseSaltKey reads what withSaltKey writes.
func parseSaltKey(text string) ([]byte, error) {
	return parseBase64("scram-salt-key", strings.TrimPrefix(text, saltKeyLine), saltKeySize, saltKeySize)
}

// strangers is how users without keys are asked: with a salt that is theirs for good,
// and iterations as most others have.
type strangers struct {
	key        []byte
	iterations int
	salt       int // its length
}

// newStrangers looks at what the users with keys for h have. Where the file has no
// key for salts, one is made of its first user's hash: it lasts until that changes.
func newStrangers(h core.ScramHash, entries []Entry, key []byte) strangers {
	if key == nil && len(entries) > 0 {
		sum := sha256.Sum256(entries[0].Hash.Key)
		key = sum[:]
	}
	out := strangers{key: key, iterations: ScramIterations, salt: 16}
	type cost struct{ iterations, salt int }
	count, best := map[cost]int{}, 0
	for i := range entries {
		k := entries[i].Scram[h]
		if k == nil {
			continue
		}
		c := cost{k.Iterations, len(k.Salt)}
		if count[c]++; count[c] > best {
			best, out.iterations, out.salt = count[c], c.iterations, c.salt
		}
	}
	return out
}

// keys are some that no password fits.
func (s *strangers) keys(h core.ScramHash, user string) core.ScramKeys {
	mac := hmac.New(sha512.New, s.key)
	mac.Write([]byte(h.Method() + "\x00" + user))
	salt := mac.Sum(nil)[:s.salt]
	k := core.ScramKeys{Iterations: s.iterations, Salt: salt, StoredKey: make([]byte, h.Size()), ServerKey: make([]byte, h.Size())}
	rand.Read(k.StoredKey)
	rand.Read(k.ServerKey)
	return k
}

var _ core.ScramSource = (*Source)(nil)

// ScramKeys implements core.ScramSource. It never blocks. A user without keys for h is
// as unknown as one who does not exist, and costs the same work.
func (s *Source) ScramKeys(_ context.Context, h core.ScramHash, user string) (core.ScramKeys, *core.Grant, error) {
	set := s.set.Load()
	keys := set.strangers[h].keys(h, user)
	if u := set.users[user]; u != nil && u.scram[h] != nil {
		return *u.scram[h], &u.grant, nil
	}
	return keys, nil, nil
}

// ScramUsers is how many users have keys for h.
func (s *Source) ScramUsers(h core.ScramHash) (n int) {
	for _, u := range s.set.Load().users {
		if u.scram[h] != nil {
			n++
		}
	}
	return n
}
