package fairlead

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/cassandra"
	"github.com/fairlead-iot/fairlead/backends/identity"
	"github.com/fairlead-iot/fairlead/backends/mongodb"
	"github.com/fairlead-iot/fairlead/backends/redis"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// Rows of one device and one hub, in each database as docs/identities.md has it: the device
// gets in by every protocol, and may do what its rows say; nobody else does.
func TestServiceIdentitiesEndToEnd(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, *Config) *identity.Config{
		"redis": redisRows, "postgres": postgresRows, "mariadb": mariaRows, "mysql": mysqlRows, "mongodb": mongoRows, "cassandra": cassandraRows,
	} {
		t.Run(name, func(t *testing.T) {
			c := testConfig(t.TempDir())
			c.Auth.AllowAnonymous, c.MQTTSN.TokenSeparator = AnonymousNever, ":"
			from := prepare(t, &c)
			from.Enabled, from.Only, from.PasswordHash, from.NoMatch = true, true, "plain", identity.NoMatchDeny
			s := &site{start(t, c), t}
			hub := s.dial(devices.Options{ClientID: "hub", Username: "hub", Password: []byte("secret")})
			s.subscribe(hub, "#")
			for _, protocol := range []string{"mqtt", "mqttsn", "coap"} {
				for _, who := range [][2]string{{"pump7", "wrong"}, {"pump8", "secret"}, {"hub' or '1'='1", "secret"}, {"pump7", ""}} {
					if d, err := s.device(protocol, who[0], who[1]); err == nil {
						d.Close()
						t.Errorf("%s: %q with %q is let in", protocol, who[0], who[1])
					}
				}
				d, err := s.device(protocol, "pump7", "secret")
				if err != nil {
					t.Errorf("%s: the device is not let in: %v", protocol, err)
					continue
				}
				s.limited(protocol, d, hub)
				d.Close()
			}
		})
	}
}

// device is what has a session, whatever it speaks.
type device interface {
	Publish(ctx context.Context, m *devices.Message) (packet.ReasonCode, error)
	Subscribe(ctx context.Context, id uint32, subs ...devices.Subscription) ([]packet.ReasonCode, error)
	Messages() <-chan *devices.Message
	Close() error
}

func (s *site) device(protocol, name, password string) (device, error) {
	address := protocol + "://" + s.Addresses()[protocol]
	o := devices.Options{ClientID: name, Username: name, Password: []byte(password), HasPassword: true, Timeout: 20 * time.Second}
	switch protocol {
	case "mqtt":
		return devices.Dial(s.t.Context(), address, o)
	case "mqttsn":
		o = devices.Options{ClientID: name + ":" + password, Timeout: o.Timeout}
	}
	return devices.DialSensor(s.t.Context(), address, o)
}

// limited tries what rows allow, and what they do not.
func (s *site) limited(protocol string, d device, hub *devices.Client) {
	s.t.Helper()
	ctx := s.t.Context()
	if r, err := d.Publish(ctx, &devices.Message{Topic: "up/pump8", QoS: 1, Payload: []byte("forged")}); err == nil && r < 0x80 {
		s.t.Errorf("%s: publishes as another: %v", protocol, r)
	}
	if r, err := d.Publish(ctx, &devices.Message{Topic: "up/pump7", QoS: 1, Payload: []byte(protocol)}); err != nil || r >= 0x80 {
		s.t.Fatalf("%s: cannot publish: %v, %v", protocol, r, err)
	}
	s.wants(hub.Messages(), "up/pump7="+protocol)
	if codes, err := d.Subscribe(ctx, 0, devices.Subscription{Filter: "up/#", QoS: 1}); err == nil && codes[0] < 0x80 {
		s.t.Errorf("%s: subscribes to what others say: %v", protocol, codes)
	}
	if codes, err := d.Subscribe(ctx, 0, devices.Subscription{Filter: "down/pump7", QoS: 1}); err != nil || codes[0] >= 0x80 {
		s.t.Fatalf("%s: cannot subscribe: %v, %v", protocol, codes, err)
	}
	s.publish(hub, "down/pump7", protocol, false)
	s.wants(d.Messages(), "down/pump7="+protocol)
	s.wants(hub.Messages(), "down/pump7="+protocol)
}

