package ldap

import (
	"context"
	"errors"
	"strings"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/fairlead-iot/fairlead/backends/hashes"
	"github.com/fairlead-iot/fairlead/backends/hashes/hashestest"
)

func TestMain(m *testing.M) { hashestest.Main(m) }

// What slappasswd, Python's hashlib and others have written for "pub lic".
func TestPasswordsOfOthers(t *testing.T) {
	for _, stored := range []string{
		"pub lic", "{CLEARTEXT}pub lic", "{cleartext}pub lic",
		"{SSHA}oFpbVgaG7ng12pZ0lL8Z+FMpV4i7lsFw", "{ssha}oFpbVgaG7ng12pZ0lL8Z+FMpV4i7lsFw",
		"{SHA}nSmGvZGhZfSHM/gCqh0N10apd9o=", "{SMD5}QsbhspIY792ca71J4iIu9zptKOg=", "{MD5}mqqwfhfcC7mh24wBGWTu2g==",
		"{SHA256}TAuU+TQtjDB7hUuUggl+emF2lYhabrBmJIYh//oPCAk=",
		"{SSHA256}lpLGhqJYp+0sjOPHYL8MrCFYn4ravNIu3maLYoIwGc5zYWx0c2FsdA==",
		"{SSHA384}MsYO5yFMOvih74HagsIlSSeVlYs6mqdUM8+iDPqTDaBvQxi+HaGmi/TSi3WFVgn/c2FsdHNhbHQ=",
		"{SSHA512}VaXDXuso8SVn1WV6yKzHI58fcfNzbxp0sc1Hh/VJGm54IFon+dSY8x4KTFmzHciV8Sot9098b3jYNt8BDSk0zXNhbHRzYWx0",
	} {
		for password, want := range map[string]bool{"pub lic": true, "pub licx": false, "Pub lic": false, "": false, stored: stored == "pub lic"} {
			if got, err := matches(t.Context(), hashes.NewMaker(nil), stored, []byte(password)); got != want || err != nil {
				t.Errorf("%s, %q: %v %v", stored, password, got, err)
			}
		}
	}
	for stored, password := range map[string]string{
		"{CRYPT}$2b$05$DdTqVtGqEeg1q56Tn7mFe.gsIfaxtfOXfqcbeqrT.B.za9AKJIeVK":                          "public",
		"{ARGON2}$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4": "password",
	} {
		for _, p := range []string{password, "other", ""} {
			if got, err := matches(t.Context(), hashes.NewMaker(nil), stored, []byte(p)); got != (p == password) || err != nil {
				t.Errorf("%s, %q: %v %v", stored, p, got, err)
			}
		}
	}
}

