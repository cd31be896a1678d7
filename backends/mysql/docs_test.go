package mysql_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/mysql"
	"github.com/fairlead-iot/fairlead/backends/rules"
)

var update = flag.Bool("update", false, "write the table of docs/backends-mysql.md")

const guide = "../../docs/backends-mysql.md"

// step is a row of the table in the guide.
type step struct {
	hook, function, what string
	do                   func(*mysql.DB) error
	look                 string // queries of psql
}

func documented() []step {
	m := &rules.Message{MsgID: "002umFxkFFBZBHZ9RsHvAI", Topic: "sensors/1", Payload: []byte("21.5"), QoS: 1, Sender: "sensor-1", Node: "n1", Arrived: at}
	m0 := *m
	m0.MsgID, m0.QoS, m0.Payload, m0.Arrived = "002umFxkFcQjs7DgYdTtEe", 0, []byte("22.0"), at+1000
	empty := m0
	empty.Payload = nil
	done := func(j rules.Job) func(*mysql.DB) error {
		return func(db *mysql.DB) error { _, err := db.Do(context.Background(), []rules.Job{j}); return err }
	}
	later := func(j rules.Job, client string) rules.Job { j.ClientID, j.Time = client, at+2000; return j }
	end := job(rules.OnAckedDelete, "app", nil)
	end.Topic = "sensors/1"
	const clients = "json_object('clientid', clientid, 'state', state, 'node', node, 'online_at', online_at, 'offline_at', offline_at) from mqtt_client"
	const messages = "json_object('id', id, 'msgid', msgid, 'sender', sender, 'topic', topic, 'node', node, 'qos', qos, 'retain', retain, 'payload', convert(payload using utf8mb4), 'arrived', arrived) from mqtt_msg order by id"
	const retained = "json_object('topic', topic, 'msgid', msgid, 'sender', sender, 'node', node, 'qos', qos, 'payload', convert(payload using utf8mb4), 'arrived', arrived) from mqtt_retain"
	const acked = "json_object('clientid', clientid, 'topic', topic, 'mid', mid) from mqtt_acked order by topic"
	own := job("", "sensor-1", m)
	own.Rule.Statements = []string{"insert into readings (device, at, value) values (${clientid}, from_unixtime(${timestamp} / 1000), ${payload})"}
	return []step{
		{"client.connected", "on_client_connected", "`sensor-1` connects", done(job(rules.OnClientConnected, "sensor-1", nil)), clients},
		{"client.disconnected", "on_client_disconnected", "it disconnects", done(later(job(rules.OnClientDisconnected, "sensor-1", nil), "sensor-1")), clients},
		{"message.publish", "on_message_publish", "it publishes `21.5` to `sensors/1`, QoS 1", done(publish(m)), messages},
		{"session.subscribed", "on_message_fetch", "`app` subscribes to `sensors/1` for the first time; nothing is sent", func(db *mysql.DB) error {
			_, err := db.Unread(context.Background(), &rules.Rule{}, &rules.Query{ClientID: "app", Filter: "sensors/1", QoS: 1, Max: 1})
			return err
		}, acked},
		{"message.publish", "on_message_store", "`22.0`, QoS 0: stored by this function only", done(job(rules.OnMessageStore, "sensor-1", &m0)), messages},
		{"message.acked", "on_message_acked", "`app` acknowledges it", done(job(rules.OnMessageAcked, "app", &m0)), acked},
		{"session.unsubscribed", "on_acked_delete", "`app` unsubscribes", done(end), acked},
		{"message.publish", "on_message_retain", "`21.5` again, with RETAIN", done(job(rules.OnMessageRetain, "sensor-1", m)), retained},
		{"message.publish", "on_retain_delete", "an empty one, with RETAIN", done(job(rules.OnRetainDelete, "sensor-1", &empty)), retained},
		{"message.publish", "statements", "`" + own.Rule.Statements[0] + "`", done(own), "json_object('device', device, 'at', at, 'value', value) from readings"},
	}
}

// TestDocumented does what the guide's table shows, looks with the server's client, and
// compares: the guide is true of both kinds.
func TestServiceDocumented(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		db := s.with(t, mysql.Schema+"create table readings (device varchar(100), at datetime(3), value double)")
		compareGuide(t, tableOf(t, s, db))
	})
}

func tableOf(t *testing.T, s *site, db *mysql.DB) string {
	var b strings.Builder
	b.WriteString("| hook | function | when | rows afterwards, as the client mysql shows them |\n|---|---|---|---|\n")
	for _, st := range documented() {
		if err := st.do(db); err != nil {
			t.Fatalf("%s: %v", st.function, err)
		}
		_, from, _ := strings.Cut(st.look, "from ")
		table, _, _ := strings.Cut(from, " ")
		rows := strings.Split(client(t, s.url, "set time_zone = '+00:00'; select "+st.look), "\n")
		fmt.Fprintf(&b, "| %s | %s | %s | %s: ", st.hook, st.function, st.what, table)
		if rows[0] == "" {
			b.WriteString("none |\n")
			continue
		}
		for i, r := range rows {
			rows[i] = "`" + normal(t, r) + "`"
		}
		b.WriteString(strings.Join(rows, "<br>") + " |\n")
	}
	return b.String()
}

// normal writes an object as Go does: each kind of server orders and spaces it otherwise.
func normal(t *testing.T, object string) string {
	var values map[string]any
	if err := json.Unmarshal([]byte(object), &values); err != nil {
		t.Fatalf("%v: %s", err, object)
	}
	for name, v := range values {
		if at, ok := v.(string); ok && len(at) == len("2006-01-02 15:04:05.000000") {
			values[name] = strings.TrimSuffix(at, "000")
		}
	}
	text, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func compareGuide(t *testing.T, table string) {
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- begin: made by the tests of backends/mysql -->\n", "<!-- end -->"
	head, rest, found := strings.Cut(string(text), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the table", guide)
	}
	made := head + begin + table + end + tail
	if *update {
		if err := os.WriteFile(guide, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if made != string(text) {
		t.Errorf("%s does not show what stands in the database; write it with: go test ./backends/mysql -run Documented -update\n%s", guide, table)
	}
}
