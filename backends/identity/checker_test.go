package identity

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core"
)

// users are a database with passwords only.
type users map[string]map[string]string

func (u users) Users(_ context.Context, _ string, j *rules.Job) ([]map[string]string, error) {
	if row, known := u[j.Username]; known {
		return []map[string]string{row}, nil
	}
	return nil, nil
}

func (users) Access(context.Context, string, *rules.Job) ([]map[string]string, error) {
	return nil, nil
}

// counted is a source of u whose hash operations are counted by what they cost.
func counted(t *testing.T, scheme string, u users) (s *Source, count map[string]int) {
	t.Helper()
	cfg := DefaultConfig(rules.SQLIdentities(nil))
	cfg.ACLQueries, cfg.PasswordHash = nil, scheme
	s, err := New("test", cfg, u)
	if err != nil {
		t.Fatal(err)
	}
	count = map[string]int{}
	verify := s.checker.verify
	s.checker.verify = func(ctx context.Context, stored, salt string, password []byte) (bool, error) {
		right, err := verify(ctx, stored, salt, password)
		if err == nil { // else nothing was hashed
			count[kindOf(stored)]++
		}
		return right, err
	}
	return s, count
}

func attempt(t *testing.T, s *Source, name, password string) core.Verdict {
	t.Helper()
	v, _, _ := s.Authenticate(t.Context(), &core.Credentials{ClientID: "c", Username: name, HasUsername: true, Password: []byte(password), HasPassword: true})
	return v
}

// An unknown user costs the hash operation of a known one, also before any known one has
// come, and one whose row is of no use costs it, too.
func TestUnknownUsersCostAsMuch(t *testing.T) {
	const bcrypt, argon = "$2b$05$DdTqVtGqEeg1q56Tn7mFe.gsIfaxtfOXfqcbeqrT.B.za9AKJIeVK", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	const sha = "efa1f375d76194fa51a3556a97e641e61685f914d446979da50a551a4333ffd7"
	for _, c := range []struct{ scheme, stored, first, kind string }{
		{"plain", "public", byScheme, byScheme},
		{"sha256", sha, byScheme, byScheme},
		{"pbkdf2,sha256,1000,20", "5a21f11c597da1447641c0a5ba58b856a76f1084", byScheme, byScheme},
		{"bcrypt", bcrypt, "$2b$10$", "$2b$05$"},
		{"sha256", bcrypt, byScheme, "$2b$05$"},
		{"argon2id", argon, "$argon2id$v=19$m=19456,t=2,p=1$", "$argon2id$v=19$m=256,t=2,p=1$"},
	} {
		t.Run(c.scheme+" "+c.kind, func(t *testing.T) {
			s, count := counted(t, c.scheme, users{
				"ann": {"password": c.stored}, "other": {"password": c.stored, "username": "Other"}, "null": {"salt": "x"}, "odd": {"password": "$2a$31$none"},
			})
			if v := attempt(t, s, "nobody", "x"); v != core.Ignore || fmt.Sprint(count) != fmt.Sprintf("map[%s:1]", c.first) {
				t.Errorf("before any known user: %v, %v", v, count)
			}
			attempt(t, s, "ann", "wrong") // it is known now what users cost
			for name, want := range map[string]core.Verdict{"ann": core.Deny, "nobody": core.Ignore, "somebody": core.Ignore, "other": core.Ignore, "null": core.Ignore, "odd": core.Ignore} {
				clear(count)
				if v := attempt(t, s, name, "wrong"); v != want || fmt.Sprint(count) != fmt.Sprintf("map[%s:1]", c.kind) {
					t.Errorf("%s: %v with %v, want %v and one operation of %s", name, v, count, want, c.kind)
				}
			}
			clear(count)
			attempt(t, s, "ann", strings.Repeat("x", maxPassword+1))
			attempt(t, s, "nobody", strings.Repeat("x", maxPassword+1))
			if n := len(*s.checker.seen.Load()); n != 1 {
				t.Errorf("%d kinds", n)
			}
		})
	}
}

// Where users differ in what they cost, unknown names do so, too, each always the same; and
// kinds without end take no memory without end.
func TestKindsOfHashes(t *testing.T) {
	const tail = "DdTqVtGqEeg1q56Tn7mFe.gsIfaxtfOXfqcbeqrT.B.za9AKJIeVK"
	u := users{}
	for cost := 4; cost < 6; cost++ {
		u[fmt.Sprint("u", cost)] = map[string]string{"password": fmt.Sprintf("$2b$%02d$%s", cost, tail)}
	}
	s, count := counted(t, "sha256", u)
	attempt(t, s, "u4", "x")
	attempt(t, s, "u5", "x")
	kinds := map[string]int{}
	for i := range 40 {
		name := fmt.Sprint("nobody", i)
		clear(count)
		attempt(t, s, name, "x")
		attempt(t, s, name, "y")
		for kind, n := range count {
			if n != 2 {
				t.Errorf("%s costs two things: %v", name, count)
			}
			kinds[kind]++
		}
	}
	if len(kinds) != 2 || kinds[byScheme] > 0 {
		t.Errorf("40 unknown users cost %v", kinds)
	}
	for memory := range 3 * maxKinds {
		s.checker.learn(fmt.Sprintf("$argon2id$v=19$m=%d,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", 64+memory))
	}
	if n := len(*s.checker.seen.Load()); n != maxKinds {
		t.Errorf("%d kinds are remembered, want %d", n, maxKinds)
	}
}
