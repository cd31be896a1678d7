package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// clause is a query that grows, with what is bound to it.
type clause struct {
	strings.Builder
	args []any
}

// add takes a piece of the query, and the values of its placeholders.
func (c *clause) add(text string, args ...any) {
	c.WriteString(text)
	c.args = append(c.args, args...)
}

// matching adds what of the topics of m, rows of table, the filter matches.
func (st *statements) matching(c *clause, table, filter string) {
	if _, exact := rules.Prefix(filter); exact {
		c.add(" and "+st.sameTopic(table, "m"), st.topicKey(table, filter))
		return
	}
	// LIKE is for the index, and leaves little to the expression, which is slow.
	c.add(" and m.topic like ? escape '|' and m.topic regexp ?", like(filter), "(?s)"+rules.Pattern(filter, `\z`))
}

// like is a pattern for at least the topics that filter matches.
func like(filter string) string {
	if filter == "#" {
		return "%"
	}
	if parent, all := strings.CutSuffix(filter, "/#"); all {
		filter = parent + "+" // [MQTT-4.7.1-2]: the parent, too
	}
	return strings.NewReplacer("|", "||", "%", "|%", "_", "|_", "+", "%").Replace(filter)
}

// query runs a query that was prepared once.
func (d *DB) query(ctx context.Context, c *clause) (*sql.Rows, error) {
	s, err := d.prepare(ctx, c.String())
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, c.args...)
}

// Subscriptions implements rules.Database.
func (d *DB) Subscriptions(ctx context.Context, _ *rules.Rule, clientID string) (subs []rules.Subscription, err error) {
	if !utf8.ValidString(clientID) {
		return nil, nil
	}
	var c clause
	c.add("select clientid, topic, coalesce(qos, 0) from mqtt_sub where clientid = ? and topic is not null order by id", clientID)
	rows, err := d.query(ctx, &c)
	if err != nil {
		return nil, d.read(subTable, err)
	}
	defer rows.Close()
	var id, filter string
	var qos int
	for rows.Next() {
		if err := rows.Scan(&id, &filter, &qos); err != nil {
			return nil, d.read(subTable, err)
		}
		if id == clientID { // the table may see no difference between a and A
			subs = append(subs, rules.Subscription{Filter: filter, QoS: uint8(min(max(qos, 0), 2))})
		}
	}
	return subs, d.read(subTable, rows.Err())
}

// read explains what came of a query.
func (d *DB) read(what string, err error) error {
	if err == nil {
		return nil
	}
	d.failed(err)
	return explain(what, err)
}

// Retained implements rules.Database.
func (d *DB) Retained(ctx context.Context, _ *rules.Rule, q *rules.Query) ([]rules.Message, error) {
	st, err := d.reader(ctx, retainTable)
	if err != nil || !utf8.ValidString(q.Filter) {
		return nil, err
	}
	after, err := place(q.After)
	if err != nil {
		return nil, err
	}
	for {
		var c clause
		c.add("select "+st.readable(retainTable)+" from mqtt_retain m where m.id > ?", after)
		st.matching(&c, retainTable, q.Filter)
		c.add(" order by m.id limit ?", q.Max)
		ms, last, err := d.messages(ctx, &c, q.Filter)
		if err != nil || len(ms) > 0 || last == 0 {
			for i := range ms {
				ms[i].Retain = true
			}
			return ms, d.read(retainTable, err)
		}
		after = last // a page of topics that only the table holds to match
	}
}

// reader gives statements for tables that must be there.
func (d *DB) reader(ctx context.Context, tables ...string) (*statements, error) {
	st, err := d.statements(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		if err := st.missing[t]; err != nil {
			return nil, err
		}
	}
	return st, nil
}

// place reads a Message.Cursor.
func place(cursor string) (int64, error) {
	if cursor == "" {
		return 0, nil
	}
	id, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil {
		return 0, rules.Permanent(fmt.Errorf("cursor %q: is none of MySQL's", cursor))
	}
	return id, nil
}

// readable lists the columns of a message, whatever their types are.
func (st *statements) readable(table string) string {
	node, retain, expires := "''", "1", "0"
	if st.has(table, "node") {
		node = "coalesce(m.node, '')"
	}
	if table == msgTable {
		retain = "coalesce(m.retain, 0)"
	}
	if st.has(table, "expires") {
		expires = milliseconds("m.expires")
	}
	return strings.Join([]string{"m.id", "coalesce(m.msgid, '')", "coalesce(m.sender, '')", "m.topic", node,
		"coalesce(m.qos, 0)", retain, "m.payload", milliseconds("m.arrived"), expires}, ", ")
}

func milliseconds(column string) string {
	return "cast(coalesce(unix_timestamp(" + column + "), 0) * 1000 as signed)"
}

// messages reads what c selects, and keeps what filter matches. last is the id of the
// last row, kept or not; 0 for none.
func (d *DB) messages(ctx context.Context, c *clause, filter string) (ms []rules.Message, last int64, err error) {
	rows, err := d.query(ctx, c)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var m rules.Message
		var qos, retain int
		if err := rows.Scan(&last, &m.MsgID, &m.Sender, &m.Topic, &m.Node, &qos, &retain, &m.Payload, &m.Arrived, &m.Expires); err != nil {
			return nil, 0, err
		}
		m.Cursor, m.QoS, m.Retain = strconv.FormatInt(last, 10), uint8(min(max(qos, 0), 2)), retain != 0
		ms = append(ms, m)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, err
	}
	return rules.Matching(filter, ms), last, nil
}
