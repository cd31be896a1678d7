package postgres

import (
	"context"
	"strings"

	"github.com/fairlead-iot/fairlead/backends/sessions"
	"github.com/jackc/pgx/v5"
)

// statementBytes is how much one statement sets: the server holds it twice and more. A
// larger value goes alone.
const statementBytes = 16 << 20

const (
	// holdClaim keeps the claim until the transaction has ended, and fails by a division
	// when it is another's: what comes behind it is not done then.
	holdClaim = `select 1 / count(*) from (select from fairlead_claim where namespace = $1 and token = $2 for share) c`

	deleteParts = `delete from fairlead_state where namespace = $1 and part = any($2)`
	deleteKeys  = `delete from fairlead_state s using unnest($2::bytea[], $3::bytea[]) d (part, key) where s.namespace = $1 and s.part = d.part and s.key = d.key`
	setKeys     = `insert into fairlead_state (namespace, part, key, long_key, value)
select $1, part, key, long_key, value from unnest($2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[]) s (part, key, long_key, value)
on conflict (namespace, part, key) do update set long_key = excluded.long_key, value = excluded.value`

	takeClaim = `insert into fairlead_claim (namespace, token, who) values ($1, $2, $3)
on conflict (namespace) do update set token = excluded.token, who = excluded.who, claimed = now()`

	// endOthers ends connections of this namespace that have been in a transaction for
	// longer than any takes whose gateway still lives.
	endOthers = `select count(pg_terminate_backend(pid)) from pg_stat_activity
where application_name = $1 and usename = current_user and pid <> pg_backend_pid() and xact_start < clock_timestamp() - interval '1 s'`
)

// Claim implements sessions.Table. A writer that holds the claim's row for longer than two
// seconds is half dead: its connection is ended.
func (t *Table) Claim(ctx context.Context, who string) error {
	t.token = ""
	token := newToken()
	for {
		b := &pgx.Batch{}
		b.Queue("select set_config('lock_timeout', '2s', true)")
		b.Queue(takeClaim, t.namespace, token, printable(who))
		err := t.pool.SendBatch(ctx, b).Close()
		if state(err) != lockNotAvailable {
			if err == nil {
				t.token = token
			}
			return t.fault("claim", err)
		}
		if _, err := t.pool.Exec(ctx, endOthers, t.name); err != nil {
			return t.fault("claim: ending a writer that hangs", err)
		}
	}
}

// printable is s as a text of the database can be.
func printable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "?")
}

// Write implements sessions.Table.
func (t *Table) Write(ctx context.Context, ws []sessions.Write) error {
	if t.token == "" {
		return sessions.ErrUnclaimed
	}
	b := &pgx.Batch{} // without a BEGIN it is one transaction
	b.Queue(holdClaim, t.namespace, t.token)
	t.queue(b, sessions.Net(ws))
	err := t.pool.SendBatch(ctx, b).Close()
	if state(err) == errDivision {
		return t.claimed(ctx)
	}
	return t.fault("write", err)
}

// queue adds the statements of changes: one for each kind of change, whatever their number.
func (t *Table) queue(b *pgx.Batch, changes []sessions.Change) {
	var cleared, part, key [][]byte
	set := &sets{}
	for _, c := range changes {
		if c.Clear {
			cleared = append(cleared, c.Part)
		}
		for _, k := range c.Deletes {
			short, _ := sessions.ShortKey(k, wholeKey)
			part, key = append(part, c.Part), append(key, short)
		}
	}
	if len(cleared) > 0 {
		b.Queue(deleteParts, t.namespace, cleared)
	}
	if len(key) > 0 {
		b.Queue(deleteKeys, t.namespace, part, key)
	}
	for _, c := range changes {
		for _, p := range c.Sets {
			if set.bytes > 0 && set.bytes+len(p.Value) > statementBytes {
				set.queue(b, t.namespace)
				set = &sets{}
			}
			set.add(c.Part, p)
		}
	}
	set.queue(b, t.namespace)
}

// sets are the columns of the rows that one statement sets.
type sets struct {
	part, key, long, value [][]byte
	bytes                  int
}

func (s *sets) add(part []byte, p sessions.Pair) {
	var long []byte
	short, cut := sessions.ShortKey(p.Key, wholeKey)
	if cut {
		long = p.Key
	}
	s.part, s.key, s.long, s.value = append(s.part, part), append(s.key, short), append(s.long, long), append(s.value, p.Value)
	s.bytes += len(short) + len(long) + len(p.Value)
}

func (s *sets) queue(b *pgx.Batch, namespace string) {
	if len(s.key) > 0 {
		b.Queue(setKeys, namespace, s.part, s.key, s.long, s.value)
	}
}
