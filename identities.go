package fairlead

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/fairlead-iot/fairlead/backends/httpauth"
	"github.com/fairlead-iot/fairlead/backends/jwt"
	"github.com/fairlead-iot/fairlead/backends/ldap"
	"github.com/fairlead-iot/fairlead/core"
)

// identitySource is a source of identities of the section [auth] that brings access
// rules of its own.
type identitySource interface {
	core.Authenticator
	core.Authorizer
	Warnings() []string
	Close() error
}

// openSources opens the sources of [auth] beside the file of users. Nothing is connected:
// a server that is away is no fault.
func (g *Gateway) openSources() error {
	var errs []error
	add := func(key string, s identitySource, err error) {
		if err != nil {
			errs = append(errs, under("auth."+key, err))
			return
		}
		g.sources = append(g.sources, s)
	}
	a := &g.cfg.Auth
	if a.JWT.Enabled() {
		s, err := jwt.Open(a.JWT)
		add("jwt", s, err)
	}
	if a.LDAP.Enabled() {
		c := a.LDAP
		c.Hashes = g.hashes
		s, err := ldap.Open(c)
		add("ldap", s, err)
	}
	if a.HTTP.Enabled() {
		s, err := httpauth.Open(a.HTTP)
		add("http", s, err)
	}
	return errors.Join(errs...)
}

// under puts a key in front of each of the faults in err.
func under(key string, err error) error {
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("%s.%w", key, err)
	}
	var errs []error
	for _, e := range many.Unwrap() {
		errs = append(errs, under(key, e))
	}
	return errors.Join(errs...)
}

// runSources has sources read again what they have granted, where they do.
func (p *parts) runSources(ctx context.Context) {
	for _, s := range p.g.sources {
		if reader, ok := s.(interface {
			Run(ctx context.Context, log *slog.Logger)
		}); ok {
			p.beside(ctx, "identities of "+s.Name(), func(ctx context.Context) error {
				reader.Run(ctx, p.g.log)
				return nil
			})
		}
	}
}

// closeSources ends what the sources do.
func (g *Gateway) closeSources() error {
	var errs []error
	for _, s := range g.sources {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// sourceNames are the sources that passwords and tokens are shown to, in the order in which
// they are asked unless auth.order says otherwise: those of this machine first.
func sourceNames() []string {
	return []string{"passwd", "jwt", "redis", "postgres", "mysql", "mongodb", "cassandra", "ldap", "http"}
}

// inOrder sorts sources as auth.order says; what it does not name comes behind it.
func (c *AuthConfig) inOrder(sources []core.Authenticator) []core.Authenticator {
	rank := func(s core.Authenticator) int {
		if i := slices.Index(c.Order, s.Name()); i >= 0 {
			return i
		}
		return len(c.Order) + slices.Index(sourceNames(), s.Name())
	}
	slices.SortStableFunc(sources, func(a, b core.Authenticator) int { return rank(a) - rank(b) })
	return sources
}

// checkOrder says what is wrong with auth.order.
func (c *AuthConfig) checkOrder() error {
	var errs []error
	for i, name := range c.Order {
		if !slices.Contains(sourceNames(), name) {
			errs = append(errs, fmt.Errorf("order: %q is no source; there are %v", name, sourceNames()))
		} else if slices.Contains(c.Order[:i], name) {
			errs = append(errs, fmt.Errorf("order: %q stands there twice", name))
		}
	}
	return errors.Join(errs...)
}

// fewWorkers is below how many auth_workers logins wait for one another where a source asks
// over the network.
const fewWorkers = 8

// sourceWarnings are what is doubtful about the sources, one line each.
func (g *Gateway) sourceWarnings() (out []string) {
	for _, s := range g.sources {
		out = append(out, s.Warnings()...)
	}
	if n := g.cfg.Core.AuthWorkers; n < fewWorkers && (g.cfg.Auth.LDAP.Enabled() || g.cfg.Auth.HTTP.Enabled()) {
		out = append(out, fmt.Sprintf("core.auth_workers = %d: so many logins at once ask a server over the network, and all others wait behind them; write 16 or more", n))
	}
	return out
}
