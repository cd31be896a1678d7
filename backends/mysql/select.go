package mysql

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// maxSelected is the most rows of one query.
const maxSelected = 10_000

// errSelected keeps a query without a condition from filling the memory.
var errSelected = errors.New("gives more than 10,000 rows; name the user or the client in it")

// Users gives the rows of a query for users, as the package identity asks; see rows.
func (d *DB) Users(ctx context.Context, query string, j *rules.Job) ([]map[string]string, error) {
	found, err := d.rows(ctx, query, j)
	if n := number(err); n == mixedCollations || n == noConversion {
		return nil, nil // no row holds such a name
	}
	return found, err
}

// Access gives the rows of a query for access rules, as the package identity asks.
func (d *DB) Access(ctx context.Context, query string, j *rules.Job) ([]map[string]string, error) {
	return d.rows(ctx, query, j)
}

// rows gives the rows of a query of the user's own for j, each column as text by its
// name; null is left out.
func (d *DB) rows(ctx context.Context, query string, j *rules.Job) (found []map[string]string, err error) {
	c, err := d.custom(ctx, query)
	if err != nil {
		return nil, err
	}
	s, err := d.prepare(ctx, c.query)
	if err != nil {
		return nil, explainStatement(query, err)
	}
	rows, err := s.QueryContext(ctx, c.args(j)...)
	if err != nil {
		return nil, explainStatement(query, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	for err == nil && rows.Next() {
		if len(found) == maxSelected {
			return nil, explainStatement(query, errSelected)
		}
		var row map[string]string
		row, err = textRow(rows, names)
		found = append(found, row)
	}
	if err = errors.Join(err, rows.Err()); err != nil {
		return nil, explainStatement(query, err)
	}
	return found, nil
}

func textRow(rows *sql.Rows, names []string) (map[string]string, error) {
	values, into := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	row := map[string]string{}
	for i, v := range values {
		if v.Valid {
			row[strings.ToLower(names[i])] = v.String
		}
	}
	return row, nil
}
