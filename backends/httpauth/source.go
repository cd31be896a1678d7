package httpauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fairlead-iot/fairlead/backends/identity"
	"github.com/fairlead-iot/fairlead/core"
)

const maxPassword = 1024 // bytes

// Source authenticates and authorizes by one server. Safe for concurrent use.
type Source struct {
	cfg     Config
	client  *http.Client
	login   *question
	super   *question // nil: not asked
	acl     *question // nil: not asked
	breaker *identity.Breaker
	keeper  *identity.Keeper // of lists that came at login
	now     func() time.Time
	version atomic.Uint64
	slots   chan struct{} // one for each answer that is renewed in the background
	ctx     context.Context
	end     context.CancelFunc
}

// Open makes a source of a valid configuration and reads its files; nothing is connected.
// Errors begin with their key.
func Open(cfg Config) (*Source, error) { return open(cfg, time.Now) }

func open(cfg Config, now func() time.Time) (*Source, error) {
	s := &Source{cfg: cfg, breaker: identity.NewBreaker(now), keeper: identity.NewKeeper("http", 0, 0, now), now: now, slots: make(chan struct{}, cfg.Pool)}
	var err error
	s.client, err = identity.HTTP{Timeout: cfg.Timeout, Pool: cfg.Pool, CAFile: cfg.CAFile, CertFile: cfg.CertFile, KeyFile: cfg.KeyFile}.Client()
	if err != nil {
		return nil, err
	}
	for _, r := range cfg.requests() {
		q, err := r.compile(r.about)
		if err != nil {
			return nil, prefixed(r.key, err)
		}
		switch {
		case r.about == aboutLogin:
			s.login = q
		case r.URL == "":
		case r.about == aboutClient:
			s.super = q
		default:
			s.acl = q
		}
	}
	s.ctx, s.end = context.WithCancel(context.Background())
	return s, nil
}

// Close ends what is asked in the background, and the connections.
func (s *Source) Close() error {
	s.end()
	s.client.CloseIdleConnections()
	return nil
}

// Name implements core.Authenticator and core.Authorizer.
func (s *Source) Name() string { return "http" }

// Authenticate implements core.Authenticator. It blocks for up to two requests.
func (s *Source) Authenticate(ctx context.Context, c *core.Credentials) (core.Verdict, *core.Grant, error) {
	shows := c.HasUsername || c.HasPassword || c.Certificate != nil
	if !shows || c.Method != "" || len(c.Password) > maxPassword && !s.long(c) {
		return core.Ignore, nil, nil
	}
	who := valuesOf(c)
	who["password"] = string(c.Password)
	a, err := s.ask(ctx, s.login, who)
	delete(who, "password")
	switch {
	case errors.Is(err, errValue):
		return core.Deny, nil, err
	case err != nil:
		return core.Ignore, nil, err
	case a.verdict != core.Allow:
		return a.verdict, nil, nil
	case a.expires != 0 && a.expires <= s.now().Unix():
		return core.Deny, nil, errors.New("the server lets the client in until a time that is over (expire_at)")
	}
	g := &core.Grant{Username: c.Username, Superuser: a.superuser, Expires: a.expires * 1000}
	if !g.Superuser && s.super != nil {
		answer, err := s.ask(ctx, s.super, who)
		if err != nil {
			return core.Ignore, nil, err
		}
		g.Superuser = answer.verdict == core.Allow
	}
	if err := s.bringRights(g, a.acl, c, who); err != nil {
		return core.Ignore, nil, err
	}
	return core.Allow, g, nil
}

// long says that a long password may be a token, which the server reads.
func (s *Source) long(c *core.Credentials) bool {
	return len(c.Password) <= 16<<10 && strings.Count(string(c.Password), ".") == 2
}

// bringRights gives access by the list of the answer, or else by asking.
func (s *Source) bringRights(g *core.Grant, acl any, c *core.Credentials, who values) error {
	switch {
	case g.Superuser:
	case acl != nil:
		list, closed, err := identity.RulesIn(acl)
		if err != nil {
			return fmt.Errorf("the answer's acl: %w", err)
		}
		rights, err := identity.NewRights(list, c.ClientID, c.Username, closed)
		if err != nil {
			return fmt.Errorf("the answer's acl: %w", err)
		}
		g.ACL = s.keeper.Fixed(rights)
	case s.acl != nil:
		g.ACL = newAsker(s, who)
	}
	return nil
}

// valuesOf is what requests may be filled with of a client; not its password.
func valuesOf(c *core.Credentials) values {
	v := values{"username": c.Username, "clientid": c.ClientID, "protocol": c.Protocol, "listener": c.Listener}
	if a := c.Peer.Addr(); a.IsValid() {
		v["peerhost"] = a.Unmap().String()
	}
	if c.Certificate != nil {
		v["cert_common_name"], v["cert_subject"] = c.Certificate.Subject.CommonName, c.Certificate.Subject.String()
	}
	return v
}

// ask asks the server one question.
func (s *Source) ask(ctx context.Context, q *question, v values) (answer, error) {
	r, err := q.request(v)
	if err != nil {
		return answer{}, err
	}
	for _, h := range s.cfg.Headers {
		name, value, _ := strings.Cut(h, ":")
		r.Header.Add(name, strings.TrimSpace(value))
	}
	if s.cfg.Token != "" {
		r.Header.Set("Authorization", "Bearer "+s.cfg.Token)
	}
	if err := s.breaker.Allow(); err != nil {
		return answer{}, fmt.Errorf("the server is not asked: %w", err)
	}
	a, err := s.send(ctx, r)
	s.breaker.Done(err)
	return a, err
}

func (s *Source) send(ctx context.Context, r *http.Request) (answer, error) {
	got, body, err := identity.Ask(ctx, s.client, r, maxAnswer)
	if err != nil {
		return answer{}, err
	}
	return judge(got, body, s.cfg.Answers == AnswersJSON)
}
