package mongodb

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// Config is one table [backends.mongodb.pools.NAME].
type Config struct {
	URL        string        `toml:"url" secret:"true" doc:"mongodb:// or mongodb+srv:// address, in place of type, server, set and the like; what stands beside it goes before"`
	Type       string        `toml:"type" oneof:"single,rs,sharded,unknown" doc:"what server names: one server, members of a replica set, routers of a sharded cluster, or unknown"`
	Set        string        `toml:"rs_set_name" doc:"name of the replica set"`
	Server     []string      `toml:"server" doc:"HOST:PORT of the servers"`
	PoolSize   int           `toml:"pool_size" doc:"connections"`
	Database   string        `toml:"database" doc:"name of the database"`
	Username   string        `toml:"username" doc:"user; empty: no authentication"`
	Password   string        `toml:"password" secret:"true" doc:"password; better password_file"`
	AuthSource string        `toml:"auth_source" doc:"database that knows the user"`
	Write      string        `toml:"w_mode" oneof:"safe,unsafe" doc:"safe: a write is done when a majority has it in its journal; unsafe: when the first server has it in memory, so that what was acknowledged can be lost"`
	Read       string        `toml:"r_mode" oneof:"master,slave_ok" doc:"master: reads see what was written; slave_ok: secondaries may answer, with what they know"`
	Timeout    time.Duration `toml:"timeout" doc:"longest time of one operation, and of connecting"`
	TLS        bool          `toml:"tls" doc:"speak TLS"`
	CAFile     string        `toml:"tls_ca_file" doc:"certificates that the server's is proven by; empty: those of the system"`
	CertFile   string        `toml:"tls_cert_file" doc:"certificate that is shown to the server"`
	KeyFile    string        `toml:"tls_key_file" doc:"its key"`
}

// DefaultConfig is a server on this machine, with EMQ X's names.
func DefaultConfig() Config {
	return Config{Type: "single", Server: []string{"127.0.0.1:27017"}, PoolSize: 8, Database: "mqtt", AuthSource: "admin", Write: "safe", Read: "master", Timeout: 5 * time.Second}
}

// Validate reports everything that is wrong.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if !slices.Contains([]string{"single", "rs", "sharded", "unknown"}, c.Type) {
		add("type: %q must be single, rs, sharded or unknown", c.Type)
	}
	switch {
	case c.URL == "" && len(c.Server) == 0:
		add("server: is empty; name one, such as 127.0.0.1:27017")
	case c.Type == "single" && len(c.Server) > 1:
		add("server: type = \"single\" has one server, there are %d", len(c.Server))
	}
	for _, s := range c.Server {
		if _, port, err := net.SplitHostPort(s); err != nil || port == "" {
			add("server: %q is no HOST:PORT", s)
		}
	}
	if c.Type == "rs" && c.Set == "" && c.URL == "" {
		add("rs_set_name: is empty; name the replica set")
	}
	if c.PoolSize < 1 || c.PoolSize > 1000 {
		add("pool_size: %d must be between 1 and 1000", c.PoolSize)
	}
	if c.Database == "" || strings.ContainsAny(c.Database, "/\\. \"$\x00") {
		add("database: %q must hold something, and none of / \\ . \" $ and blanks", c.Database)
	}
	if c.Write != "safe" && c.Write != "unsafe" {
		add("w_mode: %q must be safe or unsafe", c.Write)
	}
	if c.Read != "master" && c.Read != "slave_ok" {
		add("r_mode: %q must be master or slave_ok", c.Read)
	}
	if c.Timeout < time.Millisecond || c.Timeout > time.Minute {
		add("timeout: %s must be between 1ms and 1m", c.Timeout)
	}
	errs = append(errs, rules.CheckTLS(c.TLS, c.CAFile, c.CertFile, c.KeyFile))
	return errors.Join(errs...)
}

// options are the driver's.
func (c *Config) options() (*options.ClientOptions, error) {
	o := options.Client().SetAppName("fairlead")
	if c.URL != "" {
		o.ApplyURI(c.URL)
	} else {
		o.SetHosts(c.Server).SetDirect(c.Type == "single")
		if c.Type == "rs" {
			o.SetReplicaSet(c.Set)
		}
	}
	o.SetMaxPoolSize(uint64(c.PoolSize)).SetConnectTimeout(c.Timeout).SetServerSelectionTimeout(c.Timeout).SetTimeout(c.Timeout)
	o.SetRetryWrites(false) // the engine tries again, and keeps the order
	o.SetWriteConcern(writeconcern.Majority())
	if c.Write == "unsafe" {
		o.SetWriteConcern(writeconcern.W1())
	}
	if c.Read == "slave_ok" {
		o.SetReadPreference(readpref.SecondaryPreferred())
	}
	if c.Username != "" {
		o.SetAuth(options.Credential{Username: c.Username, Password: c.Password, PasswordSet: true, AuthSource: c.AuthSource})
	}
	if c.TLS {
		t, err := rules.ClientTLS(c.CAFile, c.CertFile, c.KeyFile)
		if err != nil {
			return nil, err
		}
		o.SetTLSConfig(t)
	}
	return o, o.Validate()
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
