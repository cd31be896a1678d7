package postgres

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Config is one table [backends.postgres.pools.NAME].
type Config struct {
	Server   []string      `toml:"server" doc:"HOST:PORT of the server; several: the first that takes writes"`
	URL      string        `toml:"url" secret:"true" doc:"instead of server, database, username, password and tls: postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full"`
	PoolSize int           `toml:"pool_size" doc:"most connections"`
	Database string        `toml:"database" doc:"name of the database"`
	Username string        `toml:"username" doc:"role to log in as"`
	User     string        `toml:"user" doc:"the same as username"`
	Password string        `toml:"password" secret:"true" doc:"password of the role; better password_file"`
	Timeout  time.Duration `toml:"timeout" doc:"longest time of connecting"`
	TLS      bool          `toml:"tls" doc:"speak TLS, and prove who the server is"`
	CAFile   string        `toml:"tls_ca_file" doc:"certificates that the server's is proven by; empty: those of the system"`
	CertFile string        `toml:"tls_cert_file" doc:"certificate that is shown to the server"`
	KeyFile  string        `toml:"tls_key_file" doc:"its key"`
}

// DefaultConfig is a server on this machine, with EMQ X's pool size, role and database.
func DefaultConfig() Config {
	return Config{Server: []string{"127.0.0.1:5432"}, PoolSize: 8, Database: "mqtt", Username: "root", Timeout: 5 * time.Second}
}

// SetDefaults is DefaultConfig for a new pool.
func (c *Config) SetDefaults(string) { *c = DefaultConfig() }

// Validate reports everything that is wrong.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if c.URL == "" {
		c.checkServers(add)
	} else if _, err := pgxpool.ParseConfig(c.URL); err != nil {
		add("url: is none that can be used; write postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	}
	if c.PoolSize < 1 || c.PoolSize > 1000 {
		add("pool_size: %d must be between 1 and 1000", c.PoolSize)
	}
	if c.Timeout < time.Millisecond || c.Timeout > time.Minute {
		add("timeout: %s must be between 1ms and 1m", c.Timeout)
	}
	if c.User != "" && c.Username != "" && c.Username != DefaultConfig().Username && c.User != c.Username {
		add("user: differs from username; keep one of them")
	}
	errs = append(errs, rules.CheckTLS(c.TLS, c.CAFile, c.CertFile, c.KeyFile))
	return errors.Join(errs...)
}

func (c *Config) checkServers(add func(string, ...any)) {
	if len(c.Server) == 0 {
		add("server: is empty; name one, such as 127.0.0.1:5432")
	}
	for _, s := range c.Server {
		if _, port, err := net.SplitHostPort(s); err != nil || port == "" {
			add("server: %q is no HOST:PORT", s)
		}
	}
	if c.Database == "" {
		add("database: is empty; name one, such as mqtt")
	}
	if c.Username == "" && c.User == "" {
		add("username: is empty; name the role to log in as")
	}
}

// pool makes what the driver wants of a valid configuration. It reads the files of TLS.
func (c *Config) pool() (*pgxpool.Config, error) {
	text := c.URL
	if text == "" {
		text = c.url()
	}
	p, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, errors.New("url: is none that can be used; write postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	}
	p.MaxConns = int32(c.PoolSize)
	p.ConnConfig.ConnectTimeout = c.Timeout
	if p.ConnConfig.RuntimeParams["application_name"] == "" {
		p.ConnConfig.RuntimeParams["application_name"] = "fairlead"
	}
	if c.URL != "" || !c.TLS {
		return p, nil
	}
	settings, err := rules.ClientTLS(c.CAFile, c.CertFile, c.KeyFile)
	if err != nil {
		return nil, err
	}
	p.ConnConfig.TLSConfig = named(settings, p.ConnConfig.Host)
	for _, f := range p.ConnConfig.Fallbacks {
		f.TLSConfig = named(settings, f.Host)
	}
	return p, nil
}

// url is the single settings as one. Nothing is left to the environment.
func (c *Config) url() string {
	user := c.Username
	if c.User != "" {
		user = c.User
	}
	q := url.Values{"sslmode": {"disable"}, "target_session_attrs": {"any"}}
	if len(c.Server) > 1 {
		q.Set("target_session_attrs", "read-write")
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, c.Password), Host: strings.Join(c.Server, ","),
		Path: "/" + c.Database, RawQuery: q.Encode(),
	}
	return u.String()
}

func named(settings *tls.Config, host string) *tls.Config {
	s := settings.Clone()
	s.ServerName = host
	return s
}

// Driver implements [rules.Pool].
func (c *Config) Driver() rules.Driver { return Driver() }

// Open implements [rules.Pool].
func (c *Config) Open() (rules.Database, error) {
	d, err := Open(c)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Lanes implements [rules.Pool].
func (c *Config) Lanes() int { return c.PoolSize }
