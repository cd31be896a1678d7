package postgres_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/postgres"
	"github.com/fairlead-iot/fairlead/backends/rules"
)

var update = flag.Bool("update", false, "write the table of docs/backends-postgres.md")

const guide = "../../docs/backends-postgres.md"

// step is a row of the table in the guide.
type step struct {
	hook, function, what string
	do                   func(*postgres.DB) error
	look                 string // queries of psql
}

func documented() []step {
	m := &rules.Message{MsgID: "002umFxkFFBZBHZ9RsHvAI", Topic: "sensors/1", Payload: []byte("21.5"), QoS: 1, Sender: "sensor-1", Arrived: at}
	m0 := *m
	m0.MsgID, m0.QoS, m0.Payload, m0.Arrived = "002umFxkFcQjs7DgYdTtEe", 0, []byte("22.0"), at+1000
	empty := m0
	empty.Payload = nil
	done := func(j rules.Job) func(*postgres.DB) error {
		return func(db *postgres.DB) error { _, err := db.Do(context.Background(), []rules.Job{j}); return err }
	}
	later := func(j rules.Job, client string) rules.Job { j.ClientID, j.Time = client, at+2000; return j }
	end := job(rules.OnAckedDelete, "app", nil)
	end.Topic = "sensors/1"
	const clients = "select clientid, state, node, online_at, offline_at from mqtt_client"
	const messages = "select id, msgid, sender, topic, qos, retain, encode(payload, 'escape') as payload, arrived from mqtt_msg order by id"
	const retained = "select topic, msgid, sender, qos, encode(payload, 'escape') as payload, arrived from mqtt_retain"
	const acked = "select clientid, topic, mid from mqtt_acked order by topic"
	own := job("", "sensor-1", m)
	own.Rule.Statements = []string{"insert into readings (device, at, value) values (${clientid}, to_timestamp(${timestamp} / 1000.0), ${payload}::text::float8)"}
	return []step{
		{"client.connected", "on_client_connected", "`sensor-1` connects", done(job(rules.OnClientConnected, "sensor-1", nil)), clients},
		{"client.disconnected", "on_client_disconnected", "it disconnects", done(later(job(rules.OnClientDisconnected, "sensor-1", nil), "sensor-1")), clients},
		{"message.publish", "on_message_publish", "it publishes `21.5` to `sensors/1`, QoS 1", done(publish(m)), messages},
		{"session.subscribed", "on_message_fetch", "`app` subscribes to `sensors/1` for the first time; nothing is sent", func(db *postgres.DB) error {
			_, err := db.Unread(context.Background(), &rules.Rule{}, &rules.Query{ClientID: "app", Filter: "sensors/1", QoS: 1, Max: 1})
			return err
		}, acked},
		{"message.publish", "on_message_store", "`22.0`, QoS 0: stored by this function only", done(job(rules.OnMessageStore, "sensor-1", &m0)), messages},
		{"message.acked", "on_message_acked", "`app` acknowledges it", done(job(rules.OnMessageAcked, "app", &m0)), acked},
		{"session.unsubscribed", "on_acked_delete", "`app` unsubscribes", done(end), acked},
		{"message.publish", "on_message_retain", "`21.5` again, with RETAIN", done(job(rules.OnMessageRetain, "sensor-1", m)), retained},
		{"message.publish", "on_retain_delete", "an empty one, with RETAIN", done(job(rules.OnRetainDelete, "sensor-1", &empty)), retained},
		{"message.publish", "statements", "`" + own.Rule.Statements[0] + "`", done(own), "select * from readings"},
	}
}

// TestDocumented does what the guide's table shows, looks with psql, and compares.
func TestServiceDocumented(t *testing.T) {
	s, db := opened(t, postgres.Schema+"create table readings (device text, at timestamptz, value float8)")
	var b strings.Builder
	b.WriteString("| hook | function | when | rows afterwards, as psql shows them |\n|---|---|---|---|\n")
	for _, st := range documented() {
		if err := st.do(db); err != nil {
			t.Fatalf("%s: %v", st.function, err)
		}
		_, from, _ := strings.Cut(st.look, "from ")
		table, _, _ := strings.Cut(from, " ")
		rows := strings.Split(psql(t, s.url, "set timezone = 'UTC'; select row_to_json(r) from ("+st.look+") r"), "\n")
		fmt.Fprintf(&b, "| %s | %s | %s | %s: ", st.hook, st.function, st.what, table)
		if rows[0] == "" {
			b.WriteString("none |\n")
			continue
		}
		for i, r := range rows {
			rows[i] = "`" + r + "`"
		}
		b.WriteString(strings.Join(rows, "<br>") + " |\n")
	}
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- begin: made by the tests of backends/postgres -->\n", "<!-- end -->"
	head, rest, found := strings.Cut(string(text), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the table", guide)
	}
	made := head + begin + b.String() + end + tail
	if *update {
		if err := os.WriteFile(guide, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if made != string(text) {
		t.Errorf("%s does not show what stands in the database; write it with: go test ./backends/postgres -run Documented -update\n%s", guide, b.String())
	}
}
