package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/jackc/pgx/v5"
)

// maxSelected is the most rows of one query.
const maxSelected = 10_000

// errSelected keeps a query without a condition from filling the memory.
var errSelected = errors.New("gives more than 10,000 rows; name the user or the client in it")

// Users gives the rows of a query for users, as the package identity asks; see rows.
func (d *DB) Users(ctx context.Context, query string, j *rules.Job) ([]map[string]string, error) {
	return d.rows(ctx, query, j)
}

// Access gives the rows of a query for access rules, as the package identity asks.
func (d *DB) Access(ctx context.Context, query string, j *rules.Job) ([]map[string]string, error) {
	return d.rows(ctx, query, j)
}

// rows gives the rows of a query of the user's own for j, each column as text by its
// name; null is left out.
func (d *DB) rows(ctx context.Context, query string, j *rules.Job) (found []map[string]string, err error) {
	if err := checkTexts(j); err != nil {
		return nil, rules.Permanent(err)
	}
	c, err := d.custom(ctx, query)
	if err != nil {
		return nil, err
	}
	args := append([]any{pgx.QueryResultFormats{pgx.TextFormatCode}}, c.args(j)...)
	rows, err := d.pool.Query(ctx, c.query, args...)
	if err != nil {
		return nil, explainStatement(query, err)
	}
	defer rows.Close()
	for rows.Next() {
		if len(found) == maxSelected {
			return nil, explainStatement(query, errSelected)
		}
		row := map[string]string{}
		for i, value := range rows.RawValues() {
			if value != nil {
				row[strings.ToLower(rows.FieldDescriptions()[i].Name)] = string(value)
			}
		}
		found = append(found, row)
	}
	if err := rows.Err(); err != nil {
		return nil, explainStatement(query, err)
	}
	return found, nil
}
