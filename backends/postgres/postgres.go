package postgres

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// DB is a pool of connections; a [rules.Database]. Its methods may be called from
// anywhere.
type DB struct {
	pool *pgxpool.Pool
	made atomic.Pointer[statements] // nil until the tables were looked at

	mu      sync.Mutex
	customs map[string]*custom // by their text
}

// Driver says what the database can do.
func Driver() rules.Driver {
	return rules.Driver{Name: "postgres", Functions: rules.SQLFunctions(), Statement: checkStatement, Defaults: rules.SQLDefaults(),
		Identities: rules.SQLIdentities(checkStatement)}
}

// Open makes a pool of a valid configuration. It reads the files that the configuration
// names, but connects later: the server may be away.
func Open(c *Config) (*DB, error) {
	settings, err := c.pool()
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), settings)
	if err != nil {
		return nil, err
	}
	return &DB{pool: pool, customs: map[string]*custom{}}, nil
}

// Ping implements rules.Database.
func (d *DB) Ping(ctx context.Context) error { return d.pool.Ping(ctx) }

// Close implements rules.Database.
func (d *DB) Close() error {
	d.pool.Close()
	return nil
}

// statements gives those for the tables that there are.
func (d *DB) statements(ctx context.Context) (*statements, error) {
	if st := d.made.Load(); st != nil {
		return st, nil
	}
	found, err := readShapes(ctx, d.pool)
	if err != nil {
		return nil, fmt.Errorf("looking at the tables: %w%s", err, advice(state(err)))
	}
	st := newStatements(found)
	if len(st.missing) == 0 {
		d.made.Store(st)
	}
	return st, nil
}

// failed forgets what err has shown to be wrong.
func (d *DB) failed(err error) {
	code := state(err)
	if outdated(code) {
		d.made.Store(nil)
	}
	if code == readOnly {
		d.pool.Reset() // the primary is elsewhere now
	}
}
