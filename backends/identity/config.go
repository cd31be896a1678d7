package identity

import (
	"errors"
	"fmt"
	"time"
)

// Config is one table [backends.NAME.identities].
type Config struct {
	Enabled      bool          `toml:"enabled" doc:"users of this database may log in"`
	Only         bool          `toml:"only" doc:"the database is there for identities: without rules of your own there are no data rules"`
	Pool         string        `toml:"pool" doc:"the pool that is asked; empty: the first by name"`
	UserQuery    string        `toml:"auth_query" doc:"gives a row with password, and salt and is_superuser where there are such, for ${username}, ${clientid} and ${peerhost}"`
	ACLQuery     string        `toml:"acl_query" doc:"gives rows with allow, ipaddr, username, clientid, access and topic, the first that matches counts; empty: no access rules"`
	PasswordHash string        `toml:"password_hash" doc:"how passwords stand there: plain, md5, sha, sha256, sha512, \"salt,sha256\", \"sha256,salt\", \"pbkdf2,sha256,ITERATIONS,LENGTH\", bcrypt or argon2id; the last two are known by their looks, too"`
	Refresh      time.Duration `toml:"acl_refresh" doc:"how old access rules of a client may be before they are read again; twice that and they hold no more"`
	Timeout      time.Duration `toml:"timeout" doc:"longest time of one query"`
}

// SQLConfig is that of databases with SQL: the documented tables, and not enabled.
func SQLConfig() Config {
	return Config{UserQuery: SQLUserQuery, ACLQuery: SQLACLQuery, PasswordHash: "sha256", Refresh: time.Minute, Timeout: 5 * time.Second}
}

// The documented queries, for databases with SQL.
const (
	SQLUserQuery = "select password, salt, is_superuser from mqtt_user where username = ${username} limit 1"
	SQLACLQuery  = "select allow, ipaddr, username, clientid, access, topic from mqtt_acl where ipaddr = ${peerhost} or username = ${username} or username = '$all' or clientid = ${clientid} order by id"
)

// Validate reports everything that is wrong.
func (c *Config) Validate() error {
	var errs []error
	if c.Enabled && c.UserQuery == "" {
		errs = append(errs, errors.New("auth_query: is empty, so that nobody could log in; the documented one is: "+SQLUserQuery))
	}
	if c.Only && !c.Enabled {
		errs = append(errs, errors.New("only: has no meaning without enabled = true"))
	}
	if _, err := ParseScheme(c.PasswordHash); err != nil {
		errs = append(errs, fmt.Errorf("password_hash: %q %w", c.PasswordHash, err))
	}
	if c.Refresh < time.Second || c.Refresh > time.Hour {
		errs = append(errs, fmt.Errorf("acl_refresh: %s must be between 1s and 1h", c.Refresh))
	}
	if c.Timeout < time.Millisecond || c.Timeout > time.Minute {
		errs = append(errs, fmt.Errorf("timeout: %s must be between 1ms and 1m", c.Timeout))
	}
	return errors.Join(errs...)
}
