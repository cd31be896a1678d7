package mysql_test

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/mysql"
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

func (s *site) with(t testing.TB, script string) *mysql.DB {
	t.Helper()
	s.fresh(t)
	if script != "" {
		client(t, s.url, script)
	}
	db := s.open(t)
	t.Cleanup(func() { db.Close() })
	return db
}

func initiated(t *testing.T, db *mysql.DB, create bool) (lines []string, text string) {
	t.Helper()
	lines, err := db.Init(t.Context(), create)
	if err != nil {
		t.Fatal(err)
	}
	return lines, strings.Join(lines, "\n") + "\n"
}

// Somebody's tables of EMQ X 2.4.3 work as they are, and stay as they are.
func TestServiceOldTables(t *testing.T) {
	script, err := os.ReadFile("testdata/emqx24.sql")
	if err != nil {
		t.Fatal(err)
	}
	onEach(t, func(t *testing.T, s *site) {
		db := s.with(t, string(script))
		for _, how := range []string{"as they are", "with our indexes"} {
			t.Run(how, func(t *testing.T) { oldTables(t, s, db, how) })
		}
		_, differs := initiated(t, db, false)
		for _, column := range []string{"mqtt_msg.payload: is blob", "mqtt_retain.topic: is varchar(200)", "mqtt_acked.mid: is int", "mqtt_msg.expires: is missing", "mqtt_acked.subscribed: is missing", "mqtt_retain.topic_hash: is missing"} {
			if !strings.Contains(differs, column) {
				t.Errorf("the report lacks %q:\n%s", column, differs)
			}
		}
		altered(t, s, db, differs)
	})
}

// altered does what the report says, and sees that it was enough.
func altered(t *testing.T, s *site, db *mysql.DB, report string) {
	var script strings.Builder
	for _, table := range []string{"mqtt_client", "mqtt_sub", "mqtt_retain", "mqtt_acked"} {
		fmt.Fprintf(&script, "alter table %s drop key %s_key;\n", table, table) // long columns fit no key
	}
	script.WriteString("alter table mqtt_client drop key mqtt_client_idx; alter table mqtt_sub drop key mqtt_sub_idx;\n")
	for line := range strings.Lines(report) {
		if _, statement, found := strings.Cut(line, "; alter "); found {
			script.WriteString("alter " + strings.TrimSpace(statement) + ";\n")
		}
	}
	client(t, s.url, script.String())
	initiated(t, db, true)
	if rest, text := initiated(t, db, true); len(rest) > 0 {
		t.Errorf("after all changes:\n%s", text)
	}
	long := message(900, strings.Repeat("long", 500), strings.Repeat("x", 1<<17)+"\x00\xff")
	do(t, db, publish(long), job(rules.OnMessageRetain, "c", long), job(rules.OnMessageAcked, "c", long))
	want(t, "stored", client(t, s.url, "select length(m.payload) from mqtt_msg m join mqtt_acked a on a.mid = m.id join mqtt_retain r on r.topic = a.topic where m.topic like 'longlong%'"), 1<<17+2)
}

