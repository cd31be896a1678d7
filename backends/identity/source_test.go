package identity_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/backends/identity"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core"
)

type row = map[string]string

// tables are a database of one user and some access rules.
type tables struct {
	mu    sync.Mutex
	user  []row
	super []row
	acl   []row
	away  error
	asks  int
}

func (d *tables) Users(_ context.Context, query string, _ *rules.Job) ([]row, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asks++
	if query == "super" {
		return d.super, d.away
	}
	return d.user, d.away
}

func (d *tables) Access(context.Context, string, *rules.Job) ([]row, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asks++
	return d.acl, d.away
}

func (d *tables) set(acl []row, away error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.acl, d.away = acl, away
}

func source(t *testing.T, d *tables, change ...func(*identity.Config)) *identity.Source {
	t.Helper()
	c := identity.DefaultConfig(rules.SQLIdentities(nil))
	c.UserQuery, c.ACLQueries, c.PasswordHash = "user", []string{"acl"}, "plain"
	for _, f := range change {
		f(&c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := identity.New("postgres", c, d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func credentials(password string) *core.Credentials {
	return &core.Credentials{ClientID: "c1", Username: "ann", HasUsername: true, Password: []byte(password), HasPassword: true, Peer: netip.MustParseAddrPort("192.0.2.7:1")}
}

func TestAuthenticate(t *testing.T) {
	good := []row{{"password": "right", "is_superuser": "f"}}
	away := errors.New("away")
	for name, c := range map[string]struct {
		user     []row
		acl      []row
		away     error
		password string
		want     core.Verdict
		fails    bool
	}{
		"right":         {user: good, password: "right", want: core.Allow},
		"wrong":         {user: good, password: "wrong", want: core.Deny},
		"empty":         {user: good, password: "", want: core.Deny},
		"unknown":       {password: "right", want: core.Ignore},
		"away":          {user: good, away: away, password: "right", want: core.Ignore, fails: true},
		"no column":     {user: []row{{"passwd": "right"}}, password: "right", fails: true},
		"odd access":    {user: good, acl: []row{{"allow": "1", "access": "4", "topic": "t"}}, password: "right", fails: true},
		"odd topic":     {user: good, acl: []row{{"allow": "1", "access": "1", "topic": "a/#/b"}}, password: "right", fails: true},
		"odd address":   {user: good, acl: []row{{"allow": "1", "access": "1", "topic": "t", "ipaddr": "here"}}, password: "right", fails: true},
		"wrong and odd": {user: good, acl: []row{{"access": "4"}}, password: "wrong", want: core.Deny},
	} {
		t.Run(name, func(t *testing.T) {
			v, grant, err := source(t, &tables{user: c.user, acl: c.acl, away: c.away}).Authenticate(t.Context(), credentials(c.password))
			if v != c.want || (err != nil) != c.fails || (grant != nil) != (c.want == core.Allow) {
				t.Errorf("%v, %+v, %v", v, grant, err)
			}
		})
	}
	d := &tables{user: good}
	for _, c := range []*core.Credentials{{ClientID: "c1"}, {Username: "ann", HasUsername: true}, {Username: "ann", HasUsername: true, HasPassword: true, Method: "SCRAM-SHA-256"}} {
		if v, _, err := source(t, d).Authenticate(t.Context(), c); v != core.Ignore || err != nil || d.asks != 0 {
			t.Errorf("%+v: %v %v after %d questions", c, v, err, d.asks)
		}
	}
}

func granted(t *testing.T, s *identity.Source) *core.Identity {
	t.Helper()
	c := credentials("right")
	v, grant, err := s.Authenticate(t.Context(), c)
	if v != core.Allow || err != nil {
		t.Fatalf("%v %v", v, err)
	}
	return &core.Identity{ClientID: c.ClientID, Username: c.Username, Peer: c.Peer.Addr(), Grant: grant}
}

// The first row that speaks of the client and of the topic counts.
func TestRights(t *testing.T) {
	d := &tables{user: []row{{"password": "right"}}, acl: []row{
		{"allow": "0", "username": "bob", "access": "3", "topic": "#"},
		{"allow": "0", "clientid": "c2", "access": "3", "topic": "#"},
		{"allow": "0", "ipaddr": "198.51.100.0/24", "access": "3", "topic": "#"},
		{"allow": "0", "username": "ann", "ipaddr": "198.51.100.1", "access": "3", "topic": "#"},
		{"allow": "0", "username": "$all", "access": "1", "topic": "eq #"},
		{"allow": "0", "username": "ann", "access": "3", "topic": "up/secret/#"},
		{"allow": "1", "ipaddr": "192.0.2.0/24", "access": "2", "topic": "up/%c/+"},
		{"allow": "1", "clientid": "c1", "access": "1", "topic": "up/#"},
		{"allow": "1", "username": "ann", "access": "3", "topic": "both/%u"},
		{"allow": "1", "access": "1", "topic": "eq all/#"},
	}}
	s := source(t, d)
	id := granted(t, s)
	for _, c := range []struct {
		action core.Action
		topic  string
		want   core.Verdict
	}{
		{core.ActionPublish, "up/c1/x", core.Allow},
		{core.ActionPublish, "up/c2/x", core.Ignore},
		{core.ActionPublish, "up/secret/x", core.Deny},
		{core.ActionPublish, "both/ann", core.Allow},
		{core.ActionPublish, "both/bob", core.Ignore},
		{core.ActionSubscribe, "#", core.Deny},
		{core.ActionSubscribe, "up/#", core.Allow},
		{core.ActionSubscribe, "up/+/x", core.Allow},
		{core.ActionSubscribe, "up/secret/+", core.Deny},
		{core.ActionSubscribe, "+/c1", core.Ignore},
		{core.ActionSubscribe, "both/ann", core.Allow},
		{core.ActionSubscribe, "all/#", core.Allow},
		{core.ActionSubscribe, "all/x", core.Ignore},
		{core.ActionDeliver, "up/c1/x", core.Allow},
		{core.ActionDeliver, "up/secret/x", core.Deny},
		{core.ActionDeliver, "all/x", core.Allow},
		{core.ActionDeliver, "other", core.Ignore},
	} {
		if got, err := s.Authorize(id, c.action, c.topic); got != c.want || err != nil {
			t.Errorf("%v %s: %v %v, want %v", c.action, c.topic, got, err, c.want)
		}
	}
	for filter, want := range map[string]core.Verdict{"up/#": core.Ignore, "up/c1/#": core.Allow, "up/secret/a": core.Deny, "both/ann": core.Allow, "x/#": core.Ignore, "all/#": core.Allow} {
		if got := s.Covers(id, filter); got != want {
			t.Errorf("all of %s: %v, want %v", filter, got, want)
		}
	}
	if v, err := s.Authorize(&core.Identity{ClientID: "c1", Username: "ann"}, core.ActionPublish, "up/secret/x"); v != core.Ignore || err != nil {
		t.Errorf("whom another source let in: %v %v", v, err)
	}
}

// A name that means more than a name opens nothing, and closes everything.
func TestNamesWithWildcards(t *testing.T) {
	for allow, fails := range map[string]bool{"1": false, "0": true} {
		d := &tables{user: []row{{"password": "right"}}, acl: []row{{"allow": allow, "access": "3", "topic": "home/%u"}}}
		c := credentials("right")
		c.Username = "+/#"
		v, grant, err := source(t, d).Authenticate(t.Context(), c)
		if (err != nil) != fails {
			t.Fatalf("allow %s: %v %v", allow, v, err)
		}
		if fails {
			continue
		}
		if v, err := source(t, d).Authorize(&core.Identity{Grant: grant}, core.ActionPublish, "home/x"); v == core.Allow || err != nil {
			t.Errorf("%v %v", v, err)
		}
	}
}

func TestSuperuser(t *testing.T) {
	for _, yes := range []string{"1", "t", "true"} {
		d := &tables{user: []row{{"password": "right", "is_superuser": yes}}}
		if id := granted(t, source(t, d)); !id.Grant.Superuser || d.asks != 1 {
			t.Errorf("%s: %+v after %d questions", yes, id.Grant, d.asks)
		}
	}
}

// Access rules are no older than a minute while the database answers, and hold for two;
// of who is silent, too.
func TestRightsAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines lines
		d := &tables{user: []row{{"password": "right"}}, acl: []row{{"allow": "1", "access": "2", "topic": "t"}}}
		s := source(t, d)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.Run(ctx, slog.New(slog.NewTextHandler(&lines, nil))) })
		id := granted(t, s)
		asks := func(want core.Verdict, fails bool) {
			t.Helper()
			if v, err := s.Authorize(id, core.ActionPublish, "t"); v != want || (err != nil) != fails {
				t.Errorf("%v %v, want %v", v, err, want)
			}
		}
		asks(core.Allow, false)
		time.Sleep(10 * time.Minute)
		asks(core.Allow, false)
		before := s.Version()
		d.set([]row{{"allow": "0", "access": "2", "topic": "t"}}, nil)
		time.Sleep(61 * time.Second)
		asks(core.Deny, false)
		if s.Version() == before {
			t.Error("cached answers are not asked for again")
		}
		d.set([]row{{"allow": "1", "access": "2", "topic": "t"}}, errors.New("away"))
		time.Sleep(time.Minute)
		asks(core.Deny, false)
		time.Sleep(time.Minute)
		asks(core.Deny, true)
		d.set([]row{{"allow": "1", "access": "2", "topic": "t"}}, nil)
		time.Sleep(7 * time.Second)
		asks(core.Allow, false)
		d.set([]row{{"allow": "1", "access": "2", "topic": "a/#/b"}}, nil)
		time.Sleep(3 * time.Minute)
		asks(core.Deny, true)
		stop()
		running.Wait()
		if got := lines.levels(); got != "WARN INFO WARN" {
			t.Errorf("lines %s:\n%s", got, lines.text.String())
		}
	})
}

