package postgres

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/jackc/pgx/v5"
)

// Unread implements rules.Database.
func (d *DB) Unread(ctx context.Context, _ *rules.Rule, q *rules.Query) ([]rules.Message, error) {
	st, err := d.reader(ctx, msgTable, ackedTable)
	if err != nil || !storable(q.Filter) || !storable(q.ClientID) {
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
	c := st.unread(q, max(read, after))
	ms, err := d.messages(ctx, c, q.Filter)
	return ms, d.read(msgTable, err)
}

// cursor is the id that the client has read up to. Where there was none it makes one,
// and known is false.
func (d *DB) cursor(ctx context.Context, st *statements, q *rules.Query) (read int64, known bool, err error) {
	var c clause
	subscribed := "1"
	if st.has(ackedTable, "subscribed") {
		subscribed = "coalesce(a.subscribed::int, 1)"
	}
	c.add("select coalesce(a.mid::bigint, 0), ", subscribed, " from mqtt_acked a where a.clientid = ", c.bind(q.ClientID), " and ", st.sameTopic(ackedTable, "a", c.bind(q.Filter)+"::text"))
	var of int
	err = d.pool.QueryRow(ctx, c.String(), c.args...).Scan(&read, &of)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, false, d.begin(ctx, st, q)
	case err != nil || of != 0:
		return read, err == nil, err
	}
	c = clause{}
	c.add("update mqtt_acked a set subscribed = 1 where a.clientid = ", c.bind(q.ClientID), " and ", st.sameTopic(ackedTable, "a", c.bind(q.Filter)+"::text"))
	_, err = d.pool.Exec(ctx, c.String(), c.args...)
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
			c.matching(q.Filter)
		}
	}
	c.add("insert into mqtt_acked (clientid, topic, mid) select ", c.bind(q.ClientID), "::text, ", c.bind(q.Filter),
		"::text, coalesce((select m.id from mqtt_msg m where true")
	topic()
	if q.Before != "" {
		c.add(" and m.id < coalesce((select min(m.id) from mqtt_msg m where length(m.msgid) = length(", c.bind(q.Before), `::text)`,
			` and m.msgid collate "C" >= `, c.bind(q.Before), `::text and m.msgid collate "C" < `, c.bind(rules.MessageIDAt(time.Now().Add(time.Hour).UnixMilli())), "::text")
		topic()
		c.add("), ", c.bind(int64(math.MaxInt64)), "::bigint)")
	}
	c.add(" order by m.id desc limit 1), 0) on conflict ", st.key(ackedTable, "clientid", "topic"), " do nothing")
	_, err := d.pool.Exec(ctx, c.String(), c.args...)
	return err
}

// unread selects what is behind the id after, and, by the cursors of single topics, was
// not read.
func (st *statements) unread(q *rules.Query, after int64) *clause {
	c := &clause{}
	newest := q.Newest > 0 && q.After == ""
	columns := st.readable(msgTable)
	if newest {
		c.add("select ", columns, " from (")
		columns = "m.*"
	}
	c.add("select ", columns, " from mqtt_msg m")
	_, exact := rules.Prefix(q.Filter)
	if !exact {
		c.add(" left join mqtt_acked a on a.clientid = ", c.bind(q.ClientID), " and ", st.sameTopic(ackedTable, "a", "m.topic"))
	}
	c.add(" where m.id > ", c.bind(after))
	if !exact {
		c.add(" and m.id > coalesce(a.mid, 0)")
	}
	c.matching(q.Filter)
	if q.Since > 0 {
		c.add(" and m.arrived >= ", c.time(q.Since))
	}
	if q.Before != "" {
		c.add(" and (m.msgid is null or length(m.msgid) <> length(", c.bind(q.Before), `::text) or m.msgid collate "C" < `, c.bind(q.Before), "::text)")
	}
	if newest {
		c.add(" order by m.id desc limit ", c.bind(q.Newest), ") m")
	}
	c.add(" order by m.id limit ", c.bind(q.Max))
	return c
}
