package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

// Schema is what Init makes: the documented tables and their indexes.
//
//go:embed schema.sql
var Schema string

// object is a table or an index of a schema.
type object struct {
	statement string
	name      string
	table     string      // of an index; "" for a table
	key       []string    // columns of a unique index
	columns   [][2]string // names and types of a table
}

// objects reads a schema, which is written for it: a statement ends at a line's end
// with a semicolon, a column of a table is a line.
func objects(schema string) (all []object) {
	for _, text := range strings.SplitAfter(schema, ";\n") {
		at := strings.Index(text, "create ")
		if at < 0 {
			continue
		}
		o := object{statement: strings.TrimSpace(text[at:])}
		words := strings.Fields(strings.ReplaceAll(o.statement, "(", " ( "))
		exists := slices.Index(words, "exists")
		o.name = words[exists+1]
		if words[1] != "table" {
			o.table = words[exists+3]
			if words[1] == "unique" {
				o.key = keyColumns(o.statement)
			}
		} else {
			o.columns = columnTypes(o.statement)
		}
		all = append(all, o)
	}
	return all
}

func keyColumns(statement string) []string {
	list := statement[strings.Index(statement, "(")+1 : strings.LastIndex(statement, ")")]
	list = strings.NewReplacer("md5(", "", ")", "", " ", "").Replace(list)
	return strings.Split(list, ",")
}

func columnTypes(statement string) (columns [][2]string) {
	for line := range strings.Lines(statement) {
		words := strings.Fields(strings.TrimRight(line, ",\n"))
		if !strings.HasPrefix(line, "  ") || len(words) < 2 || words[0] == "primary" {
			continue
		}
		kind := words[1]
		switch kind {
		case "bigserial":
			kind = "bigint"
		case "timestamptz":
			kind = "timestamp with time zone"
		}
		columns = append(columns, [2]string{words[0], kind})
	}
	return columns
}

// Init implements rules.Database.
func (d *DB) Init(ctx context.Context, create bool) (report []string, err error) {
	found, err := readShapes(ctx, d.pool)
	if err != nil {
		return nil, d.read("looking at the tables", err)
	}
	report, what, err := initSchema(ctx, d.pool, Schema, found, create)
	if err != nil {
		return report, d.read(what, err)
	}
	d.made.Store(nil)
	return report, nil
}

// initSchema makes what is missing of a schema; what is the object that err is about.
func initSchema(ctx context.Context, db querier, schema string, found shapes, create bool) (report []string, what string, err error) {
	for _, o := range objects(schema) {
		missing, differs := o.compare(found)
		report = append(report, differs...)
		switch {
		case missing == "":
		case !create:
			report = append(report, missing)
		default:
			if _, err := db.Exec(ctx, o.statement); err != nil {
				if o.table == "" || !lasting(state(err)) {
					return report, o.name, err
				}
				report = append(report, fmt.Sprintf("%s; it could not be made: %v", missing, err))
				continue
			}
			report = append(report, o.made())
		}
	}
	return report, "", nil
}

func (o *object) made() string {
	if o.table == "" {
		return "table " + o.name + ": made"
	}
	return "index " + o.name + " of " + o.table + ": made"
}

// compare says that the object is missing, or what differs in it.
func (o *object) compare(found shapes) (missing string, differs []string) {
	if o.table == "" {
		s := found[o.name]
		if s == nil {
			return "table " + o.name + ": is missing", nil
		}
		for _, c := range o.columns {
			if d := difference(o.name, c[0], c[1], s.columns[c[0]]); d != "" {
				differs = append(differs, d)
			}
		}
		return "", differs
	}
	s := found[o.table]
	if s != nil && (slices.Contains(s.indexes, o.name) || o.key != nil && found.key(o.table, o.key...) != "") {
		return "", nil
	}
	return "index " + o.name + " of " + o.table + ": is missing" + o.cost(), nil
}

// cost is what it means that an index is missing.
func (o *object) cost() string {
	switch o.name {
	case "mqtt_msg_msgid_key":
		return "; each message and each acknowledgement looks through the whole table"
	case "mqtt_msg_topic_index", "mqtt_retain_topic_index":
		return "; look-ups by topic read the whole table"
	}
	return ""
}

// difference says what it costs that a column has the type is instead of want, and how
// to change it; "" for nothing.
func difference(table, column, want, is string) string {
	alter := "alter table " + table + " alter " + column + " type " + want
	switch {
	case is == want:
		return ""
	case is == "" && column == "expires":
		return fmt.Sprintf("%s.expires: is missing, so that messages keep no Message Expiry Interval; alter table %s add expires timestamptz", table, table)
	case is == "" && column == "subscribed":
		return "mqtt_acked.subscribed: is missing, so that the cursors of topics that were read by a filter with wildcards stay when it is unsubscribed; alter table mqtt_acked add subscribed smallint not null default 1"
	case is == "":
		return fmt.Sprintf("%s.%s: is missing; alter table %s add %s %s", table, column, table, column, want)
	case column == "payload":
		return fmt.Sprintf("%s.payload: is %s, so that payloads with null bytes or that are no UTF-8 are refused; %s using convert_to(payload::text, 'UTF8')", table, is, alter)
	case want == "text" && strings.HasPrefix(is, "character varying("):
		return fmt.Sprintf("%s.%s: is %s, longer ones are refused; %s", table, column, is, alter)
	case want == "bigint":
		return fmt.Sprintf("%s.%s: is %s, it ends at 2147483647; %s", table, column, is, alter)
	case want == "timestamp with time zone" && is == "timestamp without time zone":
		return "" // as documented: in the time zone of the server
	}
	return fmt.Sprintf("%s.%s: is %s, expected was %s", table, column, is, want)
}