// lines are what was logged.
type lines struct{ text strings.Builder }

func (l *lines) Write(b []byte) (int, error) { return l.text.Write(b) }

func (l *lines) levels() string {
	var levels []string
	for line := range strings.Lines(l.text.String()) {
		_, rest, _ := strings.Cut(line, "level=")
		level, _, _ := strings.Cut(rest, " ")
		levels = append(levels, level)
	}
	return strings.Join(levels, " ")
}

func TestNoMatchDenies(t *testing.T) {
	d := &tables{user: []row{{"password": "right"}}, acl: []row{{"allow": "1", "access": "3", "topic": "t"}}}
	s := source(t, d, func(c *identity.Config) { c.NoMatch = identity.NoMatchDeny })
	id := granted(t, s)
	for topic, want := range map[string]core.Verdict{"t": core.Allow, "other": core.Deny} {
		if v, err := s.Authorize(id, core.ActionPublish, topic); v != want || err != nil {
			t.Errorf("%s: %v %v", topic, v, err)
		}
	}
	if v, err := s.Authorize(&core.Identity{}, core.ActionPublish, "other"); v != core.Ignore || err != nil {
		t.Errorf("whom another source let in: %v %v", v, err)
	}
}

// A query of its own for superusers counts, whatever its column is called.
func TestSuperuserQuery(t *testing.T) {
	for _, c := range []struct {
		super []row
		want  bool
	}{{nil, false}, {[]row{{}}, false}, {[]row{{"is_superuser": "1"}}, true}, {[]row{{"is_superuser": "0"}}, false}, {[]row{{"admin": "t"}}, true}, {[]row{{"a": "1", "b": "1"}}, false}} {
		d := &tables{user: []row{{"password": "right", "is_superuser": "1"}}, super: c.super}
		id := granted(t, source(t, d, func(c *identity.Config) { c.SuperQuery = "super" }))
		if id.Grant.Superuser != c.want {
			t.Errorf("%v: %v", c.super, id.Grant.Superuser)
		}
	}
}

