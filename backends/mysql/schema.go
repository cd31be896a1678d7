package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// The documented tables.
const (
	clientTable = "mqtt_client"
	subTable    = "mqtt_sub"
	msgTable    = "mqtt_msg"
	retainTable = "mqtt_retain"
	ackedTable  = "mqtt_acked"
)

// shape is what a database has of one table.
type shape struct {
	columns map[string]string   // types, as the server writes them
	keys    map[string][]string // columns of each unique index
	indexes []string            // names
}

// shapes are the tables that there are, by name.
type shapes map[string]*shape

const columnsQuery = `select table_name, column_name, column_type from information_schema.columns
where table_schema = database() and (table_name in ('mqtt_client', 'mqtt_sub', 'mqtt_msg', 'mqtt_retain', 'mqtt_acked') or table_name like 'fairlead\_%')`

const indexesQuery = `select table_name, index_name, column_name, non_unique = 0 and sub_part is null from information_schema.statistics
where table_schema = database() and (table_name in ('mqtt_client', 'mqtt_sub', 'mqtt_msg', 'mqtt_retain', 'mqtt_acked') or table_name like 'fairlead\_%')
and column_name is not null order by table_name, index_name, seq_in_index`

// readShapes asks what there is of the documented tables and those of sessions.
func readShapes(ctx context.Context, db *sql.DB) (shapes, error) {
	found := shapes{}
	var table, name, column, kind string
	var unique bool
	err := each(ctx, db, columnsQuery, []any{&table, &column, &kind}, func() {
		if found[table] == nil {
			found[table] = &shape{columns: map[string]string{}, keys: map[string][]string{}}
		}
		found[table].columns[strings.ToLower(column)] = strings.ToLower(kind)
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, db, indexesQuery, []any{&table, &name, &column, &unique}, func() {
		s := found[table]
		if s == nil {
			return
		}
		if !slices.Contains(s.indexes, name) {
			s.indexes = append(s.indexes, name)
		}
		if unique {
			s.keys[name] = append(s.keys[name], strings.ToLower(column))
		}
	})
	return found, err
}

// each reads all rows of a query into the same places.
func each(ctx context.Context, db *sql.DB, query string, into []any, row func()) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		row()
	}
	return rows.Err()
}

// has says whether the table has the column.
func (s shapes) has(table, column string) bool {
	return s[table] != nil && s[table].columns[column] != ""
}

// key says whether a unique index of table is on the columns, or, for topic, its hash.
func (s shapes) key(table string, columns ...string) bool {
	if s[table] == nil {
		return false
	}
	for _, key := range s[table].keys {
		if len(key) == len(columns) && !slices.ContainsFunc(columns, func(c string) bool {
			return !slices.Contains(key, c) && !slices.Contains(key, c+"_hash")
		}) {
			return true
		}
	}
	return false
}

// need says which of the tables, or their unique keys, are missing.
func (s shapes) need(table string, columns ...string) error {
	switch {
	case s[table] == nil:
		return fmt.Errorf("table %s: does not exist%s", table, advice(noSuchTable))
	case len(columns) > 0 && !s.key(table, columns...):
		return fmt.Errorf("table %s: has no unique index on (%s)%s", table, strings.Join(columns, ", "), advice(noSuchTable))
	}
	return nil
}

// asText says whether the column payload of table holds text only.
func (s shapes) asText(table string) (bool, error) {
	switch kind := s[table].columns["payload"]; {
	case strings.Contains(kind, "blob"), strings.Contains(kind, "binary"):
		return false, nil
	case strings.Contains(kind, "text"), strings.Contains(kind, "char"), kind == "json":
		return true, nil
	case kind == "":
		return false, fmt.Errorf("table %s: has no column payload", table)
	default:
		return false, fmt.Errorf("%s.payload: is %s, which holds no payloads; they are longblob or text", table, kind)
	}
}
