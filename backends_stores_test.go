package fairlead

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fairlead-iot/fairlead/backends/cassandra"
	"github.com/fairlead-iot/fairlead/backends/mongodb"
	"github.com/fairlead-iot/fairlead/backends/redis"
	"github.com/fairlead-iot/fairlead/backends/rules"
)

// store is a database of the tests, whatever its kind.
type store struct {
	name string // of the service
	// open empties it, or gives one of the test's own.
	open func(t *testing.T) (use, looks)
}

// use has a gateway use a database with rules.
type use func(*Config, []rules.Rule)

// looks gives the payloads of a topic in the order in which the database has them.
type looks func(topic string) []string

func stores() []store {
	return []store{
		{"redis", redisStore},
		{"postgres", func(t *testing.T) (use, looks) { return postgresServer(t).store() }},
		{"mysql", func(t *testing.T) (use, looks) { return mysqlServer(t, "mysql").store() }},
		{"mariadb", func(t *testing.T) (use, looks) { return mysqlServer(t, "mariadb").store() }},
		{"mongodb", mongoStore},
		{"cassandra", func(t *testing.T) (use, looks) {
			s := cassandraSite(t)
			return s.use, s.looks
		}},
	}
}

// poolTimeout is that of a driver that does not end with the engine's: outages of tests
// are short.
func poolTimeout() time.Duration { return min(5*time.Second, *outage/2) }

// storeNamed is one of stores.
func storeNamed(name string) store {
	for _, s := range stores() {
		if s.name == name {
			return s
		}
	}
	panic(name)
}

func redisStore(t *testing.T) (use, looks) {
	r := startRedis(t)
	return func(c *Config, list []rules.Rule) {
		pool := redis.DefaultConfig()
		pool.Server, pool.Timeout = []string{"127.0.0.1:" + r.port}, poolTimeout()
		c.Backends.Redis.Pools, c.Backends.Redis.Rules = map[string]*redis.Config{"main": &pool}, list
	}, r.stored
}

// stored gives the payloads of a topic in the order in which the database has them. One
// script looks, so that names and messages are those of one moment.
func (r *redisServer) stored(topic string) []string {
	script := `local names = redis.call('ZRANGE', KEYS[1], 0, -1)
local out = {#names}
for _, id in ipairs(names) do out[#out+1] = redis.call('HGET', 'mqtt:msg:' .. id, 'payload') end
return out`
	got := strings.Fields(r.cli("EVAL", script, "1", "mqtt:msg:"+topic))
	if got[0] != fmt.Sprint(len(got)-1) {
		r.t.Errorf("%s: %s names and %d messages", topic, got[0], len(got)-1)
	}
	return got[1:]
}

// store makes the tables.
func (s *sqlServer) store() (use, looks) {
	c := testConfig(s.t.TempDir())
	s.use(&c)
	if err := InitBackends(s.t.Context(), &c, true, func(string, string) {}); err != nil {
		s.t.Fatal(err)
	}
	return func(c *Config, list []rules.Rule) {
			if s.use(c); len(c.Backends.Postgres.Pools) > 0 {
				c.Backends.Postgres.Rules = list
			} else {
				c.Backends.MySQL.Rules = list
			}
		}, func(topic string) []string {
			return strings.Fields(s.query("select " + s.text + " from mqtt_msg where topic = '" + topic + "' order by id"))
		}
}

// mongoPool is a pool with a database of a test's own.
func mongoPool(t testing.TB) mongodb.Config {
	pool := mongodb.DefaultConfig()
	pool.URL, pool.Type, pool.Database = given(t, "mongodb").String(), "unknown", fmt.Sprintf("t%x", rand.Uint64())
	d, err := mongodb.Open(pool)
	if err != nil {
		t.Fatal(err)
	}
	run(t, d, `{"dropDatabase": 1}`)
	t.Cleanup(func() { run(t, d, `{"dropDatabase": 1}`); d.Close() })
	return pool
}

func mongoStore(t *testing.T) (use, looks) {
	pool := mongoPool(t)
	d, err := mongodb.Open(pool)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Init(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	client, err := mongo.Connect(options.Client().ApplyURI(pool.URL))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Disconnect(context.Background()) })
	return func(c *Config, list []rules.Rule) {
			pool := pool
			c.Backends.MongoDB.Pools, c.Backends.MongoDB.Rules = map[string]*mongodb.Config{"main": &pool}, list
		}, func(topic string) []string {
			return mongoPayloads(t, client.Database(pool.Database).Collection("mqtt_msg"), topic)
		}
}

func mongoPayloads(t *testing.T, c *mongo.Collection, topic string) (payloads []string) {
	var docs []struct {
		Payload string `bson:"payload"`
	}
	found, err := c.Find(t.Context(), bson.D{{Key: "topic", Value: topic}}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err == nil {
		err = found.All(t.Context(), &docs)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		payloads = append(payloads, d.Payload)
	}
	return payloads
}

// cassandraKeyspace is a keyspace of a test's own.
type cassandraKeyspace struct {
	use
	looks
	pool cassandra.Config
	do   func(statement string) // as the superuser
}

// cassandraPool is a pool with a keyspace of a test's own.
func cassandraPool(t testing.TB) cassandra.Config {
	u := given(t, "cassandra")
	pool := cassandra.DefaultConfig()
	pool.Nodes, pool.Keyspace, pool.Username, pool.PoolSize = []string{u.Host}, "system", u.User.Username(), 2
	pool.Password, _ = u.User.Password()
	pool.Timeout = 20 * time.Second
	system, err := cassandra.Open(pool)
	if err != nil {
		t.Fatal(err)
	}
	pool.Keyspace = fmt.Sprintf("t%x", rand.Uint64())
	run(t, system, "CREATE KEYSPACE "+pool.Keyspace+" WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
	t.Cleanup(func() { run(t, system, "DROP KEYSPACE "+pool.Keyspace); system.Close() })
	return pool
}

func cassandraSite(t *testing.T) cassandraKeyspace {
	pool := cassandraPool(t)
	d, err := cassandra.Open(pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return cassandraKeyspace{func(c *Config, list []rules.Rule) {
		pool := pool
		c.Backends.Cassandra.Pools, c.Backends.Cassandra.Rules = map[string]*cassandra.Config{"main": &pool}, list
	}, reader(t, d), pool, func(statement string) { run(t, d, statement) }}
}

// run has a database do a statement, again while it is away.
func run(t testing.TB, d rules.Database, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	jobs := []rules.Job{{Rule: &rules.Rule{Statements: []string{statement}}}}
	for {
		_, err := d.Do(ctx, jobs)
		if err == nil {
			return
		}
		if rules.IsPermanent(err) || ctx.Err() != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// reader looks by what clients are sent of unread messages, where there is no client of
// the database's own: all of them are unread for one that begins before the first.
func reader(t *testing.T, d rules.Database) looks {
	if _, err := d.Init(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	return func(topic string) (payloads []string) {
		t.Helper()
		rule := &rules.Rule{Function: rules.OnMessageFetch}
		q := rules.Query{ClientID: fmt.Sprint("reader", rand.Uint64()), Filter: topic, QoS: 1, Max: 500, Before: rules.MessageIDAfter(0)}
		page, err := d.Unread(t.Context(), rule, &q)
		if err != nil || len(page) > 0 {
			t.Fatalf("at first %d messages: %v", len(page), err)
		}
		for q.Before = ""; ; q.After = page[len(page)-1].Cursor {
			if page, err = d.Unread(t.Context(), rule, &q); err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				return payloads
			}
			for _, m := range page {
				payloads = append(payloads, string(m.Payload))
			}
		}
	}
}
