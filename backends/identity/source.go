package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode/utf8"

	"github.com/fairlead-iot/fairlead/backends/hashes"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core"
)

// Database is a database that is asked for identities. Both calls give the rows of a
// query, each column as text by its name in small letters; null is left out. What of j the
// query names is bound. They may block up to ctx.
type Database interface {
	// Users gives rows with password, salt, is_superuser and username.
	Users(ctx context.Context, query string, j *rules.Job) ([]map[string]string, error)
	// Access gives rows with allow, ipaddr, username, clientid, access and topic.
	Access(ctx context.Context, query string, j *rules.Job) ([]map[string]string, error)
}

// Source authenticates and authorizes by one database. Safe for concurrent use.
type Source struct {
	*Keeper
	cfg     Config
	checker *checker
	shared  *shared
	db      Database
}

// New makes a source of a valid configuration. Run keeps what it knows fresh.
func New(name string, cfg Config, db Database) (*Source, error) {
	scheme, err := ParseScheme(cfg.PasswordHash)
	if err != nil {
		return nil, fmt.Errorf("password_hash: %q %w", cfg.PasswordHash, err)
	}
	k := NewKeeper(name, cfg.Refresh, cfg.Timeout, nil)
	return &Source{Keeper: k, cfg: cfg, checker: newChecker(scheme, cmp.Or(cfg.Hashes, hashes.NewMaker(nil))), shared: newShared(cfg.Refresh, k.now), db: db}, nil
}

// Run reads access rules again as they grow old, until ctx ends; see [Keeper.Run].
func (s *Source) Run(ctx context.Context, log *slog.Logger) { s.Keeper.Run(ctx, s.cfg.Readers, log) }

// Authenticate implements core.Authenticator: a user that the database does not know is
// left to the next source, after as much work for the password as one costs that it knows.
// It blocks up to ctx, and for the work of a hash.
func (s *Source) Authenticate(ctx context.Context, c *core.Credentials) (core.Verdict, *core.Grant, error) {
	if !c.HasUsername || !c.HasPassword || c.Method != "" || !isText(c.Username) || !isText(c.ClientID) {
		return core.Ignore, nil, nil
	}
	rows, err := s.users(ctx, s.cfg.UserQuery, job(c))
	if err != nil {
		return core.Ignore, nil, err
	}
	user, known := theUser(rows, c.Username)
	if !known {
		return core.Ignore, nil, s.checker.unknown(ctx, c.Username, c.Password)
	}
	stored, has := user["password"]
	if !has {
		err := s.checker.unknown(ctx, c.Username, c.Password)
		return core.Ignore, nil, cmp.Or(err, errors.New("auth_query gives no column password"))
	}
	right, err := s.checker.known(ctx, c.Username, stored, user["salt"], c.Password)
	if err != nil {
		return core.Ignore, nil, err
	}
	if !right {
		return core.Deny, nil, nil
	}
	return s.grant(ctx, c, user)
}

// theUser is the first row, unless it names another: some databases take more names for one
// than we do.
func theUser(rows []map[string]string, name string) (user map[string]string, known bool) {
	if len(rows) == 0 {
		return nil, false
	}
	is, named := rows[0]["username"]
	return rows[0], !named || is == name
}

// isText says that s may stand in every database: not in PostgreSQL may U+0000. [MQTT-1.5.4-2]
func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// grant gives what a user may do whose password is right.
func (s *Source) grant(ctx context.Context, c *core.Credentials, user map[string]string) (core.Verdict, *core.Grant, error) {
	super, err := s.superuser(ctx, c, user)
	if err != nil {
		return core.Ignore, nil, err
	}
	grant := &core.Grant{Username: c.Username, Superuser: super}
	if len(s.cfg.ACLQueries) == 0 || super {
		return core.Allow, grant, nil
	}
	who := core.Credentials{ClientID: c.ClientID, Username: c.Username, HasUsername: true, Peer: c.Peer, Protocol: c.Protocol}
	login := true
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	a, err := s.Read(ctx, func(ctx context.Context) (Rights, error) {
		fresh := login
		login = false
		return s.rights(ctx, &who, fresh)
	})
	if err != nil {
		return core.Ignore, nil, err
	}
	grant.ACL = a
	return core.Allow, grant, nil
}

// rights reads the client's rows; those that it has in common with others may be of a moment
// ago unless they must be fresh.
func (s *Source) rights(ctx context.Context, who *core.Credentials, fresh bool) (Rights, error) {
	var rows []map[string]string
	for _, query := range s.cfg.ACLQueries {
		some, err := s.shared.ask(ctx, s.db, query, job(who), fresh)
		if err != nil {
			return Rights{}, err
		}
		rows = append(rows, some...)
	}
	list, err := compile(rows, who)
	if len(rows) > s.cfg.Rows {
		err = fmt.Errorf("more than %d rows speak of it; name fewer, or raise acl_rows", s.cfg.Rows)
	}
	if err != nil {
		return Rights{}, rules.Permanent(fmt.Errorf("acl_query for client %q: %w", who.ClientID, err))
	}
	return Rights{list: list, closed: s.cfg.NoMatch == NoMatchDeny}, nil
}

// superuser asks whether c is one: in the row of the user, or by the query for it, whose
// only column may have any name.
func (s *Source) superuser(ctx context.Context, c *core.Credentials, user map[string]string) (bool, error) {
	if s.cfg.SuperQuery == "" {
		return truth(user["is_superuser"]), nil
	}
	rows, err := s.users(ctx, s.cfg.SuperQuery, job(c))
	if err != nil || len(rows) == 0 {
		return false, err
	}
	text, named := rows[0]["is_superuser"]
	if !named && len(rows[0]) == 1 {
		for _, text = range rows[0] {
		}
	}
	return truth(text), nil
}

// users asks, and tells when the database stops answering, and when it answers again.
func (s *Source) users(ctx context.Context, query string, j *rules.Job) ([]map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout) // without the time of the hash
	defer cancel()
	rows, err := s.db.Users(ctx, query, j)
	s.tell(err)
	return rows, err
}

func job(c *core.Credentials) *rules.Job {
	j := &rules.Job{Rule: &rules.Rule{}, Hook: rules.ClientConnected, ClientID: c.ClientID, Username: c.Username, Protocol: c.Protocol}
	if c.Peer.IsValid() {
		j.Peer = c.Peer.Addr().Unmap().String()
	}
	return j
}
