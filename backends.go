package fairlead

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/fairlead-iot/fairlead/admin"
	"github.com/fairlead-iot/fairlead/backends/cassandra"
	"github.com/fairlead-iot/fairlead/backends/identity"
	"github.com/fairlead-iot/fairlead/backends/mongodb"
	"github.com/fairlead-iot/fairlead/backends/mysql"
	"github.com/fairlead-iot/fairlead/backends/postgres"
	"github.com/fairlead-iot/fairlead/backends/redis"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/backends/spool"
	"github.com/fairlead-iot/fairlead/core"
)

// BackendsConfig is the section [backends]: a table for each kind of database.
type BackendsConfig struct {
	rules.Config
	Spool int64 `toml:"spool_bytes" unit:"bytes" doc:"most bytes of disk, below node.data_dir, for what waits, for each pool; 0: nothing goes to disk, and what waits is lost when the gateway ends"`

	Redis     BackendConfig[redis.Config, *redis.Config]         `toml:"redis" doc:"Redis or Valkey: one server, sentinels or a cluster"`
	Postgres  BackendConfig[postgres.Config, *postgres.Config]   `toml:"postgres" doc:"PostgreSQL, see docs/backends-postgres.md"`
	MySQL     BackendConfig[mysql.Config, *mysql.Config]         `toml:"mysql" doc:"MySQL 8 or MariaDB, see docs/backends-mysql.md"`
	MongoDB   BackendConfig[mongodb.Config, *mongodb.Config]     `toml:"mongodb" doc:"MongoDB"`
	Cassandra BackendConfig[cassandra.Config, *cassandra.Config] `toml:"cassandra" doc:"Apache Cassandra"`
}

// defaultBackends has no pool, and so no database.
func defaultBackends() BackendsConfig {
	c := BackendsConfig{Config: rules.DefaultConfig(), Spool: 1 << 30}
	for _, b := range c.all() {
		*b.identities = identity.DefaultConfig(b.driver.Identities)
	}
	return c
}

// minSpool is a few segments.
const minSpool = 8 << 20

// Validate reports what is wrong with the spool. What belongs to one database is reported
// by its own Validate.
func (c *BackendsConfig) Validate() error {
	errs := []error{c.Config.Validate()}
	if c.Spool != 0 && c.Spool < minSpool {
		errs = append(errs, fmt.Errorf("spool_bytes: %d must be 0, or at least %d", c.Spool, minSpool))
	}
	for _, b := range c.active() {
		for i := range b.rules {
			if c.Spool == 0 && b.rules[i].Ack == rules.AckSpool {
				errs = append(errs, fmt.Errorf("%s.rules[%d].ack: \"spool\" needs a disk; give backends.spool_bytes", b.driver.Name, i))
			}
		}
	}
	return errors.Join(errs...)
}

// all are the databases that there can be.
func (c *BackendsConfig) all() []backend {
	return []backend{c.Redis.backend(), c.Postgres.backend(), c.MySQL.backend(), c.MongoDB.backend(), c.Cassandra.backend()}
}

// active are the backends that have a pool.
func (c *BackendsConfig) active() []backend {
	return slices.DeleteFunc(c.all(), func(b backend) bool { return len(b.pools) == 0 })
}

// databases are the backends that rules or identities are done by. One that keeps sessions
// does no default rules: it was not configured for them.
func (c *Config) databases() []backend {
	all := c.Backends.active()
	for i := range all {
		if all[i].driver.Name == c.Store.Engine {
			all[i].driver.Defaults = nil
		}
	}
	return slices.DeleteFunc(all, func(b backend) bool {
		return len(b.driver.Defaults) == 0 && len(b.rules) == 0 && !b.identities.Enabled
	})
}

// identify tells whether identities are taken from a database.
func (c *BackendsConfig) identify() bool {
	return slices.ContainsFunc(c.all(), func(b backend) bool { return b.identities.Enabled })
}

// BackendConfig is one database. C is the configuration of a pool.
type BackendConfig[C any, P interface {
	*C
	rules.Pool
}] struct {
	Pools      map[string]*C   `toml:"pools" doc:"servers or clusters, by names of your own; without one this database is not used"`
	Rules      []rules.Rule    `toml:"rules" doc:"what is done when; none: what EMQ X 2.4 does, see docs/backends.md"`
	Identities identity.Config `toml:"identities" doc:"users and access rules in the database, see docs/identities.md"`
}

// Validate reports what is wrong with pools, rules and identities together.
func (c *BackendConfig[C, P]) Validate() error {
	b := c.backend()
	if len(b.pools) == 0 && len(c.Rules) > 0 {
		return fmt.Errorf("rules: there is no pool to do them; add one, such as [backends.%s.pools.main]", b.driver.Name)
	}
	return errors.Join(rules.Check(&b.driver, slices.Sorted(maps.Keys(b.pools)), c.Rules), b.checkIdentities())
}

