package mysql

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// TableSchema is what [Table.Init] makes.
//
//go:embed sessions.sql
var TableSchema string

// wholeKey is how long keys may be that stand in the index as they are.
const wholeKey = 1000

// Table keeps sessions in the tables of sessions.sql; a [sessions.Database].
//
// A Write is one transaction. It begins by locking the row of the claim, which must hold
// the writer's token, and Claim changes that row: so Claim waits for a write under way, and
// every later one is refused.
//
// What it promises: with innodb_flush_log_at_trx_commit = 1, and sync_binlog = 1 where
// there is a binary log, a Write that returned nil survives the death of the server and of
// its machine. A failover to an asynchronous replica loses what that had not received yet,
// the last Claim perhaps among it; semi-synchronous replication (AFTER_SYNC), Galera and
// Group Replication lose nothing that was acknowledged.
type Table struct {
	db        *DB
	namespace string
	quoted    string // the namespace as SQL
	server    string // for errors
	token     string // "" before Claim
	chunked   bool   // there may be values in chunks
}

// A connection that nobody uses is closed by us, and soon after that by the server: so a
// transaction of a gateway that is dead, and of which the server has heard nothing, ends.
const (
	idleTable  = 10 * time.Second
	idleServer = "set session wait_timeout = 20, innodb_lock_wait_timeout = 50"
)

// OpenTable implements [sessions.Pool].
func (c *Config) OpenTable(namespace string) (sessions.Database, error) {
	if err := sessions.CheckNamespace(namespace); err != nil {
		return nil, err
	}
	settings, err := c.settings()
	if err != nil {
		return nil, err
	}
	db, err := open(c, idleServer)
	if err != nil {
		return nil, err
	}
	db.pool.SetConnMaxIdleTime(idleTable)
	return &Table{db: db, namespace: namespace, quoted: fmt.Sprintf("x'%x'", namespace), server: settings.Addr}, nil
}

// Close implements sessions.Table.
func (t *Table) Close() error { return t.db.Close() }

// Init implements sessions.Database.
func (t *Table) Init(ctx context.Context, create bool) (report []string, err error) {
	report, what, err := t.db.initSchema(ctx, TableSchema, create)
	return report, t.fault(what, err)
}

// Caveats implements sessions.Database.
func (t *Table) Caveats(ctx context.Context) (list []string, err error) {
	var flush, sync, log int
	if err := t.db.pool.QueryRowContext(ctx, "select @@innodb_flush_log_at_trx_commit, @@sync_binlog, @@log_bin").Scan(&flush, &sync, &log); err != nil {
		return nil, t.fault("looking at the settings", err)
	}
	if flush != 1 {
		list = append(list, fmt.Sprintf("innodb_flush_log_at_trx_commit is %d: when the machine of the database dies, the last seconds of what was acknowledged are lost; set it to 1", flush))
	}
	if log != 0 && sync != 1 {
		list = append(list, fmt.Sprintf("sync_binlog is %d: when the machine of the database dies, replicas may lack what was acknowledged; set it to 1", sync))
	}
	return list, nil
}

const (
	getKeys = `select name, long_key, chunks, value from fairlead_state where namespace = ? and part = ? and name in (`
	getPage = `select part, name, long_key, chunks, value from fairlead_state
where namespace = ? and (part > ? or part = ? and name > ?) order by namespace, part, name limit 5000`
	scanPage  = 5000
	getChunks = `select value from fairlead_chunk where namespace = ? and part = ? and name = ? order by chunk`
)

