package fairlead

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/mysql"
	"github.com/fairlead-iot/fairlead/backends/postgres"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// sqlServer is a database of the test's own on a server that was given, which the
// server's own client looks into.
type sqlServer struct {
	t      *testing.T
	client func(script string) *exec.Cmd // in the database
	text   string                        // what makes text of a payload
	use    func(*Config)
}

// query gives what the client prints: rows as lines, columns with | between them.
func (s *sqlServer) query(script string) string {
	s.t.Helper()
	cmd := s.client(script)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", script, err, stderr.String())
	}
	return strings.ReplaceAll(strings.TrimSpace(string(out)), "\t", "|")
}

// await asks until the answer is as it should be.
func (s *sqlServer) await(want, script string) {
	s.t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	got := ""
	for late := time.After(time.Minute); ; {
		if got = s.query(script); got == want {
			return
		}
		select {
		case <-look.C:
		case <-late:
			s.t.Fatalf("%s: %q, want %q", script, got, want)
		}
	}
}

// TestSQLIdentities: users and access rules in the documented tables, with passwords
// hashed as other programs do.
func TestServiceSQLIdentities(t *testing.T) {
	t.Run("postgres", func(t *testing.T) { sqlIdentities(t, postgresServer(t)) })
	t.Run("mariadb", func(t *testing.T) { sqlIdentities(t, mysqlServer(t, "mariadb")) })
	t.Run("mysql", func(t *testing.T) { sqlIdentities(t, mysqlServer(t, "mysql")) })
}

func sqlIdentities(t *testing.T, db *sqlServer) {
	for _, script := range strings.Split(identityTables(t), ";\n") {
		db.query(script)
	}
	// sha256sum of "salt" and "public", crypt of "public"
	db.query("insert into mqtt_user (username, password, salt, is_superuser) values" +
		" ('ann', '" + fmt.Sprintf("%x", sha256.Sum256([]byte("saltpublic"))) + "', 'salt', 0)," +
		" ('bob', '$2b$05$DdTqVtGqEeg1q56Tn7mFe.gsIfaxtfOXfqcbeqrT.B.za9AKJIeVK', '', 1), ('odd', 'public', '', 0)")
	db.query("insert into mqtt_acl (allow, username, access, topic) values (1, 'ann', 2, 'up/%u/#'), (1, 'ann', 1, 'down/%c'), (0, '$all', 3, '#')")
	c := testConfig(t.TempDir())
	c.Auth.AllowAnonymous = AnonymousNever
	db.use(&c)
	from := &c.Backends.Postgres.Identities
	if len(c.Backends.MySQL.Pools) > 0 {
		from = &c.Backends.MySQL.Identities
	}
	from.Enabled, from.Only, from.PasswordHash = true, true, "salt,sha256"
	s := &site{start(t, c), t}
	for _, who := range []devices.Options{{Username: "ann", Password: []byte("Public")}, {Username: "bob", Password: []byte("")}, {Username: "nobody", Password: []byte("public")},
		{Username: "odd", Password: []byte("public")}, {Username: "' or '1'='1", Password: []byte("public")}, {Username: "a\\", Password: []byte("x")}, {}} {
		who.ClientID = "c1"
		if client, err := devices.Dial(t.Context(), "mqtt://"+s.Addresses()["mqtt"], who); err == nil {
			client.Close()
			t.Errorf("%q with %q is let in", who.Username, who.Password)
		}
	}
	bob := s.dial(devices.Options{ClientID: "b", Username: "bob", Password: []byte("public")})
	s.subscribe(bob, "#")
	ann := s.dial(devices.Options{ClientID: "c1", Username: "ann", Password: []byte("public")})
	s.subscribe(ann, "down/c1")
	s.publish(ann, "up/ann/x", "1", false)
	s.wants(bob.Messages(), "up/ann/x=1")
	s.publish(bob, "down/c1", "2", false)
	s.wants(ann.Messages(), "down/c1=2")
	s.wants(bob.Messages(), "down/c1=2")
	if r, err := ann.Publish(t.Context(), &devices.Message{Topic: "up/bob/x", QoS: 1}); err == nil && r < 0x80 {
		t.Errorf("ann publishes as bob: %v", r)
	}
	if codes, err := ann.Subscribe(t.Context(), 0, devices.Subscription{Filter: "#", QoS: 1}); err == nil && codes[0] < 0x80 {
		t.Errorf("ann subscribes to everything: %v", codes)
	}
}

// identityTables are the tables as the guide shows them, which all databases with SQL take.
func identityTables(t *testing.T) string { return tables(t, "sql") }

// tables are those that the guide shows in a language.
func tables(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile("docs/identities.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```"+language+"\n")
	script, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatalf("docs/identities.md shows no tables in %s", language)
	}
	return strings.TrimSuffix(strings.TrimSpace(script), ";")
}

// given reads the URL of a service, which t may use for a while, or skips t: where one of
// programs is missing that look into it, too.
func given(t testing.TB, service string, programs ...string) *url.URL {
	t.Helper()
	text := testservice.URL(t, service)
	testservice.Limit(t, 2*time.Minute+8**outage)
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			testservice.Lack(t, service, err.Error())
		}
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func postgresServer(t *testing.T) *sqlServer {
	u := given(t, "postgres", "psql")
	psql := func(address *url.URL) func(string) *exec.Cmd {
		return func(script string) *exec.Cmd {
			return exec.Command("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", script, address.String())
		}
	}
	server := &sqlServer{t: t, client: psql(u)}
	name := fmt.Sprintf("t%x", rand.Uint64())
	server.query("create schema " + name)
	t.Cleanup(func() { server.query("set client_min_messages = error; drop schema " + name + " cascade") })
	own := *u
	q := own.Query()
	q.Set("options", "-csearch_path="+name)
	own.RawQuery = q.Encode()
	return &sqlServer{t: t, client: psql(&own), text: "convert_from(payload, 'UTF8')", use: func(c *Config) {
		pool := postgres.DefaultConfig()
		pool.URL = own.String()
		c.Backends.Postgres.Pools = map[string]*postgres.Config{"main": &pool}
	}}
}

