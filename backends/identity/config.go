package identity

import (
	"errors"
	"fmt"
	"time"

	"github.com/fairlead-iot/fairlead/backends/hashes"
	"github.com/fairlead-iot/fairlead/backends/rules"
)

// What becomes of a topic that no access rule speaks of.
const (
	NoMatchIgnore = "ignore"
	NoMatchDeny   = "deny"
)

// Config is one table [backends.NAME.identities].
type Config struct {
	Enabled      bool          `toml:"enabled" doc:"users of this database may log in"`
	Only         bool          `toml:"only" doc:"the database is there for identities: without rules of your own there are no data rules"`
	Pool         string        `toml:"pool" doc:"the pool that is asked; empty: the first by name"`
	UserQuery    string        `toml:"auth_query" doc:"gives a row with password, and username, salt and is_superuser where there are such, for ${username}, ${clientid}, ${peerhost} and ${protocol}, each of which is bound as a parameter"`
	SuperQuery   string        `toml:"super_query" doc:"gives a row with is_superuser; empty: it is in that of auth_query"`
	ACLQueries   []string      `toml:"acl_query" doc:"queries that give rows with allow, ipaddr, username, clientid, access and topic, see docs/identities.md; they are asked in this order, and the first row that matches counts; none: no access rules"`
	NoMatch      string        `toml:"acl_nomatch" oneof:"ignore,deny" doc:"of what no row speaks: ignore leaves it to auth.acl_file, deny denies it"`
	PasswordHash string        `toml:"password_hash" doc:"how passwords stand there: plain, md5, sha, sha224, sha256, sha384, sha512, \"salt,sha256\", \"sha256,salt\", \"pbkdf2,sha256,ITERATIONS,LENGTH\", bcrypt or argon2id; the last two are known by their looks, too"`
	Refresh      time.Duration `toml:"acl_refresh" doc:"how old access rules of a client may be before they are read again; twice that and they hold no more"`
	Readers      int           `toml:"acl_readers" doc:"how many clients' access rules are read again at once"`
	Rows         int           `toml:"acl_rows" doc:"most rows of access rules of one client; whom more speak of cannot log in"`
	Timeout      time.Duration `toml:"timeout" doc:"longest time of one query"`

	// Hashes makes the costly hashes of passwords, and bounds how many at once; other sources
	// may have the same. nil: one of the source's own, which makes them in this process.
	Hashes *hashes.Maker `toml:"-"`
}

// DefaultConfig asks as is documented for a database, and is not enabled.
func DefaultConfig(d rules.Identities) Config {
	c := Config{UserQuery: d.User, ACLQueries: d.Access, NoMatch: NoMatchIgnore, PasswordHash: "sha256",
		Refresh: time.Minute, Readers: 4, Rows: 1000, Timeout: 5 * time.Second}
	if d.AllowOnly { // what they do not name would be allowed else, whatever they say
		c.NoMatch = NoMatchDeny
	}
	return c
}

// Check reports what is wrong with the queries, for a database that is asked as d says.
func (c *Config) Check(d *rules.Identities) (errs []error) {
	check := func(key, query string) {
		if err := d.Check(query); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	if c.UserQuery == "" {
		errs = append(errs, errors.New("auth_query: is empty, so that nobody could log in; the documented one is: "+d.User))
	} else {
		check("auth_query", c.UserQuery)
	}
	if c.SuperQuery != "" {
		check("super_query", c.SuperQuery)
	}
	for i, query := range c.ACLQueries {
		check(fmt.Sprintf("acl_query[%d]", i), query)
	}
	return errs
}

// Validate reports everything that is wrong, but for the queries.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if c.Only && !c.Enabled {
		add("only: has no meaning without enabled = true")
	}
	if c.NoMatch != NoMatchIgnore && c.NoMatch != NoMatchDeny {
		add("acl_nomatch: %q must be ignore or deny", c.NoMatch)
	}
	if _, err := ParseScheme(c.PasswordHash); err != nil {
		add("password_hash: %q %w", c.PasswordHash, err)
	}
	if c.Refresh < time.Second || c.Refresh > time.Hour {
		add("acl_refresh: %s must be between 1s and 1h", c.Refresh)
	}
	if c.Readers < 1 || c.Readers > 100 {
		add("acl_readers: %d must be between 1 and 100", c.Readers)
	}
	if c.Rows < 1 || c.Rows > 10_000 {
		add("acl_rows: %d must be between 1 and 10000", c.Rows)
	}
	if c.Timeout < time.Millisecond || c.Timeout > time.Minute {
		add("timeout: %s must be between 1ms and 1m", c.Timeout)
	}
	return errors.Join(errs...)
}