func oldTables(t *testing.T, s *site, db *mysql.DB, how string) {
	columns := func() string {
		return client(t, s.url, "select table_name, column_name, column_type from information_schema.columns where table_schema = database() order by 1, 2")
	}
	before, base := columns(), int64(0)
	if how != "as they are" {
		base = 100_000
		if _, text := initiated(t, db, true); !strings.Contains(text, "index mqtt_msg_msgid_key of mqtt_msg: made") {
			t.Errorf("made: %s", text)
		}
		client(t, s.url, "update mqtt_acked set mid = (select max(id) from mqtt_msg)")
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
	want(t, "retained", client(t, s.url, "select topic, payload, node from mqtt_retain"), "t\ttwo\tn1")
	want(t, "online", client(t, s.url, "select clientid, state, node from mqtt_client"), "c\t1\tn1")
	gone := job(rules.OnClientDisconnected, "c", nil)
	gone.Time = at + 1 // within the second that the column has been rounded to
	do(t, db, gone, job(rules.OnRetainDelete, "c", message(base+3, "t", "")))
	want(t, "offline", client(t, s.url, "select state from mqtt_client"), "0")
	want(t, "deleted", client(t, s.url, "select count(*) from mqtt_retain"), "0")

	for what, m := range map[string]*rules.Message{"emoji": message(base+3, "t/😀", "x"), "large": message(base+4, "t", strings.Repeat("x", 1<<16)), "long": message(base+5, strings.Repeat("x", 1025), "")} {
		n, err := db.Do(t.Context(), []rules.Job{publish(message(base+6, "t", "three")), publish(m), publish(message(base+7, "t", "four"))})
		if n != 1 || !rules.IsPermanent(err) {
			t.Errorf("%s: %d done: %v, want 1 and what is wrong", what, n, err)
		}
	}
	want(t, "columns", columns(), before)
}

// The old tables see no difference between a and A, and cannot be told to.
func TestServiceOldTablesOfLetters(t *testing.T) {
	script, err := os.ReadFile("testdata/emqx24.sql")
	if err != nil {
		t.Fatal(err)
	}
	onEach(t, func(t *testing.T, s *site) {
		db := s.with(t, string(script))
		client(t, s.url, "insert into mqtt_sub (clientid, topic, qos) values ('a', 'x', 1)")
		subs, err := db.Subscriptions(t.Context(), &rules.Rule{}, "A")
		if err != nil || len(subs) != 0 {
			t.Errorf("A has %v of a: %v", subs, err)
		}
		unread(t, db, "c", "up/a")
		unread(t, db, "c", "up/#")
		do(t, db, publish(message(1, "UP/A", "other")), publish(message(2, "UP/a", "other")), publish(message(3, "up/a", "mine")))
		for _, filter := range []string{"up/a", "up/#"} {
			ms, err := db.Unread(t.Context(), &rules.Rule{}, &rules.Query{ClientID: "c", Filter: filter, Max: 1})
			if err != nil || len(ms) != 1 || string(ms[0].Payload) != "mine" {
				t.Errorf("%s: %v: %+v", filter, err, ms)
			}
		}
	})
}

// Tables that are missing are waited for: the operator can make them.
func TestServiceMissingTables(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		db := s.with(t, "")
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
		want(t, "missing", len(report), 5)
		initiated(t, db, true)
		if again, _ := initiated(t, db, true); len(again) != 0 {
			t.Errorf("nothing is missing, it says %q", again)
		}
		do(t, db, publish(m))
		client(t, s.url, "drop table mqtt_msg")
		for range 2 {
			if n, err := db.Do(t.Context(), []rules.Job{publish(m)}); n != 0 || err == nil || rules.IsPermanent(err) {
				t.Errorf("dropped: %d done: %v", n, err)
			}
		}
		client(t, s.url, mysql.Schema)
		do(t, db, publish(m))
		want(t, "stored", client(t, s.url, "select count(*) from mqtt_msg"), "1")
	})
}

// Whatever an operator can mend is no fault of a job, and says so by its name.
func TestServiceOperatorsFaultsAreForNow(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		s.with(t, mysql.Schema)
		name := strings.Trim(mustParse(t, s.url).Path, "/")
		client(t, s.server, fmt.Sprintf("create user %[1]s@'%%' identified by 'x'; grant select on %[1]s.* to %[1]s@'%%'", name))
		t.Cleanup(func() { client(t, s.server, fmt.Sprintf("drop user %s@'%%'", name)) })
		for what, change := range map[string]func(*url.URL){
			"nobody listens": func(u *url.URL) { u.Host = "127.0.0.1:1" },
			"no database":    func(u *url.URL) { u.Path = "/nosuchdatabase" },
			"password":       func(u *url.URL) { u.User = url.UserPassword(name, "wrong") },
			"permission":     func(u *url.URL) { u.User = url.UserPassword(name, "x") },
		} {
			t.Run(what, func(t *testing.T) {
				u := mustParse(t, s.url)
				change(u)
				db := (&site{url: u.String()}).open(t)
				defer db.Close()
				n, err := db.Do(t.Context(), []rules.Job{publish(message(1, "t", "x"))})
				if n != 0 || err == nil || rules.IsPermanent(err) {
					t.Fatalf("%d done: %v", n, err)
				}
				t.Log(err)
			})
		}
	})
}

func mustParse(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// What the end of one subscription may take with it is what no other one needs.
func TestServiceCursorsOfOverlappingFilters(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		db := s.with(t, mysql.Schema)
		cursors := func() string {
			return client(t, s.url, "select topic, subscribed from mqtt_acked order by topic")
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
		want(t, "all", cursors(), "+/b\t1\na/#\t1\na/b\t1\na/c\t0")
		end("a/#")
		want(t, "without a/#", cursors(), "+/b\t1\na/b\t1\na/c\t0")
		do(t, db, publish(message(3, "a/b", "3")))
		want(t, "unread of a/b", unread(t, db, "c", "a/b"), []string{"3"})
		want(t, "unread of +/b", unread(t, db, "c", "+/b"), []string{"3"})
		end("+/b")
		want(t, "without +/b", cursors(), "a/b\t1")
		end("a/b")
		want(t, "without a/b", cursors(), "")
	})
}

