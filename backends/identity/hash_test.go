package identity

import (
	"errors"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/hashes"
)

// What other programs have written for "public" and the salt "salt": sha256sum, md5sum,
// hashlib and crypt of Python.
func TestHashesOfOthers(t *testing.T) {
	m := hashes.NewMaker(nil)
	for _, c := range []struct{ scheme, stored string }{
		{"plain", "public"},
		{"md5", "4c9184f37cff01bcdc32dc486ec36961"},
		{"sha", "61c9b2b17db77a27841bbeeabff923448b0f6388"},
		{"sha256", "efa1f375d76194fa51a3556a97e641e61685f914d446979da50a551a4333ffd7"},
		{"salt,sha256", "f2ef7f9aedb2c3b5040bc16691a1177758a92ad91e1ee77770215a332bf6099f"},
		{"sha256,salt", "f4a8615be301fbaf6213df33cfe5f22953aafc0c31beb8f2daef55b127444d27"},
		{"sha512", "d32997e9747b65a3ecf65b82533a4c843c4e16dd30cf371e8c81ab60a341de00051da422d41ff29c55695f233a1e06fac8b79aeb0a4d91ae5d3d18c8e09b8c73"},
		{"pbkdf2,sha256,1000,20", "5a21f11c597da1447641c0a5ba58b856a76f1084"},
		{"bcrypt", "$2b$05$DdTqVtGqEeg1q56Tn7mFe.gsIfaxtfOXfqcbeqrT.B.za9AKJIeVK"},
		{"salt,bcrypt", "$2b$05$DdTqVtGqEeg1q56Tn7mFe.gsIfaxtfOXfqcbeqrT.B.za9AKJIeVK"},
	} {
		s, err := ParseScheme(c.scheme)
		if err != nil {
			t.Fatalf("%s: %v", c.scheme, err)
		}
		for password, want := range map[string]bool{"public": true, "publi": false, "Public": false, "": false, strings.Repeat("x", 2000): false} {
			if got, err := s.Verify(t.Context(), m, c.stored, "salt", []byte(password)); got != want || err != nil {
				t.Errorf("%s, password %.20q: %v %v, want %v", c.scheme, password, got, err, want)
			}
		}
	}
}

// The vector of argon2's own tests; such hashes are known by their looks.
func TestArgon2(t *testing.T) {
	const stored = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	for _, scheme := range []string{"argon2id", "sha256", "plain"} {
		s, err := ParseScheme(scheme)
		if err != nil {
			t.Fatal(err)
		}
		for password, want := range map[string]bool{"password": true, "Password": false, "": false, stored: false} {
			if got, err := s.Verify(t.Context(), hashes.NewMaker(nil), stored, "", []byte(password)); got != want || err != nil {
				t.Errorf("%s, password %q: %v %v, want %v", scheme, password, got, err, want)
			}
		}
	}
}

func TestSchemesThatAreNone(t *testing.T) {
	for _, text := range []string{"", "sha3", "salt", "salt,plain", "md5,md5", "pbkdf2", "pbkdf2,sha256,0,20", "pbkdf2,sha256,9999999,20", "pbkdf2,sha256,1000,65", "pbkdf2,none,1,1"} {
		if _, err := ParseScheme(text); !errors.Is(err, errScheme) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What is no hash, or too costly a one, lets nobody in and says so.
func TestBrokenHashesAreErrors(t *testing.T) {
	argon := func(costs string) string {
		return "$argon2id$v=19$" + costs + "$c2FsdHNhbHQ$" + strings.Repeat("A", 43)
	}
	for _, c := range [][2]string{
		{"plain", ""}, {"sha256", "efa1"}, {"sha256", "public"}, {"sha256", ""}, {"md5", strings.Repeat("z", 32)}, {"bcrypt", "public"}, {"bcrypt", ""},
		{"bcrypt", "$2a$31$" + strings.Repeat("a", 53)}, {"bcrypt", "$2a$15$" + strings.Repeat("a", 53)}, {"bcrypt", "$2a$03$" + strings.Repeat("a", 53)}, {"bcrypt", "$2a$xx"},
		{"bcrypt", "$2a$05$" + strings.Repeat("a", 52)}, {"bcrypt", "$2a$05$" + strings.Repeat("a", 54)}, {"bcrypt", "$2a$05$" + strings.Repeat("a", 53) + "\n"}, {"bcrypt", "$2a$05a" + strings.Repeat("a", 53)}, {"bcrypt", "$2a$05$" + strings.Repeat("!", 53)}, {"pbkdf2,sha256,1000,20", "00"}, {"argon2id", ""},
		{"argon2id", argon("m=9999999,t=1,p=1")}, {"argon2id", argon("m=65536,t=16,p=1")}, {"argon2id", argon("m=0,t=0,p=0")}, {"argon2id", argon("m=64,t=4294967295,p=1")}, {"argon2id", "$argon2id$v=19$m=64,t=1,p=1$$"},
	} {
		s, err := ParseScheme(c[0])
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := s.Verify(t.Context(), hashes.NewMaker(nil), c[1], "", nil); ok || !errors.Is(err, ErrHash) {
			t.Errorf("%s %q: %v %v", c[0], c[1], ok, err)
		}
	}
}
