package mysql

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// chunkBytes is how much of a value one row holds, and about how much one statement sets:
// the smallest max_allowed_packet that servers have by default is 1 MiB.
const chunkBytes = 512 << 10

const (
	// holdClaim keeps the claim until the transaction has ended.
	holdClaim = "select 1 from fairlead_claim where namespace = ? and token = ? lock in share mode"
	takeClaim = "replace into fairlead_claim (namespace, token, who) values (?, ?, ?)"
	anyChunk  = "select count(*) from (select 1 from fairlead_chunk where namespace = ? limit 1) c"

	setChunk = "replace into fairlead_chunk (namespace, part, name, chunk, value) values (?, ?, ?, ?, ?)"
)

// Claim implements sessions.Table.
func (t *Table) Claim(ctx context.Context, who string) error {
	t.token = ""
	token := newToken()
	if _, err := t.db.pool.ExecContext(ctx, takeClaim, t.namespace, token, printable(who)); err != nil {
		return t.fault("claim", err)
	}
	if err := t.db.pool.QueryRowContext(ctx, anyChunk, t.namespace).Scan(&t.chunked); err != nil {
		return t.fault("claim", err)
	}
	t.token = token
	return nil
}

// printable is s as the column takes it.
func printable(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if letters := []rune(s); len(letters) > 255 {
		s = string(letters[:255])
	}
	return s
}

// Write implements sessions.Table.
func (t *Table) Write(ctx context.Context, ws []sessions.Write) error {
	if t.token == "" {
		return sessions.ErrUnclaimed
	}
	p := plan{t: t}
	p.changes(sessions.NetByKey(ws))
	if err := p.run(ctx); err != nil {
		if errors.Is(err, sessions.ErrClaimed) {
			return t.claimed(ctx)
		}
		return t.fault("write", err)
	}
	return nil
}

// statement is one of a transaction.
type statement struct {
	text string
	args []any
}

// plan is what one transaction does.
type plan struct {
	t   *Table
	all []statement
}

// run does it. Statements are prepared before the transaction has a connection.
func (p *plan) run(ctx context.Context) error {
	db := p.t.db
	for _, s := range append(p.all, statement{text: holdClaim}) {
		if _, err := db.prepare(ctx, s.text); err != nil {
			return err
		}
	}
	of, err := db.pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer of.Rollback() // after a commit it does nothing
	t := tx{db: db, of: of}
	hold, err := t.stmt(ctx, holdClaim)
	if err != nil {
		return err
	}
	var one int
	switch err := hold.QueryRowContext(ctx, p.t.namespace, p.t.token).Scan(&one); {
	case errors.Is(err, sql.ErrNoRows):
		return sessions.ErrClaimed
	case err != nil:
		return err
	}
	for _, s := range p.all {
		if err := t.exec(ctx, s.text, s.args); err != nil {
			return err
		}
	}
	return of.Commit()
}

// rowKey names a row.
type rowKey struct{ part, name []byte }

// changes makes statements of them: few, whatever the number of rows.
func (p *plan) changes(changes []sessions.Change) {
	var cleared [][]byte
	var deleted []rowKey
	for i := range changes {
		c := &changes[i]
		if c.Clear {
			cleared = append(cleared, c.Part)
		}
		for _, key := range c.Deletes {
			short, _ := sessions.ShortKey(key, wholeKey)
			deleted = append(deleted, rowKey{c.Part, short})
		}
	}
	p.clear("fairlead_state", cleared)
	if p.t.chunked {
		p.clear("fairlead_chunk", cleared)
	}
	p.delete("fairlead_state", deleted)
	p.unchunk(changes, deleted)
	var run []setRow
	size := 0
	for i := range changes {
		for _, pair := range changes[i].Sets {
			r := newSetRow(changes[i].Part, pair)
			if size+r.size() > chunkBytes {
				p.set(run)
				run, size = nil, 0
			}
			run, size = append(run, r), size+r.size()
			p.chunk(&r, pair.Value)
		}
	}
	p.set(run)
}

func (p *plan) add(text string, args ...any) { p.all = append(p.all, statement{text, args}) }

// clear takes out parts.
func (p *plan) clear(table string, parts [][]byte) {
	text := rows{head: "delete from " + table + " where namespace = ? and part in (", row: "?", tail: ")"}
	at := 0
	for _, size := range sizes(len(parts), true) {
		p.add(text.text(size), append([]any{p.t.namespace}, gather(at, size, len(parts), func(args []any, i int) []any { return append(args, parts[i]) })...)...)
		at += size
	}
}

// delete takes out rows. Each pair is written out, so that every server finds it by the
// primary key.
func (p *plan) delete(table string, of []rowKey) {
	at := 0
	for _, size := range sizes(len(of), true) {
		text := "delete from " + table + " where namespace = ? and (part = ? and name = ?" + strings.Repeat(" or part = ? and name = ?", size-1) + ")"
		p.add(text, append([]any{p.t.namespace}, gather(at, size, len(of), func(args []any, i int) []any {
			return append(args, of[i].part, of[i].name)
		})...)...)
		at += size
	}
}

// unchunk takes out the chunks of what is deleted or set anew.
func (p *plan) unchunk(changes []sessions.Change, deleted []rowKey) {
	if !p.t.chunked {
		return
	}
	all := deleted
	for i := range changes {
		if changes[i].Clear {
			continue
		}
		for _, pair := range changes[i].Sets {
			short, _ := sessions.ShortKey(pair.Key, wholeKey)
			all = append(all, rowKey{changes[i].Part, short})
		}
	}
	p.delete("fairlead_chunk", all)
}

// setRow is a row that is set.
type setRow struct {
	part, name, long, value []byte
	chunks                  int
}

func newSetRow(part []byte, pair sessions.Pair) (r setRow) {
	var cut bool
	r.part, r.value = part, pair.Value
	if r.name, cut = sessions.ShortKey(pair.Key, wholeKey); cut {
		r.long = pair.Key
	}
	if len(r.value) > chunkBytes {
		r.chunks, r.value = (len(r.value)+chunkBytes-1)/chunkBytes, []byte{}
	}
	return r
}

func (r *setRow) size() int { return len(r.part) + len(r.name) + len(r.long) + len(r.value) }

// set writes rows of the main table. Most have no more than a name and a value: the rest
// stands in the statement, as each value costs both sides its time.
func (p *plan) set(run []setRow) {
	simple := slices.IndexFunc(run, func(r setRow) bool { return r.long != nil || r.chunks > 0 }) < 0
	text := rows{head: "insert into fairlead_state (namespace, part, name, long_key, chunks, value) values ", row: "(" + p.t.quoted + ", ?, ?, ?, ?, ?)", tail: " on duplicate key update long_key = values(long_key), chunks = values(chunks), value = values(value)"}
	if simple {
		text.row = "(" + p.t.quoted + ", ?, ?, null, 0, ?)"
	}
	at := 0
	for _, size := range sizes(len(run), true) {
		p.add(text.text(size), gather(at, size, len(run), func(args []any, i int) []any {
			r := &run[i]
			if simple {
				return append(args, r.part, r.name, r.value)
			}
			return append(args, r.part, r.name, r.long, r.chunks, r.value)
		})...)
		at += size
	}
}

// chunk writes a value's chunks, if it has some.
func (p *plan) chunk(r *setRow, value []byte) {
	for n := range r.chunks {
		p.t.chunked = true // also if it fails: it may be there
		from := n * chunkBytes
		p.add(setChunk, p.t.namespace, r.part, r.name, n, value[from:min(len(value), from+chunkBytes)])
	}
}
