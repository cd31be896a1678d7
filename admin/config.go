package admin

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// Config is the section [admin].
type Config struct {
	Address        string        `toml:"address" doc:"host:port of health, metrics and the REST API; empty or off: none of them"`
	OpenMetrics    bool          `toml:"open_metrics" doc:"serve /metrics without the administrator's password to every address; false: only to this machine"`
	MaxConnections int           `toml:"max_connections" doc:"HTTP connections open at once; more wait in the backlog"`
	RequestTimeout time.Duration `toml:"request_timeout" doc:"time to read a request and again to answer it"`
}

// DefaultConfig answers on loopback only.
func DefaultConfig() Config {
	return Config{Address: "127.0.0.1:18083", MaxConnections: 64, RequestTimeout: 30 * time.Second}
}

// Off tells whether no HTTP server is wanted.
func (c *Config) Off() bool { return c.Address == "" || c.Address == "off" }

// Validate reports every setting that is out of its bounds.
func (c *Config) Validate() error {
	var errs []error
	if !c.Off() {
		if _, port, err := net.SplitHostPort(c.Address); err != nil {
			errs = append(errs, fmt.Errorf("address: %q must be host:port, or off", c.Address))
		} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			errs = append(errs, fmt.Errorf("address: the port %q is no number from 0 to 65535", port))
		}
	}
	if c.MaxConnections < 1 || c.MaxConnections > 100_000 {
		errs = append(errs, fmt.Errorf("max_connections: %d must be between 1 and 100000", c.MaxConnections))
	}
	if c.RequestTimeout < time.Second || c.RequestTimeout > time.Hour {
		errs = append(errs, fmt.Errorf("request_timeout: %s must be between 1s and 1h", c.RequestTimeout))
	}
	return errors.Join(errs...)
}
