package cassandra

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

//go:embed schema.cql
var schema string

// Database is one pool. It implements [rules.Database].
type Database struct {
	cfg     *gocql.ClusterConfig
	dialing chan struct{} // holds one value while nobody connects
	session atomic.Pointer[gocql.Session]
	closed  atomic.Bool

	clock   atomic.Int64 // the latest write timestamp, microseconds
	cursors remembered   // what acked holds, of those written last
	topics  remembered   // that the table topic has

	kinds      sync.Mutex
	payloadAs  map[string]string // table → type of its column payload
	retainBody bool              // the table retain has the columns of a body
}

// Open makes a pool. It connects when it is used: a database that is away does not keep
// the gateway from starting.
func Open(c Config) (*Database, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	cluster, err := c.cluster()
	if err != nil {
		return nil, err
	}
	d := &Database{cfg: cluster, dialing: make(chan struct{}, 1)}
	d.dialing <- struct{}{}
	return d, nil
}

// Driver is what the engine must know of Cassandra.
func Driver() rules.Driver {
	return rules.Driver{Name: "cassandra", Functions: rules.SQLFunctions(), Defaults: rules.SQLDefaults(), Statement: checkStatement, Identities: identities()}
}

var errClosed = errors.New("the pool is closed")

// connected gives the session, made by whoever needs it first.
func (d *Database) connected(ctx context.Context) (*gocql.Session, error) {
	if s := d.session.Load(); s != nil {
		return s, nil
	}
	select {
	case <-d.dialing:
		defer func() { d.dialing <- struct{}{} }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s := d.session.Load(); s != nil {
		return s, nil
	}
	if d.closed.Load() {
		return nil, errClosed
	}
	s, err := dialForReason(d.cfg.CreateSession, d.cfg.ConnectTimeout)
	if err != nil {
		return nil, unconnected(err, d.cfg.SslOpts != nil)
	}
	if err := d.look(ctx, s); err != nil {
		end(s)
		return nil, err
	}
	d.session.Store(s)
	return s, nil
}

// look finds out how the tables store payloads: tables of EMQ X have text, and no body in
// retain.
func (d *Database) look(ctx context.Context, s *gocql.Session) error {
	types := map[string]string{}
	rows := s.Query(`SELECT table_name, column_name, type FROM system_schema.columns WHERE keyspace_name = ?`, d.cfg.Keyspace).IterContext(ctx)
	var table, column, kind string
	for rows.Scan(&table, &column, &kind) {
		types[table+"."+column] = kind
	}
	if err := rows.Close(); err != nil {
		return fmt.Errorf("read the schema: %w", err)
	}
	d.kinds.Lock()
	defer d.kinds.Unlock()
	d.payloadAs = map[string]string{"msg": types["msg.payload"], "retain": types["retain.payload"]}
	d.retainBody = types["retain.payload"] != ""
	return nil
}

// payload is p as the column of a table takes it.
func (d *Database) payload(table string, p []byte) any {
	d.kinds.Lock()
	defer d.kinds.Unlock()
	if d.payloadAs[table] == "text" || d.payloadAs[table] == "varchar" {
		return string(p)
	}
	return p
}

func (d *Database) hasBody() bool {
	d.kinds.Lock()
	defer d.kinds.Unlock()
	return d.retainBody
}

// now is a write timestamp that no write before has: of two writes to one place the
// later counts.
func (d *Database) now() int64 {
	for {
		last := d.clock.Load()
		next := max(time.Now().UnixMicro(), last+1)
		if d.clock.CompareAndSwap(last, next) {
			return next
		}
	}
}

// Ping is nil when a node answers.
func (d *Database) Ping(ctx context.Context) error {
	s, err := d.connected(ctx)
	if err != nil {
		return err
	}
	return s.Query(`SELECT key FROM system.local`).ExecContext(ctx)
}

// Close ends all connections.
func (d *Database) Close() error {
	d.closed.Store(true)
	<-d.dialing
	if s := d.session.Swap(nil); s != nil {
		end(s)
	}
	d.dialing <- struct{}{}
	return nil
}

// Init says which tables are missing and, with create, makes them. The keyspace must
// exist: how it is replicated is the user's to say.
func (d *Database) Init(ctx context.Context, create bool) (report []string, err error) {
	s, err := d.connected(ctx)
	if err != nil {
		return nil, fmt.Errorf("keyspace %s: %w; make it first, such as CREATE KEYSPACE %s WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 3}", d.cfg.Keyspace, err, d.cfg.Keyspace)
	}
	if report, err = d.initSchema(ctx, s, schema, create); err != nil {
		return report, err
	}
	return report, d.look(ctx, s)
}

// initSchema makes the tables of a schema, one a line, that are missing.
func (d *Database) initSchema(ctx context.Context, s *gocql.Session, schema string, create bool) (report []string, err error) {
	for line := range strings.Lines(schema) {
		line = strings.TrimSuffix(strings.TrimSpace(line), ";")
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "CREATE TABLE IF NOT EXISTS "), " ")
		var n int
		if err := s.Query(`SELECT count(*) FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?`, d.cfg.Keyspace, name).ScanContext(ctx, &n); err != nil {
			return report, fmt.Errorf("read the schema: %w", err)
		}
		if n > 0 {
			continue
		}
		if !create {
			report = append(report, "table "+name+" is missing")
			continue
		}
		if err := s.Query(line).ExecContext(ctx); err != nil {
			return report, fmt.Errorf("make table %s: %w", name, err)
		}
		report = append(report, "table "+name+": made")
	}
	return report, nil
}

