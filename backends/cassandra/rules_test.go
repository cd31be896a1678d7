package cassandra

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// testKeyspace is emptied by these tests.
const testKeyspace = "fairlead_test"

func TestServiceRules(t *testing.T) {
	u, err := url.Parse(testservice.URL(t, "cassandra"))
	if err != nil {
		t.Fatal(err)
	}
	rulestest.Run(t, &site{node: u, look: looker(t, u)})
}

// looker is a session of the test's own, in a keyspace with the documented tables.
func looker(t *testing.T, node *url.URL) *gocql.Session {
	c := gocql.NewCluster(node.Host)
	if password, ok := node.User.Password(); ok {
		c.Authenticator = gocql.PasswordAuthenticator{Username: node.User.Username(), Password: password}
	}
	c.Timeout, c.ConnectTimeout = 20*time.Second, 20*time.Second
	c.ReconnectInterval = 500 * time.Millisecond
	s, err := c.CreateSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(s) })
	makeKeyspace(t, s, testKeyspace)
	if err := s.Query("CREATE TABLE IF NOT EXISTS " + testKeyspace + ".custom (id text PRIMARY KEY, who text, name text, topic text, payload blob)").Exec(); err != nil {
		t.Fatal(err)
	}
	return s
}

func makeKeyspace(t testing.TB, s *gocql.Session, name string) {
	t.Helper()
	if err := s.Query("CREATE KEYSPACE IF NOT EXISTS " + name + " WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}").Exec(); err != nil {
		t.Fatal(err)
	}
}

type site struct {
	node *url.URL
	look *gocql.Session
}

func (*site) Functions() []rules.Function { return Driver().Functions }

func (s *site) Open(t *testing.T) rules.Database {
	c := DefaultConfig()
	c.Nodes, c.Keyspace, c.Timeout, c.PoolSize = []string{s.node.Host}, testKeyspace, 20*time.Second, 2
	c.Username = s.node.User.Username()
	c.Password, _ = s.node.User.Password()
	d, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Init(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if missing, err := d.Init(t.Context(), false); err != nil || len(missing) > 0 {
		t.Errorf("missing after Init: %v, %v", missing, err)
	}
	for table, key := range map[string]string{"client": "client_id", "sub": "client_id", "msg": "topic", "retain": "topic", "acked": "client_id", "topic": "kind", "custom": "id"} {
		s.empty(t, table, key)
	}
	return d
}

// empty deletes what stands in a table, partition by partition: with as little as cases
// leave there that is far quicker than TRUNCATE.
func (s *site) empty(t *testing.T, table, key string) {
	t.Helper()
	table = testKeyspace + "." + table
	found := s.look.Query("SELECT DISTINCT " + key + " FROM " + table).Iter()
	for value := ""; found.Scan(&value); {
		if err := s.look.Query("DELETE FROM "+table+" WHERE "+key+" = ?", value).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	if err := found.Close(); err != nil {
		t.Fatal(err)
	}
}

// row reads one row; false for none.
func (s *site) row(t *testing.T, into []any, text string, values ...any) bool {
	t.Helper()
	err := s.look.Query(strings.ReplaceAll(text, "FROM ", "FROM "+testKeyspace+"."), values...).Scan(into...)
	if err != nil && !errors.Is(err, gocql.ErrNotFound) {
		t.Fatalf("%s: %v", text, err)
	}
	return err == nil
}

func (s *site) Client(t *testing.T, id string) *rulestest.Client {
	var c rulestest.Client
	var state int
	if !s.row(t, []any{&c.Node, &state, &c.OnlineAt, &c.OfflineAt}, `SELECT node, state, connected, disconnected FROM client WHERE client_id = ?`, id) {
		return nil
	}
	c.Online = state == 1
	return &c
}

func (s *site) Messages(t *testing.T, topic string) (ms []rules.Message) {
	rows := s.look.Query(`SELECT msgid, sender, qos, retain, payload FROM `+testKeyspace+`.msg WHERE topic = ? ORDER BY msgid ASC`, topic).Iter()
	for {
		m, qos, retain := rules.Message{Topic: topic}, 0, 0
		if !rows.Scan(&m.MsgID, &m.Sender, &qos, &retain, &m.Payload) {
			break
		}
		m.QoS, m.Retain = uint8(qos), retain == 1
		ms = append(ms, m)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	return ms
}

func (*site) Latest(*testing.T, string) *rules.Message { return nil }

func (s *site) Retained(t *testing.T, topic string) *rules.Message {
	m, qos := rules.Message{Topic: topic, Retain: true}, 0
	if !s.row(t, []any{&m.MsgID, &m.Sender, &qos, &m.Payload}, `SELECT msgid, sender, qos, payload FROM retain WHERE topic = ?`, topic) {
		return nil
	}
	m.QoS = uint8(qos)
	return &m
}

func (s *site) Acked(t *testing.T, clientID, topic string) (id string) {
	s.row(t, []any{&id}, `SELECT msgid FROM acked WHERE client_id = ? AND topic = ?`, clientID, topic)
	if !rules.IsMessageID(id) {
		return ""
	}
	return id
}

func (s *site) Subscribe(t *testing.T, clientID, filter string, qos uint8) {
	if err := s.look.Query(`INSERT INTO `+testKeyspace+`.sub (client_id, topic, qos) VALUES (?, ?, ?)`, clientID, filter, int(qos)).Exec(); err != nil {
		t.Fatal(err)
	}
}

func (s *site) Custom(*testing.T) ([]string, func(*testing.T, string) map[rules.Variable]string) {
	statement := `INSERT INTO custom (id, who, name, topic, payload) VALUES (${msgid}, ${clientid}, ${username}, ${topic}, ${payload})`
	return []string{statement}, func(t *testing.T, msgID string) map[rules.Variable]string {
		var who, name, topic string
		var payload []byte
		if !s.row(t, []any{&who, &name, &topic, &payload}, `SELECT who, name, topic, payload FROM custom WHERE id = ?`, msgID) {
			return nil
		}
		return map[rules.Variable]string{rules.VarClientID: who, rules.VarUsername: name, rules.VarTopic: topic, rules.VarPayload: string(payload)}
	}
}

func (*site) Broken() string { return `INSERT INTO nowhere (id) VALUES (${clientid})` }

func (s *site) Outage(t *testing.T) func() {
	testservice.Kill(t, "cassandra")
	return func() {
		testservice.Start(t, "cassandra")
		s.lookAgain(t)
	}
}

// lookAgain waits until the test's own session has found the node, too.
func (s *site) lookAgain(t *testing.T) {
	t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for late := time.After(time.Minute); ; {
		err := s.look.Query("SELECT release_version FROM system.local").Exec()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-late:
			t.Fatal(err)
		}
	}
}

func TestConfigFaults(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	bad := Config{Nodes: []string{"nowhere"}, Keyspace: "a b", Consistency: "some", Timeout: time.Hour, CAFile: "ca", CertFile: "cert"}
	text := bad.Validate().Error()
	for _, key := range []string{"nodes", "pool_size", "keyspace", "consistency", "timeout", "tls_ca_file", "tls_cert_file"} {
		if !strings.Contains(text, key) {
			t.Errorf("nothing about %s:\n%s", key, text)
		}
	}
}
