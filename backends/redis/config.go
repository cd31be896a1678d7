package redis

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// The kinds of deployment.
const (
	Single   = "single"
	Sentinel = "sentinel"
	Cluster  = "cluster"
)

// Config is one table [backends.redis.pools.NAME].
type Config struct {
	Type         string        `toml:"type" oneof:"single,sentinel,cluster" doc:"what server names: one server, sentinels, or nodes of a cluster"`
	Server       []string      `toml:"server" doc:"HOST:PORT of the server, of the sentinels, or of some nodes of the cluster"`
	Sentinel     string        `toml:"sentinel" doc:"name of the master that sentinels watch"`
	PoolSize     int           `toml:"pool_size" doc:"connections"`
	Database     int           `toml:"database" doc:"number of the database; a cluster has 0 only"`
	Username     string        `toml:"username" doc:"user of Redis 6 and later; empty: default"`
	Password     string        `toml:"password" secret:"true" doc:"password; better password_file"`
	Channel      string        `toml:"channel" doc:"channel from which commands are taken that subscribe and unsubscribe clients, such as {\"type\":\"subscribe\",\"clientid\":\"c\",\"topic\":\"t\",\"qos\":1}; empty: none"`
	EventChannel string        `toml:"event_channel" doc:"channel on which subscriptions of clients are told, by the function on_subscription_event; empty: none"`
	Replicas     int           `toml:"replicas" doc:"for sessions: how many replicas must have a write before it counts as done (WAIT)"`
	Timeout      time.Duration `toml:"timeout" doc:"longest time of one command, and of connecting"`
	TLS          bool          `toml:"tls" doc:"speak TLS"`
	CAFile       string        `toml:"tls_ca_file" doc:"certificates that the server's is proven by; empty: those of the system"`
	CertFile     string        `toml:"tls_cert_file" doc:"certificate that is shown to the server"`
	KeyFile      string        `toml:"tls_key_file" doc:"its key"`
}

// DefaultConfig is a server on this machine, with EMQ X's pool size and channel. The
// channel takes commands from whoever may publish in Redis.
func DefaultConfig() Config {
	return Config{Type: Single, Server: []string{"127.0.0.1:6379"}, PoolSize: 8, Channel: "mqtt_channel", Timeout: 5 * time.Second}
}

// Validate reports everything that is wrong.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if !slices.Contains([]string{Single, Sentinel, Cluster}, c.Type) {
		add("type: %q must be single, sentinel or cluster", c.Type)
	}
	if len(c.Server) == 0 {
		add("server: is empty; name one, such as 127.0.0.1:6379")
	}
	if c.Type == Single && len(c.Server) > 1 {
		add("server: type = \"single\" has one server, there are %d; several belong to sentinel or cluster", len(c.Server))
	}
	for _, s := range c.Server {
		if _, port, err := net.SplitHostPort(s); err != nil || port == "" {
			add("server: %q is no HOST:PORT", s)
		}
	}
	switch {
	case c.Type == Sentinel && c.Sentinel == "":
		add("sentinel: is empty; name the master that the sentinels watch, such as mymaster")
	case c.Type != Sentinel && c.Sentinel != "":
		add("sentinel: has no meaning with type = %q", c.Type)
	}
	if c.PoolSize < 1 || c.PoolSize > 1000 {
		add("pool_size: %d must be between 1 and 1000", c.PoolSize)
	}
	if c.Database < 0 || c.Type == Cluster && c.Database != 0 {
		add("database: %d: a cluster has 0 only, others count from 0", c.Database)
	}
	if c.Replicas < 0 || c.Replicas > 16 {
		add("replicas: %d must be between 0 and 16", c.Replicas)
	}
	if c.Channel != "" && c.Channel == c.EventChannel {
		add("event_channel: is the same as channel; events would come back as commands")
	}
	if c.Timeout < time.Millisecond || c.Timeout > time.Minute {
		add("timeout: %s must be between 1ms and 1m", c.Timeout)
	}
	errs = append(errs, rules.CheckTLS(c.TLS, c.CAFile, c.CertFile, c.KeyFile))
	return errors.Join(errs...)
}

// options are the driver's for a valid configuration. It reads the files of TLS.
func (c *Config) options() (*redis.UniversalOptions, error) {
	o := &redis.UniversalOptions{
		Addrs: c.Server, DB: c.Database, Username: c.Username, Password: c.Password, MasterName: c.Sentinel,
		PoolSize: c.PoolSize, DialTimeout: c.Timeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout,
		MaxRetries: -1, DialerRetries: 1, // the engine tries again, and keeps the order
		ClientName: "fairlead", IsClusterMode: c.Type == Cluster,
	}
	if c.TLS {
		var err error
		if o.TLSConfig, err = rules.ClientTLS(c.CAFile, c.CertFile, c.KeyFile); err != nil {
			return nil, err
		}
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
