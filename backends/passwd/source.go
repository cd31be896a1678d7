package passwd

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/fairlead-iot/fairlead/backends/hashes"
	"github.com/fairlead-iot/fairlead/core"
)

var (
	_ core.Authenticator = (*Source)(nil)
	_ core.Recaller      = (*Source)(nil)
)

// Source authenticates against one file. Safe for concurrent use.
type Source struct {
	cfg  Config
	set  atomic.Pointer[set]
	make func(ctx context.Context, r *hashes.Request, password []byte) ([]byte, error)

	mu sync.Mutex // one Reload at a time
}

// Open reads the file of cfg. The error is a Faults when the file is faulty. A
// file that everyone may change is refused; see [Source.Warnings] for what is
// only told. With an empty cfg.File there are no users.
func Open(cfg Config) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("passwd: %w", err)
	}
	s := &Source{cfg: cfg, make: cmp.Or(cfg.Hashes, hashes.NewMaker(nil)).Make}
	if err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload reads the file again. A faulty file changes nothing: the users before
// it stay, and the error says what is wrong. Logins remembered are dropped.
// It reads the disk and may block.
func (s *Source) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.File == "" {
		s.set.Store(newSet(nil, nil, nil))
		return nil
	}
	warnings, err := checkMode(s.cfg.File)
	if err != nil {
		return err
	}
	content, err := readFile(s.cfg.File)
	if err != nil {
		return fmt.Errorf("passwd: %w", err)
	}
	entries, key, err := parse(s.cfg.File, content)
	if err != nil {
		return err
	}
	s.set.Store(newSet(entries, key, append(warnings, weakHashes(s.cfg.File, entries)...)))
	return nil
}

// checkMode refuses a file that everyone may change and warns of one that
// everyone may read. Windows has no such bits.
func checkMode(path string) (warnings []string, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("passwd: there is no file %s; make it with: fairlead passwd %s USER", path, path)
	}
	if err != nil {
		return nil, fmt.Errorf("passwd: %w", err)
	}
	mode := info.Mode().Perm()
	switch {
	case info.IsDir():
		return nil, fmt.Errorf("passwd: %s is a folder; passwd_file must name a file", path)
	case runtime.GOOS == "windows":
	case mode&0o002 != 0:
		return nil, fmt.Errorf("passwd: %s may be changed by everyone on this machine (mode %04o); run: chmod 600 %s", path, mode, path)
	case mode&0o004 != 0:
		return []string{fmt.Sprintf("%s may be read by everyone on this machine (mode %04o); run: chmod 600 %s", path, mode, path)}, nil
	}
	return nil, nil
}

// weakHashes tells of hashes that are too cheap, in one line for all.
func weakHashes(path string, entries []Entry) []string {
	count, first := 0, ""
	for i := range entries {
		if weak(entries[i].Hash.Params) {
			if count == 0 {
				first = entries[i].User
			}
			count++
		}
	}
	if count == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: %d hashes are too cheap to withstand guessing (the first is of user %q); set those passwords anew with fairlead passwd", path, count, first)}
}

// Warnings are what is doubtful about the file read last, one line each: it may
// be read by everyone, it holds weak hashes. The slice is the caller's to read.
func (s *Source) Warnings() []string { return s.set.Load().warnings }

// Users is how many users there are.
func (s *Source) Users() int { return len(s.set.Load().users) }

// Name is "passwd".
func (s *Source) Name() string { return "passwd" }

// LongestPassword implements core.PasswordBound.
func (s *Source) LongestPassword() int { return MaxPassword }

// Authenticate allows a known user with the right password and denies one with
// a wrong one, without one, or with one longer than MaxPassword. It ignores
// clients without a user name, unknown users, and enhanced authentication. It
// blocks for the work of one hash (20 ms or more) and until Config.Hashes
// begins it; if ctx ends before that, the error is ctx's.
// The Grant is shared; its Username is the user, proven.
func (s *Source) Authenticate(ctx context.Context, c *core.Credentials) (core.Verdict, *core.Grant, error) {
	if !c.HasUsername || c.Method != "" {
		return core.Ignore, nil, nil
	}
	set := s.set.Load()
	if len(set.users) == 0 {
		return core.Ignore, nil, nil // nothing to hide
	}
	u, known := set.lookup(c.Username)
	refusal := core.Deny
	if !known {
		refusal = core.Ignore
	}
	if !c.HasPassword || len(c.Password) > MaxPassword {
		return refusal, nil, nil
	}
	ok, err := s.verify(ctx, set, u, c)
	switch {
	case err != nil:
		return core.Ignore, nil, err
	case known && ok:
		return core.Allow, &u.grant, nil
	}
	return refusal, nil, nil
}

