package mysql

import "strings"

// rows is a statement about any number of rows.
type rows struct {
	head, row, tail string
}

// most is the most rows of one statement.
const most = 1024

// text is the statement for n rows.
func (r *rows) text(n int) string {
	return r.head + strings.Repeat(r.row+", ", n-1) + r.row + r.tail
}

// sizes cuts n rows into statements, so that few different ones are needed: of 1, 2, 4 …
// rows. Where padded, the last may have up to a quarter of its rows twice: the statement
// must stand that.
func sizes(n int, padded bool) (out []int) {
	for n > 0 {
		size := 1
		for size*2 <= n && size < most {
			size *= 2
		}
		if padded && size < n && size < most && n*4 >= size*2*3 {
			size *= 2
		}
		out = append(out, size)
		n -= size
	}
	return out
}

// statements are what the tables that there are want, made once.
type statements struct {
	shapes
	publish, retain         [2]rows // of messages that never expire, and of others
	acked, connected        rows
	messageIDs              rows // selects id and msgid
	publishText, retainText bool // payloads are text
	unkeyed                 bool // msgid is not unique: what is there must be looked for
	missing                 map[string]error
}

func newStatements(s shapes) *statements {
	st := &statements{shapes: s, missing: map[string]error{}}
	for _, build := range []func(){st.makePublish, st.makeRetain, st.makeAcked, st.makeClient} {
		build()
	}
	return st
}

// datetime makes a time of Unix milliseconds.
const datetime = "from_unixtime(? / 1000)"

// list is columns of an INSERT and what stands for each value.
type list struct{ columns, values []string }

func (l *list) add(column, value string) {
	l.columns, l.values = append(l.columns, column), append(l.values, value)
}

func (l *list) rows(table, tail string) rows {
	return rows{
		head: "insert into " + table + " (" + strings.Join(l.columns, ", ") + ") values ",
		row:  "(" + strings.Join(l.values, ", ") + ")", tail: tail,
	}
}

// message is the list of columns that mqtt_msg and mqtt_retain share, see messageArgs.
// expires is 1 for messages that may expire.
func (st *statements) message(table string, expires int) (l list) {
	for _, c := range []string{"msgid", "sender", "topic", "node", "qos", "payload"} {
		if c != "node" || st.has(table, "node") {
			l.add(c, "?")
		}
	}
	if table == msgTable {
		l.add("retain", "?")
	}
	if expires > 0 && st.has(table, "expires") {
		l.add("expires", datetime)
	} else if table == retainTable && st.has(table, "expires") {
		l.add("expires", "null")
	}
	l.add("arrived", datetime)
	return l
}

func (st *statements) makePublish() {
	err := st.need(msgTable)
	if err == nil {
		st.publishText, err = st.asText(msgTable)
	}
	if err != nil {
		st.missing[msgTable] = err
		return
	}
	st.messageIDs = rows{head: "select id, msgid from mqtt_msg where msgid in (", row: "?", tail: ")"}
	for i := range st.publish {
		l := st.message(msgTable, i)
		st.publish[i] = l.rows(msgTable, " on duplicate key update qos = mqtt_msg.qos")
	}
	st.unkeyed = !st.key(msgTable, "msgid")
}

// makeRetain: of two messages the later stays, whichever comes last. The time is
// compared by each assignment, so it is set at last.
func (st *statements) makeRetain() {
	err := st.need(retainTable, "topic")
	if err == nil {
		st.retainText, err = st.asText(retainTable)
	}
	if err != nil {
		st.missing[retainTable] = err
		return
	}
	for i := range st.retain {
		l := st.message(retainTable, i)
		st.retain[i] = l.rows(retainTable, onDuplicate(l.columns, "arrived"))
	}
}

// onDuplicate sets columns where the time at, the last of them, is not later already.
func onDuplicate(columns []string, at string) string {
	set := make([]string, len(columns))
	for i, c := range columns {
		set[i] = c + " = if(" + at + " is null or " + at + " <= values(" + at + "), values(" + c + "), " + c + ")"
	}
	return " on duplicate key update " + strings.Join(set, ", ")
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
	var l list
	l.add("clientid", "?")
	l.add("topic", "?")
	l.add("mid", "?")
	if st.has(ackedTable, "subscribed") {
		l.add("subscribed", "0")
	}
	st.acked = l.rows(ackedTable, " on duplicate key update mid = greatest(coalesce(mqtt_acked.mid, 0), values(mid))")
}

// makeClient: what another node has written about the client meanwhile is left alone.
func (st *statements) makeClient() {
	if err := st.need(clientTable, "clientid"); err != nil {
		st.missing[clientTable] = err
		return
	}
	var l list
	l.add("clientid", "?")
	l.add("state", "'1'")
	l.add("node", "?")
	l.add("offline_at", "null")
	l.add("online_at", datetime)
	st.connected = l.rows(clientTable, onDuplicate(l.columns[1:], "online_at"))
}

// disconnected is the statement for n clients: first their ids and times, twice, then
// their node.
func (st *statements) disconnected(n int) string {
	at := "case clientid " + strings.Repeat("when ? then ? ", n) + "end"
	return "update mqtt_client set state = '0', offline_at = from_unixtime((" + at + ") / 1000)" +
		" where clientid in (?" + strings.Repeat(", ?", n-1) + ") and (node is null or node = ?)" +
		" and (online_at is null or online_at <= from_unixtime((" + st.slack(clientTable, "online_at") + at + ") / 1000))"
}

// retainDelete is the statement for one topic, and the time.
func (st *statements) retainDelete() string {
	return "delete r from mqtt_retain r where " + st.sameTopic(retainTable, "r") +
		" and (r.arrived is null or r.arrived <= from_unixtime((" + st.slack(retainTable, "arrived") + "?) / 1000))"
}

// slack is what a column of whole seconds has been rounded up by at most.
func (st *statements) slack(table, column string) string {
	if strings.HasSuffix(st.shapes[table].columns[column], ")") {
		return ""
	}
	return "500 + "
}

// sameTopic compares the topic of a, a row of table, with a placeholder for it, or for
// its hash where there is one; see topicKey.
func (st *statements) sameTopic(table, a string) string {
	if st.has(table, "topic_hash") {
		return a + ".topic_hash = ?"
	}
	return a + ".topic = ?"
}
