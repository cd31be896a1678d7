package passwd

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-iot/fairlead/core"
)

// bothKeys are the least costly keys of a password.
func bothKeys(t testing.TB, password string) (out Scram) {
	t.Helper()
	for _, h := range scramHashes() {
		k, err := NewScram(h, []byte(password), minIterations)
		if err != nil {
			t.Fatal(err)
		}
		out[h] = k
	}
	return out
}

func setPassword(t testing.TB, content []byte, user, password string, k Scram) []byte {
	t.Helper()
	content, err := SetPassword(content, user, cheapHash(t, password), k)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestScramInFile(t *testing.T) {
	keys := bothKeys(t, "secret")
	content := setPassword(t, []byte("# users\r\n"), "alice", "secret", keys)
	content = setPassword(t, content, "bob", "old", Scram{})
	if n := bytes.Count(content, []byte(saltKeyLine)); n != 1 || !bytes.HasPrefix(content, []byte(saltKeyLine)) {
		t.Fatalf("%d keys for salts in\n%s", n, content)
	}
	if bytes.Contains(content, []byte("secret")) {
		t.Fatal("the password stands in the file")
	}
	alice, err := Find(content, "alice")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(keys, alice.Scram); diff != "" {
		t.Error(diff)
	}
	again, err := Set(content, alice)
	if err != nil || !bytes.Equal(again, content) {
		t.Errorf("%v\n%s\nbecame\n%s", err, content, again)
	}
	// A new password takes the old one's keys with it.
	content = setPassword(t, content, "alice", "new", Scram{})
	if alice, _ = Find(content, "alice"); alice.Scram != (Scram{}) {
		t.Error("the old password's keys are left")
	}
}

func TestScramFaults(t *testing.T) {
	h := cheapHash(t, "secret").String()
	k32, k64 := strings.Repeat("A", 43), strings.Repeat("A", 86)
	for _, c := range []struct{ name, line, want string }{
		{"one part", "u:" + h + ":scram-sha-256=secret", "must read"},
		{"no value", "u:" + h + ":scram-sha-256", "must read"},
		{"iterations in words", "u:" + h + ":scram-sha-256=many$c2FsdHNhbHQ$" + k32 + "$" + k32, "the iterations"},
		{"too few iterations", "u:" + h + ":scram-sha-256=4095$c2FsdHNhbHQ$" + k32 + "$" + k32, "between 4096 and 1000000"},
		{"too many iterations", "u:" + h + ":scram-sha-256=1000001$c2FsdHNhbHQ$" + k32 + "$" + k32, "between 4096 and 1000000"},
		{"short salt", "u:" + h + ":scram-sha-256=4096$c2FsdA$" + k32 + "$" + k32, "scram-sha-256 salt: has 4 bytes"},
		{"keys of the other hash", "u:" + h + ":scram-sha-256=4096$c2FsdHNhbHQ$" + k64 + "$" + k64, "stored key: longer than 32"},
		{"short server key", "u:" + h + ":scram-sha-512=4096$c2FsdHNhbHQ$" + k64 + "$" + k32, "server key: has 32 bytes"},
		{"SHA-1", "u:" + h + ":scram-sha-1=4096$c2FsdHNhbHQ$AAAA$AAAA", "unknown"},
		{"twice", "u:" + h + ":scram-sha-256=4096$c2FsdHNhbHQ$" + k32 + "$" + k32 + ",scram-sha-256=x", "twice"},
		{"key for salts", saltKeyLine + "AAAA", "scram-salt-key: has 3 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("users", []byte("z:"+h+"\n"+c.line+"\n"))
			if err == nil || !strings.HasPrefix(err.Error(), "users:2: ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Fatalf("%v, want line 2 and %q", err, c.want)
			}
		})
	}
}

func TestNewScramRefuses(t *testing.T) {
	for _, c := range []struct {
		password   string
		iterations int
		want       string
	}{{"", 5000, "is empty"}, {strings.Repeat("x", MaxPassword+1), 5000, "at most"}, {"x", 4095, "between"}, {"x", 1_000_001, "between"}} {
		if _, err := NewScram(core.ScramSHA256, []byte(c.password), c.iterations); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d bytes, %d iterations: %v", len(c.password), c.iterations, err)
		}
	}
}

