package mysql

import (
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Schema is what Init makes: the documented tables with their indexes.
//
//go:embed schema.sql
var Schema string

// table is one of a schema.
type table struct {
	statement string
	name      string
	columns   [][2]string // names and definitions
	indexes   []index
}

type index struct {
	name   string
	unique bool
	list   string // columns, in parentheses
}

// tables reads a schema, which is written for it: a statement ends at a line's end with a
// semicolon, a column or a key is a line.
func tables(schema string) (all []table) {
	for _, text := range strings.SplitAfter(schema, ";\n") {
		at := strings.Index(text, "create table")
		if at < 0 {
			continue
		}
		t := table{statement: strings.TrimSuffix(strings.TrimSpace(text[at:]), ";")}
		t.name = strings.Fields(t.statement)[5]
		for line := range strings.Lines(t.statement) {
			line = strings.TrimRight(line, ",\n")
			if body, is := strings.CutPrefix(line, "  "); is {
				t.part(body)
			}
		}
		all = append(all, t)
	}
	return all
}

func (t *table) part(body string) {
	words := strings.SplitN(body, " ", 2)
	if words[0] == "primary" {
		return
	}
	key, unique := strings.CutPrefix(body, "unique ")
	name, is := strings.CutPrefix(key, "key ")
	if !is {
		t.columns = append(t.columns, [2]string{words[0], words[1]})
		return
	}
	name, list, _ := strings.Cut(name, " ")
	t.indexes = append(t.indexes, index{name: name, unique: unique, list: list})
}

// names are the columns of an index.
func (i *index) names() (names []string) {
	for _, n := range strings.Split(strings.Trim(i.list, "()"), ",") {
		n, _, _ = strings.Cut(strings.TrimSpace(n), "(")
		names = append(names, n)
	}
	return names
}

// Init implements rules.Database.
func (d *DB) Init(ctx context.Context, create bool) (report []string, err error) {
	report, what, err := d.initSchema(ctx, Schema, create)
	if err != nil {
		return report, d.read(what, err)
	}
	d.made.Store(nil)
	return report, nil
}

// initSchema makes what is missing of a schema; what is the table that err is about.
func (d *DB) initSchema(ctx context.Context, schema string, create bool) (report []string, what string, err error) {
	found, err := readShapes(ctx, d.pool)
	if err != nil {
		return nil, "looking at the tables", err
	}
	for _, t := range tables(schema) {
		lines, err := d.initTable(ctx, &t, found[t.name], found, create)
		if report = append(report, lines...); err != nil {
			return report, t.name, err
		}
	}
	return report, "", nil
}

func (d *DB) initTable(ctx context.Context, t *table, s *shape, found shapes, create bool) (report []string, err error) {
	if s == nil {
		if !create {
			return []string{"table " + t.name + ": is missing"}, nil
		}
		if _, err := d.pool.ExecContext(ctx, t.statement); err != nil {
			return nil, err
		}
		return []string{"table " + t.name + ": made"}, nil
	}
	for _, c := range t.columns {
		if line := difference(t.name, c[0], c[1], s.columns[c[0]]); line != "" {
			report = append(report, line)
		}
	}
	for _, i := range t.indexes {
		line, err := d.initIndex(ctx, t, &i, found, create)
		if err != nil {
			return report, err
		}
		if line != "" {
			report = append(report, line)
		}
	}
	return report, nil
}

// initIndex makes an index where there is none like it. One of columns that are missing
// comes with them.
func (d *DB) initIndex(ctx context.Context, t *table, i *index, found shapes, create bool) (line string, err error) {
	s, kind := found[t.name], "index "
	plain := make([]string, 0, 2)
	for _, n := range i.names() {
		plain = append(plain, strings.TrimSuffix(n, "_hash"))
	}
	if slices.Contains(s.indexes, i.name) || i.unique && found.key(t.name, plain...) {
		return "", nil
	}
	if i.unique {
		kind = "unique index "
	}
	missing := fmt.Sprintf("%s.%s: is missing%s", t.name, i.name, cost(i.name))
	if slices.ContainsFunc(i.names(), func(n string) bool { return s.columns[n] == "" }) {
		return fmt.Sprintf("%s; when the column is there: create %s%s on %s %s", missing, kind, i.name, t.name, i.list), nil
	}
	if !create {
		return missing, nil
	}
	if _, err := d.pool.ExecContext(ctx, "create "+kind+i.name+" on "+t.name+" "+i.list); err != nil {
		if lasting(err) {
			return fmt.Sprintf("%s; it could not be made: %v", missing, err), nil
		}
		return "", err
	}
	return "index " + i.name + " of " + t.name + ": made", nil
}

// cost is what it means that an index is missing.
func cost(name string) string {
	switch name {
	case "mqtt_msg_msgid_key":
		return "; each batch of messages and of acknowledgements looks through the whole table"
	case "mqtt_msg_topic_index", "mqtt_msg_prefix_index", "mqtt_retain_prefix_index":
		return "; look-ups by topic may read the whole table"
	}
	return ""
}

// difference says what it costs that a column has the type is instead of want, the
// beginning of its definition, and how to change it; "" for nothing.
func difference(table, column, definition, is string) string {
	want, _, _ := strings.Cut(definition, " ")
	change := "; alter table " + table + " modify " + column + " " + definition
	add := "; alter table " + table + " add " + column + " " + definition
	switch {
	case is == "" && column == "expires":
		return table + ".expires: is missing, so that messages keep no Message Expiry Interval" + add
	case is == "" && column == "subscribed":
		return "mqtt_acked.subscribed: is missing, so that the cursors of topics that were read by a filter with wildcards stay when it is unsubscribed" + add
	case is == "" && column == "topic_hash":
		return table + ".topic_hash: is missing, which finds long topics, and tells topics apart that the table's collation holds to be equal" + add
	case is == "":
		return table + "." + column + ": is missing" + add
	case column == "payload" && is != want:
		return fmt.Sprintf("%s.payload: is %s, which holds %s%s", table, is, holds(is), change)
	case want == "text" && strings.HasPrefix(is, "varchar("), strings.HasPrefix(want, "varchar(") && shorter(is, want):
		return fmt.Sprintf("%s.%s: is %s, longer ones are refused%s", table, column, is, change)
	case column == "mid" && strings.HasPrefix(is, "int"):
		return fmt.Sprintf("%s.mid: is %s, it ends at 2147483647%s", table, is, change)
	}
	return ""
}

// holds says what a column for payloads has room for.
func holds(kind string) string {
	switch kind {
	case "blob":
		return "64 KiB"
	case "mediumblob":
		return "16 MiB"
	case "tinyblob":
		return "255 bytes"
	}
	return "text only"
}

// shorter compares the lengths of two varchar.
func shorter(is, want string) bool {
	var a, b int
	digits := regexp.MustCompile(`\d+`)
	fmt.Sscan(digits.FindString(is), &a)
	fmt.Sscan(digits.FindString(want), &b)
	return strings.HasPrefix(is, "varchar(") && a < b
}
