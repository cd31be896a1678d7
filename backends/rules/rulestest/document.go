package rulestest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// What a Documented looks at.
const (
	LookClients  = "clients"  // who is online
	LookMessages = "messages" // messages that are stored
	LookAcked    = "acked"    // how far readers have read
	LookLatest   = "latest"   // the newest messages, where a database keeps those apart
	LookRetained = "retained"
	LookOwn      = "own" // what the statement writes
)

// Documented is a database of which a guide shows what each function leaves behind.
type Documented struct {
	Driver    rules.Driver
	DB        rules.Database // with empty tables
	Statement string         // of a rule of the user's own: reads ${clientid}, ${timestamp} and ${payload}
	// Look shows what stands there, as the database's own client has it: of each place,
	// such as a table, its name and what is in it.
	Look func(what string) []Place
}

// Place is what stands in one place of a database.
type Place struct {
	Name string
	Rows []string // none: nothing
}

// documentedTime is when all of it happens, Unix milliseconds.
const documentedTime = 1_790_000_000_000

// step is a row of the table.
type step struct {
	hook     rules.Hook
	function rules.Function // "": the statement
	what     string
	do       func(rules.Database, *rules.Rule) error
	look     string
}

// Table does step by step what the database has functions for, and gives the table that a
// guide has, in Markdown. client is the program that shows the rows.
func Table(t testing.TB, d *Documented, client string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "| hook | function | when | afterwards, as %s shows it |\n|---|---|---|---|\n", client)
	for _, s := range d.steps() {
		if s.function != "" && !slices.Contains(d.Driver.Functions, s.function) {
			continue
		}
		rule := &rules.Rule{Hook: s.hook, Topic: "#", Function: s.function}
		name := string(s.function)
		if s.function == "" {
			rule.Statements, name = []string{d.Statement}, "statements"
		}
		if err := s.do(d.DB, rule); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var places []string
		for _, p := range d.Look(s.look) {
			places = append(places, p.String())
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", s.hook, name, s.what, strings.Join(places, "<br>"))
	}
	return b.String()
}

// String is the place as a cell of the table has it.
func (p Place) String() string {
	if len(p.Rows) == 0 {
		return p.Name + ": none"
	}
	rows := make([]string, len(p.Rows))
	for i, r := range p.Rows {
		rows[i] = "`" + r + "`"
	}
	return p.Name + ": " + strings.Join(rows, "<br>")
}

// steps are one after the other what happens to a device and its readers.
func (d *Documented) steps() []step {
	m := rules.Message{MsgID: "002umFxkFFBZBHZ9RsHvAI", Topic: "sensors/1", Payload: []byte("21.5"), QoS: 1, Sender: "sensor-1", Node: "n1", Arrived: documentedTime}
	next := m
	next.MsgID, next.QoS, next.Payload, next.Arrived = "002umFxkFcQjs7DgYdTtEe", 0, []byte("22.0"), documentedTime+1000
	retained, empty := m, m
	retained.Retain, empty.Retain, empty.Payload = true, true, nil
	sensor, app := documentedJob{client: "sensor-1"}, documentedJob{client: "app"}
	fetch := func(f rules.Function) step {
		return step{rules.SessionSubscribed, f, "`app` subscribes to `sensors/1` for the first time; nothing is sent", firstFetch, LookAcked}
	}
	acks := func(f rules.Function, what, look string, m *rules.Message) step {
		return step{rules.MessageAcked, f, what, app.about(m), look}
	}
	publishes := func(f rules.Function, what, look string, m *rules.Message) step {
		return step{rules.MessagePublish, f, what, sensor.about(m), look}
	}
	return []step{
		{rules.ClientConnected, rules.OnClientConnected, "`sensor-1` connects", sensor.about(nil), LookClients},
		{rules.ClientDisconnected, rules.OnClientDisconnected, "it disconnects", documentedJob{client: "sensor-1", later: 2000}.about(nil), LookClients},
		publishes(rules.OnMessagePublish, "it publishes `21.5` to `sensors/1`, QoS 1", LookMessages, &m),
		fetch(rules.OnMessageFetch), fetch(rules.OnMessageFetchPubsub),
		publishes(rules.OnMessageStore, "`22.0`, QoS 0: stored by this function only", LookMessages, &next),
		acks(rules.OnMessageAcked, "`app` acknowledges it", LookAcked, &next),
		acks(rules.OnMessageAckedPubsub, "`app` acknowledges it", LookAcked, &next),
		{rules.SessionUnsubscribed, rules.OnAckedDelete, "`app` unsubscribes", app.about(&rules.Message{Topic: "sensors/1"}), LookAcked},
		acks(rules.OnMessageAckedQueue, "`app`, one of those that share the queue, acknowledges `21.5`", LookMessages, &m),
		publishes(rules.OnMessageStoreKeepLatest, "`sensor-1` publishes `22.0` to `sensors/1`", LookLatest, &next),
		acks(rules.OnMessageAckedKeepLatest, "`app` acknowledges it", LookLatest, &next),
		publishes(rules.OnMessageRetain, "`21.5` again, with RETAIN", LookRetained, &retained),
		publishes(rules.OnRetainDelete, "an empty one, with RETAIN", LookRetained, &empty),
		publishes("", "`"+d.Statement+"`", LookOwn, &m),
	}
}

// firstFetch begins to read.
func firstFetch(db rules.Database, rule *rules.Rule) error {
	_, err := db.Unread(context.Background(), rule, &rules.Query{ClientID: "app", Filter: "sensors/1", QoS: 1, Max: 1})
	return err
}

// documentedJob is what a client does, so much later.
type documentedJob struct {
	client string
	later  int64 // milliseconds
}

func (d documentedJob) about(m *rules.Message) func(rules.Database, *rules.Rule) error {
	return func(db rules.Database, rule *rules.Rule) error {
		j := rules.Job{Rule: rule, Hook: rule.Hook, Time: documentedTime + d.later, Node: "n1", ClientID: d.client}
		if m != nil {
			j.Topic, j.QoS = m.Topic, m.QoS
		}
		if m != nil && m.MsgID != "" {
			j.Message, j.Time = m, m.Arrived
		}
		_, err := db.Do(context.Background(), []rules.Job{j})
		return err
	}
}
