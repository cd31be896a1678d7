package identitytest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/identity"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// User is one row of mqtt_user.
type User struct {
	Name, Password, Salt string
	Superuser            bool
}

// Rule is one row of mqtt_acl. What is empty is null.
type Rule struct {
	Deny                       bool
	IPAddr, Username, ClientID string
	Access                     int // 1 subscribe, 2 publish, 3 both
	Topic                      string
}

// Site is a service under test.
type Site interface {
	// Driver is what the database says of itself.
	Driver() rules.Driver
	// Open gives a pool of a database with the documented tables, empty; or skips t. It
	// is closed by t's Cleanup.
	Open(t *testing.T) rules.Database
	// SetUsers writes the rows of users, new or in place of others of their names.
	SetUsers(t *testing.T, users ...User)
	// SetRules writes rows of access rules, in this order, in place of all others. Where
	// access rules can only allow, no rule denies, or names an address or a client id.
	SetRules(t *testing.T, list []Rule)
	// Outage ends the service, or has it answer no more, and gives what heals it again
	// with all it had kept.
	Outage(t *testing.T) (restart func())
}

// Run tests a driver.
func Run(t *testing.T, s Site) {
	cases := map[string]func(*bench){
		"passwords": passwords, "hashes": hashes, "superuser": superuser, "rights": rights, "everybody": everybody,
		"odd names": oddNames, "names like keys": likeKeys, "rules changed": changed, "many users": manyUsers, "away": away,
	}
	if !s.Driver().Identities.AllowOnly {
		cases["denied"] = denied
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) { cases[name](newBench(t, s)) })
	}
}

// bench is one case at work.
type bench struct {
	*testing.T
	site   Site
	db     identity.Database
	driver rules.Driver
	log    *log
}

// limit is how long a case may take: one starts its service again.
const limit = 2 * time.Minute

func newBench(t *testing.T, s Site) *bench {
	testservice.Limit(t, limit)
	db, ok := s.Open(t).(identity.Database)
	if !ok {
		t.Fatal("the database answers no questions for identities")
	}
	return &bench{T: t, site: s, db: db, driver: s.Driver(), log: &log{}}
}

// source makes a source that works.
func (b *bench) source(change ...func(*identity.Config)) *identity.Source {
	b.Helper()
	c := identity.DefaultConfig(b.driver.Identities)
	c.Enabled, c.PasswordHash = true, "plain"
	for _, f := range change {
		f(&c)
	}
	for _, err := range append(c.Check(&b.driver.Identities), c.Validate()) {
		if err != nil {
			b.Fatal(err)
		}
	}
	s, err := identity.New("test", c, b.db)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx, slog.New(slog.NewTextHandler(b.log, nil))) })
	b.Cleanup(running.Wait)
	b.Cleanup(cancel)
	return s
}

// log are the lines of a source.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(p))
	return len(p), nil
}

// all are the lines until now.
func (l *log) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

func credentials(id, name, password string) *core.Credentials {
	return &core.Credentials{ClientID: id, Username: name, HasUsername: true, Password: []byte(password), HasPassword: true,
		Protocol: "mqtt", Peer: netip.MustParseAddrPort("192.0.2.7:4711")}
}

// login asks, and wants an answer.
func (b *bench) login(s *identity.Source, id, name, password string, want core.Verdict) *core.Identity {
	b.Helper()
	c := credentials(id, name, password)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	v, grant, err := s.Authenticate(ctx, c)
	if v != want || err != nil || (grant != nil) != (want == core.Allow) {
		b.Errorf("user %s, password %q: %v, %+v, %v; want %v", short(name), password, v, grant, err, want)
	}
	return &core.Identity{ClientID: id, Username: name, Peer: c.Peer.Addr(), Grant: grant}
}

// may asks what id may do: "publish TOPIC" and the like.
func (b *bench) may(s *identity.Source, id *core.Identity, what string) core.Verdict {
	b.Helper()
	word, topic, _ := strings.Cut(what, " ")
	action, known := map[string]core.Action{"publish": core.ActionPublish, "subscribe": core.ActionSubscribe, "deliver": core.ActionDeliver}[word]
	if !known {
		b.Fatalf("no action %q", word)
	}
	v, err := s.Authorize(id, action, topic)
	if err != nil {
		b.Errorf("%s may %s: %v", short(id.Username), short(what), err)
	}
	return v
}

// wants asks several things.
func (b *bench) wants(s *identity.Source, id *core.Identity, want core.Verdict, what ...string) {
	b.Helper()
	for _, w := range what {
		if got := b.may(s, id, w); got != want {
			b.Errorf("%s: may %s: %v, want %v", short(id.Username), short(w), got, want)
		}
	}
}

// other is the answer about what no rule speaks of.
func (b *bench) other() core.Verdict {
	if b.driver.Identities.AllowOnly {
		return core.Deny
	}
	return core.Ignore
}

func short(s string) string {
	if len(s) > 100 {
		return fmt.Sprintf("%.40q…, %d bytes", s, len(s))
	}
	return fmt.Sprintf("%q", s)
}

// Tables are the statements that make the tables, as docs/identities.md shows them in a
// block of the language.
func Tables(t testing.TB, language string) (statements []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "identities.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```"+language+"\n")
	script, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatalf("docs/identities.md shows no tables in %s", language)
	}
	for statement := range strings.SplitSeq(script, ";\n") {
		if statement = strings.TrimSpace(statement); statement != "" {
			statements = append(statements, statement)
		}
	}
	return statements
}
