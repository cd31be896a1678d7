package jwt

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/fairlead-iot/fairlead/backends/identity"
	"github.com/fairlead-iot/fairlead/core"
)

const (
	maxToken   = 8 << 10 // bytes
	maxKid     = 256
	maxChoices = 8 // keys that are tried for one token
)

// Source authenticates by tokens. Safe for concurrent use.
type Source struct {
	*identity.Keeper
	cfg    Config
	verify []claimIs
	local  atomic.Pointer[[]key]
	remote *remote // nil for none
	now    func() time.Time
}

// claimIs is one entry of Config.Verify.
type claimIs struct {
	claim string
	text  template
}

// Open makes a source of a valid configuration and reads its files. Nothing is fetched
// before it is needed. Errors begin with their key.
func Open(cfg Config) (*Source, error) { return open(cfg, time.Now) }

func open(cfg Config, now func() time.Time) (*Source, error) {
	s := &Source{Keeper: identity.NewKeeper("jwt", 0, 0, now), cfg: cfg, now: now}
	for _, v := range cfg.Verify {
		claim, text, err := parseVerify(v)
		if err != nil {
			return nil, fmt.Errorf("verify: %w", err)
		}
		s.verify = append(s.verify, claimIs{claim, text})
	}
	errs := []error{s.Reload()}
	if cfg.JWKSURL != "" {
		var err error
		s.remote, err = newRemote(&cfg, now)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// Close ends a fetch that is under way.
func (s *Source) Close() error {
	if s.remote != nil {
		s.remote.close()
	}
	return nil
}

// Reload reads the key files again. After a fault the keys before stay.
func (s *Source) Reload() error {
	var keys []key
	var errs []error
	if s.cfg.Secret != "" {
		secret, err := s.cfg.secret()
		if err == nil {
			var k key
			k, err = newKey("", secret)
			keys = append(keys, k)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("secret: %w", err))
		}
	}
	for _, name := range s.cfg.KeyFiles {
		text, err := os.ReadFile(name)
		if err != nil {
			errs = append(errs, fmt.Errorf("key_files: %w", err))
			continue
		}
		more, err := parseKeys(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("key_files: %s: %w", name, err))
		}
		keys = append(keys, more...)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s.local.Store(&keys)
	return nil
}

// Warnings are what is doubtful about the configuration, one line each.
func (s *Source) Warnings() (out []string) {
	if secret, err := s.cfg.secret(); err == nil && s.cfg.Secret != "" && len(secret) < goodSecret {
		out = append(out, fmt.Sprintf("auth.jwt.secret has %d bytes; below %d, whoever sees one token may find the secret by guessing", len(secret), goodSecret))
	}
	if identity.Plain(s.cfg.JWKSURL) {
		out = append(out, "auth.jwt.jwks_url is asked without TLS: who is on the way can put in keys of his own, and with them anybody")
	}
	if len(s.cfg.Issuer)+len(s.cfg.Audience) == 0 && s.cfg.JWKSURL != "" {
		out = append(out, "auth.jwt takes every token that a key of jwks_url has signed, also those for other programs; set audience or issuer")
	}
	return out
}

// Authenticate implements core.Authenticator. What is no token is left to the next source;
// a token that is not valid is denied, with the reason as error. It blocks while keys are
// fetched that there are none of yet.
func (s *Source) Authenticate(ctx context.Context, c *core.Credentials) (core.Verdict, *core.Grant, error) {
	text := s.token(c)
	if !looksLikeToken(text) {
		return core.Ignore, nil, nil
	}
	claims, err := s.check(ctx, text)
	var away *unavailable
	switch {
	case errors.As(err, &away):
		return core.Ignore, nil, err
	case err != nil:
		return core.Deny, nil, err
	}
	grant, err := s.grant(claims, c)
	if err != nil {
		return core.Deny, nil, err
	}
	return core.Allow, grant, nil
}

func (s *Source) token(c *core.Credentials) string {
	switch {
	case c.Method != "":
		return ""
	case s.cfg.From == FromUsername:
		return c.Username
	}
	return string(c.Password)
}

// looksLikeToken tells tokens from passwords: three parts, the first an object in JSON.
func looksLikeToken(text string) bool {
	first := 0
	dots := 0
	for i := range len(text) {
		if text[i] != '.' {
			continue
		}
		if dots == 0 {
			first = i
		}
		dots++
	}
	if dots != 2 || first < 4 {
		return false
	}
	head, err := base64.RawURLEncoding.DecodeString(text[:4])
	return err == nil && len(head) > 0 && head[0] == '{' // the decoder passes over ends of lines
}

// unavailable says that a token could not be judged.
type unavailable struct{ error }

// check gives the claims of a token whose signature, times, issuer and audience are right.
func (s *Source) check(ctx context.Context, text string) (gojwt.MapClaims, error) {
	if len(text) > maxToken {
		return nil, fmt.Errorf("a token of %d bytes; allowed are %d", len(text), maxToken)
	}
	if i := strings.IndexFunc(text, foreign); i >= 0 { // the decoder passes over ends of lines
		return nil, fmt.Errorf("the token holds %q, which is in no token", text[i])
	}
	options := []gojwt.ParserOption{
		gojwt.WithValidMethods(s.allowed()), gojwt.WithLeeway(s.cfg.Leeway), gojwt.WithTimeFunc(s.now),
		gojwt.WithStrictDecoding(), gojwt.WithJSONNumber(),
	}
	if s.cfg.RequireExp {
		options = append(options, gojwt.WithExpirationRequired())
	}
	claims := gojwt.MapClaims{}
	_, err := gojwt.NewParser(options...).ParseWithClaims(text, claims, func(t *gojwt.Token) (any, error) { return s.keys(ctx, t) })
	if err != nil {
		return nil, err
	}
	return claims, s.checkOrigin(claims)
}

// foreign says that a character is in no token. [RFC 7515 2]
func foreign(r rune) bool {
	letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	return !letter && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

func (s *Source) allowed() []string {
	if len(s.cfg.Algorithms) > 0 {
		return s.cfg.Algorithms
	}
	return algorithms()
}

// keys gives the keys that a token may be signed by.
func (s *Source) keys(ctx context.Context, t *gojwt.Token) (any, error) {
	if _, has := t.Header["crit"]; has { // [RFC 7515 4.1.11]
		return nil, errors.New("the token asks for extensions (crit), of which none is known")
	}
	kid := ""
	if v, has := t.Header["kid"]; has {
		text, ok := v.(string)
		if !ok || len(text) > maxKid {
			return nil, errors.New("the token's kid is no text, or too long")
		}
		kid = text
	}
	algorithm := t.Method.Alg()
	found := choose(*s.local.Load(), algorithm, kid)
	if s.remote != nil {
		more, err := s.remote.find(ctx, algorithm, kid)
		if err != nil && len(found) == 0 {
			return nil, &unavailable{err}
		}
		found = slices.Concat(found, more)
	}
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("there is no key for algorithm %s and kid %q", algorithm, kid)
	case len(found) > maxChoices:
		return nil, fmt.Errorf("%d keys could be meant; the token must name one (kid)", len(found))
	}
	var set gojwt.VerificationKeySet
	for i := range found {
		set.Keys = append(set.Keys, found[i].value)
	}
	return set, nil
}

// choose gives the keys that are for an algorithm, and have the kid or none.
func choose(keys []key, algorithm, kid string) (found []key) {
	for _, k := range keys {
		if slices.Contains(k.algorithms, algorithm) && (kid == "" || k.id == "" || k.id == kid) {
			found = append(found, k)
		}
	}
	return found
}

// checkOrigin sees that the token is of a known issuer, and for us.
func (s *Source) checkOrigin(claims gojwt.MapClaims) error {
	if len(s.cfg.Issuer) > 0 {
		if iss, err := claims.GetIssuer(); err != nil || !slices.Contains(s.cfg.Issuer, iss) {
			return fmt.Errorf("the issuer %.100q is none of auth.jwt.issuer", iss)
		}
	}
	if len(s.cfg.Audience) > 0 {
		aud, err := claims.GetAudience()
		if err != nil || !slices.ContainsFunc(aud, func(a string) bool { return slices.Contains(s.cfg.Audience, a) }) {
			return fmt.Errorf("the token is for %.100q, and not for us (auth.jwt.audience)", strings.Join(aud, " "))
		}
	}
	return nil
}

// grant is what a token that is valid gives to the client that shows it.
func (s *Source) grant(claims gojwt.MapClaims, c *core.Credentials) (*core.Grant, error) {
	username := ""
	if s.cfg.From == FromPassword && c.HasUsername {
		username = c.Username
	}
	for _, v := range s.verify {
		want, ok := v.text.fill(username, c.ClientID)
		if got, err := textOf(claims, v.claim); err != nil || !ok || got != want {
			return nil, fmt.Errorf("the claim %s is not what auth.jwt.verify says", v.claim)
		}
	}
	g := &core.Grant{Username: username}
	var err error
	if name := s.cfg.UsernameClaim; name != "" {
		if g.Username, err = textOf(claims, name); err != nil {
			return nil, err
		}
	}
	if name := s.cfg.ClientIDClaim; name != "" {
		if g.ClientID, err = textOf(claims, name); err != nil {
			return nil, err
		}
	}
	g.Superuser = s.cfg.SuperuserClaim != "" && claims[s.cfg.SuperuserClaim] == true
	if exp, err := claims.GetExpirationTime(); err != nil {
		return nil, err
	} else if exp != nil {
		g.Expires = exp.Add(s.cfg.Leeway).UnixMilli()
	}
	return g, s.bringRights(g, claims, c)
}

// bringRights takes the access rules of a token.
func (s *Source) bringRights(g *core.Grant, claims gojwt.MapClaims, c *core.Credentials) error {
	acl, has := claims[s.cfg.ACLClaim]
	if !has || acl == nil || s.cfg.ACLClaim == "" || g.Superuser {
		return nil
	}
	rules, closed, err := identity.RulesIn(acl)
	if err != nil {
		return fmt.Errorf("the claim %s: %w", s.cfg.ACLClaim, err)
	}
	id := c.ClientID
	if g.ClientID != "" {
		id = g.ClientID
	}
	rights, err := identity.NewRights(rules, id, g.Username, closed)
	if err != nil {
		return fmt.Errorf("the claim %s: %w", s.cfg.ACLClaim, err)
	}
	g.ACL = s.Fixed(rights)
	return nil
}

// textOf is a claim that is a name: a text, or a number as it is written.
func textOf(claims gojwt.MapClaims, name string) (string, error) {
	text := ""
	switch v := claims[name].(type) {
	case string:
		text = v
	case json.Number:
		text = v.String()
	}
	for _, r := range text {
		if unicode.IsControl(r) {
			text = ""
		}
	}
	if text == "" || !utf8.ValidString(text) {
		return "", fmt.Errorf("the claim %s is missing, or no name", name)
	}
	return text, nil
}
