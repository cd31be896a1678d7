package passwd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/hashes"
	"github.com/fairlead-iot/fairlead/backends/hashes/hashestest"
	"github.com/fairlead-iot/fairlead/core"
)

func TestMain(m *testing.M) { hashestest.Main(m) }

// usersFile writes a file of users; each has its name as password.
func usersFile(t testing.TB, entries ...Entry) string {
	t.Helper()
	var content []byte
	for _, e := range entries {
		e.Hash = cheapHash(t, e.User)
		var err error
		if content, err = Set(content, e); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path string, cache bool) *Source {
	t.Helper()
	s, err := Open(Config{File: path, Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// countWork makes s count its hash work by the costs it is done with.
func countWork(s *Source) *atomic.Int64 {
	var n atomic.Int64
	made := s.make
	s.make = func(ctx context.Context, r *hashes.Request, password []byte) ([]byte, error) {
		n.Add(1)
		return made(ctx, r, password)
	}
	return &n
}

func login(user, password string) *core.Credentials {
	return &core.Credentials{Username: user, HasUsername: true, Password: []byte(password), HasPassword: true}
}

func TestAuthenticate(t *testing.T) {
	s := open(t, usersFile(t, Entry{User: "alice"}, Entry{User: "ops", Superuser: true}, Entry{User: "s7", ClientID: "sensor-7"}), true)
	long := strings.Repeat("x", MaxPassword+1)
	tests := []struct {
		name  string
		c     *core.Credentials
		want  core.Verdict
		grant core.Grant
		work  int64
	}{
		{"right", login("alice", "alice"), core.Allow, core.Grant{Username: "alice"}, 1},
		{"right again costs nothing", login("alice", "alice"), core.Allow, core.Grant{Username: "alice"}, 0},
		{"wrong after right", login("alice", "alicf"), core.Deny, core.Grant{}, 1},
		{"wrong", login("ops", "alice"), core.Deny, core.Grant{}, 1},
		{"superuser", login("ops", "ops"), core.Allow, core.Grant{Username: "ops", Superuser: true}, 1},
		{"bound to a ClientID", login("s7", "s7"), core.Allow, core.Grant{Username: "s7", ClientID: "sensor-7"}, 1},
		{"unknown user: the same work", login("bob", "bob"), core.Ignore, core.Grant{}, 1},
		{"name is compared exactly", login("Alice", "alice"), core.Ignore, core.Grant{}, 1},
		{"empty password", login("alice", ""), core.Deny, core.Grant{}, 1},
		{"no password", &core.Credentials{Username: "alice", HasUsername: true}, core.Deny, core.Grant{}, 0},
		{"unknown without password", &core.Credentials{Username: "bob", HasUsername: true}, core.Ignore, core.Grant{}, 0},
		{"no user name", &core.Credentials{Password: []byte("alice"), HasPassword: true}, core.Ignore, core.Grant{}, 0},
		{"name without its flag", &core.Credentials{Username: "alice", Password: []byte("alice"), HasPassword: true}, core.Ignore, core.Grant{}, 0},
		{"empty user name", login("", ""), core.Ignore, core.Grant{}, 1},
		{"long password", login("alice", long), core.Deny, core.Grant{}, 0},
		{"unknown with a long password", login("bob", long), core.Ignore, core.Grant{}, 0},
		{"enhanced authentication", &core.Credentials{Username: "alice", HasUsername: true, Method: "SCRAM-SHA-256"}, core.Ignore, core.Grant{}, 0},
	}
	work := countWork(s)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := work.Load()
			got, grant, err := s.Authenticate(t.Context(), tt.c)
			if got != tt.want || err != nil {
				t.Fatalf("Authenticate = %v, %v, want %v", got, err, tt.want)
			}
			if (got == core.Allow) != (grant != nil) || grant != nil && *grant != tt.grant {
				t.Errorf("grant = %+v, want %+v", grant, tt.grant)
			}
			if n := work.Load() - before; n != tt.work {
				t.Errorf("%d hashes were made, want %d", n, tt.work)
			}
		})
	}
}

func TestCacheOff(t *testing.T) {
	s := open(t, usersFile(t, Entry{User: "alice"}), false)
	work := countWork(s)
	for range 3 {
		if v, _, err := s.Authenticate(t.Context(), login("alice", "alice")); v != core.Allow || err != nil {
			t.Fatal(v, err)
		}
	}
	if work.Load() != 3 {
		t.Errorf("%d hashes, want 3", work.Load())
	}
}

// TestDecoysCostTheSame: an unknown user costs what a known one may cost, and
// the same at each try.
func TestDecoysCostTheSame(t *testing.T) {
	var entries []Entry
	for i := range 200 {
		p := Params{Memory: 8 + uint32(i%2)*8, Passes: 1, Threads: 1}
		h, err := NewHash([]byte("x"), p)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, Entry{User: fmt.Sprint("user", i), Hash: h})
	}
	entries[199].Hash.Params.Memory = 32
	s := newSet(entries, nil, nil)
	if len(s.decoys) > maxDecoys || len(s.decoys) < maxDecoys/2 {
		t.Errorf("%d decoys", len(s.decoys))
	}
	seen := map[uint32]bool{}
	for i := range 500 {
		name := fmt.Sprint("unknown", i)
		u, known := s.lookup(name)
		again, _ := s.lookup(name)
		if known || u != again {
			t.Fatalf("%s: known %t, another decoy at the second try %t", name, known, u != again)
		}
		seen[u.hash.Memory] = true
	}
	if !seen[8] || !seen[16] {
		t.Errorf("decoys cost %v, the file has 8 and 16 KiB", seen)
	}
}

