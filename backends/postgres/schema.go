package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The documented tables.
const (
	clientTable = "mqtt_client"
	subTable    = "mqtt_sub"
	msgTable    = "mqtt_msg"
	retainTable = "mqtt_retain"
	ackedTable  = "mqtt_acked"
)

func documentedTables() []string {
	return []string{clientTable, subTable, msgTable, retainTable, ackedTable}
}

// shape is what a database has of one table.
type shape struct {
	columns map[string]string // types, as the server writes them
	keys    [][]string        // what each unique index is on
	indexes []string          // names
}

// shapes are the tables that there are, by name.
type shapes map[string]*shape

const columnsQuery = `select c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod)
from unnest($1::text[]) n join pg_class c on c.oid = to_regclass(n)
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped`

const keysQuery = `select c.relname::text, x.relname::text,
array(select pg_get_indexdef(i.indexrelid, k, true) from generate_series(1, i.indnkeyatts::int) k),
i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null
from unnest($1::text[]) n join pg_class c on c.oid = to_regclass(n)
join pg_index i on i.indrelid = c.oid join pg_class x on x.oid = i.indexrelid`

// readShapes asks what there is of the documented tables.
func readShapes(ctx context.Context, db querier) (shapes, error) {
	return readTables(ctx, db, documentedTables())
}

func readTables(ctx context.Context, db querier, tables []string) (shapes, error) {
	found := shapes{}
	rows, err := db.Query(ctx, columnsQuery, tables)
	if err != nil {
		return nil, err
	}
	var table, name, kind string
	if _, err = pgx.ForEachRow(rows, []any{&table, &name, &kind}, func() error {
		if found[table] == nil {
			found[table] = &shape{columns: map[string]string{}}
		}
		found[table].columns[name] = kind
		return nil
	}); err != nil {
		return nil, err
	}
	if rows, err = db.Query(ctx, keysQuery, tables); err != nil {
		return nil, err
	}
	var key []string
	var unique bool
	_, err = pgx.ForEachRow(rows, []any{&table, &name, &key, &unique}, func() error {
		s := found[table]
		if s == nil {
			return nil
		}
		s.indexes = append(s.indexes, name)
		if unique {
			s.keys = append(s.keys, slices.Clone(key))
		}
		return nil
	})
	return found, err
}

// has says whether the table has the column.
func (s shapes) has(table, column string) bool {
	return s[table] != nil && s[table].columns[column] != ""
}

// key is what a unique index of table is on, as ON CONFLICT names it: the columns, in
// some order, or a hash of one. "" when there is none.
func (s shapes) key(table string, columns ...string) string {
	if s[table] == nil {
		return ""
	}
	for _, key := range s[table].keys {
		if len(key) == len(columns) && !slices.ContainsFunc(columns, func(c string) bool { return !slices.Contains(key, c) && !slices.Contains(key, "md5("+c+")") }) {
			return "(" + strings.Join(key, ", ") + ")"
		}
	}
	return ""
}

// need says which of the tables, or their unique keys, are missing.
func (s shapes) need(table string, columns ...string) error {
	switch {
	case s[table] == nil:
		return fmt.Errorf("table %s: does not exist%s", table, advice(undefinedTable))
	case len(columns) > 0 && s.key(table, columns...) == "":
		return fmt.Errorf("table %s: has no unique index on (%s)%s", table, strings.Join(columns, ", "), advice(undefinedTable))
	}
	return nil
}

// payloadKind is how a column holds payloads.
type payloadKind int

const (
	asBytes payloadKind = iota
	asText
	asJSON
)

// payload says how the column payload of table holds them; "" of kind is no column.
func (s shapes) payload(table string) (kind payloadKind, name string, err error) {
	name = s[table].columns["payload"]
	switch {
	case name == "bytea":
		return asBytes, name, nil
	case name == "json", name == "jsonb":
		return asJSON, name, nil
	case name == "text", strings.HasPrefix(name, "character"):
		return asText, name, nil
	case name == "":
		return 0, "", fmt.Errorf("table %s: has no column payload", table)
	}
	return 0, "", fmt.Errorf("%s.payload: is %s, which holds no payloads; they are bytea, text or jsonb", table, name)
}

// statements are what the tables that there are want, made once.
type statements struct {
	shapes
	publish, retain, retainDelete, acked, ackedDelete, connected, disconnected string

	publishPayload, retainPayload payloadKind
	missing                       map[string]error
}

func newStatements(s shapes) *statements {
	st := &statements{shapes: s, missing: map[string]error{}}
	for _, make := range []func(){st.makePublish, st.makeRetain, st.makeAcked, st.makeClient} {
		make()
	}
	return st
}
