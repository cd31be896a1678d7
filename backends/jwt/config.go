package jwt

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/backends/identity"
	"github.com/fairlead-iot/fairlead/backends/rules"
)

// Config is the section [auth.jwt]. Without a key of any kind no token is looked at.
type Config struct {
	Secret       string   `toml:"secret" secret:"true" doc:"key of HS256, HS384 and HS512, 32 bytes or more; better secret_file"`
	SecretBase64 bool     `toml:"secret_base64" doc:"the secret is written in base64 (either alphabet)"`
	KeyFiles     []string `toml:"key_files" doc:"files with public keys or certificates (PEM), or with a set of keys (JSON, RFC 7517); read again on SIGHUP"`
	JWKSURL      string   `toml:"jwks_url" doc:"where a set of public keys is fetched, such as https://id.example/.well-known/jwks.json"`

	JWKSRefresh time.Duration `toml:"jwks_refresh" doc:"how old the keys of jwks_url may be before they are fetched again; sooner where the server says so (Cache-Control)"`
	JWKSKeep    time.Duration `toml:"jwks_keep" doc:"how old they may be while jwks_url does not answer; then no token is valid by them"`
	JWKSTimeout time.Duration `toml:"jwks_timeout" doc:"longest time of one fetch"`
	CAFile      string        `toml:"tls_ca_file" doc:"certificates that the server of jwks_url is proven by; empty: those of the system"`
	CertFile    string        `toml:"tls_cert_file" doc:"certificate that is shown to that server"`
	KeyFile     string        `toml:"tls_key_file" doc:"its key"`

	From       string        `toml:"from" oneof:"password,username" doc:"where clients put the token"`
	Algorithms []string      `toml:"algorithms" doc:"the only ones allowed, such as [\"ES256\"]; empty: those that the keys are for"`
	Issuer     []string      `toml:"issuer" doc:"the claim iss must be one of these; empty: any"`
	Audience   []string      `toml:"audience" doc:"the claim aud must have one of these; empty: any"`
	Leeway     time.Duration `toml:"leeway" doc:"how far clocks may differ: for exp, nbf, and the end of the connection"`
	RequireExp bool          `toml:"require_exp" doc:"refuse tokens that never expire"`

	Verify         []string `toml:"verify" doc:"what claims must be, as \"CLAIM=TEXT\" with ${username} and ${clientid} for what the client says it is called, such as [\"sub=${clientid}\"]"`
	UsernameClaim  string   `toml:"username_claim" doc:"the claim that is the user name, whatever the client says; empty: what the client says, which verify must bind then"`
	ClientIDClaim  string   `toml:"client_id_claim" doc:"the claim that is the only client id the token may be used with; empty: any"`
	SuperuserClaim string   `toml:"superuser_claim" doc:"the claim that makes a superuser when it is true; empty: none"`
	ACLClaim       string   `toml:"acl_claim" doc:"the claim with access rules, see docs/identities.md; empty: none are taken from tokens"`
}

// The places of a token.
const (
	FromPassword = "password"
	FromUsername = "username"
)

// DefaultConfig has no key. The subject of a token is the user.
func DefaultConfig() Config {
	return Config{
		From: FromPassword, UsernameClaim: "sub", SuperuserClaim: "is_superuser", ACLClaim: "acl", RequireExp: true, Leeway: 5 * time.Second,
		JWKSRefresh: 5 * time.Minute, JWKSKeep: time.Hour, JWKSTimeout: 5 * time.Second,
	}
}

// Enabled says that there is something to check tokens by.
func (c *Config) Enabled() bool { return c.Secret != "" || len(c.KeyFiles) > 0 || c.JWKSURL != "" }

