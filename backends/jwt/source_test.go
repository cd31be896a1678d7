package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/fairlead-iot/fairlead/backends/identity/identitytest"
	"github.com/fairlead-iot/fairlead/core"
)

const secret = "0123456789abcdef0123456789abcdef"

// ring are the keys of the tests; made once, for RSA takes its time.
type ring struct {
	rsa, other *rsa.PrivateKey
	ec         *ecdsa.PrivateKey // P-256
	ec384      *ecdsa.PrivateKey
	ed         ed25519.PrivateKey
}

var keyRing = sync.OnceValue(func() (r ring) {
	r.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	r.other, _ = rsa.GenerateKey(rand.Reader, 2048)
	r.ec, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r.ec384, _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, r.ed, _ = ed25519.GenerateKey(rand.Reader)
	return r
})

func publicPEM(t testing.TB, k crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func writeFile(t testing.TB, text []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func segment(v any) string {
	text, ok := v.(string)
	if !ok {
		b, _ := json.Marshal(v)
		text = string(b)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// sign makes a token of a header and claims as they stand there.
func sign(t testing.TB, header, claims any, method string, key any) string {
	t.Helper()
	text := segment(header) + "." + segment(claims)
	sig, err := gojwt.GetSigningMethod(method).Sign(text, key)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

type object = map[string]any

var noon = identitytest.Noon()

func clock() time.Time { return noon }

// good are claims that nothing is wrong with, and what is changed of them.
func good(change object) object {
	c := object{"sub": "ann", "exp": noon.Unix() + 60}
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

func source(t testing.TB, change func(*Config)) *Source {
	t.Helper()
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := open(cfg, clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func shown(token string) *core.Credentials {
	return &core.Credentials{ClientID: "c1", Username: "ann", HasUsername: true, Password: []byte(token), HasPassword: true}
}

// Every algorithm is good for the keys of its kind.
func TestAlgorithms(t *testing.T) {
	r := keyRing()
	ec521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, k := range []crypto.PublicKey{r.rsa.Public(), r.ec.Public(), r.ec384.Public(), ec521.Public(), r.ed.Public()} {
		files = append(files, writeFile(t, publicPEM(t, k)))
	}
	s := source(t, func(c *Config) { c.Secret, c.KeyFiles = secret, files })
	for _, name := range algorithms() {
		var private any
		switch {
		case name[0] == 'H':
			private = []byte(secret)
		case name[0] == 'R' || name[0] == 'P':
			private = r.rsa
		case name == "EdDSA":
			private = r.ed
		default:
			private = map[string]any{"ES256": r.ec, "ES384": r.ec384, "ES512": ec521}[name]
		}
		token := sign(t, object{"alg": name}, good(nil), name, private)
		v, grant, err := s.Authenticate(t.Context(), shown(token))
		if v != core.Allow || err != nil || grant.Username != "ann" || grant.Expires != noon.Add(65*time.Second).UnixMilli() {
			t.Errorf("%s: %v %+v %v", name, v, grant, err)
		}
		signature := strings.LastIndexByte(token, '.') + 1
		for _, i := range []int{signature + 3, signature - 3} { // in the signature, in the claims
			broken := []byte(token)
			broken[i] ^= 1
			if v, _, err := s.Authenticate(t.Context(), shown(string(broken))); v != core.Deny || err == nil {
				t.Errorf("%s with another byte: %v %v", name, v, err)
			}
		}
	}
}

// hostile are tokens that must not let anybody in, for a gateway that has a secret, an RSA
// key and a P-256 key.
func hostile(t testing.TB) map[string]string {
	r := keyRing()
	pub := publicPEM(t, r.rsa.Public())
	hs := func(header object, change object) string {
		return sign(t, header, good(change), "HS256", []byte(secret))
	}
	plain := object{"alg": "HS256"}
	none := func(alg string) string { return segment(object{"alg": alg}) + "." + segment(good(nil)) + "." }
	fine := hs(plain, nil)
	zero := base64.RawURLEncoding.EncodeToString(make([]byte, 64))
	deep := strings.Repeat(`{"a":`, 1200) + "1" + strings.Repeat("}", 1200)
	return map[string]string{
		"none": none("none"), "None": none("None"), "NONE": none("NONE"), "nOnE": none("nOnE"), "no name": none(""),
		"none with a signature":          none("none") + "AAAA",
		"no algorithm":                   segment(object{"typ": "JWT"}) + "." + segment(good(nil)) + "." + zero,
		"algorithm is a number":          segment(object{"alg": 256}) + "." + segment(good(nil)) + "." + zero,
		"public key as a secret":         sign(t, plain, good(nil), "HS256", pub),
		"public key without line's end":  sign(t, plain, good(nil), "HS256", []byte(strings.TrimSpace(string(pub)))),
		"modulus as a secret":            sign(t, plain, good(nil), "HS256", r.rsa.N.Bytes()),
		"empty secret":                   sign(t, plain, good(nil), "HS256", []byte{}),
		"algorithm of another family":    sign(t, object{"alg": "RS256"}, good(nil), "HS256", []byte(secret)),
		"algorithm of the same key":      sign(t, object{"alg": "PS256"}, good(nil), "RS256", r.rsa),
		"somebody's RSA key":             sign(t, object{"alg": "RS256"}, good(nil), "RS256", r.other),
		"somebody's curve":               sign(t, object{"alg": "ES384"}, good(nil), "ES384", r.ec384),
		"somebody's Ed25519":             sign(t, object{"alg": "EdDSA"}, good(nil), "EdDSA", r.ed),
		"signature of zeros":             segment(object{"alg": "ES256"}) + "." + segment(good(nil)) + "." + zero,
		"empty signature":                segment(plain) + "." + segment(good(nil)) + ".",
		"twice the algorithm":            segment(`{"alg":"HS256","alg":"none"}`) + "." + segment(good(nil)) + ".",
		"its own key (jwk)":              sign(t, object{"alg": "RS256", "jwk": object{"kty": "RSA", "n": base64.RawURLEncoding.EncodeToString(r.other.N.Bytes()), "e": "AQAB"}}, good(nil), "RS256", r.other),
		"its own key (jku)":              sign(t, object{"alg": "RS256", "jku": "http://127.0.0.1:1/k"}, good(nil), "RS256", r.other),
		"its own key (x5u)":              sign(t, object{"alg": "RS256", "x5u": "http://127.0.0.1:1/k"}, good(nil), "RS256", r.other),
		"kid is a path":                  sign(t, object{"alg": "HS256", "kid": "../../../../dev/null"}, good(nil), "HS256", []byte{}),
		"kid is a statement":             sign(t, object{"alg": "HS256", "kid": "x' union select 'k"}, good(nil), "HS256", []byte("k")),
		"kid is an object":               hs(object{"alg": "HS256", "kid": object{}}, nil),
		"kid is long":                    hs(object{"alg": "HS256", "kid": strings.Repeat("k", 300)}, nil),
		"extensions":                     hs(object{"alg": "HS256", "crit": []string{"b64"}, "b64": false}, nil),
		"expired":                        hs(plain, object{"exp": noon.Unix() - 6}),
		"expired long ago":               hs(plain, object{"exp": 1}),
		"before its time":                hs(plain, object{"nbf": noon.Unix() + 6}),
		"never expires":                  hs(plain, object{"exp": nil}),
		"expires in words":               hs(plain, object{"exp": "tomorrow"}),
		"expires in a list":              hs(plain, object{"exp": []int64{1 << 40}}),
		"expires at true":                hs(plain, object{"exp": true}),
		"expires at infinity":            sign(t, plain, `{"sub":"ann","exp":1e999}`, "HS256", []byte(secret)),
		"no subject":                     hs(plain, object{"sub": nil}),
		"empty subject":                  hs(plain, object{"sub": ""}),
		"subject is a list":              hs(plain, object{"sub": []string{"ann", "bob"}}),
		"subject with a zero byte":       hs(plain, object{"sub": "ann\x00"}),
		"rules that are none":            hs(plain, object{"acl": "all"}),
		"rules of an unknown kind":       hs(plain, object{"acl": object{"publish": []string{"#"}}}),
		"rules with unknown conditions":  hs(plain, object{"acl": []object{{"permission": "allow", "action": "all", "topic": "#", "qos": []int{0}}}}),
		"rules that deny no topic":       hs(plain, object{"acl": []object{{"permission": "deny", "action": "all", "topic": "a/#/b"}}}),
		"claims are a list":              sign(t, plain, `["sub","ann"]`, "HS256", []byte(secret)),
		"claims are no JSON":             sign(t, plain, `sub=ann`, "HS256", []byte(secret)),
		"two objects":                    sign(t, plain, `{"sub":"ann","exp":9999999999}{}`, "HS256", []byte("x")),
		"deep claims":                    sign(t, plain, `{"sub":"ann","a":`+deep+`}`, "HS256", []byte(secret)),
		"long":                           hs(plain, object{"x": strings.Repeat("x", 9000)}),
		"with padding":                   fine + "=",
		"with a line's end":              fine + "\n",
		"with a blank in front of parts": strings.Replace(fine, ".", ". ", 1),
		"signed text and more":           strings.Replace(fine, ".", ".AA", 1),
	}
}

func TestHostileTokens(t *testing.T) {
	r := keyRing()
	s := source(t, func(c *Config) {
		c.Secret = secret
		c.KeyFiles = []string{writeFile(t, publicPEM(t, r.rsa.Public())), writeFile(t, publicPEM(t, r.ec.Public()))}
	})
	if v, _, err := s.Authenticate(t.Context(), shown(sign(t, object{"alg": "HS256"}, good(nil), "HS256", []byte(secret)))); v != core.Allow {
		t.Fatal(v, err)
	}
	all := hostile(t)
	for name, token := range all {
		if v, grant, err := s.Authenticate(t.Context(), shown(token)); v != core.Deny || grant != nil || err == nil {
			t.Errorf("%s: %v %+v %v", name, v, grant, err)
		}
	}
	t.Logf("%d hostile tokens, none accepted", len(all))
}

// What is no token is somebody's password.
func TestPasswordsAreLeftToOthers(t *testing.T) {
	s := source(t, func(c *Config) { c.Secret = secret })
	for _, password := range []string{"", "public", "a.b.c", "....", "e.y.J", "xyz0.a.b", "eyJhbGciOiJub25lIn0.e30", "eyJhbGciOiJub25lIn0.e30..", strings.Repeat(".", 20000), strings.Repeat("a", 20000)} {
		if v, _, err := s.Authenticate(t.Context(), shown(password)); v != core.Ignore || err != nil {
			t.Errorf("%.20q: %v %v", password, v, err)
		}
	}
	c := shown(sign(t, object{"alg": "HS256"}, good(nil), "HS256", []byte(secret)))
	c.Method = "SCRAM-SHA-256"
	if v, _, err := s.Authenticate(t.Context(), c); v != core.Ignore || err != nil {
		t.Errorf("with a method: %v %v", v, err)
	}
}

// What a token says must fit the client, issuer and audience of the configuration.
func TestClaims(t *testing.T) {
	for name, c := range map[string]struct {
		set    func(*Config)
		claims object
		client func(*core.Credentials)
		want   core.Verdict
		user   string
		id     string
		super  bool
	}{
		"subject":                 {want: core.Allow, user: "ann"},
		"subject is another":      {claims: object{"sub": "bob"}, want: core.Allow, user: "bob"},
		"subject is a number":     {claims: object{"sub": int64(12345678901234567)}, want: core.Allow, user: "12345678901234567"},
		"not before, within":      {claims: object{"nbf": noon.Unix() + 4}, want: core.Allow, user: "ann"},
		"expired, within":         {claims: object{"exp": noon.Unix() - 4}, want: core.Allow, user: "ann"},
		"may never expire":        {set: func(c *Config) { c.RequireExp = false }, claims: object{"exp": nil}, want: core.Allow, user: "ann"},
		"issuer":                  {set: func(c *Config) { c.Issuer = []string{"x", "us"} }, claims: object{"iss": "us"}, want: core.Allow, user: "ann"},
		"issuer of others":        {set: func(c *Config) { c.Issuer = []string{"us"} }, claims: object{"iss": "us2"}, want: core.Deny},
		"no issuer":               {set: func(c *Config) { c.Issuer = []string{"us"} }, want: core.Deny},
		"audience":                {set: func(c *Config) { c.Audience = []string{"mqtt"} }, claims: object{"aud": []string{"web", "mqtt"}}, want: core.Allow, user: "ann"},
		"audience is one":         {set: func(c *Config) { c.Audience = []string{"mqtt"} }, claims: object{"aud": "mqtt"}, want: core.Allow, user: "ann"},
		"audience is others":      {set: func(c *Config) { c.Audience = []string{"mqtt"} }, claims: object{"aud": []string{"web"}}, want: core.Deny},
		"no audience":             {set: func(c *Config) { c.Audience = []string{"mqtt"} }, want: core.Deny},
		"verify":                  {set: func(c *Config) { c.Verify = []string{"sub=${username}", "dev = d-%c"} }, claims: object{"dev": "d-c1"}, want: core.Allow, user: "ann"},
		"verify, another client":  {set: func(c *Config) { c.Verify = []string{"dev=${clientid}"} }, claims: object{"dev": "c2"}, want: core.Deny},
		"verify, no such claim":   {set: func(c *Config) { c.Verify = []string{"dev=${clientid}"} }, want: core.Deny},
		"verify, no client id":    {set: func(c *Config) { c.Verify = []string{"dev=${clientid}"} }, claims: object{"dev": ""}, client: func(c *core.Credentials) { c.ClientID = "" }, want: core.Deny},
		"verify, a text":          {set: func(c *Config) { c.Verify = []string{"role=device"} }, claims: object{"role": "device"}, want: core.Allow, user: "ann"},
		"verify, a list":          {set: func(c *Config) { c.Verify = []string{"role=device"} }, claims: object{"role": []string{"device"}}, want: core.Deny},
		"own user name":           {set: func(c *Config) { c.UsernameClaim, c.Verify = "", []string{"name=${username}"} }, claims: object{"name": "ann"}, want: core.Allow, user: "ann"},
		"own user name, missing":  {set: func(c *Config) { c.UsernameClaim, c.Verify = "", []string{"name=${username}"} }, claims: object{"name": ""}, client: func(c *core.Credentials) { c.Username, c.HasUsername = "", false }, want: core.Deny},
		"client id":               {set: func(c *Config) { c.ClientIDClaim = "dev" }, claims: object{"dev": "c9"}, want: core.Allow, user: "ann", id: "c9"},
		"client id, missing":      {set: func(c *Config) { c.ClientIDClaim = "dev" }, want: core.Deny},
		"superuser":               {claims: object{"is_superuser": true}, want: core.Allow, user: "ann", super: true},
		"superuser in words":      {claims: object{"is_superuser": "true"}, want: core.Allow, user: "ann"},
		"superuser by number":     {claims: object{"is_superuser": 1}, want: core.Allow, user: "ann"},
		"superuser is not asked":  {set: func(c *Config) { c.SuperuserClaim = "" }, claims: object{"is_superuser": true, "": true}, want: core.Allow, user: "ann"},
		"algorithm not allowed":   {set: func(c *Config) { c.Algorithms = []string{"HS512"} }, want: core.Deny},
		"in the user name":        {set: func(c *Config) { c.From = FromUsername }, client: func(c *core.Credentials) { c.Username, c.Password = string(c.Password), nil }, want: core.Allow, user: "ann"},
		"in the password instead": {set: func(c *Config) { c.From = FromUsername }, want: core.Ignore},
	} {
		t.Run(name, func(t *testing.T) {
			s := source(t, func(cfg *Config) {
				cfg.Secret = secret
				if c.set != nil {
					c.set(cfg)
				}
			})
			who := shown(sign(t, object{"alg": "HS256"}, good(c.claims), "HS256", []byte(secret)))
			if c.client != nil {
				c.client(who)
			}
			v, grant, err := s.Authenticate(t.Context(), who)
			if v != c.want || (err != nil) != (c.want == core.Deny) {
				t.Fatalf("%v %v, want %v", v, err, c.want)
			}
			if v == core.Allow && (grant.Username != c.user || grant.ClientID != c.id || grant.Superuser != c.super) {
				t.Errorf("%+v", grant)
			}
		})
	}
}

// A token's lists are all that its client may do; its rules go before those of others.
func TestRights(t *testing.T) {
	s := source(t, func(c *Config) { c.Secret = secret })
	type question struct {
		action core.Action
		topic  string
		want   core.Verdict
	}
	for name, c := range map[string]struct {
		acl any
		ask []question
	}{
		"lists": {object{"pub": []string{"up/%c/#", "up/${username}"}, "sub": "down/${clientid}", "all": []string{"both"}}, []question{
			{core.ActionPublish, "up/c1/x", core.Allow}, {core.ActionPublish, "up/ann", core.Allow}, {core.ActionPublish, "both", core.Allow},
			{core.ActionPublish, "up/c2/x", core.Deny}, {core.ActionPublish, "down/c1", core.Deny},
			{core.ActionSubscribe, "down/c1", core.Allow}, {core.ActionSubscribe, "down/+", core.Deny}, {core.ActionSubscribe, "#", core.Deny}, {core.ActionSubscribe, "up/c1/x", core.Deny},
			{core.ActionDeliver, "down/c1", core.Allow}, {core.ActionDeliver, "both", core.Allow}, {core.ActionDeliver, "else", core.Deny},
		}},
		"no lists":    {object{}, []question{{core.ActionPublish, "x", core.Deny}, {core.ActionSubscribe, "x", core.Deny}}},
		"nothing":     {nil, []question{{core.ActionPublish, "x", core.Ignore}}},
		"empty rules": {[]object{}, []question{{core.ActionPublish, "x", core.Ignore}}},
		"rules": {[]object{{"permission": "deny", "action": "publish", "topic": "up/secret"}, {"permission": "allow", "action": "all", "topic": "up/+"}, {"permission": "deny", "action": "subscribe", "topic": "eq #"}}, []question{
			{core.ActionPublish, "up/secret", core.Deny}, {core.ActionPublish, "up/x", core.Allow}, {core.ActionSubscribe, "up/x", core.Allow},
			{core.ActionSubscribe, "#", core.Deny}, {core.ActionPublish, "else", core.Ignore}, {core.ActionSubscribe, "else/#", core.Ignore},
		}},
	} {
		v, grant, err := s.Authenticate(t.Context(), shown(sign(t, object{"alg": "HS256"}, object{"sub": "ann", "exp": noon.Unix() + 9, "acl": c.acl}, "HS256", []byte(secret))))
		if v != core.Allow || err != nil {
			t.Errorf("%s: %v %v", name, v, err)
			continue
		}
		id := &core.Identity{ClientID: "c1", Username: "ann", Grant: grant}
		for _, q := range c.ask {
			if got, err := s.Authorize(id, q.action, q.topic); got != q.want || err != nil {
				t.Errorf("%s: %v %s: %v %v, want %v", name, q.action, q.topic, got, err, q.want)
			}
		}
		if quiet := grant.ACL == nil; s.Abstains(id) != quiet || !s.Abstains(&core.Identity{ClientID: "c1"}) {
			t.Errorf("%s: abstains is wrong", name)
		}
	}
}

// The examples of RFC 7515 A.1 to A.3 and RFC 8037 A.4, with their keys.
func TestExamplesOfTheSpecifications(t *testing.T) {
	const claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	for name, c := range map[string]struct{ key, token string }{
		"RFC 7515 A.1, HS256": {`{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}`,
			"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + claims + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
		"RFC 7515 A.2, RS256": {`{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}`,
			"eyJhbGciOiJSUzI1NiJ9." + claims + ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
		"RFC 7515 A.3, ES256": {`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`,
			"eyJhbGciOiJFUzI1NiJ9." + claims + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
	} {
		at := time.Unix(1300819380, 0)
		for late, want := range map[time.Duration]core.Verdict{-time.Second: core.Allow, time.Second: core.Deny} {
			cfg := DefaultConfig()
			cfg.KeyFiles, cfg.UsernameClaim, cfg.Leeway = []string{writeFile(t, []byte(`{"keys":[`+c.key+`]}`))}, "iss", 0
			s, err := open(cfg, func() time.Time { return at.Add(late) })
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			v, grant, err := s.Authenticate(t.Context(), shown(c.token))
			if v != want || v == core.Allow && grant.Username != "joe" {
				t.Errorf("%s, %s after its end: %v %v", name, late, v, err)
			}
			if v == core.Deny && !errors.Is(err, gojwt.ErrTokenExpired) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	k, err := parseWebKey([]byte(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`), false)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := base64.RawURLEncoding.DecodeString("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
	if err != nil {
		t.Fatal(err)
	}
	if err := gojwt.SigningMethodEdDSA.Verify("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc", sig, k.value); err != nil {
		t.Errorf("RFC 8037 A.4: %v", err)
	}
}

func FuzzToken(f *testing.F) {
	s := source(f, func(c *Config) {
		c.Secret, c.KeyFiles = secret, []string{writeFile(f, publicPEM(f, keyRing().ec.Public()))}
	})
	for _, token := range hostile(f) {
		f.Add(token)
	}
	fine := sign(f, object{"alg": "HS256"}, good(nil), "HS256", []byte(secret))
	f.Add(fine)
	f.Fuzz(func(t *testing.T, token string) {
		v, grant, err := s.Authenticate(t.Context(), shown(token))
		switch {
		case v == core.Allow && token != fine:
			t.Errorf("%q is let in as %+v", token, grant)
		case v == core.Deny && err == nil, v != core.Allow && grant != nil:
			t.Errorf("%q: %v %+v %v", token, v, grant, err)
		}
	})
}
