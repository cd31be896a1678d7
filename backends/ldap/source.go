package ldap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/fairlead-iot/fairlead/backends/hashes"
	"github.com/fairlead-iot/fairlead/backends/identity"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core"
)

// Source authenticates and authorizes by one directory. Safe for concurrent use.
type Source struct {
	*identity.Keeper
	cfg     Config
	service *pool // bound as Config.BindDN
	users   *pool // bound as whoever came last
	breaker *identity.Breaker
	hashes  *hashes.Maker
}

// Open makes a source of a valid configuration and reads its files; nothing is connected.
// Errors begin with their key.
func Open(cfg Config) (*Source, error) {
	t, err := rules.ClientTLS(cfg.CAFile, cfg.CertFile, cfg.KeyFile)
	if err != nil {
		return nil, err
	}
	s := &Source{Keeper: identity.NewKeeper("ldap", cfg.Refresh, 2*cfg.Timeout, nil), cfg: cfg, breaker: identity.NewBreaker(nil), hashes: cmp.Or(cfg.Hashes, hashes.NewMaker(nil))}
	s.service, s.users = newPool(&s.cfg, t, cfg.BindDN, cfg.BindPassword), newPool(&s.cfg, t, "", "")
	return s, nil
}

// Close ends the connections.
func (s *Source) Close() error {
	s.service.close()
	s.users.close()
	return nil
}

// Warnings are what is doubtful about the configuration, one line each.
func (s *Source) Warnings() (out []string) {
	for _, server := range s.cfg.Server {
		plain, found := strings.CutPrefix(server, "ldap://")
		if found && !s.cfg.StartTLS && identity.Plain("http://"+plain) {
			out = append(out, fmt.Sprintf("auth.ldap asks %s without TLS: passwords can be read on the way; write ldaps:// or starttls = true", server))
		}
	}
	return out
}

// Authenticate implements core.Authenticator: a user who has no entry is left to the next
// source, and so is one with method bind whom the directory does not let in, for it does
// not say why.
func (s *Source) Authenticate(ctx context.Context, c *core.Credentials) (core.Verdict, *core.Grant, error) {
	// Without a password a bind is one as nobody, which succeeds. [RFC 4513 5.1.2]
	if !c.HasUsername || c.Method != "" || len(c.Password) == 0 || len(c.Password) > maxPassword {
		return core.Ignore, nil, nil
	}
	if err := s.breaker.Allow(); err != nil {
		return core.Ignore, nil, fmt.Errorf("the directory is not asked: %w", err)
	}
	e, v, err := s.prove(ctx, c)
	s.breaker.Done(failure(err))
	if v != core.Allow || err != nil {
		return v, nil, err
	}
	return s.grant(e, c)
}

// failure is err where it says that the directory does not work.
func failure(err error) error {
	if broken(err) && !errors.Is(err, errEntry) && !errors.Is(err, hashes.ErrBusy) {
		return err
	}
	return nil
}

// errEntry is what is wrong with an entry, not with the directory.
var errEntry = errors.New("the entry cannot be used")

// prove finds the client's entry and checks its password. With Deny the error says why.
func (s *Source) prove(ctx context.Context, c *core.Credentials) (*entry, core.Verdict, error) {
	if s.cfg.Method == Bind {
		return s.proveByBind(ctx, c)
	}
	filter, ok := fill(s.cfg.Filter, c.Username, c.ClientID, goldap.EscapeFilter)
	if !ok {
		return nil, core.Ignore, nil
	}
	e, err := s.find(ctx, s.cfg.BaseDN, goldap.ScopeWholeSubtree, filter)
	if err != nil || e == nil {
		return nil, core.Ignore, err
	}
	right := false
	if s.cfg.Method == Compare {
		right, err = s.hasPassword(ctx, e, c.Password)
	} else {
		right, err = s.bind(ctx, e.DN, c.Password)
	}
	switch {
	case err != nil:
		return nil, core.Ignore, err
	case !right:
		return nil, core.Deny, nil
	}
	return e, core.Allow, nil
}

func (s *Source) proveByBind(ctx context.Context, c *core.Credentials) (*entry, core.Verdict, error) {
	dn, ok := fill(s.cfg.UserDN, c.Username, c.ClientID, goldap.EscapeDN)
	if !ok {
		return nil, core.Ignore, nil
	}
	right, err := s.bind(ctx, dn, c.Password)
	if err != nil || !right {
		return nil, core.Ignore, err
	}
	if len(s.attributes()) == 0 {
		return &entry{&goldap.Entry{DN: dn}}, core.Allow, nil
	}
	e, err := s.find(ctx, dn, goldap.ScopeBaseObject, "(objectClass=*)")
	if err == nil && e == nil {
		err = fmt.Errorf("%w: %s can log in, but the entry is not shown to %q; give bind_dn one who may read it, or leave the attributes empty", errEntry, dn, s.cfg.BindDN)
	}
	if err != nil {
		return nil, core.Ignore, err
	}
	return e, core.Allow, nil
}

// bind says whether the directory lets somebody in.
func (s *Source) bind(ctx context.Context, dn string, password []byte) (ok bool, err error) {
	err = s.users.do(ctx, func(c *conn) error { return c.Bind(dn, string(password)) })
	switch {
	case err == nil:
		return true, nil
	case goldap.IsErrorAnyOf(err, goldap.LDAPResultInvalidCredentials, goldap.LDAPResultNoSuchObject, goldap.LDAPResultInvalidDNSyntax, goldap.LDAPResultUnwillingToPerform, goldap.LDAPResultInappropriateAuthentication, goldap.LDAPResultConstraintViolation):
		return false, nil
	}
	return false, err
}

