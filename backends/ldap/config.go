package ldap

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/fairlead-iot/fairlead/backends/hashes"
	"github.com/fairlead-iot/fairlead/backends/rules"
)

// The ways to check a password.
const (
	Bind       = "bind"
	SearchBind = "search_bind"
	Compare    = "compare"
)

// Config is the section [auth.ldap]. Without a server no directory is asked.
type Config struct {
	Server   []string `toml:"server" doc:"ldap://HOST:PORT or ldaps://HOST:PORT; several: the first that answers; empty: no directory is asked"`
	StartTLS bool     `toml:"starttls" doc:"speak TLS on ldap://, and prove who the server is"`
	CAFile   string   `toml:"tls_ca_file" doc:"certificates that the server's is proven by; empty: those of the system"`
	CertFile string   `toml:"tls_cert_file" doc:"certificate that is shown to the server"`
	KeyFile  string   `toml:"tls_key_file" doc:"its key"`

	Method       string `toml:"method" oneof:"bind,search_bind,compare" doc:"how a password is checked. bind: by a bind as user_dn; search_bind: by a bind as the entry that filter finds; compare: with the password in the entry that filter finds"`
	UserDN       string `toml:"user_dn" doc:"of bind: the user's entry, such as uid=${username},ou=device,dc=example,dc=com"`
	BindDN       string `toml:"bind_dn" doc:"as whom entries are searched and read; empty: anonymously"`
	BindPassword string `toml:"bind_password" secret:"true" doc:"its password; better bind_password_file"`
	BaseDN       string `toml:"base_dn" doc:"below which users are searched, such as ou=device,dc=example,dc=com"`
	Filter       string `toml:"filter" doc:"finds a user's entry; ${username} and ${clientid} are put in as values"`

	UsernameAttr  string `toml:"username_attribute" doc:"must hold the user name letter by letter: directories do not tell Ann from ann, access rules do; empty: not looked at"`
	PasswordAttr  string `toml:"password_attribute" doc:"of compare: holds the password, plain or as {SSHA}, {SHA256} and the like"`
	EnabledAttr   string `toml:"enabled_attribute" doc:"FALSE locks the user out; empty: not looked at"`
	SuperuserAttr string `toml:"superuser_attribute" doc:"TRUE makes a superuser; empty: none"`
	PublishAttr   string `toml:"publish_attribute" doc:"topics that the user may publish to; empty: none"`
	SubscribeAttr string `toml:"subscribe_attribute" doc:"topics that the user may subscribe to; empty: none"`
	PubSubAttr    string `toml:"pubsub_attribute" doc:"topics for both; empty: none"`

	Refresh  time.Duration `toml:"acl_refresh" doc:"how old what an entry says may be before it is read again; twice that and it holds no more"`
	PoolSize int           `toml:"pool_size" doc:"connections for searches, and as many for the binds of users"`
	Timeout  time.Duration `toml:"timeout" doc:"longest time of one operation, and of connecting"`

	// Hashes makes the costly hashes of passwords (compare), and bounds how many at once;
	// other sources may have the same. nil: one of the source's own, which makes them in this process.
	Hashes *hashes.Maker `toml:"-"`
}

// DefaultConfig has EMQ X's attributes and no server.
func DefaultConfig() Config {
	return Config{
		Method: Compare, Filter: "(&(objectClass=mqttUser)(uid=${username}))",
		UsernameAttr: "uid", PasswordAttr: "userPassword", EnabledAttr: "isEnabled", SuperuserAttr: "isSuperuser",
		PublishAttr: "mqttPublishTopic", SubscribeAttr: "mqttSubscriptionTopic", PubSubAttr: "mqttPubSubTopic",
		Refresh: time.Minute, PoolSize: 8, Timeout: 3 * time.Second,
	}
}

// Enabled says that there is a directory to ask.
func (c *Config) Enabled() bool { return len(c.Server) > 0 }