// What comes late from one node does not undo what another one has written since.
func TestServiceLateJobsOfOtherNodes(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		db := s.with(t, mysql.Schema)
		event := func(f rules.Function, node string, after int64) rules.Job {
			j := job(f, "c", nil)
			j.Node, j.Time = node, at+after
			return j
		}
		state := func() string { return client(t, s.url, "select state, node from mqtt_client") }
		do(t, db, event(rules.OnClientConnected, "n1", 0))
		do(t, db, event(rules.OnClientConnected, "n2", 2000))
		do(t, db, event(rules.OnClientDisconnected, "n1", 2001)) // taken over
		want(t, "taken over", state(), "1\tn2")
		do(t, db, event(rules.OnClientConnected, "n1", 1000))
		want(t, "connected before", state(), "1\tn2")
		do(t, db, event(rules.OnClientDisconnected, "n2", 3000))
		want(t, "disconnected", state(), "0\tn2")

		late, m := message(1, "r", "late"), message(2, "r", "later")
		retained := func() string { return client(t, s.url, "select payload from mqtt_retain") }
		do(t, db, job(rules.OnMessageRetain, "c", m))
		do(t, db, job(rules.OnMessageRetain, "c", late))
		want(t, "retained", retained(), "later")
		do(t, db, job(rules.OnRetainDelete, "c", late))
		want(t, "deleted before", retained(), "later")
		do(t, db, job(rules.OnRetainDelete, "c", message(3, "r", "")))
		want(t, "deleted", retained(), "")
	})
}

// Many clients and acknowledgements at once, in numbers that are no power of two.
func TestServiceManyRows(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		db := s.with(t, mysql.Schema)
		for _, n := range []int{1, 3, 7, 100, 769, 999} {
			var jobs []rules.Job
			for i := range n {
				id := fmt.Sprintf("%d of %d", i, n)
				m := message(int64(n*1000+i), "t/"+id, id)
				jobs = append(jobs, job(rules.OnClientConnected, id, nil), publish(m), job(rules.OnMessageAcked, id, m))
				if i%3 == 0 {
					gone := job(rules.OnClientDisconnected, id, nil)
					gone.Node = fmt.Sprintf("n%d", 1+i%2)
					jobs = append(jobs, gone)
				}
			}
			do(t, db, jobs...)
			where := fmt.Sprintf(" where clientid like '%% of %d'", n)
			away := (n + 5) / 6 // every third, and of those every other one was on this node
			want(t, "clients", client(t, s.url, "select count(*), sum(state = '0') from mqtt_client"+where), fmt.Sprintf("%d\t%d", n, away))
			want(t, "cursors", client(t, s.url, "select count(*), sum(m.topic = a.topic) from mqtt_acked a join mqtt_msg m on m.id = a.mid"+where), fmt.Sprintf("%d\t%d", n, n))
		}
	})
}

// A statement gets what it binds in the type that it has there.
func TestServiceStatementTypes(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		db := s.with(t, mysql.Schema+"create table typed (at datetime(3), qos tinyint, retain bool, body json, raw longblob, text text, number bigint)")
		m := message(5, "t", `{"a": 1}`)
		j := job("", "c", m)
		j.QoS = 1
		j.Rule.Statements = []string{
			"insert into typed values (from_unixtime(${timestamp} / 1000), ${qos}, ${retain}, convert(${payload} using utf8mb4), ${payload}, ${payload}, ${timestamp})",
			"update typed set text = concat(text, ${clientid}) where text = ${payload}",
		}
		do(t, db, j)
		want(t, "row", client(t, s.url, "select unix_timestamp(at) * 1000, qos, retain, json_extract(body, '$.a'), raw, text, number from typed"),
			"1790000000005.000\t1\t0\t1\t{\"a\": 1}\t{\"a\": 1}c\t1790000000005")
		m.Payload = []byte("no JSON")
		if n, err := db.Do(t.Context(), []rules.Job{j}); n != 0 || !rules.IsPermanent(err) || !strings.Contains(err.Error(), "insert into typed") {
			t.Errorf("%d done: %v", n, err)
		}
		want(t, "rows", client(t, s.url, "select count(*) from typed"), "1")
	})
	for text, why := range map[string]string{"insert into t values ('${topic}')": "quotes", "select ${nothing}": "no variable"} {
		if err := mysql.Driver().Statement(text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %s", text, err, why)
		}
	}
}

// Message Expiry Intervals come back; rows of other programs have none.
func TestServiceExpires(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		db := s.with(t, mysql.Schema)
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
	})
}

func TestConfigFaults(t *testing.T) {
	c := mysql.DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	c = mysql.Config{Server: "nowhere", Username: "a", User: "b", CAFile: "ca.pem", CertFile: "c.pem"}
	err := c.Validate()
	for _, key := range []string{"server:", "pool_size:", "database:", "user:", "timeout:", "tls_ca_file", "tls_cert_file and"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("no fault of %s in: %v", key, err)
		}
	}
	for _, text := range []string{"postgres://secret@x", "mysql://secret:x@h:port/x", "x secret"} {
		c = mysql.DefaultConfig()
		if c.URL = text; c.Validate() == nil || strings.Contains(c.Validate().Error(), "secret") {
			t.Errorf("%s: %v", text, c.Validate())
		}
		if _, err := mysql.Open(&c); err == nil {
			t.Error("it opens")
		}
	}
	for _, text := range []string{"mysql://u:p@h/db?tls=true", "mariadb://u:p@h:1/db", "u:p@tcp(h:1)/db"} {
		c = mysql.DefaultConfig()
		if c.URL = text; c.Validate() != nil {
			t.Errorf("%s: %v", text, c.Validate())
		}
	}
}
