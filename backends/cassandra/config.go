package cassandra

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// Config is one table [backends.cassandra.pools.NAME].
type Config struct {
	Nodes       []string      `toml:"nodes" doc:"HOST:PORT of some nodes of the cluster; the others are found"`
	PoolSize    int           `toml:"pool_size" doc:"connections to each node"`
	Keyspace    string        `toml:"keyspace" doc:"keyspace of the tables; it must exist"`
	Username    string        `toml:"username" doc:"user; empty: no authentication"`
	Password    string        `toml:"password" secret:"true" doc:"password; better password_file"`
	Consistency string        `toml:"consistency" oneof:"one,local_one,two,quorum,local_quorum,each_quorum,all" doc:"how many replicas must have a write, and answer a read"`
	Timeout     time.Duration `toml:"timeout" doc:"longest time of one statement, and of connecting"`
	TLS         bool          `toml:"tls" doc:"speak TLS"`
	CAFile      string        `toml:"tls_ca_file" doc:"certificates that the nodes' are proven by; empty: those of the system"`
	CertFile    string        `toml:"tls_cert_file" doc:"certificate that is shown to the nodes"`
	KeyFile     string        `toml:"tls_key_file" doc:"its key"`
}

// DefaultConfig is a node on this machine, with EMQ X's names, and a consistency by which
// what was acknowledged is read.
func DefaultConfig() Config {
	return Config{Nodes: []string{"127.0.0.1:9042"}, PoolSize: 8, Keyspace: "mqtt", Consistency: "local_quorum", Timeout: 5 * time.Second}
}

var keyspaces = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,47}$`)

// Validate reports everything that is wrong.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if len(c.Nodes) == 0 {
		add("nodes: is empty; name one, such as 127.0.0.1:9042")
	}
	for _, n := range c.Nodes {
		if _, port, err := net.SplitHostPort(n); err != nil || port == "" {
			add("nodes: %q is no HOST:PORT", n)
		}
	}
	if c.PoolSize < 1 || c.PoolSize > 1000 {
		add("pool_size: %d must be between 1 and 1000", c.PoolSize)
	}
	if !keyspaces.MatchString(c.Keyspace) {
		add("keyspace: %q must be up to 48 letters, digits and _ that begin with a letter", c.Keyspace)
	}
	if !slices.Contains(consistencies(), c.Consistency) {
		add("consistency: %q must be one of %s", c.Consistency, strings.Join(consistencies(), ", "))
	}
	if c.Timeout < time.Millisecond || c.Timeout > time.Minute {
		add("timeout: %s must be between 1ms and 1m", c.Timeout)
	}
	errs = append(errs, rules.CheckTLS(c.TLS, c.CAFile, c.CertFile, c.KeyFile))
	return errors.Join(errs...)
}

func consistencies() []string {
	return []string{"one", "local_one", "two", "quorum", "local_quorum", "each_quorum", "all"}
}

// reconnect is how often nodes that are down are tried; the driver's minute would be an
// outage of its own.
const reconnect = 2 * time.Second

// cluster is the driver's configuration.
func (c *Config) cluster() (*gocql.ClusterConfig, error) {
	o := gocql.NewCluster(c.Nodes...)
	o.Keyspace, o.NumConns = c.Keyspace, c.PoolSize
	o.Timeout, o.ConnectTimeout, o.WriteTimeout = c.Timeout, c.Timeout, c.Timeout
	var level gocql.Consistency
	if err := level.UnmarshalText([]byte(strings.ToUpper(c.Consistency))); err != nil {
		return nil, fmt.Errorf("consistency: %w", err)
	}
	o.Consistency = level
	o.ReconnectInterval = reconnect
	o.Logger = quiet{}
	if c.Username != "" {
		o.Authenticator = gocql.PasswordAuthenticator{Username: c.Username, Password: c.Password}
	}
	if c.TLS {
		o.SslOpts = &gocql.SslOptions{CaPath: c.CAFile, CertPath: c.CertFile, KeyPath: c.KeyFile, EnableHostVerification: true}
	}
	return o, nil
}

// SetDefaults begins a pool of the configuration.
func (c *Config) SetDefaults(string) { *c = DefaultConfig() }

// Driver implements [rules.Pool].
func (c *Config) Driver() rules.Driver { return Driver() }

// Open implements [rules.Pool].
func (c *Config) Open() (rules.Database, error) {
	d, err := Open(*c)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Lanes implements [rules.Pool].
func (c *Config) Lanes() int { return c.PoolSize }