func TestReload(t *testing.T) {
	path := usersFile(t, Entry{User: "alice"})
	s := open(t, path, true)
	work := countWork(s)
	allow := func(user string) core.Verdict {
		v, _, err := s.Authenticate(t.Context(), login(user, user))
		if err != nil {
			t.Error(err)
		}
		return v
	}
	if allow("alice") != core.Allow {
		t.Fatal("alice is not let in")
	}
	if err := os.WriteFile(path, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	var faults Faults
	if err := s.Reload(); !errors.As(err, &faults) {
		t.Fatalf("Reload of garbage = %v", err)
	}
	if allow("alice") != core.Allow || s.Users() != 1 {
		t.Error("a faulty file changed the users")
	}
	if err := os.Rename(usersFile(t, Entry{User: "alice"}, Entry{User: "bob"}), path); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	before := work.Load()
	if allow("alice") != core.Allow || allow("bob") != core.Allow {
		t.Error("the new users are not let in")
	}
	if n := work.Load() - before; n != 2 {
		t.Errorf("%d hashes after the reload, want 2: what was remembered must be dropped", n)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil || allow("bob") != core.Allow {
		t.Errorf("Reload without a file: %v, and the users must stay", err)
	}
}

func TestOpenFile(t *testing.T) {
	dir := t.TempDir()
	good := usersFile(t, Entry{User: "alice"})
	tests := []struct {
		name    string
		path    string
		mode    os.FileMode
		refused string // part of the error, "" for success
		warning string // part of a warning
	}{
		{"private", good, 0o600, "", "too cheap"},
		{"group may read", good, 0o640, "", "too cheap"},
		{"all may read", good, 0o604, "", "read by everyone on this machine (mode 0604)"},
		{"all may write", good, 0o602, "changed by everyone", ""},
		{"a folder", dir, 0o700, "is a folder", ""},
		{"no such file", filepath.Join(dir, "none"), 0, "make it with: fairlead passwd", ""},
		{"a stray blank", good + " ", 0, "blank", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.mode != 0 {
				if err := os.Chmod(tt.path, tt.mode); err != nil {
					t.Fatal(err)
				}
			}
			s, err := Open(Config{File: tt.path})
			if tt.refused != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refused) {
					t.Fatalf("Open = %v, want %q", err, tt.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(s.Warnings(), "\n"); !strings.Contains(all, tt.warning) {
				t.Errorf("warnings = %q, want %q", all, tt.warning)
			}
		})
	}
}

func TestNoUsers(t *testing.T) {
	s := open(t, "", true)
	work := countWork(s)
	if v, _, err := s.Authenticate(t.Context(), login("a", "b")); v != core.Ignore || err != nil || work.Load() != 0 {
		t.Errorf("Authenticate = %v, %v after %d hashes", v, err, work.Load())
	}
}

// TestOverload: where nobody is free to make the hash the caller gets the error and no
// verdict.
func TestOverload(t *testing.T) {
	s := open(t, usersFile(t, Entry{User: "alice"}), true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{"alice", "nobody"} {
		v, grant, err := s.Authenticate(ctx, login(name, "alice"))
		if v != core.Ignore || grant != nil || !errors.Is(err, context.Canceled) || !errors.Is(err, hashes.ErrBusy) {
			t.Errorf("%s: %v, %v, %v", name, v, grant, err)
		}
	}
	if v, _, err := s.Authenticate(t.Context(), login("alice", "alice")); v != core.Allow || err != nil {
		t.Errorf("later: %v, %v", v, err)
	}
}

// TestVerdictsApart: a Source says the same with workers as without.
func TestVerdictsApart(t *testing.T) {
	path := usersFile(t, Entry{User: "alice"}, Entry{User: "bob"})
	maker, workers := hashestest.New(t)
	here := open(t, path, false)
	apart, err := Open(Config{File: path, Hashes: maker})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*core.Credentials{
		login("alice", "alice"), login("alice", "bob"), login("bob", "bob"), login("carol", "carol"), login("alice", ""),
		login("alice", strings.Repeat("x", 4096)), login("carol", strings.Repeat("x", 4096)), login("alice", strings.Repeat("x", MaxPassword)),
		{Username: "alice", HasUsername: true}, {},
	} {
		want, _, _ := here.Authenticate(t.Context(), c)
		got, grant, err := apart.Authenticate(t.Context(), c)
		if got != want || err != nil || (got == core.Allow) != (grant != nil) {
			t.Errorf("%s with %d bytes: %v, %v, want %v", c.Username, len(c.Password), got, err, want)
		}
	}
	hashestest.Want(t, workers, 6, 0, 0) // what is too long or no password costs none
}

func TestConcurrentLoginsAndReloads(t *testing.T) {
	s := open(t, usersFile(t, Entry{User: "alice"}, Entry{User: "bob"}), true)
	var wg sync.WaitGroup
	for _, user := range []string{"alice", "bob", "carol"} {
		wg.Go(func() {
			for range 50 {
				v, _, err := s.Authenticate(t.Context(), login(user, user))
				if want := map[bool]core.Verdict{true: core.Allow, false: core.Ignore}[user != "carol"]; v != want || err != nil {
					t.Errorf("%s: %v, %v", user, v, err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			if err := s.Reload(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
}

func BenchmarkAuthenticate(b *testing.B) {
	h, err := NewHash([]byte("secret"), DefaultParams())
	if err != nil {
		b.Fatal(err)
	}
	content, err := SetPassword(nil, "alice", h, Scram{})
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "users")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		b.Fatal(err)
	}
	for _, bb := range []struct{ name, user, password string }{
		{"remembered", "alice", "secret"}, {"wrong", "alice", "secres"}, {"unknown", "bob", "secret"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			s := open(b, path, true)
			c := login(bb.user, bb.password)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := s.Authenticate(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestRecall: who passed last is known at once, nobody else, and not after a reload.
func TestRecall(t *testing.T) {
	s := open(t, usersFile(t, Entry{User: "alice"}, Entry{User: "bob"}), true)
	recalled := func(c *core.Credentials) string {
		if g := s.Recall(c); g != nil {
			return g.Username
		}
		return ""
	}
	if got := recalled(login("alice", "alice")); got != "" {
		t.Errorf("before the first login: %q", got)
	}
	s.Authenticate(t.Context(), login("alice", "alice"))
	work := countWork(s)
	for _, c := range []struct {
		c    *core.Credentials
		want string
	}{
		{login("alice", "alice"), "alice"},
		{login("alice", "alicf"), ""},
		{login("alice", ""), ""},
		{login("bob", "bob"), ""},
		{login("bob", "alice"), ""},
		{login("carol", "alice"), ""},
		{&core.Credentials{Username: "alice", HasUsername: true, Password: []byte("alice"), HasPassword: true, Method: "x"}, ""},
	} {
		if got := recalled(c.c); got != c.want {
			t.Errorf("%s with %q: %q, want %q", c.c.Username, c.c.Password, got, c.want)
		}
	}
	if work.Load() != 0 {
		t.Errorf("%d hashes", work.Load())
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := recalled(login("alice", "alice")); got != "" {
		t.Errorf("after a reload: %q", got)
	}
	if s := open(t, usersFile(t, Entry{User: "alice"}), false); s.Recall(login("alice", "alice")) != nil {
		t.Error("without passwd_cache")
	}
}
