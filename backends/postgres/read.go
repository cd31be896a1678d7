package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/jackc/pgx/v5"
)

// indexed is how many letters of a topic our indexes hold.
const indexed = 250

// clause is a query that grows, with what is bound to it.
type clause struct {
	strings.Builder
	args []any
}

// bind gives the placeholder of one more value.
func (c *clause) bind(v any) string {
	c.args = append(c.args, v)
	return rules.Dollar(len(c.args))
}

func (c *clause) add(parts ...string) {
	for _, p := range parts {
		c.WriteString(p)
	}
}

// matching adds what of the topics of m the filter matches.
func (c *clause) matching(filter string) {
	prefix, exact := rules.Prefix(filter)
	head := letters(prefix, indexed)
	const start = ` and left(m.topic, 250) collate "C" `
	if exact {
		c.add(start, "= ", c.bind(head), " and m.topic = ", c.bind(filter))
		return
	}
	if head != "" {
		c.add(start, ">= ", c.bind(head))
		if above, ok := rules.Above(head); ok {
			c.add(start, "< ", c.bind(above))
		}
	}
	c.add(" and m.topic ~ ", c.bind(rules.Pattern(filter, "$")))
}

// letters is the first n letters of s.
func letters(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// Subscriptions implements rules.Database.
func (d *DB) Subscriptions(ctx context.Context, _ *rules.Rule, clientID string) (subs []rules.Subscription, err error) {
	if !storable(clientID) {
		return nil, nil
	}
	rows, err := d.pool.Query(ctx, "select topic, coalesce(qos::int, 0) from mqtt_sub where clientid = $1 and topic is not null order by topic", clientID)
	if err == nil {
		var filter string
		var qos int
		_, err = pgx.ForEachRow(rows, []any{&filter, &qos}, func() error {
			subs = append(subs, rules.Subscription{Filter: filter, QoS: uint8(min(max(qos, 0), 2))})
			return nil
		})
	}
	return subs, d.read("mqtt_sub", err)
}

func storable(s string) bool { return strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) }

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
	if err != nil || !storable(q.Filter) {
		return nil, err
	}
	after, err := place(q.After)
	if err != nil {
		return nil, err
	}
	var c clause
	c.add("select ", st.readable(retainTable), " from mqtt_retain m where m.id > ", c.bind(after))
	c.matching(q.Filter)
	c.add(" order by m.id limit ", c.bind(q.Max))
	ms, err := d.messages(ctx, &c, q.Filter)
	for i := range ms {
		ms[i].Retain = true
	}
	return ms, d.read("mqtt_retain", err)
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
		return 0, rules.Permanent(fmt.Errorf("cursor %q: is none of PostgreSQL's", cursor))
	}
	return id, nil
}

// readable lists the columns of a message, whatever their types are.
func (st *statements) readable(table string) string {
	payload := map[payloadKind]string{asBytes: "m.payload", asText: "convert_to(m.payload, 'UTF8')", asJSON: "convert_to(m.payload::text, 'UTF8')"}
	kind, retain, expires := st.publishPayload, "coalesce(m.retain::int, 0)", "0::bigint"
	if table == retainTable {
		kind, retain = st.retainPayload, "1"
	}
	if st.has(table, "expires") {
		expires = milliseconds("m.expires")
	}
	return strings.Join([]string{"m.id::bigint", "coalesce(m.msgid::text, '')", "coalesce(m.sender::text, '')", "m.topic::text",
		"coalesce(m.qos::int, 0)", retain, payload[kind], milliseconds("m.arrived"), expires}, ", ")
}

func milliseconds(column string) string {
	return "coalesce((extract(epoch from " + column + "::timestamptz) * 1000)::bigint, 0)"
}

// messages reads what c selects, and keeps what filter matches.
func (d *DB) messages(ctx context.Context, c *clause, filter string) (ms []rules.Message, err error) {
	rows, err := d.pool.Query(ctx, c.String(), c.args...)
	if err != nil {
		return nil, err
	}
	var m rules.Message
	var id int64
	var qos, retain int
	into := []any{&id, &m.MsgID, &m.Sender, &m.Topic, &qos, &retain, &m.Payload, &m.Arrived, &m.Expires}
	_, err = pgx.ForEachRow(rows, into, func() error {
		m.Cursor, m.QoS, m.Retain = strconv.FormatInt(id, 10), uint8(min(max(qos, 0), 2)), retain != 0
		ms = append(ms, m)
		m.Payload = nil
		return nil
	})
	if err != nil {
		return nil, err
	}
	return rules.Matching(filter, ms), nil
}

// time binds a time, Unix milliseconds.
func (c *clause) time(ms int64) string { return c.bind(time.UnixMilli(ms)) + "::timestamptz" }
