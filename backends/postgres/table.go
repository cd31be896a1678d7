package postgres

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/fairlead-iot/fairlead/backends/sessions"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// TableSchema is what [Table.Init] makes.
//
//go:embed sessions.sql
var TableSchema string

// wholeKey is how long keys may be that stand in the index as they are.
const wholeKey = 1000

// Table keeps sessions in the tables of sessions.sql; a [sessions.Database].
//
// A Write is one transaction in one round trip. It begins by locking the row of the claim,
// which must hold the writer's token, and Claim changes that row: so Claim waits for a
// write under way, and every later one is refused.
//
// What it promises: a Write that returned nil is committed with synchronous_commit at
// least "on", so that it survives the death of the server and of its machine. On failover
// to a standby it is there only if the standby is synchronous (synchronous_standby_names);
// an asynchronous one loses what it had not received yet, the last Claim perhaps among it.
type Table struct {
	pool      *pgxpool.Pool
	namespace string
	server    string // for errors
	name      string // application_name of the connections
	token     string // "" before Claim
}

// OpenTable implements [sessions.Pool].
func (c *Config) OpenTable(namespace string) (sessions.Database, error) {
	if err := sessions.CheckNamespace(namespace); err != nil {
		return nil, err
	}
	settings, err := c.pool()
	if err != nil {
		return nil, err
	}
	t := &Table{namespace: namespace, server: servers(settings.ConnConfig), name: "fairlead sessions " + namespace}
	t.name = t.name[:min(len(t.name), 63)] // the server cuts it off there
	settings.ConnConfig.RuntimeParams["application_name"] = t.name
	settings.AfterConnect = prepareSession
	if t.pool, err = pgxpool.NewWithConfig(context.Background(), settings); err != nil {
		return nil, err
	}
	return t, nil
}

func servers(c *pgx.ConnConfig) string {
	list := []string{fmt.Sprintf("%s:%d", c.Host, c.Port)}
	for _, f := range c.Fallbacks {
		if one := fmt.Sprintf("%s:%d", f.Host, f.Port); one != list[len(list)-1] {
			list = append(list, one)
		}
	}
	return strings.Join(list, ", ")
}

// prepareSession: what is committed is on disk also where the server's default is less; a
// transaction that a dead gateway has begun ends in half a minute; and every statement goes
// by the primary key, also while the planner knows nothing yet of tables that grow.
func prepareSession(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, `select
set_config('synchronous_commit', case current_setting('synchronous_commit') when 'off' then 'on' else current_setting('synchronous_commit') end, false),
set_config('tcp_keepalives_idle', '15', false), set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '3', false),
set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false)`)
	return err
}

// Close implements sessions.Table.
func (t *Table) Close() error {
	t.pool.Close()
	return nil
}

// Init implements sessions.Database.
func (t *Table) Init(ctx context.Context, create bool) (report []string, err error) {
	found, err := readTables(ctx, t.pool, []string{"fairlead_claim", "fairlead_state"})
	if err != nil {
		return nil, t.fault("looking at the tables", err)
	}
	report, what, err := initSchema(ctx, t.pool, TableSchema, found, create)
	return report, t.fault(what, err)
}

// Caveats implements sessions.Database.
func (t *Table) Caveats(ctx context.Context) (list []string, err error) {
	var fsync, pages, standbys, commit string
	err = t.pool.QueryRow(ctx, `select current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_standby_names'),
current_setting('synchronous_commit')`).Scan(&fsync, &pages, &standbys, &commit)
	if err != nil {
		return nil, t.fault("looking at the settings", err)
	}
	if fsync != "on" || pages != "on" {
		list = append(list, fmt.Sprintf("fsync is %s and full_page_writes is %s: when the machine of the database dies, what was acknowledged may be lost; set both to on", fsync, pages))
	}
	if standbys != "" && commit == "local" {
		list = append(list, "synchronous_commit is local: a failover to a standby may lose what was acknowledged; set it to on")
	}
	return list, nil
}

// Get implements sessions.Table.
func (t *Table) Get(ctx context.Context, part []byte, keys [][]byte, f func(key, value []byte) error) error {
	short := make([][]byte, len(keys))
	long := map[string][]byte{} // by what stands for them
	for i, key := range keys {
		var cut bool
		if short[i], cut = sessions.ShortKey(key, wholeKey); cut {
			long[string(short[i])] = key
		}
	}
	part = append([]byte{}, part...) // nil would be NULL
	rows, err := t.pool.Query(ctx, "select key, long_key, value from fairlead_state where namespace = $1 and part = $2 and key = any($3)", t.namespace, part, short)
	if err != nil {
		return t.fault("get", err)
	}
	defer rows.Close()
	for rows.Next() {
		r := rows.RawValues()
		key := whole(r[0], r[1])
		if wanted := long[string(r[0])]; wanted != nil && !bytes.Equal(wanted, key) {
			return fmt.Errorf("postgres %s: get: two keys have the SHA-256 of %.32q", t.server, key)
		}
		if err := f(key, r[2]); err != nil {
			return err
		}
	}
	return t.fault("get", rows.Err())
}

// whole is the key of a row.
func whole(key, long []byte) []byte {
	if long != nil {
		return long
	}
	return key
}

// Scan implements sessions.Table. It goes along the primary key.
func (t *Table) Scan(ctx context.Context, f func(part, key, value []byte) error) error {
	part, key := []byte{}, []byte{}
	for n := scanPage; n == scanPage; {
		rows, err := t.pool.Query(ctx, `select part, key, long_key, value from fairlead_state where namespace = $1 and (part, key) > ($2, $3)
order by part, key limit $4`, t.namespace, part, key, scanPage)
		if err != nil {
			return t.fault("scan", err)
		}
		for n = 0; rows.Next(); n++ {
			r := rows.RawValues()
			part, key = append(part[:0], r[0]...), append(key[:0], r[1]...)
			if err := f(r[0], whole(r[1], r[2]), r[3]); err != nil {
				rows.Close()
				return err
			}
		}
		if err := rows.Err(); err != nil {
			return t.fault("scan", err)
		}
	}
	return nil
}

// scanPage is how many rows a query gives; they come one by one.
const scanPage = 5000

// fault is err with what was done and where, and with what to do about it.
func (t *Table) fault(what string, err error) error {
	if err == nil {
		return nil
	}
	advise := advice(state(err))
	if state(err) == noPrivilege {
		advise = "; grant the role of the pool select, insert, update and delete on fairlead_claim and fairlead_state"
	}
	return fmt.Errorf("postgres %s: %s: %w%s", t.server, what, err, advise)
}

// errDivision is how the server says that the claim is another's.
const errDivision = "22012"

// newToken is one that no claim ever had.
func newToken() string { return rand.Text() }

// claimed is ErrClaimed with the name of who has claimed.
func (t *Table) claimed(ctx context.Context) error {
	var who string
	err := t.pool.QueryRow(ctx, "select who || ' at ' || claimed from fairlead_claim where namespace = $1", t.namespace).Scan(&who)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		who = "somebody who deleted the row of fairlead_claim"
	case err != nil:
		return fmt.Errorf("postgres %s: %w", t.server, sessions.ErrClaimed)
	}
	return fmt.Errorf("postgres %s: %w: %s", t.server, sessions.ErrClaimed, who)
}