// classify marks the errors that no retry mends.
func classify(err error) error {
	var answer gocql.RequestError
	if err == nil || !errors.As(err, &answer) {
		return err
	}
	switch answer.Code() {
	case gocql.ErrCodeSyntax, gocql.ErrCodeInvalid, gocql.ErrCodeConfig, gocql.ErrCodeFunctionFailure, gocql.ErrCodeAlreadyExists:
		return rules.Permanent(err)
	}
	return err
}

// unconnected tells of err, in one line, that no session came of, with tls or without. It
// is never for good: servers, keyspaces and passwords may be mended.
func unconnected(err error, tls bool) error {
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	switch {
	case !tls && strings.Contains(text, "unable to discover protocol version") && (strings.Contains(text, "connection reset") || strings.Contains(text, "EOF")):
		text += "; a server that wants TLS ends connections without it like this; then say tls = true"
	case strings.Contains(text, "Keyspace") && strings.Contains(text, "does not exist"):
		text += "; make the keyspace, or name another in the pool"
	case strings.Contains(text, "password"), strings.Contains(text, "credentials"):
		text += "; check username and password of the pool"
	}
	return fmt.Errorf("connect: %s", text)
}

// explain is classify for functions. Tables that are missing can be made: they are waited
// for.
func explain(err error) error {
	var answer gocql.RequestError
	if !errors.As(err, &answer) || answer.Code() != gocql.ErrCodeInvalid {
		return classify(err)
	}
	for _, text := range [...]string{"does not exist", "unconfigured table", "Undefined column"} {
		if strings.Contains(answer.Message(), text) {
			return fmt.Errorf("%w; make what is missing with: fairlead ctl backend init", err)
		}
	}
	return classify(err)
}

// quiet is a log of the driver that says nothing: what it has to say comes as errors.
type quiet struct{}

func (quiet) Error(string, ...gocql.LogField)   {}
func (quiet) Warning(string, ...gocql.LogField) {}
func (quiet) Info(string, ...gocql.LogField)    {}
func (quiet) Debug(string, ...gocql.LogField)   {}

// remembered is what was written lately, so that it need not be read or written again.
// When it is full it forgets everything.
type remembered struct {
	mu  sync.Mutex
	all map[[2]string]string
}

const remember = 100_000

func (r *remembered) get(a, b string) (v string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok = r.all[[2]string{a, b}]
	return v, ok
}

func (r *remembered) put(a, b, v string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil || len(r.all) >= remember {
		r.all = make(map[[2]string]string)
	}
	r.all[[2]string{a, b}] = v
}

func (r *remembered) forget(a, b string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, [2]string{a, b})
}
