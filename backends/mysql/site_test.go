package mysql_test

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

	"github.com/fairlead-iot/fairlead/backends/mysql"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// onEach runs test on each kind of server, side by side.
func onEach[T interface {
	testing.TB
	Run(string, func(T)) bool
}](t T, test func(T, *site)) {
	for _, kind := range []string{"MariaDB", "MySQL"} {
		t.Run(kind, func(t T) {
			if p, ok := any(t).(interface{ Parallel() }); ok { // no benchmark
				p.Parallel()
			}
			test(t, newSite(t, strings.ToLower(kind)))
		})
	}
}

// newSite is a server that scripts/services starts, or any other of its kind.
func newSite(t testing.TB, service string) *site {
	t.Helper()
	s := &site{server: testservice.URL(t, service), service: service}
	testservice.Limit(t, 5*time.Minute) // of a whole suite, whose cases have less
	if _, err := exec.LookPath("mysql"); err != nil {
		testservice.Lack(t, service, err.Error())
	}
	return s
}

// site is a database of a real server, looked at by the program mysql.
type site struct {
	server  string
	service string // as scripts/services calls it
	url     string // of the database of the case at work
}

// fresh makes an empty database, and the URL that leads there.
func (s *site) fresh(t testing.TB) {
	t.Helper()
	name := fmt.Sprintf("t%x", rand.Uint64())
	client(t, s.server, "create database "+name)
	t.Cleanup(func() { client(t, s.server, "drop database "+name) })
	u, err := url.Parse(s.server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	s.url = u.String()
}

func (s *site) open(t testing.TB) *mysql.DB {
	t.Helper()
	c := mysql.DefaultConfig()
	c.URL = s.url
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	db, err := mysql.Open(&c)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// client gives what mysql prints; args are names and values of @name in script.
func client(t testing.TB, address, script string, args ...string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	cmd := exec.Command("mysql", "--no-defaults", "--protocol=tcp", "--default-character-set=utf8mb4", "-N", "-B", "-r", "-h", u.Hostname(), "-P", u.Port(), "-u", u.User.Username(), "--password="+password, strings.Trim(u.Path, "/"))
	var set strings.Builder
	for i := 0; i < len(args); i += 2 {
		fmt.Fprintf(&set, "set @%s = convert(x'%x' using utf8mb4) collate utf8mb4_bin;\n", args[i], args[i+1])
	}
	cmd.Stdin = strings.NewReader(set.String() + script)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("mysql: %v\n%s", err, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

// objects reads the rows of a query that selects one JSON object.
func objects[T any](t testing.TB, s *site, query string, args ...string) (all []T) {
	t.Helper()
	for line := range strings.Lines(client(t, s.url, query, args...)) {
		var row T
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, row)
	}
	return all
}

// Functions implements rulestest.Site.
func (s *site) Functions() []rules.Function { return mysql.Driver().Functions }

// Open implements rulestest.Site.
func (s *site) Open(t *testing.T) rules.Database {
	s.fresh(t)
	db := s.open(t)
	report, err := db.Init(t.Context(), true)
	if err != nil || len(report) != 5 {
		t.Fatalf("init: %v: %q", err, report)
	}
	client(t, s.url, "create table custom (msgid varchar(100), clientid text, username text, topic text, payload longblob) charset utf8mb4")
	return db
}

// Client implements rulestest.Site.
func (s *site) Client(t *testing.T, id string) *rulestest.Client {
	type row struct {
		State, Node     string
		Online, Offline float64
	}
	found := objects[row](t, s, "select json_object('state', state, 'node', coalesce(node, ''), 'online', coalesce(unix_timestamp(online_at), 0), 'offline', coalesce(unix_timestamp(offline_at), 0)) from mqtt_client where binary clientid = binary @id", "id", id)
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
	return &rulestest.Client{Online: c.State == "1", Node: c.Node, OnlineAt: at(c.Online), OfflineAt: at(c.Offline)}
}

type messageRow struct {
	MsgID, Topic, Payload, Sender string
	QoS                           uint8
	Retain                        int
}

func (s *site) messages(t testing.TB, table, retain, topic string) (ms []rules.Message) {
	t.Helper()
	query := "select json_object('msgid', msgid, 'topic', topic, 'payload', hex(payload), 'sender', coalesce(sender, ''), 'qos', qos, 'retain', " + retain + ") from " + table + " where binary topic = binary @topic order by id"
	for _, r := range objects[messageRow](t, s, query, "topic", topic) {
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
	return s.messages(t, "mqtt_msg", "retain", topic)
}

// Latest implements rulestest.Site.
func (s *site) Latest(*testing.T, string) *rules.Message { return nil }

// Retained implements rulestest.Site.
func (s *site) Retained(t *testing.T, topic string) *rules.Message {
	ms := s.messages(t, "mqtt_retain", "1", topic)
	if len(ms) == 0 {
		return nil
	}
	return &ms[0]
}

// Acked implements rulestest.Site.
func (s *site) Acked(t *testing.T, clientID, topic string) string {
	return client(t, s.url, "select m.msgid from mqtt_acked a join mqtt_msg m on m.id = a.mid where binary a.clientid = binary @id and binary a.topic = binary @topic", "id", clientID, "topic", topic)
}

// Subscribe implements rulestest.Site.
func (s *site) Subscribe(t *testing.T, clientID, filter string, qos uint8) {
	client(t, s.url, fmt.Sprintf("insert into mqtt_sub (clientid, topic, qos) values (@id, @topic, %d)", qos), "id", clientID, "topic", filter)
}

// Custom implements rulestest.Site.
func (s *site) Custom(*testing.T) ([]string, func(*testing.T, string) map[rules.Variable]string) {
	statements := []string{
		"delete from custom where msgid = ${msgid}",
		"insert into custom values (${msgid}, ${clientid}, ${username}, ${topic}, ${payload})",
	}
	return statements, func(t *testing.T, msgID string) map[rules.Variable]string {
		type row struct{ ClientID, Username, Topic, Payload string }
		found := objects[row](t, s, "select json_object('clientid', clientid, 'username', username, 'topic', topic, 'payload', hex(payload)) from custom where msgid = @id", "id", msgID)
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
	testservice.Kill(t, s.service)
	return func() { testservice.Start(t, s.service) }
}

func TestServiceRules(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) { rulestest.Run(t, s) })
}

func TestServiceKilled(t *testing.T) { rulestest.RunKilled(t, newSite(t, "mariadb"), mysql.Driver()) }