// A database that takes ANN for ann does not let her in twice.
func TestAnotherName(t *testing.T) {
	for name, want := range map[string]core.Verdict{"ann": core.Allow, "Ann": core.Ignore, "ann ": core.Ignore} {
		d := &tables{user: []row{{"password": "right", "username": name}}}
		if v, _, err := source(t, d).Authenticate(t.Context(), credentials("right")); v != want || err != nil {
			t.Errorf("%q: %v %v", name, v, err)
		}
	}
}

func TestTooManyRows(t *testing.T) {
	d := &tables{user: []row{{"password": "right"}}}
	for i := range 11 {
		v, _, err := source(t, d, func(c *identity.Config) { c.Rows = 10 }).Authenticate(t.Context(), credentials("right"))
		if (v == core.Allow) != (i <= 10) || (err != nil) != (i > 10) {
			t.Errorf("%d rows: %v %v", i, v, err)
		}
		d.acl = append(d.acl, row{"allow": "1", "access": "3", "topic": "t"})
	}
}

// A source keeps nothing of those who are gone, however often they come.
func TestNothingIsKept(t *testing.T) {
	d := &tables{user: []row{{"password": "right"}}, acl: []row{{"allow": "1", "access": "3", "topic": "t"}}}
	s := source(t, d)
	stays := granted(t, s)
	for range 20 {
		for range 1000 {
			granted(t, s)
		}
		runtime.GC()
	}
	if n := s.Waiting(); n > 5000 {
		t.Errorf("%d of 20001 wait for their turn, all but one of them gone", n)
	}
	runtime.KeepAlive(stays)
}

func TestConfigFaults(t *testing.T) {
	d := rules.SQLIdentities(nil)
	c := identity.DefaultConfig(d)
	if errs := append(c.Check(&d), c.Validate()); errors.Join(errs...) != nil {
		t.Errorf("the default: %v", errs)
	}
	bad := identity.Config{Only: true, NoMatch: "allow", PasswordHash: "rot13", ACLQueries: []string{"${topic}", "${username"}, SuperQuery: "${payload}"}
	text := errors.Join(append(bad.Check(&d), bad.Validate())...).Error()
	for _, key := range []string{"auth_query: is empty", "super_query: ${payload}", "acl_query[0]: ${topic}", "acl_query[1]", "only", "acl_nomatch", "password_hash", "acl_refresh", "acl_readers", "acl_rows", "timeout"} {
		if !strings.Contains(text, key) {
			t.Errorf("nothing about %s:\n%s", key, text)
		}
	}
}
