package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/go-sql-driver/mysql"
)

// DB is a pool of connections; a [rules.Database]. Its methods may be called from
// anywhere.
type DB struct {
	pool *sql.DB
	size int                        // most connections
	made atomic.Pointer[statements] // nil until the tables were looked at

	mu       sync.Mutex
	prepared map[string]*sql.Stmt // by their text
	customs  map[string]*custom   // by their text
}

// Driver says what the database can do.
func Driver() rules.Driver {
	return rules.Driver{Name: "mysql", Functions: rules.SQLFunctions(), Statement: checkStatement, Defaults: rules.SQLDefaults(),
		Identities: rules.SQLIdentities(checkStatement)}
}

// idle is how long a connection that nobody needs is kept: less than wait_timeout of
// servers and what firewalls forget.
const idle = 5 * time.Minute

// Open makes a pool of a valid configuration. It reads the files that the configuration
// names, but connects later: the server may be away.
func Open(c *Config) (*DB, error) { return open(c) }

// open has each connection begin with statements, too.
func open(c *Config, statements ...string) (*DB, error) {
	settings, err := c.settings()
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(settings)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(strict{connector, statements})
	pool.SetMaxOpenConns(c.PoolSize)
	pool.SetMaxIdleConns(c.PoolSize)
	pool.SetConnMaxIdleTime(idle)
	return &DB{pool: pool, size: c.PoolSize, prepared: map[string]*sql.Stmt{}, customs: map[string]*custom{}}, nil
}

// strict connects so that values that do not fit are refused instead of cut, and that
// rows which nobody touched are not locked.
type strict struct {
	driver.Connector
	more []string // statements
}

// Connect implements driver.Connector.
func (s strict) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := s.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	for _, text := range append([]string{
		"set session transaction isolation level read committed",
		"set session sql_mode = concat_ws(',', nullif(@@sql_mode, ''), 'STRICT_TRANS_TABLES')",
	}, s.more...) {
		if _, err := c.(driver.ExecerContext).ExecContext(ctx, text, nil); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// Ping implements rules.Database.
func (d *DB) Ping(ctx context.Context) error { return d.pool.PingContext(ctx) }

// Close implements rules.Database.
func (d *DB) Close() error { return d.pool.Close() }

// statements gives those for the tables that there are.
func (d *DB) statements(ctx context.Context) (*statements, error) {
	if st := d.made.Load(); st != nil {
		return st, nil
	}
	found, err := readShapes(ctx, d.pool)
	if err != nil {
		return nil, fmt.Errorf("looking at the tables: %w%s", err, advice(number(err)))
	}
	st := newStatements(found)
	if len(st.missing) == 0 {
		d.made.Store(st)
	}
	return st, nil
}

// failed forgets what err has shown to be wrong.
func (d *DB) failed(err error) {
	n := number(err)
	if outdated(n) {
		d.made.Store(nil)
	}
	if ofConnection(n) {
		d.pool.SetMaxIdleConns(0) // ends those that there are
		d.pool.SetMaxIdleConns(d.size)
	}
}

// prepare gives the prepared statement of a text. There are few texts: those of
// functions, in each number of rows, and the user's own.
func (d *DB) prepare(ctx context.Context, text string) (*sql.Stmt, error) {
	d.mu.Lock()
	s := d.prepared[text]
	d.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := d.pool.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if other := d.prepared[text]; other != nil {
		s.Close()
		return other, nil
	}
	d.prepared[text] = s
	return s, nil
}