// backend is one database of the configuration, whatever its kind.
type backend struct {
	driver     rules.Driver
	rules      []rules.Rule
	pools      map[string]rules.Pool
	identities *identity.Config
}

func (c *BackendConfig[C, P]) backend() backend {
	b := backend{driver: P(new(C)).Driver(), rules: c.Rules, pools: map[string]rules.Pool{}, identities: &c.Identities}
	for name, pool := range c.Pools {
		b.pools[name] = P(pool)
	}
	if c.Identities.Only {
		b.driver.Defaults = nil
	}
	return b
}

// checkIdentities reports what is wrong with identities and pools together.
func (b *backend) checkIdentities() error {
	if !b.identities.Enabled {
		return nil
	}
	var errs []error
	if name := b.identities.Pool; len(b.pools) == 0 || name != "" && b.pools[name] == nil {
		errs = append(errs, fmt.Errorf("identities.pool: there is no pool %q; add [backends.%s.pools.%s]", name, b.driver.Name, cmp.Or(name, "main")))
	}
	for _, fault := range b.identities.Check(&b.driver.Identities) {
		errs = append(errs, fmt.Errorf("identities.%w", fault))
	}
	return errors.Join(errs...)
}

// backends are the databases of a running gateway.
type backends []*served

// served is one of them: its engine, and the pools that others send commands by.
type served struct {
	*rules.Engine
	name       string
	listeners  map[string]listener
	identities *identity.Source // nil for none
}

// listener is a pool with a channel of commands.
type listener interface {
	// Listen hands what comes to handle until ctx ends, and tells trouble when it
	// cannot, and with nil when it can again.
	Listen(ctx context.Context, handle func(message []byte), trouble func(error))
}

// backendGrace is how long what waits for a database goes on being written when the
// gateway stops; the rest is kept, or lost where it is kept in memory.
const backendGrace = 5 * time.Second

// openBackends makes the engines. Nothing is connected: a database that is away does not
// keep the gateway from starting.
func (p *parts) openBackends() error {
	for _, b := range p.g.cfg.databases() {
		s, err := p.openBackend(b)
		if err != nil {
			return fmt.Errorf("backends.%s: %w", b.driver.Name, err)
		}
		p.backends = append(p.backends, s)
	}
	return nil
}

func (p *parts) openBackend(b backend) (*served, error) {
	s := &served{name: b.driver.Name, listeners: map[string]listener{}}
	o := rules.Options{Driver: b.driver, Config: p.g.cfg.Backends.Config, Rules: b.rules, Node: p.g.cfg.nodeName(), Log: p.g.log,
		Pools: map[string]rules.Database{}, Lanes: map[string]int{}}
	for name, pool := range b.pools {
		db, err := pool.Open()
		if err != nil {
			for _, open := range o.Pools {
				_ = open.Close()
			}
			return nil, fmt.Errorf("pools.%s: %w", name, err)
		}
		o.Pools[name], o.Lanes[name] = db, pool.Lanes()
		if l, ok := db.(listener); ok {
			s.listeners[name] = l
		}
	}
	if b.identities.Enabled {
		c := *b.identities
		c.Hashes = p.g.hashes
		if err := s.openIdentities(&c, o.Pools); err != nil {
			return nil, err
		}
	}
	o.Refused = filepath.Join(p.g.cfg.Node.DataDir, "refused")
	if p.g.cfg.Backends.Spool > 0 {
		o.Queue = func(pool string, lanes int) (rules.Queue, error) { return p.openSpool(s.name+"."+pool, lanes) }
	}
	var err error
	if s.Engine, err = rules.New(o); err == nil {
		p.undo = append(p.undo, s.Close)
	}
	return s, err
}

// openIdentities makes the source of identities.
func (s *served) openIdentities(cfg *identity.Config, pools map[string]rules.Database) (err error) {
	name := cfg.Pool
	if name == "" {
		name = slices.Min(slices.Collect(maps.Keys(pools)))
	}
	db, ok := pools[name].(identity.Database)
	if !ok {
		return fmt.Errorf("identities: pools.%s answers no queries", name)
	}
	s.identities, err = identity.New(s.name, *cfg, db)
	return err
}

// identities are the sources of users and of access rules that databases are.
func (bs backends) identities() (users []core.Authenticator, access []core.Authorizer) {
	for _, s := range bs {
		if s.identities != nil {
			users, access = append(users, s.identities), append(access, s.identities)
		}
	}
	return users, access
}

