package core

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// oneUser is a source with one user, "user", whose password is "pencil".
type oneUser struct {
	keys ScramKeys
	err  error
}

func (*oneUser) Name() string { return "one" }

func (o *oneUser) ScramKeys(_ context.Context, _ ScramHash, user string) (ScramKeys, *Grant, error) {
	if user != "user" {
		return o.keys, nil, o.err
	}
	return o.keys, &Grant{Username: user}, o.err
}

// pencil is the user of RFC 7677 section 3.
func pencil(t testing.TB, h ScramHash) *oneUser {
	t.Helper()
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	k, err := h.Keys([]byte("pencil"), salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	return &oneUser{keys: k}
}

// RFC 7677 section 3.
const (
	rfcClientNonce = "rOprNGfwEbeRWgbNEkqO"
	rfcServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	rfcFirst       = "n,,n=user,r=" + rfcClientNonce
	rfcChallenge   = "r=" + rfcClientNonce + rfcServerNonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	rfcBound       = "c=biws,r=" + rfcClientNonce + rfcServerNonce
	rfcProof       = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	rfcFinal       = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
)

func rfcScram(t testing.TB) *Scram {
	s := NewScram(ScramSHA256, pencil(t, ScramSHA256))
	s.nonce = func() string { return rfcServerNonce }
	return s
}

func TestScramRFC7677(t *testing.T) {
	x := rfcScram(t).Begin(nil)
	step, err := x.Step(t.Context(), []byte(rfcFirst))
	if err != nil || step.Verdict != Ignore || string(step.Data) != rfcChallenge {
		t.Fatalf("first: %v, %d %q", err, step.Verdict, step.Data)
	}
	step, err = x.Step(t.Context(), []byte(rfcBound+",p="+rfcProof))
	if err != nil || step.Verdict != Allow || string(step.Data) != rfcFinal || step.Grant.Username != "user" {
		t.Fatalf("last: %v, %+v %q", err, step, step.Data)
	}
}

// TestScramLast: what may and may not stand in the last message.
func TestScramLast(t *testing.T) {
	flip := "e" + rfcProof[1:]
	for _, c := range []struct {
		name, last string
		why        Reason
	}{
		{"wrong proof", rfcBound + ",p=" + flip, BadCredentials},
		{"an extension that was not proven", rfcBound + ",x=1,p=" + rfcProof, BadCredentials},
		{"another header", strings.Replace(rfcBound, "biws", "eSws", 1) + ",p=" + rfcProof, NotAuthorized},
		{"another nonce", rfcBound + "x,p=" + rfcProof, NotAuthorized},
		{"only the client's nonce", "c=biws,r=" + rfcClientNonce + ",p=" + rfcProof, NotAuthorized},
		{"no proof", rfcBound, NotAuthorized},
		{"short proof", rfcBound + ",p=AAAA", NotAuthorized},
		{"long proof", rfcBound + ",p=" + rfcProof + "AAAA", NotAuthorized},
		{"proof without padding", rfcBound + ",p=" + strings.TrimSuffix(rfcProof, "=") + "A", NotAuthorized},
		{"empty", "", NotAuthorized},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := rfcScram(t).Begin(nil)
			if _, err := x.Step(t.Context(), []byte(rfcFirst)); err != nil {
				t.Fatal(err)
			}
			step, err := x.Step(t.Context(), []byte(c.last))
			if err != nil || step.Verdict != Deny || step.Reason != c.why || step.Data != nil || step.Grant != nil {
				t.Fatalf("%v, %+v, want %s", err, step, c.why)
			}
		})
	}
}

func TestScramFirst(t *testing.T) {
	for _, c := range []struct{ name, in, user, err string }{
		{"plain", "n,,n=user,r=abc", "user", ""},
		{"could bind", "y,,n=user,r=abc", "user", ""},
		{"acting for itself", "n,a=us=2Cer,n=us=2Cer,r=abc", "us,er", ""},
		{"escapes", "n,,n==2C=3D=2Cx,r=abc", ",=,x", ""},
		{"extensions", "n,,n=user,r=abc,x=y,z=", "user", ""},
		{"UTF-8", "n,,n=grün,r=abc", "grün", ""},
		{"bound", "p=tls-exporter,,n=user,r=abc", "", "binding"},
		{"acting for another", "n,a=root,n=user,r=abc", "", "another user"},
		{"a header of garbage", "n,x,n=user,r=abc", "", "another user"},
		{"must understand", "n,,m=x,n=user,r=abc", "", "m="},
		{"unknown flag", "q,,n=user,r=abc", "", "must read"},
		{"no user", "n,,n=,r=abc", "", "user name"},
		{"bad escape", "n,,n=a=2c,r=abc", "", "user name"},
		{"cut escape", "n,,n=a=,r=abc", "", "user name"},
		{"null", "n,,n=a\x00,r=abc", "", "user name"},
		{"not UTF-8", "n,,n=a\xff,r=abc", "", "user name"},
		{"long user", "n,,n=" + strings.Repeat("u", maxScramUser+1) + ",r=abc", "", "user name"},
		{"no nonce", "n,,n=user", "", "must read"},
		{"empty nonce", "n,,n=user,r=", "", "nonce"},
		{"blank in nonce", "n,,n=user,r=a b", "", "nonce"},
		{"long nonce", "n,,n=user,r=" + strings.Repeat("n", maxScramNonce+1), "", "nonce"},
		{"empty", "", "", "must read"},
		{"only header", "n,,", "", "must read"},
		{"only flag", "n,", "", "must read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := parseScramFirst(c.in)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || m.user != c.user || m.gs2+m.bare != c.in {
				t.Fatalf("%v, %+v", err, m)
			}
		})
	}
}

