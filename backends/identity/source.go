package identity

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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
	name    string
	cfg     Config
	scheme  Scheme
	db      Selector
	now     func() time.Time
	version atomic.Uint64
	slots   chan struct{} // one for each reading of access rules in the background
}

// refreshers is how many clients' access rules are read again at once; what must wait
// longer is read when it is asked for the next time.
const refreshers = 4

// New makes a source of a valid configuration. now is the clock; nil is the system's.
func New(name string, cfg Config, db Selector, now func() time.Time) (*Source, error) {
	scheme, err := ParseScheme(cfg.PasswordHash)
	if err != nil {
		return nil, fmt.Errorf("password_hash: %q %w", cfg.PasswordHash, err)
	}
	if now == nil {
		now = time.Now
	}
	return &Source{name: name, cfg: cfg, scheme: scheme, db: db, now: now, slots: make(chan struct{}, refreshers)}, nil
}

// Name implements core.Authenticator and core.Authorizer.
func (s *Source) Name() string { return s.name }

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
		a := &access{source: s, who: core.Credentials{ClientID: c.ClientID, Username: c.Username, HasUsername: true, Peer: c.Peer, Protocol: c.Protocol}}
		if err := a.read(ctx); err != nil {
			return core.Ignore, nil, err
		}
		grant.ACL = a
	}
	return core.Allow, grant, nil
}

func job(c *core.Credentials) *rules.Job {
	return &rules.Job{Rule: &rules.Rule{}, Hook: rules.ClientConnected, ClientID: c.ClientID, Username: c.Username, Protocol: c.Protocol, Peer: c.Peer.Addr().Unmap().String()}
}

// access is what one client may do, as it was read last.
type access struct {
	source *Source
	who    core.Credentials

	mu      sync.Mutex
	list    []right
	at      time.Time
	reading bool
}

// read reads the client's rows.
func (a *access) read(ctx context.Context) error {
	s := a.source
	at := s.now()
	rows, err := s.db.Select(ctx, s.cfg.ACLQuery, job(&a.who))
	if err != nil {
		return err
	}
	list, err := compile(rows, &a.who)
	if err != nil {
		return fmt.Errorf("acl_query: %w", err)
	}
	a.mu.Lock()
	a.list, a.at = list, at
	a.mu.Unlock()
	return nil
}

// errStale denies: the database has not answered for too long.
var errStale = errors.New("access rules of this client are too old, and the database does not answer")

// rights are those that hold at present. Those that are no more fresh are read again in
// the background.
func (a *access) rights() ([]right, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	age := a.source.now().Sub(a.at)
	if age > a.source.cfg.Refresh && !a.reading {
		select {
		case a.source.slots <- struct{}{}:
			a.reading = true
			go a.refresh()
		default: // others are being read
		}
	}
	if age > 2*a.source.cfg.Refresh {
		return nil, errStale
	}
	return a.list, nil
}

func (a *access) refresh() {
	ctx, cancel := context.WithTimeout(context.Background(), a.source.cfg.Timeout)
	defer cancel()
	err := a.read(ctx)
	a.mu.Lock()
	a.reading = false
	a.mu.Unlock()
	<-a.source.slots
	if err == nil {
		a.source.version.Add(1)
	}
}

// of is what s has granted to id, nil where another source has let it in.
func (s *Source) of(id *core.Identity) *access {
	if id.Grant == nil {
		return nil
	}
	a, _ := id.Grant.ACL.(*access)
	if a == nil || a.source != s {
		return nil
	}
	return a
}

// Authorize implements core.Authorizer.
func (s *Source) Authorize(id *core.Identity, action core.Action, topic string) (core.Verdict, error) {
	a := s.of(id)
	if a == nil {
		return core.Ignore, nil
	}
	list, err := a.rights()
	if err != nil {
		return core.Deny, err
	}
	return decide(list, action, topic), nil
}

// Covers implements core.Authorizer: while rules are read again, messages are asked for
// one by one.
func (s *Source) Covers(id *core.Identity, filter string) core.Verdict {
	a := s.of(id)
	if a == nil {
		return core.Ignore
	}
	if list, err := a.rights(); err == nil {
		return covers(list, filter)
	}
	return core.Ignore
}

// Version implements core.Authorizer. It changes when some client's rules were read
// again, and with time, so that cached answers are asked for again.
func (s *Source) Version() uint64 {
	return s.version.Load()<<32 + uint64(s.now().UnixNano()/int64(s.cfg.Refresh))&(1<<32-1)
}
