package devices

import (
	"strings"
	"testing"
)

// rfc7677 is the client of RFC 7677 section 3, whose nonce was drawn already.
func rfc7677(t *testing.T) *scram {
	s, first, err := newScram(ScramSHA256, "user", []byte("pencil"))
	if err != nil || first != "n,,n=user,r="+s.nonce {
		t.Fatalf("%q, %v", first, err)
	}
	s.nonce = "rOprNGfwEbeRWgbNEkqO"
	s.bare = "n=user,r=" + s.nonce
	return s
}

const (
	rfcChallenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	rfcProof     = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	rfcSignature = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
)

func TestScramRFC7677(t *testing.T) {
	s := rfc7677(t)
	if got, err := s.answer(rfcChallenge); err != nil || got != rfcProof {
		t.Fatalf("%q, %v", got, err)
	}
	if err := s.verify([]byte(rfcSignature)); err != nil {
		t.Fatal(err)
	}
	for _, final := range []string{"", "v=", rfcSignature + "=", strings.Replace(rfcSignature, "6", "7", 1), "e=other-error"} {
		if err := s.verify([]byte(final)); err == nil {
			t.Errorf("%q is believed", final)
		}
	}
	if _, err := s.answer(rfcChallenge); err == nil {
		t.Error("the server may ask twice")
	}
}

// TestScramDistrusts: a server that did not ask cannot have proven anything.
func TestScramDistrusts(t *testing.T) {
	if err := rfc7677(t).verify([]byte("v=")); err == nil || !strings.Contains(err.Error(), "false one") {
		t.Errorf("%v", err)
	}
}

func TestScramRefusesServer(t *testing.T) {
	for _, c := range []struct{ name, challenge, want string }{
		{"nothing", "", "does not read"},
		{"an error", "e=unknown-user", "does not read"},
		{"an extension that must be understood", "m=x," + rfcChallenge, "does not read"},
		{"another nonce", strings.Replace(rfcChallenge, "rOpr", "rOpR", 1), "nonce"},
		{"only this client's nonce", "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "nonce"},
		{"salt", strings.Replace(rfcChallenge, "W22Z", "????", 1), "salt"},
		{"no salt", strings.Replace(rfcChallenge, "W22ZaJ0SNY7soEsUEjb6gQ==", "", 1), "salt"},
		{"few iterations", strings.Replace(rfcChallenge, "4096", "4095", 1), "iterations"},
		{"endless iterations", strings.Replace(rfcChallenge, "4096", "10000001", 1), "iterations"},
		{"iterations in words", strings.Replace(rfcChallenge, "4096", "many", 1), "iterations"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := rfc7677(t).answer(c.challenge); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestScramRefusesOptions(t *testing.T) {
	for _, c := range []struct{ method, user, password, want string }{
		{"SCRAM-SHA-1", "u", "p", "not known here"}, {ScramSHA512, "", "p", "needs a user name"}, {ScramSHA512, "u", "", "a password"},
	} {
		if _, _, err := newScram(c.method, c.user, []byte(c.password)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if s, _, err := newScram(ScramSHA512, "a,b=c", []byte("p")); err != nil || !strings.HasPrefix(s.bare, "n=a=2Cb=3Dc,r=") {
		t.Errorf("%v, %v", s, err)
	}
}