// TestScramUnknownUser: who does not exist is asked as everybody else, and refused
// with the same words even when the proof fits the keys.
func TestScramUnknownUser(t *testing.T) {
	s := rfcScram(t)
	for _, user := range []string{"user", "nobody"} {
		x := s.Begin(nil)
		step, err := x.Step(t.Context(), []byte(strings.Replace(rfcFirst, "user", user, 1)))
		if err != nil || string(step.Data) != rfcChallenge {
			t.Fatalf("%s: %v %q", user, err, step.Data)
		}
		proof := clientProof(t, ScramSHA256, "n="+user+",r="+rfcClientNonce, step.Data, "pencil")
		if user == "user" {
			proof[0] ^= 1
		}
		step, err = x.Step(t.Context(), []byte(rfcBound+",p="+base64.StdEncoding.EncodeToString(proof)))
		if err != nil || step.Verdict != Deny || step.Reason != BadCredentials || step.Detail != "bad user name or password" {
			t.Fatalf("%s: %v %+v", user, err, step)
		}
	}
}

// clientProof is what a client of the RFC's nonces and salt proves with.
func clientProof(t testing.TB, h ScramHash, bare string, challenge []byte, password string) []byte {
	t.Helper()
	text := bare + "," + string(challenge) + "," + rfcBound
	salt, _ := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	u := h.mac([]byte(password), string(salt)+"\x00\x00\x00\x01") // PBKDF2, written out
	salted := bytes.Clone(u)
	for range 4095 {
		u = h.mac([]byte(password), string(u))
		for i := range salted {
			salted[i] ^= u[i]
		}
	}
	key := h.mac(salted, "Client Key")
	proof := h.mac(h.sum(key), text)
	for i := range proof {
		proof[i] ^= key[i]
	}
	return proof
}

// TestScramSHA512 goes through an exchange that begins without data.
func TestScramSHA512(t *testing.T) {
	s := NewScram(ScramSHA512, pencil(t, ScramSHA512))
	s.nonce = func() string { return rfcServerNonce }
	x := s.Begin(nil)
	if step, err := x.Step(t.Context(), nil); err != nil || step.Verdict != Ignore || step.Data != nil {
		t.Fatalf("%v %+v", err, step)
	}
	step, err := x.Step(t.Context(), []byte(rfcFirst))
	if err != nil {
		t.Fatal(err)
	}
	proof := clientProof(t, ScramSHA512, "n=user,r="+rfcClientNonce, step.Data, "pencil")
	step, err = x.Step(t.Context(), []byte(rfcBound+",p="+base64.StdEncoding.EncodeToString(proof)))
	if err != nil || step.Verdict != Allow || len(step.Data) != len("v=")+base64.StdEncoding.EncodedLen(64) {
		t.Fatalf("%v %+v", err, step)
	}
	x = s.Begin(nil)
	for i, want := range []Verdict{Ignore, Deny} { // it is asked once only
		if step, _ := x.Step(t.Context(), nil); step.Verdict != want {
			t.Fatalf("empty message %d: %+v", i, step)
		}
	}
}

func TestScramSourceFails(t *testing.T) {
	source := pencil(t, ScramSHA256)
	source.err = errors.New("the database is away")
	if _, err := NewScram(ScramSHA256, source).Begin(nil).Step(t.Context(), []byte(rfcFirst)); !errors.Is(err, source.err) {
		t.Fatalf("error %v", err)
	}
}

// FuzzScram: whatever a client sends, nothing panics, what is accepted can be put
// together again, and only the right proof lets in.
func FuzzScram(f *testing.F) {
	s := rfcScram(f)
	for _, first := range []string{rfcFirst, "y,a=user,n=user,r=x", "p=x,,n=u,r=x", "n,,m=a,n=u,r=x", "n,,n==2C=3D,r=x,e=f", ""} {
		f.Add(first, rfcBound+",p="+rfcProof)
		f.Add(first, "c=biws,r=x"+rfcServerNonce+",p=")
	}
	f.Fuzz(func(t *testing.T, first, last string) {
		if m, err := parseScramFirst(first); err == nil {
			escaped := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(m.user)
			if m.gs2+m.bare != first || !strings.HasPrefix(m.bare, "n="+escaped+",r="+m.nonce) || len(m.user) > maxScramUser || len(m.nonce) > maxScramNonce {
				t.Fatalf("%q was read as %+v", first, m)
			}
		}
		x := s.Begin(nil)
		step, err := x.Step(t.Context(), []byte(first))
		if err != nil {
			t.Fatal(err)
		}
		if step.Verdict != Ignore {
			return
		}
		step, err = x.Step(t.Context(), []byte(last))
		if err != nil || step.Verdict == Allow && (!strings.Contains(first, "n=user,r="+rfcClientNonce) || !strings.HasSuffix(last, ",p="+rfcProof)) {
			t.Fatalf("%q, %q: %v, %+v", first, last, err, step)
		}
	})
}
