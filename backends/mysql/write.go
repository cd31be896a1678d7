package mysql

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// Do implements rules.Database.
func (d *DB) Do(ctx context.Context, jobs []rules.Job) (done int, err error) {
	return rules.InParts(ctx, jobs, d.transact)
}

// rivals is how often a transaction is tried that others stand in the way of.
const rivals = 5

// transact does all jobs or none.
func (d *DB) transact(ctx context.Context, jobs []rules.Job) error {
	st, err := d.statements(ctx)
	if err != nil {
		return err
	}
	w := writer{db: d, st: st}
	for i := range jobs {
		if err := w.job(ctx, &jobs[i]); err != nil {
			return err
		}
	}
	w.flush()
	for range rivals {
		if err = w.send(ctx); number(err) != deadlock {
			break
		}
	}
	if err != nil {
		d.failed(err)
	}
	return err
}

// op is one thing to do within a transaction.
type op struct {
	text   string // table, or the statement that is the user's own
	custom bool
	uses   []string // statements, prepared before the transaction has a connection
	do     func(context.Context, tx) error
}

// tx runs prepared statements.
type tx struct {
	db *DB
	of *sql.Tx // nil: each statement is a transaction
}

func (t tx) stmt(ctx context.Context, text string) (*sql.Stmt, error) {
	s, err := t.db.prepare(ctx, text)
	if err == nil && t.of != nil {
		s = t.of.StmtContext(ctx, s)
	}
	return s, err
}

func (t tx) exec(ctx context.Context, text string, args []any) error {
	s, err := t.stmt(ctx, text)
	if err == nil {
		_, err = s.ExecContext(ctx, args...)
	}
	return err
}

// writer gathers what one transaction does.
type writer struct {
	db   *DB
	st   *statements
	fold rules.Fold
	ops  []op
}

func (w *writer) add(text, statement string, args []any) {
	w.ops = append(w.ops, op{text: text, uses: []string{statement}, do: func(ctx context.Context, t tx) error {
		return t.exec(ctx, statement, args)
	}})
}

// send does everything in one transaction. One statement needs no more than itself.
func (w *writer) send(ctx context.Context) error {
	for _, o := range w.ops {
		for _, text := range o.uses {
			if _, err := w.db.prepare(ctx, text); err != nil {
				return o.explain(err)
			}
		}
	}
	t := tx{db: w.db}
	if len(w.ops) == 1 && len(w.ops[0].uses) == 1 {
		return w.ops[0].explain(w.ops[0].do(ctx, t))
	}
	if len(w.ops) == 0 {
		return nil
	}
	var err error
	if t.of, err = w.db.pool.BeginTx(ctx, nil); err != nil {
		return explain("begin", err)
	}
	for _, o := range w.ops {
		if err := o.do(ctx, t); err != nil {
			t.of.Rollback()
			return o.explain(err)
		}
	}
	if err := t.of.Commit(); err != nil {
		return explain("commit", err)
	}
	return nil
}

func (o *op) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case o.custom:
		return explainStatement(o.text, err)
	}
	return explain(o.text, err)
}

// job adds one job: to the fold of others, or, where the order between tables matters,
// behind it.
func (w *writer) job(ctx context.Context, j *rules.Job) error {
	table, known := tableOf(j.Rule.Function)
	if !known {
		return rules.Permanent(fmt.Errorf("MySQL has no function %s", j.Rule.Function))
	}
	if err := w.st.missing[table]; err != nil {
		return err
	}
	if err := w.st.checkJob(j); err != nil {
		return rules.Permanent(err)
	}
	switch j.Rule.Function {
	case "":
		return w.custom(ctx, j)
	case rules.OnAckedDelete:
		w.flush()
		w.ackedDelete(j)
		return nil
	}
	w.fold.Add(j)
	return nil
}

func (w *writer) custom(ctx context.Context, j *rules.Job) error {
	w.flush()
	for _, text := range j.Rule.Statements {
		c, err := w.db.custom(ctx, text)
		if err != nil {
			return err
		}
		w.add(text, c.query, c.args(j))
		w.ops[len(w.ops)-1].custom = true
	}
	return nil
}

// ackedDelete ends the cursor of a subscription. The last filter with wildcards takes
// with it what was read by such.
func (w *writer) ackedDelete(j *rules.Job) {
	w.add(ackedTable, "delete a from mqtt_acked a where a.clientid = ? and "+w.st.sameTopic(ackedTable, "a"), []any{j.ClientID, w.st.topicKey(ackedTable, j.Topic)})
	if _, exact := rules.Prefix(j.Topic); exact || !w.st.has(ackedTable, "subscribed") {
		return
	}
	// The inner query has a table of its own: MySQL reads none that it deletes from.
	w.add(ackedTable, "delete from mqtt_acked where clientid = ? and subscribed = 0 and not exists (select 1 from"+
		" (select 1 from mqtt_acked o where o.clientid = ? and (o.topic like '%+%' or o.topic like '%#%') limit 1) w)", []any{j.ClientID, j.ClientID})
}

// tableOf is the table that a function writes to, "" for a user's own statements.
func tableOf(f rules.Function) (table string, known bool) {
	switch f {
	case "":
		return "", true
	case rules.OnClientConnected, rules.OnClientDisconnected:
		return clientTable, true
	case rules.OnMessagePublish, rules.OnMessageStore:
		return msgTable, true
	case rules.OnMessageRetain, rules.OnRetainDelete:
		return retainTable, true
	case rules.OnMessageAcked, rules.OnAckedDelete:
		return ackedTable, true
	}
	return "", false
}
