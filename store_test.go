package fairlead

import (
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/cassandra"
	"github.com/fairlead-iot/fairlead/backends/postgres"
	"github.com/fairlead-iot/fairlead/backends/rules"
)

// A store in a database needs a pool of it; what is wrong is told with all else that is.
func TestStoreValidation(t *testing.T) {
	tests := []struct {
		name   string
		change func(c *Config)
		want   []string // none: it is valid
	}{
		{"the embedded one", func(*Config) {}, nil},
		{"a pool of the embedded one", func(c *Config) { c.Store.Pool = "main" }, []string{"store.pool:"}},
		{"no pool", func(c *Config) { c.Store.Engine = "redis" }, []string{"store.engine:", "[backends.redis.pools.main]"}},
		{"another database's pool", func(c *Config) {
			c.Store.Engine = "redis"
			c.Backends.Postgres.Pools = map[string]*postgres.Config{"main": {}}
		}, []string{"store.engine:"}},
		{"the only pool", func(c *Config) {
			c.Store.Engine = "postgres"
			c.Backends.Postgres.Pools = map[string]*postgres.Config{"main": {}}
		}, nil},
		{"a pool that is not there", func(c *Config) {
			c.Store.Engine, c.Store.Pool = "postgres", "mian"
			c.Backends.Postgres.Pools = map[string]*postgres.Config{"main": {}, "other": {}}
		}, []string{"store.pool:", `"mian"`, "main, other"}},
		{"more faults at once", func(c *Config) {
			c.Store.Engine = "cassandra"
			c.Listeners["mqtt"].Address = "nonsense"
		}, []string{"store.engine:", "listeners.mqtt"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := DefaultConfig()
			tt.change(&c)
			err := c.Validate()
			if (err == nil) != (len(tt.want) == 0) {
				t.Fatalf("%v", err)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v does not name %s", err, w)
				}
			}
		})
	}
	s := defaultStore()
	s.Namespace, s.CommitOperations = "two words", -1
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "namespace") || !strings.Contains(err.Error(), "commit_operations") {
		t.Errorf("%v", err)
	}
}

// A database that keeps sessions does no default rules, but those that are written down.
func TestStoreDatabaseDoesNoDefaultRules(t *testing.T) {
	c := DefaultConfig()
	c.Backends.Postgres.Pools = map[string]*postgres.Config{"main": {}}
	c.Backends.Cassandra.Pools = map[string]*cassandra.Config{"main": {}}
	names := func() (list []string) {
		for _, b := range c.databases() {
			list = append(list, b.driver.Name)
		}
		return list
	}
	if got := strings.Join(names(), " "); got != "postgres cassandra" {
		t.Errorf("with the embedded store: %s", got)
	}
	c.Store.Engine = "postgres"
	if got := strings.Join(names(), " "); got != "cassandra" {
		t.Errorf("with sessions in it: %s", got)
	}
	c.Backends.Postgres.Identities.Enabled = true
	if got := strings.Join(names(), " "); got != "postgres cassandra" || len(c.databases()[0].driver.Defaults) != 0 {
		t.Errorf("with identities: %s, with %d default rules", got, len(c.databases()[0].driver.Defaults))
	}
	c.Backends.Postgres.Identities.Enabled = false
	c.Backends.Postgres.Rules = []rules.Rule{{Hook: rules.MessagePublish, Function: rules.OnMessagePublish}}
	if got := strings.Join(names(), " "); got != "postgres cassandra" {
		t.Errorf("with a rule: %s", got)
	}
}
