package identity

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/backends/hashes"
	"github.com/fairlead-iot/fairlead/backends/hashes/hashestest"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core"
)

func TestMain(m *testing.M) { hashestest.Main(m) }

// Hashes that cost something are made by processes apart, those of users who are not there
// or whose row is of no use, too; others are not.
func TestCostlyHashesAreMadeApart(t *testing.T) {
	const bcrypt = "$2b$05$DdTqVtGqEeg1q56Tn7mFe.gsIfaxtfOXfqcbeqrT.B.za9AKJIeVK"
	for _, c := range []struct {
		scheme, stored, right string
		apart                 uint64 // for each that is made
	}{
		{"bcrypt", bcrypt, "public", 1},
		{"sha512", bcrypt, "public", 1}, // it says itself what it is
		{"argon2id", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "password", 1},
		{"pbkdf2,sha256,1000,20", "5a21f11c597da1447641c0a5ba58b856a76f1084", "public", 1},
		{"sha256,salt", "f4a8615be301fbaf6213df33cfe5f22953aafc0c31beb8f2daef55b127444d27", "public", 0},
		{"sha256", "efa1f375d76194fa51a3556a97e641e61685f914d446979da50a551a4333ffd7", "public", 0},
		{"plain", "public", "public", 0},
	} {
		t.Run(c.scheme, func(t *testing.T) {
			maker, workers := hashestest.New(t)
			cfg := DefaultConfig(rules.SQLIdentities(nil))
			cfg.ACLQueries, cfg.PasswordHash, cfg.Hashes = nil, c.scheme, maker
			s, err := New("test", cfg, users{"ann": {"password": c.stored, "salt": "salt"}, "odd": {"password": "$2a$31$none"}})
			if err != nil {
				t.Fatal(err)
			}
			for i, who := range []struct {
				name, password string
				want           core.Verdict
			}{{"ann", c.right, core.Allow}, {"ann", "wrong", core.Deny}, {"nobody", "wrong", core.Ignore}, {"odd", "wrong", core.Ignore}} {
				if v := attempt(t, s, who.name, who.password); v != who.want {
					t.Errorf("%s: %v, want %v", who.name, v, who.want)
				}
				hashestest.Want(t, workers, c.apart*uint64(i+1), 0, 0)
			}
		})
	}
}

// Where no process can be begun, hashes are made in this one, and are the same.
func TestHashesWithoutWorkers(t *testing.T) {
	workers := hashestest.Broken()
	defer workers.Close()
	s, err := ParseScheme("bcrypt")
	if err != nil {
		t.Fatal(err)
	}
	m := hashes.NewMaker(workers)
	for password, want := range map[string]bool{"public": true, "publi": false} {
		if got, err := s.Verify(t.Context(), m, "$2b$05$DdTqVtGqEeg1q56Tn7mFe.gsIfaxtfOXfqcbeqrT.B.za9AKJIeVK", "", []byte(password)); got != want || err != nil {
			t.Errorf("%s: %v, %v", password, got, err)
		}
	}
	hashestest.Want(t, workers, 0, 2, 1)
}

// Where nobody is free to make a hash, that is told, and does not tell who there is.
func TestNobodyIsFree(t *testing.T) {
	s, _ := counted(t, "bcrypt", users{"ann": {"password": "$2b$05$DdTqVtGqEeg1q56Tn7mFe.gsIfaxtfOXfqcbeqrT.B.za9AKJIeVK"}, "odd": {"password": "$2a$31$none"}, "null": {}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{"ann", "nobody", "odd", "null"} {
		v, grant, err := s.Authenticate(ctx, &core.Credentials{ClientID: "c", Username: name, HasUsername: true, Password: []byte("public"), HasPassword: true})
		if v != core.Ignore || grant != nil || !errors.Is(err, hashes.ErrBusy) {
			t.Errorf("%s: %v, %v, %v", name, v, grant, err)
		}
	}
}

// punctual wants all of the time of a query for each.
type punctual struct {
	users
	t *testing.T
}

func (p punctual) Users(ctx context.Context, query string, j *rules.Job) ([]map[string]string, error) {
	p.look(ctx)
	return p.users.Users(ctx, query, j)
}

func (p punctual) Access(ctx context.Context, _ string, _ *rules.Job) ([]map[string]string, error) {
	p.look(ctx)
	return nil, nil
}

func (p punctual) look(ctx context.Context) {
	if end, bound := ctx.Deadline(); !bound || time.Until(end) != time.Second {
		p.t.Errorf("a query may take %v (bound: %v), want 1s", time.Until(end), bound)
	}
}

// The time of a hash is not taken from that of the queries: a process apart may have to wait
// for a processor.
func TestHashesTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig(rules.SQLIdentities(nil))
		cfg.PasswordHash, cfg.SuperQuery, cfg.Timeout = "plain", cfg.UserQuery, time.Second
		s, err := New("test", cfg, punctual{users{"ann": {"password": "public"}}, t})
		if err != nil {
			t.Fatal(err)
		}
		verify := s.checker.verify
		s.checker.verify = func(ctx context.Context, stored, salt string, password []byte) (bool, error) {
			time.Sleep(2 * cfg.Timeout)
			return verify(ctx, stored, salt, password)
		}
		if v := attempt(t, s, "ann", "public"); v != core.Allow {
			t.Error(v)
		}
	})
}
