package passwd

import (
	"bytes"
	"strings"
	"testing"
)

// goldenHash is a known answer of the reference implementation of argon2, from
// its own tests: "password" under "somesalt".
const goldenHash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"

func TestGoldenHash(t *testing.T) {
	h, err := ParseHash(goldenHash)
	if err != nil {
		t.Fatal(err)
	}
	if !h.Matches([]byte("password")) {
		t.Error("the right password does not match")
	}
	for _, wrong := range []string{"", "passwor", "password ", "Password", "password\x00"} {
		if h.Matches([]byte(wrong)) {
			t.Errorf("%q matches", wrong)
		}
	}
	if h.String() != goldenHash {
		t.Errorf("String = %s", h.String())
	}
}

func TestNewHash(t *testing.T) {
	tests := []struct {
		name     string
		password string
		params   Params
		want     string // "" means success
	}{
		{"ordinary", "x", cheap(), ""},
		{"longest", strings.Repeat("x", MaxPassword), cheap(), ""},
		{"too long", strings.Repeat("x", MaxPassword+1), cheap(), "1025 bytes"},
		{"empty", "", cheap(), "empty"},
		{"no costs", "x", Params{}, "p=0"},
		{"too costly", "x", Params{Memory: 1 << 30, Passes: 1, Threads: 1}, "m=1073741824"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, err := NewHash([]byte(tt.password), tt.params)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("error = %v, want %q", err, tt.want)
				}
				return
			}
			if err != nil || !h.Matches([]byte(tt.password)) {
				t.Fatalf("%v, or the password does not match", err)
			}
		})
	}
	a, b := cheapHash(t, "x"), cheapHash(t, "x")
	if bytes.Equal(a.Salt, b.Salt) || bytes.Equal(a.Key, b.Key) {
		t.Error("two hashes of one password are equal")
	}
	if a.Matches([]byte(strings.Repeat("x", MaxPassword+1))) {
		t.Error("a password over the bound matches")
	}
}

func TestDefaultParamsAreStrong(t *testing.T) {
	if p := DefaultParams(); weak(p) || p.Validate() != nil {
		t.Errorf("%+v: weak %t, %v", p, weak(p), p.Validate())
	}
	if !weak(cheap()) {
		t.Error("8 KiB are not told as weak")
	}
}

func BenchmarkHash(b *testing.B) {
	h, err := NewHash([]byte("secret"), DefaultParams())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if h.Matches([]byte("wrong")) {
			b.Fatal("matches")
		}
	}
}