// Recall gives the Grant of a user whose password passed last time, nil otherwise.
// It costs a keyed hash of a few hundred bytes.
func (s *Source) Recall(c *core.Credentials) *core.Grant {
	if !s.cfg.Cache || !c.HasUsername || !c.HasPassword || c.Method != "" || len(c.Password) > MaxPassword {
		return nil
	}
	set := s.set.Load()
	u := set.users[c.Username]
	if u == nil || !u.remembers(set, c) {
		return nil
	}
	return &u.grant
}

// remembers says whether these credentials are what passed last.
func (u *user) remembers(set *set, c *core.Credentials) bool {
	last := u.last.Load()
	if last == nil {
		return false
	}
	proof := set.proof(u, c)
	return hmac.Equal(last[:], proof[:])
}

// verify does the same work for a decoy as for a known user.
func (s *Source) verify(ctx context.Context, set *set, u *user, c *core.Credentials) (bool, error) {
	var proof [sha256.Size]byte
	if s.cfg.Cache {
		proof = set.proof(u, c)
		if last := u.last.Load(); last != nil && hmac.Equal(last[:], proof[:]) {
			return true, nil
		}
	}
	key, err := s.make(ctx, u.hash.request(), c.Password)
	if err != nil {
		return false, fmt.Errorf("passwd: user %q: %w", c.Username, err)
	}
	ok := hmac.Equal(key, u.hash.Key)
	if ok && s.cfg.Cache {
		u.last.Store(&proof)
	}
	return ok, nil
}

// user is an entry at work.
type user struct {
	hash  Hash
	grant core.Grant
	scram Scram
	last  atomic.Pointer[[sha256.Size]byte] // proof of the password that passed last
}

// set is the users of one reading of the file; immutable but for user.last.
type set struct {
	users    map[string]*user
	decoys   []*user // what unknown users are checked against
	key      [32]byte
	warnings []string

	strangers [2]strangers // to SCRAM, by hash
}

// maxDecoys bounds how many users' costs the unknown ones are spread over.
const maxDecoys = 64

func newSet(entries []Entry, saltKey []byte, warnings []string) *set {
	s := &set{users: make(map[string]*user, len(entries)), warnings: warnings}
	rand.Read(s.key[:])
	for _, e := range entries {
		s.users[e.User] = &user{
			hash:  e.Hash,
			grant: core.Grant{Username: e.User, ClientID: e.ClientID, Superuser: e.Superuser},
			scram: e.Scram,
		}
	}
	for _, h := range scramHashes() {
		s.strangers[h] = newStrangers(h, entries, saltKey)
	}
	for i := range min(len(entries), maxDecoys) {
		if len(entries) > maxDecoys {
			i = mathrand.N(len(entries))
		}
		h := &entries[i].Hash
		s.decoys = append(s.decoys, decoy(h.Params, len(h.Salt), len(h.Key)))
	}
	return s
}

// decoy is a user whose password nobody knows: key and salt are random.
func decoy(p Params, salt, key int) *user {
	u := &user{hash: Hash{Params: p, Salt: make([]byte, salt), Key: make([]byte, key)}}
	rand.Read(u.hash.Salt)
	rand.Read(u.hash.Key)
	return u
}

// lookup gives the user, or a decoy that stays the same for the name: asked
// twice, an unknown user must not show by different times that it is unknown.
func (s *set) lookup(name string) (u *user, known bool) {
	mac := hmac.New(sha256.New, s.key[:])
	mac.Write([]byte(name))
	i := binary.BigEndian.Uint64(mac.Sum(nil)) % uint64(len(s.decoys))
	if u := s.users[name]; u != nil {
		return u, true
	}
	return s.decoys[i], false
}

// proof is the keyed hash of user name, password and stored hash. The lengths
// keep the parts apart.
func (s *set) proof(u *user, c *core.Credentials) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, s.key[:])
	var length [8]byte
	for _, part := range [...][]byte{[]byte(c.Username), c.Password, u.hash.Salt, u.hash.Key} {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		mac.Write(length[:])
		mac.Write(part)
	}
	mac.Sum(sum[:0])
	return sum
}
