package postgres_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/postgres"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// server gives the URL of a PostgreSQL for tests, or skips t.
func server(t testing.TB) string {
	t.Helper()
	u := testservice.URL(t, "postgres")
	testservice.Limit(t, 5*time.Minute) // of a whole suite, whose cases have less
	if _, err := exec.LookPath("psql"); err != nil {
		testservice.Lack(t, "postgres", err.Error())
	}
	return u
}

// site is a schema of a real PostgreSQL, looked at by psql.
type site struct {
	server string
	url    string // of the schema of the case at work
}

// fresh makes an empty schema, and the URL that leads there.
func (s *site) fresh(t testing.TB) {
	t.Helper()
	name := fmt.Sprintf("t%x", rand.Uint64())
	s.url = s.server
	psql(t, s.url, "create schema "+name)
	t.Cleanup(func() { psql(t, s.server, "set client_min_messages = error; drop schema "+name+" cascade") })
	u, err := url.Parse(s.server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("options", "-csearch_path="+name)
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
	s.url = u.String()
}

func (s *site) open(t testing.TB) *postgres.DB {
	t.Helper()
	c := postgres.DefaultConfig()
	c.URL = s.url
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(&c)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// psql gives what psql prints; args are names and values of :'name' in script.
func psql(t testing.TB, url, script string, args ...string) string {
	t.Helper()
	line := []string{"-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"}
	for i := 0; i < len(args); i += 2 {
		line = append(line, "-v", args[i]+"="+args[i+1])
	}
	cmd := exec.Command("psql", append(line, url)...)
	cmd.Stdin = strings.NewReader(script)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

// rows reads a query's rows as JSON.
func rows[T any](t testing.TB, s *site, query string, args ...string) (all []T) {
	t.Helper()
	text := psql(t, s.url, "select coalesce(json_agg(r), '[]') from ("+query+") r", args...)
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return all
}

// Functions implements rulestest.Site.
func (s *site) Functions() []rules.Function { return postgres.Driver().Functions }

// Open implements rulestest.Site.
func (s *site) Open(t *testing.T) rules.Database {
	s.fresh(t)
	db := s.open(t)
	report, err := db.Init(t.Context(), true)
	if err != nil || len(report) != len(strings.Split(postgres.Schema, "create "))-1 {
		t.Fatalf("init: %v: %q", err, report)
	}
	psql(t, s.url, "create table custom (msgid text, clientid text, username text, topic text, payload bytea)")
	return db
}

type clientRow struct {
	State           int
	Node            string
	Online, Offline float64
}

// Client implements rulestest.Site.
func (s *site) Client(t *testing.T, id string) *rulestest.Client {
	found := rows[clientRow](t, s, "select state, coalesce(node, '') as node, coalesce(extract(epoch from online_at), 0) as online, coalesce(extract(epoch from offline_at), 0) as offline from mqtt_client where clientid = :'id'", "id", id)
	if len(found) == 0 {
		return nil
	}
	c := found[0]
	at := func(s float64) time.Time {
		if s == 0 {
			return time.Time{}
		}
		return time.Unix(int64(s), 0)
	}
	return &rulestest.Client{Online: c.State == 1, Node: c.Node, OnlineAt: at(c.Online), OfflineAt: at(c.Offline)}
}

type messageRow struct {
	MsgID, Topic, Payload, Sender string
	QoS                           uint8
	Retain                        int
}

const messageColumns = "msgid, topic, encode(payload, 'hex') as payload, coalesce(sender, '') as sender, qos"

func (s *site) messages(t testing.TB, query, topic string) (ms []rules.Message) {
	t.Helper()
	for _, r := range rows[messageRow](t, s, query, "topic", topic) {
		p, err := hex.DecodeString(r.Payload)
		if err != nil {
			t.Fatal(err)
		}
		ms = append(ms, rules.Message{MsgID: r.MsgID, Topic: r.Topic, Payload: p, Sender: r.Sender, QoS: r.QoS, Retain: r.Retain != 0})
	}
	return ms
}

// Messages implements rulestest.Site.
func (s *site) Messages(t *testing.T, topic string) []rules.Message {
	return s.messages(t, "select "+messageColumns+", retain from mqtt_msg where topic = :'topic' order by id", topic)
}

// Latest implements rulestest.Site.
func (s *site) Latest(*testing.T, string) *rules.Message { return nil }

// Retained implements rulestest.Site.
func (s *site) Retained(t *testing.T, topic string) *rules.Message {
	ms := s.messages(t, "select "+messageColumns+", 1 as retain from mqtt_retain where topic = :'topic'", topic)
	if len(ms) == 0 {
		return nil
	}
	return &ms[0]
}

// Acked implements rulestest.Site.
func (s *site) Acked(t *testing.T, clientID, topic string) string {
	return psql(t, s.url, "select m.msgid from mqtt_acked a join mqtt_msg m on m.id = a.mid where a.clientid = :'id' and a.topic = :'topic'", "id", clientID, "topic", topic)
}

// Subscribe implements rulestest.Site.
func (s *site) Subscribe(t *testing.T, clientID, filter string, qos uint8) {
	psql(t, s.url, "insert into mqtt_sub (clientid, topic, qos) values (:'id', :'topic', :qos)", "id", clientID, "topic", filter, "qos", fmt.Sprint(qos))
}

// Custom implements rulestest.Site.
func (s *site) Custom(*testing.T) ([]string, func(*testing.T, string) map[rules.Variable]string) {
	statements := []string{
		"delete from custom where msgid = ${msgid}",
		"insert into custom values (${msgid}, ${clientid}, ${username}, ${topic}, ${payload})",
	}
	return statements, func(t *testing.T, msgID string) map[rules.Variable]string {
		type row struct{ ClientID, Username, Topic, Payload string }
		found := rows[row](t, s, "select clientid, username, topic, encode(payload, 'hex') as payload from custom where msgid = :'id'", "id", msgID)
		if len(found) == 0 {
			return nil
		}
		r := found[0]
		p, err := hex.DecodeString(r.Payload)
		if err != nil {
			t.Fatal(err)
		}
		return map[rules.Variable]string{rules.VarClientID: r.ClientID, rules.VarUsername: r.Username, rules.VarTopic: r.Topic, rules.VarPayload: string(p)}
	}
}

// Broken implements rulestest.Site.
func (s *site) Broken() string { return "insert into no_such_table values (${msgid})" }

// Outage implements rulestest.Mortal.
func (s *site) Outage(t *testing.T) (restart func()) {
	testservice.Kill(t, "postgres")
	return func() { testservice.Start(t, "postgres") }
}

func TestServiceRules(t *testing.T) { rulestest.Run(t, &site{server: server(t)}) }

func TestServiceKilled(t *testing.T) {
	rulestest.RunKilled(t, &site{server: server(t)}, postgres.Driver())
}