// TestVerifyScram: a hash that was put in by hand leaves keys of the old password.
func TestVerifyScram(t *testing.T) {
	content := setPassword(t, nil, "alice", "old", bothKeys(t, "old"))
	for password, want := range map[string]bool{"old": true, "new": false} {
		if ok, err := Verify(content, "alice", []byte(password)); err != nil || ok != want {
			t.Errorf("%s: %v, %v", password, ok, err)
		}
	}
	e, _ := Find(content, "alice")
	e.Hash = cheapHash(t, "new")
	content, _ = Set(content, e)
	for _, password := range []string{"old", "new"} {
		if ok, err := Verify(content, "alice", []byte(password)); ok || err == nil || !strings.Contains(err.Error(), "not of one password") {
			t.Errorf("%s: %v, %v", password, ok, err)
		}
	}
}

func openContent(t testing.TB, content []byte) (*Source, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, path, false), path
}

func scramKeys(t testing.TB, s *Source, h core.ScramHash, user string) (core.ScramKeys, *core.Grant) {
	t.Helper()
	k, g, err := s.ScramKeys(context.Background(), h, user)
	if err != nil {
		t.Fatal(err)
	}
	return k, g
}

func TestScramKeysOfUsers(t *testing.T) {
	keys := bothKeys(t, "secret")
	content := setPassword(t, nil, "alice", "secret", keys)
	e, _ := Find(content, "alice")
	e.ClientID, e.Superuser = "c-1", true
	content, err := Set(content, e)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := openContent(t, content)
	for _, h := range scramHashes() {
		k, g := scramKeys(t, s, h, "alice")
		if diff := cmp.Diff(*keys[h], k); diff != "" || g == nil || g.Username != "alice" || g.ClientID != "c-1" || !g.Superuser {
			t.Errorf("%s: %s, grant %+v", h.Method(), diff, g)
		}
		if s.ScramUsers(h) != 1 {
			t.Errorf("%d users", s.ScramUsers(h))
		}
	}
}

// TestScramStrangers: nobody can tell a user without keys from none, not even by
// asking again after an edit and a restart.
func TestScramStrangers(t *testing.T) {
	content := setPassword(t, nil, "alice", "secret", bothKeys(t, "secret"))
	content = setPassword(t, content, "plain", "secret", Scram{})
	s, path := openContent(t, content)
	before := map[string]core.ScramKeys{}
	for _, user := range []string{"plain", "nobody", ""} {
		k, g := scramKeys(t, s, core.ScramSHA256, user)
		if g != nil || len(k.Salt) != 16 || k.Iterations != minIterations || len(k.StoredKey) != 32 || len(k.ServerKey) != 32 {
			t.Fatalf("%q: %+v, grant %v", user, k, g)
		}
		for other, o := range before {
			if bytes.Equal(o.Salt, k.Salt) {
				t.Errorf("%q and %q have one salt", user, other)
			}
		}
		before[user] = k
		if k512, _ := scramKeys(t, s, core.ScramSHA512, user); bytes.Equal(k512.Salt, k.Salt) || len(k512.StoredKey) != 64 {
			t.Errorf("%q has one salt for both hashes, as no user has", user)
		}
	}
	content = setPassword(t, content, "alice", "other", bothKeys(t, "other"))
	content = setPassword(t, content, "new", "x", Scram{})
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	restarted := open(t, path, false)
	for user, was := range before {
		for _, s := range []*Source{s, restarted} {
			if k, _ := scramKeys(t, s, core.ScramSHA256, user); !bytes.Equal(k.Salt, was.Salt) || k.Iterations != was.Iterations {
				t.Errorf("%q is asked otherwise than before", user)
			}
		}
	}
}

// TestScramReload: a new password and a deleted user count from the reload on.
func TestScramReload(t *testing.T) {
	content := setPassword(t, nil, "alice", "one", bothKeys(t, "one"))
	s, path := openContent(t, content)
	method := core.NewScram(core.ScramSHA256, s)
	next := bothKeys(t, "two")
	content = setPassword(t, content, "alice", "two", next)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	step, err := method.Begin(nil).Step(t.Context(), []byte("n,,n=alice,r=abc"))
	if want := "s=" + base64.StdEncoding.EncodeToString(next[0].Salt) + ",i=4096"; err != nil || !strings.HasSuffix(string(step.Data), want) {
		t.Errorf("%v: %q, want %s", err, step.Data, want)
	}
	content, err = Delete(content, "alice")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, g := scramKeys(t, s, core.ScramSHA256, "alice"); g != nil {
		t.Error("a deleted user has keys")
	}
}
