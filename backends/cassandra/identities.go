package cassandra

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// identities are the tables of docs/identities.md: mqtt_user by username, and mqtt_acl by
// username and id, in which the rows of $all are everybody's and come after the user's.
func identities() rules.Identities {
	const access = `SELECT "allow", ipaddr, username, clientid, access, topic FROM mqtt_acl WHERE username = `
	return rules.Identities{
		User:   "SELECT username, password, salt, is_superuser FROM mqtt_user WHERE username = ${username}",
		Access: []string{access + "${username}", access + "'$all'"},
		Query:  checkStatement,
	}
}

// maxSelected is the most rows of one query.
const maxSelected = 10_000

// Users gives the rows of a query for users, as the package identity asks; see rows.
func (d *Database) Users(ctx context.Context, query string, j *rules.Job) ([]map[string]string, error) {
	return d.rows(ctx, query, j)
}

// Access gives the rows of a query for access rules, as the package identity asks.
func (d *Database) Access(ctx context.Context, query string, j *rules.Job) ([]map[string]string, error) {
	return d.rows(ctx, query, j)
}

// rows gives the rows of a query of the user's own for j, each column as text by its
// name. Null is as empty as the column's type has it: "", 0 or false.
func (d *Database) rows(ctx context.Context, text string, j *rules.Job) (found []map[string]string, err error) {
	s, err := d.connected(ctx)
	if err != nil {
		return nil, err
	}
	cql, bind, err := statement(text)
	if err != nil {
		return nil, rules.Permanent(fmt.Errorf("%s: %w", text, err))
	}
	bound := values(j, bind)
	rows := s.Query(cql, bound...).IterContext(ctx)
	for {
		values := map[string]any{}
		if !rows.MapScan(values) {
			break
		}
		if len(found) == maxSelected {
			rows.Close()
			return nil, rules.Permanent(fmt.Errorf("%s: gives more than %d rows; name the user or the client in it", text, maxSelected))
		}
		found = append(found, textRow(values))
	}
	if err := rows.Close(); err != nil {
		if noKey(err, bound) {
			return nil, nil
		}
		return nil, classify(fmt.Errorf("%s: %w", text, err))
	}
	return found, nil
}

// noKey says that a query failed because a key cannot be empty: no row has such a one.
func noKey(err error, bound []any) bool {
	var answer gocql.RequestError
	return slices.Contains(bound, any("")) && errors.As(err, &answer) && answer.Code() == gocql.ErrCodeInvalid
}

func textRow(values map[string]any) map[string]string {
	row := map[string]string{}
	for name, v := range values {
		text := fmt.Sprint(v)
		switch v := v.(type) {
		case []byte:
			text = string(v)
		case string:
			text = v
		}
		if text != "" && text != "<nil>" { // an address may be nil
			row[strings.ToLower(name)] = text
		}
	}
	return row
}
