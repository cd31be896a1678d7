package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core"
)

// Selector is a database that answers queries.
type Selector interface {
	// Select gives the rows of a query, each column as text by its name in small
	// letters; null is left out. What of j the query names is bound. It may block up
	// to ctx.
	Select(ctx context.Context, query string, j *rules.Job) ([]map[string]string, error)
}

// Source authenticates and authorizes by one database. Safe for concurrent use.
type Source struct {
	*Keeper
	cfg    Config
	scheme Scheme
	db     Selector
}

// New makes a source of a valid configuration. now is the clock; nil is the system's.
func New(name string, cfg Config, db Selector, now func() time.Time) (*Source, error) {
	scheme, err := ParseScheme(cfg.PasswordHash)
	if err != nil {
		return nil, fmt.Errorf("password_hash: %q %w", cfg.PasswordHash, err)
	}
	return &Source{Keeper: NewKeeper(name, cfg.Refresh, cfg.Timeout, now), cfg: cfg, scheme: scheme, db: db}, nil
}

// Authenticate implements core.Authenticator: a user that the database does not know is
// left to the next source.
func (s *Source) Authenticate(ctx context.Context, c *core.Credentials) (core.Verdict, *core.Grant, error) {
	if !c.HasUsername || !c.HasPassword || c.Method != "" {
		return core.Ignore, nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	rows, err := s.db.Select(ctx, s.cfg.UserQuery, job(c))
	if err != nil || len(rows) == 0 {
		return core.Ignore, nil, err
	}
	user := rows[0]
	stored, has := user["password"]
	if !has {
		return core.Ignore, nil, errors.New("auth_query gives no column password")
	}
	right, err := s.scheme.Verify(stored, user["salt"], c.Password)
	if err != nil {
		return core.Ignore, nil, err
	}
	if !right {
		return core.Deny, nil, nil
	}
	grant := &core.Grant{Username: c.Username, Superuser: truth(user["is_superuser"])}
	if s.cfg.ACLQuery != "" && !grant.Superuser {
		who := core.Credentials{ClientID: c.ClientID, Username: c.Username, HasUsername: true, Peer: c.Peer, Protocol: c.Protocol}
		a, err := s.Read(ctx, func(ctx context.Context) (Rights, error) { return s.rights(ctx, &who) })
		if err != nil {
			return core.Ignore, nil, err
		}
		grant.ACL = a
	}
	return core.Allow, grant, nil
}

func job(c *core.Credentials) *rules.Job {
	return &rules.Job{Rule: &rules.Rule{}, Hook: rules.ClientConnected, ClientID: c.ClientID, Username: c.Username, Protocol: c.Protocol, Peer: c.Peer.Addr().Unmap().String()}
}

// rights reads the client's rows.
func (s *Source) rights(ctx context.Context, who *core.Credentials) (Rights, error) {
	rows, err := s.db.Select(ctx, s.cfg.ACLQuery, job(who))
	if err != nil {
		return Rights{}, err
	}
	list, err := compile(rows, who)
	if err != nil {
		return Rights{}, fmt.Errorf("acl_query: %w", err)
	}
	return Rights{list: list}, nil
}