// What costs something is made by processes apart, the rest here; and where nobody is free to
// make it there is no verdict.
func TestCostlyPasswordsAreHashedApart(t *testing.T) {
	maker, workers := hashestest.New(t)
	s := &Source{cfg: DefaultConfig(), hashes: maker}
	e := &entry{&goldap.Entry{Attributes: []*goldap.EntryAttribute{goldap.NewEntryAttribute("userPassword", []string{
		"{SSHA}oFpbVgaG7ng12pZ0lL8Z+FMpV4i7lsFw", "{CRYPT}$2b$05$DdTqVtGqEeg1q56Tn7mFe.gsIfaxtfOXfqcbeqrT.B.za9AKJIeVK",
		"{ARGON2}$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	})}}}
	for n, password := range []string{"public", "password", "pub lic", "other"} {
		if right, err := s.hasPassword(t.Context(), e, []byte(password)); right != (password != "other") || err != nil {
			t.Errorf("%s: %v, %v", password, right, err)
		}
		hashestest.Want(t, workers, uint64(2*n+2), 0, 0)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	right, err := s.hasPassword(ctx, e, []byte("pub lic"))
	if right || !errors.Is(err, hashes.ErrBusy) || errors.Is(err, errEntry) || failure(err) != nil {
		t.Errorf("nobody is free: %v, %v, the directory's fault: %v", right, err, failure(err))
	}
}

// What is no hash of its scheme, or of a scheme that is not known, is told and lets nobody in.
func TestPasswordsThatAreNone(t *testing.T) {
	for _, stored := range []string{"{SSHA}", "{SSHA}!", "{SHA}AAAA", "{SHA}oFpbVgaG7ng12pZ0lL8Z+FMpV4i7lsFw", "{SSHA3}AAAA", "{SASL}device", "{KERBEROS}x", "{}", "{CRYPT}$6$saltsalt$KMDC", "{CRYPT}ab1234", "{BCRYPT}x"} {
		for _, p := range []string{"", "x", "device", stored} {
			if ok, err := matches(t.Context(), hashes.NewMaker(nil), stored, []byte(p)); ok || err == nil {
				t.Errorf("%s, %q: %v %v", stored, p, ok, err)
			}
		}
	}
	for _, stored := range []string{"", "{CLEARTEXT}"} {
		if ok, err := matches(t.Context(), hashes.NewMaker(nil), stored, nil); ok || err != nil {
			t.Errorf("%q: no password lets in: %v", stored, err)
		}
	}
}

// What a client says is one value of a filter or a DN, whatever is in it.
func TestNamesAreValues(t *testing.T) {
	for name, want := range map[string]struct{ filter, dn string }{
		"ann":                          {"(&(objectClass=mqttUser)(uid=ann))", "uid=ann,ou=d"},
		"*":                            {`(&(objectClass=mqttUser)(uid=\2a))`, "uid=*,ou=d"},
		"a)(uid=*":                     {`(&(objectClass=mqttUser)(uid=a\29\28uid=\2a))`, "uid=a)(uid=*,ou=d"},
		"a,ou=admins":                  {`(&(objectClass=mqttUser)(uid=a,ou=admins))`, `uid=a\,ou=admins,ou=d`},
		"a+cn=b":                       {`(&(objectClass=mqttUser)(uid=a+cn=b))`, `uid=a\+cn=b,ou=d`},
		`a\2a`:                         {`(&(objectClass=mqttUser)(uid=a\5c2a))`, `uid=a\\2a,ou=d`},
		"${clientid}":                  {"(&(objectClass=mqttUser)(uid=${clientid}))", "uid=${clientid},ou=d"},
		`"<a>;`:                        {`(&(objectClass=mqttUser)(uid="<a>;))`, `uid=\"\<a\>\;,ou=d`},
		" a ":                          {"(&(objectClass=mqttUser)(uid= a ))", `uid=\ a\ ,ou=d`},
		"#a":                           {"(&(objectClass=mqttUser)(uid=#a))", `uid=\#a,ou=d`},
		"é":                            {`(&(objectClass=mqttUser)(uid=\c3\a9))`, `uid=\c3\a9,ou=d`},
		"a\x00":                        {},
		"a\nb":                         {},
		"":                             {},
		"\xff":                         {},
		strings.Repeat("a", maxName+1): {},
	} {
		filter, ok := fill("(&(objectClass=mqttUser)(uid=${username}))", name, "c", goldap.EscapeFilter)
		if filter != want.filter || ok != (want.filter != "") {
			t.Errorf("%q: filter %q, want %q", name, filter, want.filter)
		}
		dn, ok := fill("uid=${username},ou=d", name, "c", goldap.EscapeDN)
		if dn != want.dn && !sameDN(dn, name) || ok != (want.dn != "") {
			t.Errorf("%q: DN %q, want %q", name, dn, want.dn)
		}
	}
}

// sameDN says whether dn is two levels, the first of which is the name.
func sameDN(dn, name string) bool {
	parsed, err := goldap.ParseDN(dn)
	return err == nil && len(parsed.RDNs) == 2 && len(parsed.RDNs[0].Attributes) == 1 && parsed.RDNs[0].Attributes[0].Value == name
}

// FuzzNames: no name makes a filter, or a DN, of another shape.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"ann", "*)(uid=*))(|(uid=*", "a,dc=x", "\\", "a\\,b", " ", "#", "a=b+c=d", "\u2028", "é\\c3"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		text, ok := fill("(&(objectClass=mqttUser)(uid=${username}))", name, "", goldap.EscapeFilter)
		if !ok {
			return
		}
		p, err := goldap.CompileFilter(text)
		if err != nil || len(p.Children) != 2 || p.Children[1].Tag != goldap.FilterEqualityMatch || p.Children[1].Children[1].Data.String() != name {
			t.Errorf("%q makes the filter %s: %v", name, text, err)
		}
		dn, _ := fill("uid=${username},ou=d", name, "", goldap.EscapeDN)
		if !sameDN(dn, name) {
			t.Errorf("%q makes the DN %s", name, dn)
		}
	})
}
