package postgres

import (
	"strings"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// list is columns of a statement over arrays: what is inserted, and from what.
type list struct {
	table   string
	columns []string
	values  []string // of x
	arrays  []string // types
	names   []string // of the arrays
}

// add takes one more array. cast, if not "", is how the column takes it.
func (l *list) add(column, array, cast string) {
	l.columns = append(l.columns, column)
	value := "x." + column + cast
	if column == "sender" {
		value = "nullif(x.sender, '')"
	}
	l.values = append(l.values, value)
	l.arrays = append(l.arrays, array)
	l.names = append(l.names, column)
}

func (l *list) from() string {
	places := make([]string, len(l.arrays))
	for i, a := range l.arrays {
		places[i] = rules.Dollar(i+1) + "::" + a + "[]"
	}
	return "unnest(" + strings.Join(places, ", ") + ") as x(" + strings.Join(l.names, ", ") + ")"
}

func (l *list) insert() string {
	return "insert into " + l.table + " (" + strings.Join(l.columns, ", ") + ") select " + strings.Join(l.values, ", ") + " from " + l.from()
}

// message begins the list of columns that mqtt_msg and mqtt_retain share.
func (st *statements) message(table string, kind *payloadKind) (l list, err error) {
	l.table = table
	if err := st.need(table); err != nil {
		return l, err
	}
	k, name, err := st.payload(table)
	if err != nil {
		return l, err
	}
	*kind = k
	l.add("msgid", "text", "")
	l.add("sender", "text", "")
	l.add("topic", "text", "")
	l.add("qos", "int", "")
	switch k {
	case asBytes:
		l.add("payload", "bytea", "")
	case asText:
		l.add("payload", "text", "")
	case asJSON:
		l.add("payload", "text", "::"+name)
	}
	l.add("arrived", "timestamptz", "")
	return l, nil
}

// expires adds the column, where there is one.
func (st *statements) expires(l *list) {
	if st.has(l.table, "expires") {
		l.add("expires", "timestamptz", "")
	}
}

func (st *statements) makePublish() {
	l, err := st.message(msgTable, &st.publishPayload)
	if err != nil {
		st.missing[msgTable] = err
		return
	}
	l.add("retain", "int", "")
	st.expires(&l)
	st.publish = l.insert()
	if key := st.key(msgTable, "msgid"); key != "" {
		st.publish += " on conflict " + key + " do nothing"
		return
	}
	st.publish += " where not exists (select from mqtt_msg m where m.msgid = x.msgid)"
}

// makeRetain: of two messages the later stays, whichever comes last.
func (st *statements) makeRetain() {
	l, err := st.message(retainTable, &st.retainPayload)
	if err == nil {
		err = st.need(retainTable, "topic")
	}
	if err != nil {
		st.missing[retainTable] = err
		return
	}
	st.expires(&l)
	set := make([]string, len(l.columns))
	for i, c := range l.columns {
		set[i] = c + " = excluded." + c
	}
	st.retain = l.insert() + " on conflict " + st.key(retainTable, "topic") + " do update set " + strings.Join(set, ", ") +
		" where mqtt_retain.arrived is null or mqtt_retain.arrived <= excluded.arrived"
	st.retainDelete = "delete from mqtt_retain r using unnest($1::text[], $2::timestamptz[]) as x(topic, arrived)" +
		" where " + st.sameTopic(retainTable, "r", "x.topic") + " and (r.arrived is null or r.arrived <= x.arrived)"
}

// sameTopic compares the topic of a, a row of table, by whichever index there is.
func (st *statements) sameTopic(table, a, topic string) string {
	same := a + ".topic = " + topic
	for _, key := range st.shapes[table].keys {
		if strings.Contains(strings.Join(key, ","), "md5(topic)") {
			return "md5(" + a + ".topic) = md5(" + topic + ") and " + same
		}
	}
	return same
}

// makeAcked: the mid of a client and topic never goes back.
func (st *statements) makeAcked() {
	err := st.need(ackedTable, "clientid", "topic")
	if err == nil {
		err = st.need(msgTable)
	}
	if err != nil {
		st.missing[ackedTable] = err
		return
	}
	columns, values := "clientid, topic, mid", "x.clientid, x.topic, max(m.id)"
	cleared := ""
	if st.has(ackedTable, "subscribed") {
		columns, values = columns+", subscribed", values+", 0"
		// The last filter with wildcards takes with it what was read by such.
		cleared = ` or $3 and a.subscribed = 0 and not exists (select from mqtt_acked o where o.clientid = $1
and o.topic <> $2 and (o.topic like '%+%' or o.topic like '%#%'))`
	}
	st.acked = "insert into mqtt_acked (" + columns + ") select " + values +
		" from unnest($1::text[], $2::text[], $3::text[]) as x(clientid, topic, msgid) join mqtt_msg m on m.msgid = x.msgid" +
		" group by x.clientid, x.topic order by x.clientid, x.topic" +
		" on conflict " + st.key(ackedTable, "clientid", "topic") +
		" do update set mid = greatest(mqtt_acked.mid, excluded.mid) where mqtt_acked.mid is null or mqtt_acked.mid < excluded.mid"
	st.ackedDelete = "delete from mqtt_acked a where a.clientid = $1 and (a.topic = $2" + cleared + ")"
	if cleared == "" {
		st.ackedDelete += " and $3::boolean is not null"
	}
}

// makeClient: what another node has written about the client meanwhile is left alone.
func (st *statements) makeClient() {
	if err := st.need(clientTable, "clientid"); err != nil {
		st.missing[clientTable] = err
		return
	}
	st.connected = "insert into mqtt_client (clientid, state, node, online_at, offline_at)" +
		" select x.clientid, 1, nullif(x.node, ''), x.at, null from unnest($1::text[], $2::text[], $3::timestamptz[]) as x(clientid, node, at)" +
		" on conflict " + st.key(clientTable, "clientid") +
		" do update set state = 1, node = excluded.node, online_at = excluded.online_at, offline_at = null" +
		" where mqtt_client.online_at is null or mqtt_client.online_at <= excluded.online_at"
	st.disconnected = "update mqtt_client c set state = 0, offline_at = x.at" +
		" from unnest($1::text[], $2::text[], $3::timestamptz[]) as x(clientid, node, at)" +
		" where c.clientid = x.clientid and (c.node is null or c.node = x.node) and (c.online_at is null or c.online_at <= x.at)"
}