func redisRows(t *testing.T, c *Config) *identity.Config {
	r := startRedis(t)
	r.cli("HSET", "mqtt_user:hub", "password", "secret", "is_superuser", "1")
	r.cli("HSET", "mqtt_user:pump7", "password", "secret")
	r.cli("HSET", "mqtt_acl:pump7", "up/%c", "2")
	r.cli("HSET", "mqtt_acl:$all", "down/%u", "1")
	pool := redis.DefaultConfig()
	pool.Server = []string{"127.0.0.1:" + r.port}
	c.Backends.Redis.Pools = map[string]*redis.Config{"main": &pool}
	return &c.Backends.Redis.Identities
}

// write has SQL make the rows.
func (s *sqlServer) write(t *testing.T) {
	for _, script := range append(strings.Split(identityTables(t), ";\n"),
		"insert into mqtt_user (username, password, is_superuser) values ('hub', 'secret', 1), ('pump7', 'secret', 0)",
		"insert into mqtt_acl (allow, username, access, topic) values (1, 'pump7', 2, 'up/%c'), (1, '$all', 1, 'down/%u')") {
		s.query(script)
	}
}

func postgresRows(t *testing.T, c *Config) *identity.Config {
	db := postgresServer(t)
	db.write(t)
	db.use(c)
	return &c.Backends.Postgres.Identities
}

func mariaRows(t *testing.T, c *Config) *identity.Config { return mysqlKind(t, c, "mariadb") }
func mysqlRows(t *testing.T, c *Config) *identity.Config { return mysqlKind(t, c, "mysql") }

func mysqlKind(t *testing.T, c *Config, kind string) *identity.Config {
	db := mysqlServer(t, kind)
	db.write(t)
	db.use(c)
	return &c.Backends.MySQL.Identities
}

// do has a database do statements, one after the other.
func do(t *testing.T, pool rules.Pool, statements ...string) {
	t.Helper()
	db, err := pool.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, text := range statements {
		if _, err := db.Do(t.Context(), []rules.Job{{Rule: &rules.Rule{Statements: []string{text}}, Hook: rules.ClientConnected}}); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

func mongoRows(t *testing.T, c *Config) *identity.Config {
	pool := mongodb.DefaultConfig()
	pool.URL, pool.Type, pool.Database = given(t, "mongodb").String(), "unknown", "fairlead_devices"
	do(t, &pool, `{"delete": "mqtt_user", "deletes": [{"q": {}, "limit": 0}]}`, `{"delete": "mqtt_acl", "deletes": [{"q": {}, "limit": 0}]}`,
		`{"insert": "mqtt_user", "documents": [{"username": "hub", "password": "secret", "is_superuser": true}, {"username": "pump7", "password": "secret"}]}`,
		`{"insert": "mqtt_acl", "documents": [{"username": "pump7", "publish": ["up/%c"]}, {"username": "$all", "subscribe": ["down/%u"]}]}`)
	c.Backends.MongoDB.Pools = map[string]*mongodb.Config{"main": &pool}
	return &c.Backends.MongoDB.Identities
}

func cassandraRows(t *testing.T, c *Config) *identity.Config {
	u := given(t, "cassandra")
	pool := cassandra.DefaultConfig()
	pool.Nodes, pool.Keyspace, pool.Timeout, pool.PoolSize = []string{u.Host}, "system", 20*time.Second, 2
	pool.Username = u.User.Username()
	pool.Password, _ = u.User.Password()
	statements := []string{"CREATE KEYSPACE IF NOT EXISTS fairlead_devices WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"}
	for _, table := range strings.Split(tables(t, "cql"), ";\n") {
		statements = append(statements, strings.Replace(table, "CREATE TABLE ", "CREATE TABLE IF NOT EXISTS fairlead_devices.", 1))
	}
	for i, row := range []string{"mqtt_user (username, password, is_superuser) VALUES ('hub', 'secret', 1)", "mqtt_user (username, password) VALUES ('pump7', 'secret')",
		`mqtt_acl (username, id, "allow", access, topic) VALUES ('pump7', %d, 1, 2, 'up/%%c')`, `mqtt_acl (username, id, "allow", access, topic) VALUES ('$all', %d, 1, 1, 'down/%%u')`} {
		if strings.Contains(row, "%d") {
			row = fmt.Sprintf(row, i)
		}
		statements = append(statements, "INSERT INTO fairlead_devices."+row)
	}
	do(t, &pool, statements...)
	pool.Keyspace = "fairlead_devices"
	c.Backends.Cassandra.Pools = map[string]*cassandra.Config{"main": &pool}
	return &c.Backends.Cassandra.Identities
}
