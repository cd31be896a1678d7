package jwt

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
)

func TestConfigFaults(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string // "" for none
	}{
		"as it is":              {func(*Config) {}, ""},
		"short secret":          {func(c *Config) { c.Secret = "emqxsecret" }, "secret: has 10 bytes"},
		"no base64":             {func(c *Config) { c.Secret, c.SecretBase64 = "?", true }, "secret: is no base64"},
		"base64":                {func(c *Config) { c.Secret, c.SecretBase64 = "MDEyMzQ1Njc4OWFiY2RlZg==", true }, ""},
		"base64 of URLs":        {func(c *Config) { c.Secret, c.SecretBase64 = "__-_MDEyMzQ1Njc4OWFiY2RlZg", true }, ""},
		"nobody is bound":       {func(c *Config) { c.UsernameClaim = "" }, "username_claim: is empty"},
		"bound to the client":   {func(c *Config) { c.UsernameClaim, c.Verify = "", []string{"sub=${clientid}"} }, "username_claim: is empty"},
		"bound to a part":       {func(c *Config) { c.UsernameClaim, c.Verify = "", []string{"sub=x${username}"} }, "username_claim: is empty"},
		"bound":                 {func(c *Config) { c.UsernameClaim, c.Verify = "", []string{"sub=%u"} }, ""},
		"bound to the token":    {func(c *Config) { c.From, c.Verify = FromUsername, []string{"sub=${username}"} }, "verify: "},
		"no name":               {func(c *Config) { c.From, c.UsernameClaim = FromUsername, "" }, "username_claim: is empty"},
		"from elsewhere":        {func(c *Config) { c.From = "header" }, "from: "},
		"an unknown name":       {func(c *Config) { c.Verify = []string{"sub=${password}"} }, "${password}: there are"},
		"no end":                {func(c *Config) { c.Verify = []string{"sub=${username"} }, "no closing }"},
		"no claim":              {func(c *Config) { c.Verify = []string{"=x"} }, "must be CLAIM=TEXT"},
		"none":                  {func(c *Config) { c.Algorithms = []string{"none"} }, `algorithms: "none"`},
		"no URL":                {func(c *Config) { c.JWKSURL = "id.example/keys" }, "jwks_url: must begin"},
		"URL with password":     {func(c *Config) { c.JWKSURL = "https://a:b@id.example/" }, "jwks_url: must hold no"},
		"a file":                {func(c *Config) { c.JWKSURL = "file:///etc/passwd" }, "jwks_url: must begin"},
		"asked too often":       {func(c *Config) { c.JWKSRefresh = 1 }, "jwks_refresh: "},
		"kept too short":        {func(c *Config) { c.JWKSKeep = 1 }, "jwks_keep: "},
		"leeway":                {func(c *Config) { c.Leeway = -1 }, "leeway: "},
		"certificate of nobody": {func(c *Config) { c.CAFile = "ca.pem" }, "tls_ca_file"},
	} {
		cfg := DefaultConfig()
		c.change(&cfg)
		err := cfg.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	cfg := Config{From: "x", Algorithms: []string{"none"}, JWKSURL: "x"}
	if err := cfg.Validate(); err == nil || strings.Count(err.Error(), "\n") < 5 {
		t.Errorf("not all faults are told at once: %v", err)
	}
}

// A key file that holds something else is refused, and told as it is.
func TestKeyFiles(t *testing.T) {
	private, err := x509.MarshalPKCS8PrivateKey(keyRing().rsa)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                                    "holds no key",
		"secret":                              "holds no key",
		" {}":                                 "has no key",
		"{":                                   "is no set of keys",
		`{"keys":[{"kty":"oct","k":"AAAA"}]}`: "can be guessed",
		`{"keys":[{"kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZg","alg":"RS256"}]}`:       "is not for this key",
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})): "-pubout",
	} {
		cfg := DefaultConfig()
		cfg.KeyFiles = []string{writeFile(t, []byte(text))}
		if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "key_files: ") {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
	cfg := DefaultConfig()
	cfg.KeyFiles = []string{"/nowhere/a", "/nowhere/b"}
	if _, err := Open(cfg); err == nil || strings.Count(err.Error(), "key_files: ") != 2 {
		t.Errorf("%v", err)
	}
}

// What is doubtful is told.
func TestWarnings(t *testing.T) {
	s := source(t, func(c *Config) { c.Secret, c.JWKSURL = secret[:20], "http://id.example/keys" })
	if w := s.Warnings(); len(w) != 3 {
		t.Errorf("%q", w)
	}
	s = source(t, func(c *Config) { c.Secret, c.JWKSURL, c.Audience = secret, "https://id.example/keys", []string{"mqtt"} })
	if w := s.Warnings(); len(w) != 0 {
		t.Errorf("%q", w)
	}
}