// Validate reports everything that is wrong, files unread.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if secret, err := c.secret(); err != nil {
		add("secret: %w", err)
	} else if c.Secret != "" && len(secret) < minSecret {
		add("secret: has %d bytes, which can be guessed from one token; write %d or more, such as those of: openssl rand -hex 32", len(secret), goodSecret)
	}
	if c.JWKSURL != "" {
		if err := identity.CheckURL(c.JWKSURL); err != nil {
			add("jwks_url: %w", err)
		}
	}
	errs = append(errs, rules.CheckTLS(c.JWKSURL != "", c.CAFile, c.CertFile, c.KeyFile))
	between := func(key string, d, least, most time.Duration) {
		if d < least || d > most {
			add("%s: %s must be between %s and %s", key, d, least, most)
		}
	}
	between("jwks_refresh", c.JWKSRefresh, again, 24*time.Hour)
	between("jwks_keep", c.JWKSKeep, c.JWKSRefresh, 30*24*time.Hour)
	between("jwks_timeout", c.JWKSTimeout, time.Millisecond, time.Minute)
	between("leeway", c.Leeway, 0, 10*time.Minute)
	for _, name := range c.Algorithms {
		if !slices.Contains(algorithms(), name) {
			add("algorithms: %q is none of %s", name, strings.Join(algorithms(), ", "))
		}
	}
	return errors.Join(append(errs, c.checkNames())...)
}

// checkNames sees that a token says who its client is: without that, one who has a token
// could be anybody.
func (c *Config) checkNames() error {
	var errs []error
	bound := c.UsernameClaim != ""
	for _, v := range c.Verify {
		claim, text, err := parseVerify(v)
		if err != nil {
			errs = append(errs, fmt.Errorf("verify: %q: %w", v, err))
			continue
		}
		if c.From == FromUsername && text.uses(userName) {
			errs = append(errs, fmt.Errorf("verify: %q: with from = \"username\" the user name is the token itself", v))
		}
		bound = bound || claim != "" && len(text) == 1 && text[0].name == userName
	}
	if c.From != FromPassword && c.From != FromUsername {
		errs = append(errs, fmt.Errorf("from: %q must be password or username", c.From))
	}
	switch {
	case !bound:
		errs = append(errs, errors.New(`username_claim: is empty, so that whoever has a token could take any user name; name a claim, such as "sub", or bind one: verify = ["sub=${username}"]`))
	case c.From == FromUsername && c.UsernameClaim == "":
		errs = append(errs, errors.New(`username_claim: is empty, but with from = "username" clients have no other name; name a claim, such as "sub"`))
	}
	return errors.Join(errs...)
}

func (c *Config) secret() ([]byte, error) {
	if !c.SecretBase64 {
		return []byte(c.Secret), nil
	}
	text := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(c.Secret, "="))
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("is no base64, as secret_base64 says it is")
	}
	return b, nil
}

// The names that a template of verify knows.
const (
	userName = "${username}"
	clientID = "${clientid}"
)

// part is a piece of a template: a name, or text.
type part struct{ name, text string }

// template is what a claim must be.
type template []part

func (t template) uses(name string) bool {
	return slices.ContainsFunc(t, func(p part) bool { return p.name == name })
}

// fill gives the text for a client. false: a name that is asked for is empty.
func (t template) fill(username, id string) (string, bool) {
	var b strings.Builder
	for _, p := range t {
		value := p.text
		switch p.name {
		case userName:
			value = username
		case clientID:
			value = id
		}
		if value == "" {
			return "", false
		}
		b.WriteString(value)
	}
	return b.String(), true
}

// parseVerify cuts "CLAIM=TEXT".
func parseVerify(s string) (claim string, t template, err error) {
	claim, text, found := strings.Cut(s, "=")
	claim, text = strings.TrimSpace(claim), strings.TrimSpace(text)
	if !found || claim == "" || text == "" {
		return "", nil, errors.New(`must be CLAIM=TEXT, such as "sub=${username}"`)
	}
	text = strings.NewReplacer("%u", userName, "%c", clientID).Replace(text)
	for text != "" {
		i := strings.Index(text, "${")
		if i < 0 {
			return claim, append(t, part{text: text}), nil
		}
		if i > 0 {
			t = append(t, part{text: text[:i]})
		}
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			return "", nil, fmt.Errorf("%s: has no closing }", text[i:])
		}
		name := text[i : i+end+1]
		if name != userName && name != clientID {
			return "", nil, fmt.Errorf("%s: there are %s and %s", name, userName, clientID)
		}
		t = append(t, part{name: name})
		text = text[i+end+1:]
	}
	return claim, t, nil
}
