package mysql

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/go-sql-driver/mysql"
)

// Config is one table [backends.mysql.pools.NAME].
type Config struct {
	Server   string        `toml:"server" doc:"HOST:PORT of the server, or the path of its socket"`
	URL      string        `toml:"url" secret:"true" doc:"instead of server, database, username, password and tls: mysql://USER:PASSWORD@HOST:PORT/DATABASE?tls=true"`
	PoolSize int           `toml:"pool_size" doc:"most connections"`
	Database string        `toml:"database" doc:"name of the database"`
	Username string        `toml:"username" doc:"user to log in as"`
	User     string        `toml:"user" doc:"the same as username"`
	Password string        `toml:"password" secret:"true" doc:"password of the user; better password_file"`
	Timeout  time.Duration `toml:"timeout" doc:"longest time of connecting"`
	TLS      bool          `toml:"tls" doc:"speak TLS, and prove who the server is"`
	CAFile   string        `toml:"tls_ca_file" doc:"certificates that the server's is proven by; empty: those of the system"`
	CertFile string        `toml:"tls_cert_file" doc:"certificate that is shown to the server"`
	KeyFile  string        `toml:"tls_key_file" doc:"its key"`
}

// DefaultConfig is a server on this machine, with EMQ X's pool size, user and database.
func DefaultConfig() Config {
	return Config{Server: "127.0.0.1:3306", PoolSize: 8, Database: "mqtt", Username: "root", Timeout: 5 * time.Second}
}

// SetDefaults is DefaultConfig for a new pool.
func (c *Config) SetDefaults(string) { *c = DefaultConfig() }

// Validate reports everything that is wrong.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if c.URL == "" {
		c.checkServer(add)
	} else if _, err := parseURL(c.URL); err != nil {
		add("%w", err)
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

func (c *Config) checkServer(add func(string, ...any)) {
	if _, port, err := net.SplitHostPort(c.Server); !c.socket() && (err != nil || port == "") {
		add("server: %q is no HOST:PORT and no path of a socket", c.Server)
	}
	if c.Database == "" {
		add("database: is empty; name one, such as mqtt")
	}
	if c.Username == "" && c.User == "" {
		add("username: is empty; name the user to log in as")
	}
}

// errURL tells nothing of what was written: a password is in it.
var errURL = errors.New("url: is none that can be used; write mysql://USER:PASSWORD@HOST:PORT/DATABASE")

// parseURL reads mysql://… and mariadb://…, and what the driver itself takes:
// USER:PASSWORD@tcp(HOST:PORT)/DATABASE. Options are the driver's.
func parseURL(text string) (*mysql.Config, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "mysql" && u.Scheme != "mariadb" {
		if strings.Contains(text, "://") {
			return nil, errURL
		}
		u = nil
	}
	options := text
	if u != nil {
		options = "/?" + u.RawQuery
	}
	s, err := mysql.ParseDSN(options)
	if err != nil {
		return nil, errURL
	}
	if u != nil {
		s.Net, s.Addr, s.DBName, s.User = "tcp", u.Host, strings.Trim(u.Path, "/"), u.User.Username()
		s.Passwd, _ = u.User.Password()
		if u.Port() == "" {
			s.Addr = net.JoinHostPort(u.Hostname(), "3306")
		}
	}
	return s, nil
}

func (c *Config) socket() bool { return len(c.Server) > 0 && c.Server[0] == '/' }

// settings makes what the driver wants of a valid configuration. It reads the files of
// TLS.
func (c *Config) settings() (s *mysql.Config, err error) {
	if c.URL != "" {
		if s, err = parseURL(c.URL); err != nil {
			return nil, err
		}
	} else {
		s = mysql.NewConfig()
		s.Net, s.Addr, s.DBName, s.User, s.Passwd = "tcp", c.Server, c.Database, c.Username, c.Password
		if c.socket() {
			s.Net = "unix"
		}
		if c.User != "" {
			s.User = c.User
		}
		if c.TLS {
			if s.TLS, err = c.tls(); err != nil {
				return nil, err
			}
		}
	}
	s.Timeout = c.Timeout
	s.InterpolateParams = false // values never stand in statements
	s.ParseTime, s.MultiStatements = false, false
	s.MaxAllowedPacket = 0 // the server's
	s.Logger = &mysql.NopLogger{}
	return s, nil
}

func (c *Config) tls() (*tls.Config, error) {
	t, err := rules.ClientTLS(c.CAFile, c.CertFile, c.KeyFile)
	if err == nil {
		t.ServerName, _, _ = net.SplitHostPort(c.Server)
	}
	return t, err
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