// attributes are those that are wanted of an entry.
func (s *Source) attributes() []string {
	all := []string{s.cfg.UsernameAttr, s.cfg.EnabledAttr, s.cfg.SuperuserAttr, s.cfg.PublishAttr, s.cfg.SubscribeAttr, s.cfg.PubSubAttr}
	if s.cfg.Method == Compare {
		all = append(all, s.cfg.PasswordAttr)
	}
	return slices.DeleteFunc(all, func(a string) bool { return a == "" })
}

// find gives the one entry, nil for none.
func (s *Source) find(ctx context.Context, base string, scope int, filter string) (*entry, error) {
	want := s.attributes()
	if len(want) == 0 {
		want = []string{"1.1"} // no attributes [RFC 4511 4.5.1.8]
	}
	seconds := int(s.cfg.Timeout.Seconds()) + 1
	q := goldap.NewSearchRequest(base, scope, goldap.NeverDerefAliases, 2, seconds, false, filter, want, nil)
	var found []*goldap.Entry
	err := s.service.do(ctx, func(c *conn) error {
		answer, err := c.Search(q)
		if answer != nil {
			found = answer.Entries
		}
		return err
	})
	switch {
	case goldap.IsErrorAnyOf(err, goldap.LDAPResultNoSuchObject):
		return nil, nil
	case len(found) > 1, goldap.IsErrorAnyOf(err, goldap.LDAPResultSizeLimitExceeded):
		return nil, fmt.Errorf("%w: filter %s finds several", errEntry, filter)
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, nil
	}
	return &entry{found[0]}, nil
}

// entry is what the directory has of a user.
type entry struct{ *goldap.Entry }

// hasPassword compares with each of the entry's passwords.
func (s *Source) hasPassword(ctx context.Context, e *entry, password []byte) (right bool, err error) {
	for _, stored := range e.GetEqualFoldAttributeValues(s.cfg.PasswordAttr) {
		ok, fault := matches(ctx, s.hashes, stored, password)
		if errors.Is(fault, hashes.ErrBusy) {
			return false, fault
		}
		if fault != nil {
			err = fmt.Errorf("%w: %s has %w", errEntry, e.DN, fault)
		}
		right = right || ok
	}
	if right {
		return true, nil
	}
	return false, err
}

func (e *entry) has(attribute, value string) bool {
	if attribute == "" {
		return false
	}
	return slices.ContainsFunc(e.GetEqualFoldAttributeValues(attribute), func(v string) bool { return strings.EqualFold(v, value) })
}

// grant is what the entry gives to its user.
func (s *Source) grant(e *entry, c *core.Credentials) (core.Verdict, *core.Grant, error) {
	if name := s.cfg.UsernameAttr; name != "" && !slices.Contains(e.GetEqualFoldAttributeValues(name), c.Username) {
		return core.Deny, nil, fmt.Errorf("%s of %s is spelled in another way than the user name %q", name, e.DN, c.Username)
	}
	if s.locked(e) {
		return core.Deny, nil, fmt.Errorf("%s of %s is FALSE", s.cfg.EnabledAttr, e.DN)
	}
	g := &core.Grant{Username: c.Username, Superuser: e.has(s.cfg.SuperuserAttr, "TRUE")}
	if g.Superuser || s.cfg.PublishAttr+s.cfg.SubscribeAttr+s.cfg.PubSubAttr == "" {
		return core.Allow, g, nil
	}
	first := e // what was just read need not be read again
	id, user := c.ClientID, c.Username
	access, err := s.Read(context.Background(), func(ctx context.Context) (identity.Rights, error) {
		now := first
		if first = nil; now == nil {
			var err error
			if now, err = s.readAgain(ctx, e.DN); err != nil {
				return identity.Rights{}, err
			}
		}
		return s.rights(now, id, user)
	})
	if err != nil {
		return core.Ignore, nil, fmt.Errorf("%w: %s: %w", errEntry, e.DN, err)
	}
	g.ACL = access
	return core.Allow, g, nil
}

func (s *Source) locked(e *entry) bool {
	return s.cfg.EnabledAttr != "" && len(e.GetEqualFoldAttributeValues(s.cfg.EnabledAttr)) > 0 && !e.has(s.cfg.EnabledAttr, "TRUE")
}

// readAgain reads an entry; one that is gone has no attributes.
func (s *Source) readAgain(ctx context.Context, dn string) (*entry, error) {
	if err := s.breaker.Allow(); err != nil {
		return nil, err
	}
	e, err := s.find(ctx, dn, goldap.ScopeBaseObject, "(objectClass=*)")
	s.breaker.Done(failure(err))
	if errors.Is(err, errEntry) {
		err = rules.Permanent(err)
	}
	return e, err
}

// Run reads entries again as they grow old, until ctx ends; see [identity.Keeper.Run].
func (s *Source) Run(ctx context.Context, log *slog.Logger) { s.Keeper.Run(ctx, s.cfg.PoolSize, log) }

// rights are what the topics of an entry allow, and nothing beyond them. One who is locked
// out, or gone, may do nothing more.
func (s *Source) rights(e *entry, id, user string) (identity.Rights, error) {
	if e == nil || s.locked(e) {
		return identity.NewRights(nil, id, user, true)
	}
	var list []identity.Rule
	for _, a := range []struct {
		name               string
		publish, subscribe bool
	}{{s.cfg.PublishAttr, true, false}, {s.cfg.SubscribeAttr, false, true}, {s.cfg.PubSubAttr, true, true}} {
		if a.name == "" {
			continue
		}
		for _, topic := range e.GetEqualFoldAttributeValues(a.name) {
			list = append(list, identity.Rule{Allow: true, Publish: a.publish, Subscribe: a.subscribe, Topic: topic})
		}
	}
	rights, err := identity.NewRights(list, id, user, true)
	return rights, rules.Permanent(err)
}
