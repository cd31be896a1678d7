package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// identities are the documented keys: mqtt_user:USERNAME is a hash with password, salt and
// is_superuser, mqtt_acl:USERNAME one of topics and what may be done with them: 1
// subscribe, 2 publish, 3 both; mqtt_acl:$all is everybody's.
func identities() rules.Identities {
	return rules.Identities{
		User:      "HMGET mqtt_user:${username} password salt is_superuser",
		Access:    []string{"HGETALL mqtt_acl:${username}", "HGETALL mqtt_acl:$all"},
		AllowOnly: true,
		Query:     func(text string) error { _, err := parseQuery(text); return err },
	}
}

// query is a command that reads.
type query struct {
	command rules.Command
	name    string   // HGET, HMGET, HGETALL or GET
	fields  []string // that HGET and HMGET name
}

func parseQuery(text string) (q query, err error) {
	if q.command, err = rules.ParseCommand(text); err != nil {
		return q, err
	}
	q.name = strings.ToUpper(q.command[0][0].Text)
	most := map[string][2]int{"GET": {2, 2}, "HGETALL": {2, 2}, "HGET": {3, 3}, "HMGET": {3, 100}}
	bounds, known := most[q.name]
	if n := len(q.command); !known || n < bounds[0] || n > bounds[1] {
		return q, fmt.Errorf("%q: must be HGET KEY FIELD, HMGET KEY FIELD …, HGETALL KEY or GET KEY", text)
	}
	for _, field := range q.command[2:] {
		if len(field) != 1 || field[0].Variable != "" {
			return q, fmt.Errorf("%q: the name of a field cannot hold a variable", text)
		}
		q.fields = append(q.fields, field[0].Text)
	}
	return q, nil
}

// columns are the fields of a user: in small letters, and whatever they are called, what
// is named first is the password, and then the salt, as in EMQ X.
func (q *query) columns(hash map[string]string) map[string]string {
	row := map[string]string{}
	for field, value := range hash {
		row[strings.ToLower(field)] = value
	}
	if _, named := row["password"]; named || len(q.fields) == 0 || strings.EqualFold(q.fields[0], "is_superuser") {
		return row
	}
	for i, column := range []string{"password", "salt"}[:min(2, len(q.fields))] {
		if value, is := hash[q.fields[i]]; is && !strings.EqualFold(q.fields[i], "is_superuser") {
			row[column] = value
		}
	}
	return row
}

// ask gives the hash that a query reads: of GET one with the field password. It is empty
// where there is nothing.
func (d *Database) ask(ctx context.Context, q *query, text string, j *rules.Job) (map[string]string, error) {
	answer, err := d.client.Do(ctx, q.command.Args(j)...).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, classify(fmt.Errorf("%s: %w", text, err))
	}
	row := map[string]string{}
	switch answer := answer.(type) {
	case string:
		row[append(slices.Clip(q.fields), "password")[0]] = answer
	case []any: // of HMGET, and of HGETALL by old servers
		for i := range answer {
			value, is := answer[i].(string)
			switch {
			case !is:
			case q.name == "HMGET":
				row[q.fields[i]] = value
			case i%2 == 1:
				row[fmt.Sprint(answer[i-1])] = value
			}
		}
	case map[any]any:
		for field, value := range answer {
			row[fmt.Sprint(field)] = fmt.Sprint(value)
		}
	}
	return row, nil
}

// Users gives the row of a command for users, as the package identity asks.
func (d *Database) Users(ctx context.Context, text string, j *rules.Job) ([]map[string]string, error) {
	q, err := parseQuery(text)
	if err != nil {
		return nil, rules.Permanent(err)
	}
	hash, err := d.ask(ctx, &q, text, j)
	if err != nil || len(hash) == 0 {
		return nil, err
	}
	return []map[string]string{q.columns(hash)}, nil
}

// Access gives a row for each field of the hash that a command for access rules reads, as
// the package identity asks.
func (d *Database) Access(ctx context.Context, text string, j *rules.Job) (rows []map[string]string, err error) {
	q, err := parseQuery(text)
	if err != nil {
		return nil, rules.Permanent(err)
	}
	hash, err := d.ask(ctx, &q, text, j)
	if err != nil {
		return nil, err
	}
	for _, topic := range slices.Sorted(maps.Keys(hash)) {
		rows = append(rows, map[string]string{"allow": "1", "topic": topic, "access": hash[topic]})
	}
	return rows, nil
}