// Validate reports everything that is wrong, files unread.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	tls := c.StartTLS
	for _, s := range c.Server {
		u, err := url.Parse(s)
		switch {
		case err != nil, u.Scheme != "ldap" && u.Scheme != "ldaps", u.Hostname() == "", strings.Trim(u.Path, "/") != "", u.User != nil:
			add("server: %q must be ldap://HOST:PORT or ldaps://HOST:PORT", s)
		case u.Scheme == "ldaps" && c.StartTLS:
			add("starttls: has no meaning with %s, which is TLS from the beginning", s)
		}
		tls = tls || err == nil && u.Scheme == "ldaps"
	}
	errs = append(errs, rules.CheckTLS(tls, c.CAFile, c.CertFile, c.KeyFile))
	if c.PoolSize < 1 || c.PoolSize > 1000 {
		add("pool_size: %d must be between 1 and 1000", c.PoolSize)
	}
	if c.Timeout < time.Millisecond || c.Timeout > time.Minute {
		add("timeout: %s must be between 1ms and 1m", c.Timeout)
	}
	if c.Refresh < time.Second || c.Refresh > time.Hour {
		add("acl_refresh: %s must be between 1s and 1h", c.Refresh)
	}
	if c.BindDN == "" && c.BindPassword != "" {
		add("bind_dn: is empty, but there is a bind_password")
	}
	if c.BindDN != "" && c.BindPassword == "" {
		add("bind_password: is empty; with bind_dn alone a directory would let us in as nobody")
	}
	if c.Enabled() {
		errs = append(errs, c.checkMethod())
	}
	return errors.Join(errs...)
}

func (c *Config) checkMethod() error {
	var errs []error
	add := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	example, _ := fill(c.UserDN, "x", "x", goldap.EscapeDN)
	_, dnErr := goldap.ParseDN(example)
	switch c.Method {
	case Bind:
		if !strings.Contains(c.UserDN, userName) && !strings.Contains(c.UserDN, clientID) {
			add("user_dn: %q must hold ${username} or ${clientid}", c.UserDN)
		} else if dnErr != nil {
			add("user_dn: %q is no distinguished name, such as uid=${username},ou=device,dc=example,dc=com", c.UserDN)
		}
		return errors.Join(errs...)
	case SearchBind:
	case Compare:
		if c.PasswordAttr == "" {
			add("password_attribute: is empty, so that nobody could log in")
		}
	default:
		add("method: %q must be bind, search_bind or compare", c.Method)
	}
	if _, err := goldap.ParseDN(c.BaseDN); err != nil || c.BaseDN == "" {
		add("base_dn: %q is no distinguished name, such as ou=device,dc=example,dc=com", c.BaseDN)
	}
	if !strings.Contains(c.Filter, userName) && !strings.Contains(c.Filter, clientID) {
		add("filter: %q must hold ${username} or ${clientid}: it would find the same entry for everybody", c.Filter)
	}
	filter, _ := fill(c.Filter, "x", "x", goldap.EscapeFilter)
	if _, err := goldap.CompileFilter(filter); err != nil {
		add("filter: %q is no filter, such as (uid=${username})", c.Filter)
	}
	return errors.Join(errs...)
}

// The names that templates know.
const (
	userName = "${username}"
	clientID = "${clientid}"
)

// maxName bounds what is put into a template.
const maxName = 256

// fill puts a client's names into a template as values. false: a name that is asked for is
// empty, too long, or holds control characters, which no entry has.
func fill(template, username, id string, escape func(string) string) (string, bool) {
	var values []string
	for name, value := range map[string]string{userName: username, clientID: id} {
		if !strings.Contains(template, name) {
			continue
		}
		if value == "" || len(value) > maxName || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
			return "", false
		}
		values = append(values, name, escape(value))
	}
	return strings.NewReplacer(values...).Replace(template), true
}