// Get implements sessions.Table.
func (t *Table) Get(ctx context.Context, part []byte, keys [][]byte, f func(key, value []byte) error) error {
	names := rows{head: getKeys, row: "?", tail: ")"}
	part = filled(part)
	at := 0
	for _, size := range sizes(len(keys), true) {
		long := map[string][]byte{} // by what stands for them
		args := gather(at, size, len(keys), func(args []any, i int) []any {
			short, cut := sessions.ShortKey(keys[i], wholeKey)
			if cut {
				long[string(short)] = keys[i]
			}
			return append(args, short)
		})
		at += size
		_, err := t.read(ctx, reading{text: names.text(size), args: append([]any{t.namespace, part}, args...), part: part, each: func(r *row) error {
			if wanted := long[string(r.name)]; wanted != nil && !bytes.Equal(wanted, r.long) {
				return t.fault("get", fmt.Errorf("two keys have the SHA-256 of %.32q", wanted))
			}
			return f(r.key(), r.value)
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

func filled(b []byte) []byte { return append([]byte{}, b...) } // nil would be NULL

// Scan implements sessions.Table. It goes along the primary key.
func (t *Table) Scan(ctx context.Context, f func(part, key, value []byte) error) error {
	part, name := []byte{}, []byte{}
	for n := scanPage; n == scanPage; {
		var err error
		n, err = t.read(ctx, reading{text: getPage, args: []any{t.namespace, bytes.Clone(part), bytes.Clone(part), bytes.Clone(name)}, each: func(r *row) error {
			if bytes.Compare(r.part, part) > 0 || bytes.Equal(r.part, part) && bytes.Compare(r.name, name) > 0 { // those in chunks come later
				part, name = append(part[:0], r.part...), append(name[:0], r.name...)
			}
			return f(r.part, r.key(), r.value)
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

// row is a row of fairlead_state.
type row struct {
	part, name, long, value sql.RawBytes
	chunks                  int
}

func (r *row) key() []byte {
	if r.long != nil {
		return r.long
	}
	return r.name
}

// reading is a query of rows, and what is done with each.
type reading struct {
	text string
	args []any
	part []byte // of all rows; nil where it is their first column
	each func(*row) error
}

// read gives the rows as they come, and then those whose value is in chunks: each call has
// one connection at a time.
func (t *Table) read(ctx context.Context, q reading) (n int, err error) {
	chunked, n, err := t.readWhole(ctx, &q)
	if err != nil {
		return n, err
	}
	for i := range chunked {
		r := &chunked[i]
		if r.value, err = t.chunks(ctx, r); err != nil {
			return n, err
		}
		if err := q.each(r); err != nil {
			return n, err
		}
		r.value = nil
	}
	return n, nil
}

func (t *Table) readWhole(ctx context.Context, q *reading) (chunked []row, n int, err error) {
	stmt, err := t.db.prepare(ctx, q.text)
	if err != nil {
		return nil, 0, t.fault("read", err)
	}
	found, err := stmt.QueryContext(ctx, q.args...)
	if err != nil {
		return nil, 0, t.fault("read", err)
	}
	defer found.Close()
	r := row{part: q.part}
	into := []any{&r.name, &r.long, &r.chunks, &r.value}
	if q.part == nil {
		into = append([]any{&r.part}, into...)
	}
	for ; found.Next(); n++ {
		if err := found.Scan(into...); err != nil {
			return nil, n, t.fault("read", err)
		}
		if r.chunks > 0 {
			chunked = append(chunked, row{part: bytes.Clone(r.part), name: bytes.Clone(r.name), long: bytes.Clone(r.long), chunks: r.chunks})
			continue
		}
		if err := q.each(&r); err != nil {
			return nil, n, err
		}
	}
	return chunked, n, t.fault("read", found.Err())
}

// chunks reads a value that is in chunks.
func (t *Table) chunks(ctx context.Context, r *row) (value []byte, err error) {
	stmt, err := t.db.prepare(ctx, getChunks)
	if err != nil {
		return nil, t.fault("read", err)
	}
	found, err := stmt.QueryContext(ctx, t.namespace, []byte(r.part), []byte(r.name))
	if err != nil {
		return nil, t.fault("read", err)
	}
	defer found.Close()
	value = make([]byte, 0, r.chunks*chunkBytes)
	n := 0
	for ; found.Next(); n++ {
		var chunk sql.RawBytes
		if err := found.Scan(&chunk); err != nil {
			return nil, t.fault("read", err)
		}
		value = append(value, chunk...)
	}
	if err := found.Err(); err != nil {
		return nil, t.fault("read", err)
	}
	if n != r.chunks {
		return nil, t.fault("read", fmt.Errorf("the value of %.60q has %d rows in fairlead_chunk, want %d", r.key(), n, r.chunks))
	}
	return value, nil
}

// fault is err with what was done and where, and with what to do about it.
func (t *Table) fault(what string, err error) error {
	if err == nil {
		return nil
	}
	advise := advice(number(err))
	if number(err) == accessDenied {
		advise = "; grant the user of the pool select, insert, update and delete on the tables fairlead_*"
	}
	return fmt.Errorf("mysql %s: %s: %w%s", t.server, what, err, advise)
}

// claimed is ErrClaimed with the name of who has claimed.
func (t *Table) claimed(ctx context.Context) error {
	var who string
	err := t.db.pool.QueryRowContext(ctx, "select concat(who, ' at ', claimed) from fairlead_claim where namespace = ?", t.namespace).Scan(&who)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		who = "the row of fairlead_claim is gone"
	case err != nil:
		return fmt.Errorf("mysql %s: %w", t.server, sessions.ErrClaimed)
	}
	return fmt.Errorf("mysql %s: %w: %s", t.server, sessions.ErrClaimed, who)
}

// newToken is one that no claim ever had.
func newToken() string { return rand.Text() }