func mysqlServer(t *testing.T, kind string) *sqlServer {
	u := given(t, kind, "mysql")
	password, _ := u.User.Password()
	client := func(database string) func(string) *exec.Cmd {
		return func(script string) *exec.Cmd {
			return exec.Command("mysql", "--no-defaults", "--protocol=tcp", "-N", "-B", "-h", u.Hostname(), "-P", u.Port(), "-u", u.User.Username(), "--password="+password, "-e", script, database)
		}
	}
	server := &sqlServer{t: t, client: client(strings.Trim(u.Path, "/"))}
	name := fmt.Sprintf("t%x", rand.Uint64())
	server.query("create database " + name)
	t.Cleanup(func() { server.query("drop database " + name) })
	own := *u
	own.Path = "/" + name
	return &sqlServer{t: t, client: client(name), text: "convert(payload using utf8mb4)", use: func(c *Config) {
		pool := mysql.DefaultConfig()
		pool.URL = own.String()
		c.Backends.MySQL.Pools = map[string]*mysql.Config{"main": &pool}
	}}
}

// Devices, hubs and other programs meet in tables, and none of them knows more of them
// than its own protocol or SQL.
func TestServiceSQLEndToEnd(t *testing.T) {
	t.Run("postgres", func(t *testing.T) { sqlEndToEnd(t, postgresServer(t)) })
	t.Run("mariadb", func(t *testing.T) { sqlEndToEnd(t, mysqlServer(t, "mariadb")) })
	t.Run("mysql", func(t *testing.T) { sqlEndToEnd(t, mysqlServer(t, "mysql")) })
}

func sqlEndToEnd(t *testing.T, db *sqlServer) {
	c := testConfig(t.TempDir())
	db.use(&c)
	c.Node.Name = "n1"
	made := 0
	if err := InitBackends(t.Context(), &c, true, func(_, what string) { made++ }); err != nil || made < 5 {
		t.Fatalf("%d made: %v", made, err)
	}
	db.query("insert into mqtt_sub (clientid, topic, qos) values ('hub', 'cmd/%c', 1), ('sensor', 'cmd/sensor', 1)")
	s := &site{start(t, c), t}

	// Subscriptions that other programs wrote, and online state.
	hub := s.dial(devices.Options{ClientID: "hub"})
	db.await("1|n1", "select state, node from mqtt_client where clientid = 'hub'")
	device := s.dial(devices.Options{ClientID: "device"})
	s.publish(device, "cmd/hub", "go", false)
	s.wants(hub.Messages(), "cmd/hub=go")

	// A sensor gets its topics registered without ever having subscribed.
	sensor, err := devices.DialSensor(t.Context(), "mqttsn://"+s.Addresses()["mqttsn"], devices.Options{ClientID: "sensor"})
	if err != nil {
		t.Fatal(err)
	}
	defer sensor.Close()
	s.publish(device, "cmd/sensor", "wake", false)
	s.wants(sensor.Messages(), "cmd/sensor=wake")

	s.sqlUnread(db, device)
	s.sqlRetained(db, device)
	s.stop()
	db.await("0", "select state from mqtt_client where clientid = 'hub'")
}

// sqlUnread: what was published while a reader was away comes, and only that, in order.
func (s *site) sqlUnread(db *sqlServer, device *devices.Client) {
	reader := s.dial(devices.Options{ClientID: "reader"})
	s.publish(device, "up/a", "before", false)
	db.await("1", "select count(*) from mqtt_msg where topic = 'up/a'")
	s.subscribe(reader, "up/#")
	db.await("1", "select count(*) from mqtt_acked where clientid = 'reader' and topic = 'up/#'")
	reader.Disconnect(s.t.Context())
	db.await("0", "select state from mqtt_client where clientid = 'reader'")
	var want []string
	for i := range 200 {
		s.publish(device, "up/a", fmt.Sprint(i), false)
		want = append(want, fmt.Sprintf("up/a=%d", i))
	}
	db.await("201", "select count(*) from mqtt_msg where topic = 'up/a'")
	reader = s.dial(devices.Options{ClientID: "reader"})
	s.subscribe(reader, "up/#")
	s.wants(reader.Messages(), want...)
	db.await("199", "select "+db.text+" from mqtt_acked a join mqtt_msg m on m.id = a.mid where a.clientid = 'reader' and a.topic = 'up/a'")
	reader.Unsubscribe(s.t.Context(), "up/#")
	db.await("0", "select count(*) from mqtt_acked where clientid = 'reader'")
}

// sqlRetained: retained messages are the database's alone, and come once.
func (s *site) sqlRetained(db *sqlServer, device *devices.Client) {
	reader := s.dial(devices.Options{ClientID: "looker"})
	s.publish(device, "r/1", "kept", true)
	db.await("kept", "select "+db.text+" from mqtt_retain")
	s.subscribe(reader, "r/+")
	s.wants(reader.Messages(), "r/1=kept retained")
	s.publish(device, "r/1", "", true)
	s.wants(reader.Messages(), "r/1=")
	db.await("0", "select count(*) from mqtt_retain")
	db.query("insert into mqtt_retain (topic, qos, payload) values ('r/3', 1, 'by SQL')")
	late := s.dial(devices.Options{ClientID: "late"})
	s.subscribe(late, "r/#")
	s.wants(late.Messages(), "r/3=by SQL retained")
}
