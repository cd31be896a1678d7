package mysql

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"
	"unicode/utf8"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// Unread implements rules.Database.
func (d *DB) Unread(ctx context.Context, _ *rules.Rule, q *rules.Query) ([]rules.Message, error) {
	st, err := d.reader(ctx, msgTable, ackedTable)
	if err != nil || !utf8.ValidString(q.Filter) || !utf8.ValidString(q.ClientID) {
		return nil, err
	}
	read, known, err := d.cursor(ctx, st, q)
	if err != nil || !known {
		return nil, d.read(ackedTable, err)
	}
	after, err := place(q.After)
	if err != nil {
		return nil, err
	}
	for after = max(after, read); ; {
		ms, last, err := d.messages(ctx, st.unread(q, after), q.Filter)
		if err != nil || len(ms) > 0 || last == 0 {
			return ms, d.read(msgTable, err)
		}
		after = last // a page of topics that only the table holds to match
	}
}

// cursor is the id that the client has read up to. Where there was none it makes one,
// and known is false.
func (d *DB) cursor(ctx context.Context, st *statements, q *rules.Query) (read int64, known bool, err error) {
	key := []any{q.ClientID, st.topicKey(ackedTable, q.Filter)}
	where := " where a.clientid = ? and " + st.sameTopic(ackedTable, "a")
	subscribed := "1"
	if st.has(ackedTable, "subscribed") {
		subscribed = "coalesce(a.subscribed, 1)"
	}
	find, err := d.prepare(ctx, "select coalesce(a.mid, 0), "+subscribed+" from mqtt_acked a"+where)
	if err != nil {
		return 0, false, err
	}
	var of int
	err = find.QueryRowContext(ctx, key...).Scan(&read, &of)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, false, d.begin(ctx, st, q)
	case err != nil || of != 0:
		return read, err == nil, err
	}
	err = tx{db: d}.exec(ctx, "update mqtt_acked a set a.subscribed = 1"+where, key)
	return read, err == nil, err
}

// begin makes the cursor: at the newest message before the first of those that come by
// the subscription itself. Those of other topics count where the filter has wildcards:
// that is quick to find, and what is between was never unread.
func (d *DB) begin(ctx context.Context, st *statements, q *rules.Query) error {
	_, exact := rules.Prefix(q.Filter)
	var c clause
	topic := func() {
		if exact {
			st.matching(&c, msgTable, q.Filter)
		}
	}
	c.add("insert into mqtt_acked (clientid, topic, mid) select ?, ?, coalesce((select m.id from mqtt_msg m where true", q.ClientID, q.Filter)
	topic()
	if q.Before != "" {
		hour := rules.MessageIDAt(time.Now().Add(time.Hour).UnixMilli())
		c.add(" and m.id < coalesce((select min(m.id) from mqtt_msg m where length(m.msgid) = ? and m.msgid >= ? and m.msgid < ?", len(q.Before), q.Before, hour)
		topic()
		c.add("), ?)", int64(math.MaxInt64))
	}
	c.add(" order by m.id desc limit 1), 0) on duplicate key update mid = mqtt_acked.mid")
	return tx{db: d}.exec(ctx, c.String(), c.args)
}

// unread selects what is behind the id after, and, by the cursors of single topics, was
// not read.
func (st *statements) unread(q *rules.Query, after int64) *clause {
	c := &clause{}
	newest := q.Newest > 0 && q.After == ""
	columns := st.readable(msgTable)
	if newest {
		c.add("select " + columns + " from (")
		columns = "m.*"
	}
	c.add("select " + columns + " from mqtt_msg m")
	_, exact := rules.Prefix(q.Filter)
	if !exact {
		same := "a.topic = m.topic"
		if st.has(ackedTable, "topic_hash") && st.has(msgTable, "topic_hash") {
			same = "a.topic_hash = m.topic_hash"
		}
		c.add(" left join mqtt_acked a on a.clientid = ? and "+same, q.ClientID)
	}
	c.add(" where m.id > ?", after)
	if !exact {
		c.add(" and m.id > coalesce(a.mid, 0)")
	}
	st.matching(c, msgTable, q.Filter)
	if q.Since > 0 {
		c.add(" and m.arrived >= "+datetime, q.Since)
	}
	if q.Before != "" {
		c.add(" and (m.msgid is null or length(m.msgid) <> ? or m.msgid < ?)", len(q.Before), q.Before)
	}
	if newest {
		c.add(" order by m.id desc limit ?) m", q.Newest)
	}
	c.add(" order by m.id limit ?", q.Max)
	return c
}
