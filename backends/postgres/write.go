package postgres

import (
	"context"
	"fmt"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/jackc/pgx/v5"
)

// Do implements rules.Database.
func (d *DB) Do(ctx context.Context, jobs []rules.Job) (done int, err error) {
	return rules.InParts(ctx, jobs, d.transact)
}

// transact does all jobs or none, in one round trip: what is sent without a BEGIN is one
// transaction.
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
	if err := w.send(ctx); err != nil {
		d.failed(err)
		return err
	}
	return nil
}

// what is what one statement of a batch is.
type what struct {
	text   string // table, or the statement that is the user's own
	custom bool
}

// writer gathers the statements of one transaction.
type writer struct {
	db    *DB
	st    *statements
	fold  rules.Fold
	batch pgx.Batch
	whats []what
}

func (w *writer) send(ctx context.Context) error {
	if w.batch.Len() == 0 {
		return nil
	}
	results := w.db.pool.SendBatch(ctx, &w.batch)
	var first error
	for _, of := range w.whats {
		switch _, err := results.Exec(); {
		case err == nil || first != nil:
		case of.custom:
			first = explainStatement(of.text, err)
		default:
			first = explain(of.text, err)
		}
	}
	if err := results.Close(); err != nil && first == nil {
		first = explain("commit", err)
	}
	return first
}

func (w *writer) queue(of what, query string, args ...any) {
	w.batch.Queue(query, args...)
	w.whats = append(w.whats, of)
}

// job adds one job: to the fold of others, or, where the order between tables matters, as
// a statement behind it.
func (w *writer) job(ctx context.Context, j *rules.Job) error {
	table, known := tableOf(j.Rule.Function)
	if !known {
		return rules.Permanent(fmt.Errorf("PostgreSQL has no function %s", j.Rule.Function))
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
		_, exact := rules.Prefix(j.Topic)
		w.queue(what{text: ackedTable}, w.st.ackedDelete, j.ClientID, j.Topic, !exact)
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
		w.queue(what{text, true}, c.query, c.args(j)...)
	}
	return nil
}

// flush makes statements of what was folded.
func (w *writer) flush() {
	w.st.run(&w.fold, func(table, query string, args ...any) { w.queue(what{text: table}, query, args...) })
	w.fold = rules.Fold{}
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
