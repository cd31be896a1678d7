package postgres_test

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/postgres"
	"github.com/fairlead-iot/fairlead/backends/rules"
)

// at is when messages of these tests begin to come.
const at = 1_790_000_000_000

func message(i int64, topic, payload string) *rules.Message {
	return &rules.Message{MsgID: rules.MessageIDAt(at + i), Topic: topic, Payload: []byte(payload), QoS: 1, Sender: "sender", Node: "n1", Arrived: at + i}
}

func job(f rules.Function, client string, m *rules.Message) rules.Job {
	j := rules.Job{Rule: &rules.Rule{Function: f}, Time: at, Node: "n1", ClientID: client}
	if m != nil {
		j.Topic, j.Message, j.Time = m.Topic, m, m.Arrived
	}
	return j
}

func publish(m *rules.Message) rules.Job { return job(rules.OnMessagePublish, m.Sender, m) }

func do(t testing.TB, db rules.Database, jobs ...rules.Job) {
	t.Helper()
	if n, err := db.Do(t.Context(), jobs); n != len(jobs) || err != nil {
		t.Fatalf("%d of %d done: %v", n, len(jobs), err)
	}
}

func unread(t testing.TB, db rules.Database, client, filter string) (payloads []string) {
	t.Helper()
	ms, err := db.Unread(t.Context(), &rules.Rule{}, &rules.Query{ClientID: client, Filter: filter, QoS: 1, Max: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		payloads = append(payloads, string(m.Payload))
	}
	return payloads
}

func want(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprintf("%v", got), fmt.Sprintf("%v", want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

func opened(t *testing.T, script string) (*site, *postgres.DB) {
	s := &site{server: server(t)}
	s.fresh(t)
	if script != "" {
		psql(t, s.url, "set client_min_messages = error;"+script)
	}
	db := s.open(t)
	t.Cleanup(func() { db.Close() })
	return s, db
}

// Somebody's tables of EMQ X 2.4.3 work as they are, and stay as they are.
func TestServiceOldTables(t *testing.T) {
	script, err := os.ReadFile("testdata/emqx24.sql")
	if err != nil {
		t.Fatal(err)
	}
	s, db := opened(t, string(script))
	for _, how := range []string{"as they are", "with our indexes"} {
		t.Run(how, func(t *testing.T) { oldTables(t, s, db, how) })
	}
	_, differs := initiated(t, db, false)
	for _, column := range []string{"mqtt_msg.payload: is text", "mqtt_msg.topic: is character varying(200)", "mqtt_acked.mid: is integer", "mqtt_msg.expires: is missing", "mqtt_acked.subscribed: is missing"} {
		if !strings.Contains(differs, column) {
			t.Errorf("the report lacks %q:\n%s", column, differs)
		}
	}
	// What the report says to do, works.
	for line := range strings.Lines(differs) {
		if _, statement, found := strings.Cut(line, "; alter "); found {
			psql(t, s.url, "alter "+statement)
		}
	}
	if report, err := db.Init(t.Context(), false); len(report) != 1 || err != nil || !strings.HasPrefix(report[0], "mqtt_acked.id") {
		for _, line := range report {
			if !strings.Contains(line, ".id: is integer") {
				t.Errorf("after all changes: %s", line)
			}
		}
	}
	null := message(900, strings.Repeat("long", 500), "a\x00b\xff")
	do(t, db, publish(null), job(rules.OnMessageRetain, "c", null), job(rules.OnMessageAcked, "c", null))
	want(t, "stored", psql(t, s.url, "select count(*) from mqtt_msg m join mqtt_acked a on a.mid = m.id join mqtt_retain r on r.topic = a.topic where m.payload = '\\x610062ff'"), "1")
}

func initiated(t *testing.T, db *postgres.DB, create bool) (lines []string, text string) {
	t.Helper()
	lines, err := db.Init(t.Context(), create)
	if err != nil {
		t.Fatal(err)
	}
	return lines, strings.Join(lines, "\n") + "\n"
}

func oldTables(t *testing.T, s *site, db *postgres.DB, how string) {
	columns := func() string {
		return psql(t, s.url, "select table_name, column_name, data_type, character_maximum_length from information_schema.columns where table_schema = current_schema order by 1, 2")
	}
	before, base := columns(), int64(0)
	if how != "as they are" {
		base = 100
		if _, text := initiated(t, db, true); strings.Count(text, ": made") < 2 {
			t.Errorf("made: %s", text)
		}
		psql(t, s.url, "update mqtt_acked set mid = (select max(id) from mqtt_msg)")
	}
	m1, m2 := message(base+1, "t", "one"), message(base+2, "t", "two")
	do(t, db, publish(m1), publish(m2), publish(m2), job(rules.OnClientConnected, "c", nil), job(rules.OnMessageRetain, "c", m1), job(rules.OnMessageRetain, "c", m2))
	do(t, db, publish(m1), publish(m2))
	if base == 0 {
		want(t, "unread", unread(t, db, "old", "t"), []string{"from the old gateway", "of a program", "one", "two"})
		want(t, "unread by a wildcard, at first", unread(t, db, "old", "t/#"), []string{})
	} else {
		want(t, "unread", unread(t, db, "old", "t"), []string{"one", "two"})
	}
	do(t, db, job(rules.OnMessageAcked, "old", m1))
	want(t, "unread after one was read", unread(t, db, "old", "t"), []string{"two"})
	want(t, "retained", psql(t, s.url, "select topic, payload from mqtt_retain"), "t|two")
	want(t, "online", psql(t, s.url, "select clientid, state, node from mqtt_client"), "c|1|n1")

	for what, m := range map[string]*rules.Message{"convert_to": message(base+3, "t", "a\x00b"), "utf8": message(base+4, "t", "\xff"), "too long": message(base+5, strings.Repeat("x", 201), "")} {
		n, err := db.Do(t.Context(), []rules.Job{publish(message(base+6, "t", "three")), publish(m), publish(message(base+7, "t", "four"))})
		if n != 1 || !rules.IsPermanent(err) || what != "utf8" && !strings.Contains(err.Error(), what) {
			t.Errorf("%d done: %v, want 1 and what to do (%s)", n, err, what)
		}
	}
	want(t, "columns", columns(), before)
}

// Tables that are missing are waited for: the operator can make them.
func TestServiceMissingTables(t *testing.T) {
	s, db := opened(t, "")
	m := message(1, "t", "x")
	for range 2 {
		n, err := db.Do(t.Context(), []rules.Job{publish(m)})
		if n != 0 || err == nil || rules.IsPermanent(err) || !strings.Contains(err.Error(), "fairlead ctl backend init") {
			t.Errorf("%d done: %v", n, err)
		}
		if _, err := db.Unread(t.Context(), &rules.Rule{}, &rules.Query{ClientID: "c", Filter: "t", Max: 1}); err == nil || rules.IsPermanent(err) {
			t.Errorf("unread: %v", err)
		}
		if _, err := db.Subscriptions(t.Context(), &rules.Rule{}, "c"); err == nil || rules.IsPermanent(err) {
			t.Errorf("subscriptions: %v", err)
		}
	}
	report, _ := initiated(t, db, false)
	want(t, "missing", len(report), len(strings.Split(postgres.Schema, "create "))-1)
	initiated(t, db, true)
	if again, _ := initiated(t, db, true); len(again) != 0 {
		t.Errorf("nothing is missing, it says %q", again)
	}
	do(t, db, publish(m))
	psql(t, s.url, "drop table mqtt_msg")
	for range 2 {
		if n, err := db.Do(t.Context(), []rules.Job{publish(m)}); n != 0 || err == nil || rules.IsPermanent(err) {
			t.Errorf("dropped: %d done: %v", n, err)
		}
	}
	psql(t, s.url, "set client_min_messages = error;"+postgres.Schema)
	do(t, db, publish(m))
	want(t, "stored", psql(t, s.url, "select count(*) from mqtt_msg"), "1")
}

// Whatever an operator can mend is no fault of a job, and says so by its name.
func TestServiceOperatorsFaultsAreForNow(t *testing.T) {
	s, db := opened(t, postgres.Schema)
	user := fmt.Sprintf("u%d", time.Now().UnixNano())
	psql(t, s.url, fmt.Sprintf("create role %s login; grant usage on schema %s to %s", user, psql(t, s.url, "select current_schema"), user))
	t.Cleanup(func() {
		psql(t, s.server, fmt.Sprintf("drop owned by %[1]s; drop role %[1]s", user))
	})
	for name, change := range map[string]func(*url.URL){
		"nobody listens": func(u *url.URL) { u.Host = "127.0.0.1:1" },
		"no database":    func(u *url.URL) { u.Path = "/nosuchdatabase" },
		"no role":        func(u *url.URL) { u.User = url.User("nosuchrole") },
		"permission":     func(u *url.URL) { u.User = url.User(user) },
		"read-only": func(u *url.URL) {
			u.RawQuery = strings.Replace(u.RawQuery, "-csearch_path", "-cdefault_transaction_read_only%3Don%20-csearch_path", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(s.url)
			if err != nil {
				t.Fatal(err)
			}
			change(u)
			other := &site{url: u.String()}
			db := other.open(t)
			defer db.Close()
			n, err := db.Do(t.Context(), []rules.Job{publish(message(1, "t", "x"))})
			if n != 0 || err == nil || rules.IsPermanent(err) {
				t.Fatalf("%d done: %v", n, err)
			}
			t.Log(err)
		})
	}
	do(t, db, publish(message(1, "t", "x")))
}

// What the end of one subscription may take with it is what no other one needs.
func TestServiceCursorsOfOverlappingFilters(t *testing.T) {
	s, db := opened(t, postgres.Schema)
	cursors := func() string {
		return psql(t, s.url, "select topic, subscribed from mqtt_acked order by topic")
	}
	end := func(filter string) {
		t.Helper()
		j := job(rules.OnAckedDelete, "c", nil)
		j.Topic = filter
		do(t, db, j)
	}
	for _, filter := range []string{"a/#", "+/b", "a/b"} {
		unread(t, db, "c", filter)
	}
	b, c := message(1, "a/b", "1"), message(2, "a/c", "2")
	do(t, db, publish(b), publish(c), job(rules.OnMessageAcked, "c", b), job(rules.OnMessageAcked, "c", c))
	want(t, "all", cursors(), "+/b|1\na/#|1\na/b|1\na/c|0")
	end("a/#")
	want(t, "without a/#", cursors(), "+/b|1\na/b|1\na/c|0")
	do(t, db, publish(message(3, "a/b", "3")))
	want(t, "unread of a/b", unread(t, db, "c", "a/b"), []string{"3"})
	want(t, "unread of +/b", unread(t, db, "c", "+/b"), []string{"3"})
	end("+/b")
	want(t, "without +/b", cursors(), "a/b|1")
	end("a/b")
	want(t, "without a/b", cursors(), "")
}

// What comes late from one node does not undo what another one has written since.
func TestServiceLateJobsOfOtherNodes(t *testing.T) {
	s, db := opened(t, postgres.Schema)
	event := func(f rules.Function, node string, after int64) rules.Job {
		j := job(f, "c", nil)
		j.Node, j.Time = node, at+after
		return j
	}
	state := func() string { return psql(t, s.url, "select state, node from mqtt_client") }
	do(t, db, event(rules.OnClientConnected, "n1", 0))
	do(t, db, event(rules.OnClientConnected, "n2", 2000))
	do(t, db, event(rules.OnClientDisconnected, "n1", 2001)) // taken over
	want(t, "taken over", state(), "1|n2")
	do(t, db, event(rules.OnClientConnected, "n1", 1000))
	want(t, "connected before", state(), "1|n2")
	do(t, db, event(rules.OnClientDisconnected, "n2", 3000))
	want(t, "disconnected", state(), "0|n2")

	late, m := message(1, "r", "late"), message(2, "r", "later")
	retained := func() string { return psql(t, s.url, "select encode(payload, 'escape') from mqtt_retain") }
	do(t, db, job(rules.OnMessageRetain, "c", m))
	do(t, db, job(rules.OnMessageRetain, "c", late))
	want(t, "retained", retained(), "later")
	do(t, db, job(rules.OnRetainDelete, "c", late))
	want(t, "deleted before", retained(), "later")
	do(t, db, job(rules.OnRetainDelete, "c", message(3, "r", "")))
	want(t, "deleted", retained(), "")
}

// A statement gets what it binds in the type that it has there.
func TestServiceStatementTypes(t *testing.T) {
	s, db := opened(t, postgres.Schema+"create table typed (at timestamptz, qos smallint, retain boolean, body jsonb, raw bytea, text text, id text, number numeric)")
	m := message(5, "t", `{"a": 1}`)
	j := job("", "c", m)
	j.QoS = 1
	j.Rule.Statements = []string{
		"insert into typed values (to_timestamp(${timestamp} / 1000.0), ${qos}, ${retain}, ${payload}, ${payload}, ${payload}, ${qos}, ${timestamp})",
		"update typed set id = id || ${clientid}::text where text = ${payload}",
	}
	do(t, db, j)
	want(t, "row", psql(t, s.url, "select extract(epoch from at) * 1000, qos, retain, body->'a', encode(raw, 'escape'), text, id, number from typed"),
		`1790000000005.000000|1|f|1|{"a": 1}|{"a": 1}|1c|1790000000005`)
	m.Payload = []byte("no JSON")
	if n, err := db.Do(t.Context(), []rules.Job{j}); n != 0 || !rules.IsPermanent(err) || !strings.Contains(err.Error(), "insert into typed") {
		t.Errorf("%d done: %v", n, err)
	}
	want(t, "rows", psql(t, s.url, "select count(*) from typed"), "1")
	for text, why := range map[string]string{"insert into t values ('${topic}')": "quotes", "select ${nothing}": "no variable"} {
		if err := postgres.Driver().Statement(text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %s", text, err, why)
		}
	}
}

// Message Expiry Intervals come back; rows of other programs have none.
func TestServiceExpires(t *testing.T) {
	_, db := opened(t, postgres.Schema)
	m := message(1, "t", "x")
	m.Expires = at + 60_000
	unread(t, db, "c", "t")
	do(t, db, publish(m), publish(message(2, "t", "y")), job(rules.OnMessageRetain, "c", m))
	ms, err := db.Unread(t.Context(), &rules.Rule{}, &rules.Query{ClientID: "c", Filter: "t", Max: 9})
	if err != nil || len(ms) != 2 || ms[0].Expires != m.Expires || ms[1].Expires != 0 || ms[0].Arrived != m.Arrived {
		t.Errorf("%v: %+v", err, ms)
	}
	if ms, err = db.Retained(t.Context(), &rules.Rule{}, &rules.Query{Filter: "#", Max: 9}); err != nil || len(ms) != 1 || ms[0].Expires != m.Expires {
		t.Errorf("%v: %+v", err, ms)
	}
}

func TestConfigFaults(t *testing.T) {
	c := postgres.DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	c = postgres.Config{Server: []string{"nowhere"}, Username: "a", User: "b", CAFile: "ca.pem", CertFile: "c.pem"}
	err := c.Validate()
	for _, key := range []string{"server:", "pool_size:", "database:", "user:", "timeout:", "tls_ca_file", "tls_cert_file and"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("no fault of %s in: %v", key, err)
		}
	}
	c = postgres.DefaultConfig()
	if c.URL = "mysql://secret@x"; c.Validate() == nil || strings.Contains(c.Validate().Error(), "secret") {
		t.Errorf("url: %v", c.Validate())
	}
	if _, err := postgres.Open(&c); err == nil {
		t.Error("it opens")
	}
}