// openSpool opens the queue of one pool.
func (p *parts) openSpool(name string, lanes int) (rules.Queue, error) {
	c := &p.g.cfg.Backends
	s, err := spool.Open(spool.Options{Dir: filepath.Join(p.g.cfg.Node.DataDir, "spool", name), Lanes: min(lanes, 256),
		MaxMemory: int64(c.Queue), MaxBytes: c.Spool, Log: p.g.log})
	if err != nil {
		return nil, err
	}
	return rules.NewSpool(s), nil
}

// runBackends has the engines work, and end before the core does.
func (p *parts) runBackends(ctx context.Context) {
	for _, s := range p.backends {
		p.beside(ctx, "backend "+s.name, func(ctx context.Context) error {
			s.Run(ctx, p.core, backendGrace)
			return nil
		})
		if s.identities != nil {
			p.beside(ctx, "identities of "+s.name, func(ctx context.Context) error {
				s.identities.Run(ctx, p.g.log)
				return nil
			})
		}
		for name, l := range s.listeners {
			p.beside(ctx, "commands of "+s.name+"."+name, func(ctx context.Context) error {
				s.listen(ctx, p, name, l)
				<-ctx.Done() // a pool without a channel has nothing to listen to
				return nil
			})
		}
	}
}

func (s *served) listen(ctx context.Context, p *parts, pool string, l listener) {
	l.Listen(ctx, func(message []byte) {
		s.Command(pool, message) // which explains what it cannot do
	}, func(err error) {
		if err == nil {
			p.g.log.Info("commands of a backend come again", "backend", s.name, "pool", pool)
			return
		}
		p.g.log.Warn("commands of a backend do not come", "backend", s.name, "pool", pool, "err", err)
	})
}

// hooks are the engines' parts in the core.
func (bs backends) hooks() (sinks []core.Sink, sources []core.SubscriptionSource, retained core.RetainedOwner) {
	for _, s := range bs {
		sinks, sources, retained = append(sinks, s.Sinks()...), append(sources, s.Sources()...), bs
	}
	return sinks, sources, retained
}

// OwnsRetained implements core.RetainedOwner.
func (bs backends) OwnsRetained(topic string) bool {
	return slices.ContainsFunc(bs, func(s *served) bool { return s.Engine.OwnsRetained(topic) })
}

// LooksUp implements core.RetainedOwner.
func (bs backends) LooksUp(filter string) bool {
	return slices.ContainsFunc(bs, func(s *served) bool { return s.Engine.LooksUp(filter) })
}

// ReadRetained implements core.RetainedOwner.
func (bs backends) ReadRetained(ctx context.Context, filter, after string, max int) ([]*core.Message, string, error) {
	return rules.ReadAll(len(bs), after, max, func(i int, after string, max int) ([]*core.Message, string, error) {
		return bs[i].Engine.ReadRetained(ctx, filter, after, max)
	})
}

// figures are the rules' counters for metrics.
func (bs backends) figures() (list []admin.RuleFigures) {
	for _, s := range bs {
		for _, r := range s.Stats() {
			list = append(list, admin.RuleFigures{Backend: r.Backend, Pool: r.Pool, Hook: string(r.Hook), Topic: r.Topic, Function: string(r.Function),
				Done: r.Done, Dropped: r.Dropped, Kept: r.Kept, Failed: r.Failed, Retried: r.Retried, Read: r.Read, Waiting: r.Waiting, AwaySeconds: r.AwayForSeconds})
		}
	}
	return list
}

// InitBackends looks what of the documented tables, keys and indexes is missing in the
// databases of cfg, and with create makes it; nothing that is there is altered. tell gets
// a line for each: the pool, and what is missing or was made, or nothing where all is
// there. It blocks; the errors of all pools are joined.
func InitBackends(ctx context.Context, cfg *Config, create bool, tell func(pool, missing string)) error {
	var errs []error
	if !cfg.Store.embedded() {
		if err := initStore(ctx, cfg, create, tell); err != nil {
			errs = append(errs, fmt.Errorf("store: %w", err))
		}
	}
	for _, b := range cfg.databases() {
		for _, name := range slices.Sorted(maps.Keys(b.pools)) {
			full := "backends." + b.driver.Name + ".pools." + name
			if err := initPool(ctx, b.pools[name], create, func(missing string) { tell(full, missing) }); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", full, err))
			}
		}
	}
	return errors.Join(errs...)
}

func initPool(ctx context.Context, p rules.Pool, create bool, tell func(string)) error {
	db, err := p.Open()
	if err != nil {
		return err
	}
	report, err := db.Init(ctx, create)
	for _, missing := range report {
		tell(missing)
	}
	if err == nil && len(report) == 0 {
		tell("")
	}
	return errors.Join(err, db.Close())
}
