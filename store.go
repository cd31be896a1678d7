package fairlead

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/backends/pebble"
	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// EnginePebble is the store in the data directory; the other engines are databases, named as
// in [backends].
const EnginePebble = "pebble"

// StoreConfig is the section [store].
type StoreConfig struct {
	Engine    string `toml:"engine" oneof:"pebble,redis,postgres,mysql,mongodb,cassandra" doc:"what keeps sessions, queues and retained messages: pebble, in the data directory, or a database that has a pool in [backends]"`
	Pool      string `toml:"pool" doc:"which pool of the database; empty: the first by name. A database that keeps sessions does only those data rules that are written down"`
	Namespace string `toml:"namespace" doc:"what tells the sessions of this gateway from those of others in the database: each gateway needs one of its own"`

	// Of these a database minds max_pending_bytes and commit_operations.
	pebble.Config
}

// embedded tells that no database is asked.
func (c *StoreConfig) embedded() bool { return c.Engine == "" || c.Engine == EnginePebble }

func defaultStore() StoreConfig {
	c := StoreConfig{Engine: EnginePebble, Namespace: "fairlead", Config: pebble.DefaultConfig()}
	c.Path = ""
	return c
}

// Validate is pebble's, but that an empty path means the data directory. The pool is looked
// at with the whole configuration.
func (c *StoreConfig) Validate() error {
	p := c.Config
	if p.Path == "" {
		p.Path = "data_dir"
	}
	return errors.Join(sessions.CheckNamespace(c.Namespace), p.Validate())
}

// storeConfig is what the embedded store is opened with.
func (c *Config) storeConfig() pebble.Config {
	p := c.Store.Config
	if p.Path == "" {
		p.Path = c.Node.DataDir
	}
	p.Version = Version().String()
	return p
}

// validateStore reports a database that cannot keep sessions.
func (c *Config) validateStore() error {
	if c.Store.embedded() {
		if c.Store.Pool != "" {
			return errors.New("store.pool: the engine \"pebble\" has none; leave it away, or set store.engine")
		}
		return nil
	}
	_, _, err := c.storePool()
	return err
}

// storePool gives the pool that keeps sessions, and its name below [backends].
func (c *Config) storePool() (name string, pool sessions.Pool, err error) {
	engine := c.Store.Engine
	at := slices.IndexFunc(c.Backends.active(), func(b backend) bool { return b.driver.Name == engine })
	if at < 0 {
		return "", nil, fmt.Errorf("store.engine: the database %q has no pool; add one, such as [backends.%s.pools.main]", engine, engine)
	}
	pools := c.Backends.active()[at].pools
	name = c.Store.Pool
	if name == "" {
		name = slices.Min(slices.Collect(maps.Keys(pools)))
	}
	found, ok := pools[name]
	if !ok {
		return "", nil, fmt.Errorf("store.pool: there is no pool %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(pools)), ", "))
	}
	if pool, ok = found.(sessions.Pool); !ok {
		return "", nil, fmt.Errorf("store.engine: this program cannot keep sessions in %q yet", engine)
	}
	return engine + ".pools." + name, pool, nil
}

func (p *parts) openStore(ctx context.Context) error {
	if !p.g.cfg.Store.embedded() {
		return p.openDatabase(ctx)
	}
	cfg := p.g.cfg.storeConfig()
	store, err := pebble.Open(cfg, p.g.log)
	if err != nil && p.g.cfg.Store.Path == "" {
		return respelt{err, strings.ReplaceAll(err.Error(), "store.path", "node.data_dir")}
	}
	if err != nil {
		return err
	}
	p.store = store
	p.undo = append(p.undo, store.Close)
	p.g.log.Info("store opened", "engine", EnginePebble, "path", cfg.Path, "node_id", store.NodeID())
	return nil
}

// lookPatience is how long a start looks at the schema before it goes on without.
const lookPatience = 5 * time.Second

// openDatabase opens the store in a database.
func (p *parts) openDatabase(ctx context.Context) error {
	g, cfg := p.g, &p.g.cfg.Store
	name, pool, err := g.cfg.storePool()
	if err != nil {
		return err
	}
	db, err := pool.OpenTable(cfg.Namespace)
	if err != nil {
		return fmt.Errorf("backends.%s: %w", name, err)
	}
	store, err := p.claim(ctx, db, name)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	p.store = store
	p.undo = append(p.undo, store.Close)
	g.log.Info("store opened", "engine", cfg.Engine, "pool", name, "namespace", cfg.Namespace)
	return nil
}

func (p *parts) claim(ctx context.Context, db sessions.Database, name string) (*sessions.Store, error) {
	g, cfg := p.g, &p.g.cfg.Store
	look, cancel := context.WithTimeout(ctx, lookPatience)
	missing, err := db.Init(look, false)
	cancel()
	if err == nil && len(missing) > 0 {
		return nil, fmt.Errorf("backends.%s: the database is not ready to keep sessions: %s; run: fairlead ctl backend init", name, strings.Join(missing, "; "))
	}
	// One that is away is waited for.
	host, _ := os.Hostname()
	store, err := sessions.Open(ctx, db, sessions.Options{
		Engine: cfg.Engine, Namespace: cfg.Namespace, Who: fmt.Sprintf("%s, process %d on %s", g.cfg.nodeName(), os.Getpid(), host),
		MaxPendingBytes: cfg.MaxPendingBytes, CommitOperations: cfg.CommitOperations, Log: g.log,
	})
	if err != nil {
		return nil, err
	}
	look, cancel = context.WithTimeout(ctx, lookPatience)
	defer cancel()
	caveats, err := db.Caveats(look)
	for _, text := range caveats {
		g.log.Warn("the database may lose what was acknowledged", "pool", name, "why", text)
	}
	if err != nil {
		g.log.Warn("the settings of the database are not known", "pool", name, "err", err)
	}
	return store, nil
}

// initStore makes what the store needs in its database, and tells the caveats.
func initStore(ctx context.Context, cfg *Config, create bool, tell func(pool, missing string)) error {
	name, pool, err := cfg.storePool()
	if err != nil {
		return err
	}
	db, err := pool.OpenTable(cfg.Store.Namespace)
	if err != nil {
		return err
	}
	report, err := db.Init(ctx, create)
	name = "backends." + name + " (sessions)"
	for _, missing := range report {
		tell(name, missing)
	}
	if err == nil && len(report) == 0 {
		tell(name, "")
	}
	return errors.Join(err, db.Close())
}

// respelt is an error in other words: it names the key that the user knows.
type respelt struct {
	error
	text string
}

// Error implements error.
func (r respelt) Error() string { return r.text }

// Unwrap gives the error in its own words.
func (r respelt) Unwrap() error { return r.error }
