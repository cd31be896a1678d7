package fairlead

import (
	"context"
	"fmt"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fairlead-iot/fairlead/backends/cassandra"
	"github.com/fairlead-iot/fairlead/backends/mongodb"
	"github.com/fairlead-iot/fairlead/backends/redis"
)

// proxyTable is where users write their devices' subscriptions, by the database's own
// client or driver.
type proxyTable struct {
	driver string // its section in [backends]
	use    func(*Config)
	set    func(client, filter string, qos uint8) // a row, new or changed
	drop   func(client, filter string)
}

// proxyTables are those of all databases. Each skips t where its server is missing.
func proxyTables() map[string]func(*testing.T) *proxyTable {
	return map[string]func(*testing.T) *proxyTable{
		"redis":     redisTable,
		"postgres":  func(t *testing.T) *proxyTable { return sqlTable("postgres", postgresServer(t)) },
		"mysql":     func(t *testing.T) *proxyTable { return sqlTable("mysql", mysqlServer(t, "mysql")) },
		"mariadb":   func(t *testing.T) *proxyTable { return sqlTable("mysql", mysqlServer(t, "mariadb")) },
		"mongodb":   mongoTable,
		"cassandra": cassandraTable,
	}
}

func redisTable(t *testing.T) *proxyTable {
	r := startRedis(t)
	return &proxyTable{
		driver: "redis",
		use: func(c *Config) {
			pool := redis.DefaultConfig()
			pool.Server = []string{"127.0.0.1:" + r.port}
			c.Backends.Redis.Pools = map[string]*redis.Config{"main": &pool}
		},
		set:  func(client, filter string, qos uint8) { r.cli("HSET", "mqtt:sub:"+client, filter, fmt.Sprint(qos)) },
		drop: func(client, filter string) { r.cli("HDEL", "mqtt:sub:"+client, filter) },
	}
}

func sqlTable(driver string, db *sqlServer) *proxyTable {
	drop := func(client, filter string) {
		db.query(fmt.Sprintf("delete from mqtt_sub where clientid = '%s' and topic = '%s'", client, filter))
	}
	return &proxyTable{driver: driver, use: db.use, drop: drop, set: func(client, filter string, qos uint8) {
		drop(client, filter)
		db.query(fmt.Sprintf("insert into mqtt_sub (clientid, topic, qos) values ('%s', '%s', %d)", client, filter, qos))
	}}
}

func mongoTable(t *testing.T) *proxyTable {
	address := given(t, "mongodb").String()
	client, err := mongo.Connect(options.Client().ApplyURI(address))
	if err != nil {
		t.Fatal(err)
	}
	const database = "fairlead_matrix"
	ctx := context.Background()
	check := func(_ any, err error) {
		if err != nil {
			t.Errorf("mongodb: %v", err)
		}
	}
	t.Cleanup(func() {
		check(nil, client.Database(database).Drop(ctx))
		check(nil, client.Disconnect(ctx))
	})
	rows := client.Database(database).Collection("mqtt_sub")
	return &proxyTable{
		driver: "mongodb",
		use: func(c *Config) {
			pool := mongodb.DefaultConfig()
			pool.URL, pool.Type, pool.Database = address, "unknown", database
			c.Backends.MongoDB.Pools = map[string]*mongodb.Config{"main": &pool}
		},
		set: func(id, filter string, qos uint8) {
			check(rows.UpdateOne(ctx, bson.M{"clientid": id, "topic": filter}, bson.M{"$set": bson.M{"qos": int32(qos)}}, options.UpdateOne().SetUpsert(true)))
		},
		drop: func(id, filter string) { check(rows.DeleteOne(ctx, bson.M{"clientid": id, "topic": filter})) },
	}
}

func cassandraTable(t *testing.T) *proxyTable {
	u := given(t, "cassandra")
	const keyspace = "fairlead_matrix"
	password, _ := u.User.Password()
	c := gocql.NewCluster(u.Host)
	c.Authenticator = gocql.PasswordAuthenticator{Username: u.User.Username(), Password: password}
	c.Timeout, c.ConnectTimeout = 20*time.Second, 20*time.Second
	s, err := c.CreateSession()
	if err != nil {
		t.Fatal(err)
	}
	exec := func(text string, values ...any) {
		t.Helper()
		if err := s.Query(text, values...).Exec(); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	exec("DROP KEYSPACE IF EXISTS " + keyspace)
	exec("CREATE KEYSPACE " + keyspace + " WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
	t.Cleanup(func() {
		exec("DROP KEYSPACE IF EXISTS " + keyspace)
		s.Close()
	})
	return &proxyTable{
		driver: "cassandra",
		use: func(c *Config) {
			pool := cassandra.DefaultConfig()
			pool.Nodes, pool.Keyspace, pool.PoolSize, pool.Timeout = []string{u.Host}, keyspace, 2, 20*time.Second
			pool.Username, pool.Password = u.User.Username(), password
			c.Backends.Cassandra.Pools = map[string]*cassandra.Config{"main": &pool}
		},
		set: func(id, filter string, qos uint8) {
			exec("INSERT INTO "+keyspace+".sub (client_id, topic, qos) VALUES (?, ?, ?)", id, filter, int(qos))
		},
		drop: func(id, filter string) {
			exec("DELETE FROM "+keyspace+".sub WHERE client_id = ? AND topic = ?", id, filter)
		},
	}
}
