package fairlead

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// fault is something that is wrong with a database.
type fault struct {
	name       string
	make, mend func()
	says       string // part of the line that names it
}

// faulty is a gateway with a database, whose log is looked at.
type faulty struct {
	*site
	log    *lines
	stored looks
	await  func(what string, problem func() string)
	said   int // lines that were expected
}

// lines keeps what was logged as warning or error.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(b))
	return len(b), nil
}

func (l *lines) from(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[n:]
}

// startFaulty runs a gateway that stores what comes below in/, and hurries.
func startFaulty(t *testing.T, use use, stored looks) *faulty {
	t.Helper()
	c := testConfig(t.TempDir())
	c.Backends.Timeout, c.Backends.RetryMin, c.Backends.RetryMax = 2*time.Second, 50*time.Millisecond, 200*time.Millisecond
	use(&c, []rules.Rule{{Hook: rules.MessagePublish, Topic: "in/#", Function: rules.OnMessagePublish}})
	f := &faulty{log: &lines{}, stored: stored, await: newTraffic(t, 0).await}
	g := startLogged(t, c, slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelWarn})))
	f.site, f.said = &site{g, t}, len(f.log.from(0))
	return f
}

// awaitStored waits until messages from to to-1 stand in the database, in order.
func (f *faulty) awaitStored(topic string, count int) {
	f.t.Helper()
	f.await(topic, func() string {
		if got := numbers(f.t, f.stored(topic)); len(got) != count || compare(nil, got, 0) != "" {
			return fmt.Sprintf("%v, want %d of them, in order; the log says %q", got, count, f.log.from(f.said))
		}
		return ""
	})
}

// passes has a fault come and go under traffic: devices are answered and get each other's
// messages, the log names it once, beside what it was when connections ended, and in the
// end the database has everything.
func (f *faulty) passes(x fault) { f.meets(x, 3, true) }

// meets is passes with some messages stored before, which the fault keeps or not.
func (f *faulty) meets(x fault, before int, kept bool) {
	f.t.Helper()
	topic := "in/" + strings.ReplaceAll(x.name, " ", "-")
	device, other := f.dial(devices.Options{}), f.dial(devices.Options{})
	f.subscribe(other, topic)
	n := 0
	more := func(k int) {
		f.t.Helper()
		for range k {
			f.publish(device, topic, fmt.Sprint(n), false)
			f.wants(other.Messages(), fmt.Sprintf("%s=%d", topic, n))
			n++
		}
	}
	lost := 0
	more(before)
	f.awaitStored(topic, n)
	if !kept {
		lost = n
	}
	x.make()
	more(20)
	f.await(x.name, func() string {
		if got := f.log.from(f.said); !strings.Contains(strings.Join(got, ""), x.says) {
			more(1)
			return fmt.Sprintf("%q does not say %q", got, x.says)
		}
		return ""
	})
	more(20)
	if got := f.log.from(f.said); len(got) > 3 {
		f.t.Errorf("%s is named %d times: %q", x.name, len(got), got)
	}
	x.mend()
	f.awaitStored(topic, n-lost)
	more(3)
	f.awaitStored(topic, n-lost)
	f.said += len(f.log.from(f.said))
}

// refused has messages come that the database will never take, among good ones: they are
// dropped, which one line names.
func (f *faulty) refused(name, says, topic string) {
	f.t.Helper()
	device := f.dial(devices.Options{})
	const good = "in/good"
	before := len(f.stored(good))
	for n := range 10 {
		f.publish(device, topic, fmt.Sprint(n), false)
		f.publish(device, good, fmt.Sprint(before+n), false)
	}
	f.awaitStored(good, before+10)
	f.await(name, func() string {
		if got := f.log.from(f.said); len(got) != 1 || !strings.Contains(got[0], says) {
			return fmt.Sprintf("%q, want one line that says %q", got, says)
		}
		return ""
	})
	f.said++
}

// TestServiceFaults: whatever is wrong with a database, devices go on, it is named once,
// and nothing is missing when it is mended.
func TestServiceFaults(t *testing.T) {
	for name, run := range map[string]func(*testing.T){"redis": redisFaults, "postgres": postgresFaults, "mysql": mysqlFaults("mysql"), "mariadb": mysqlFaults("mariadb"),
		"cassandra": cassandraFaults, "mongodb": mongoFaults} {
		t.Run(name, func(t *testing.T) { t.Parallel(); run(t) })
	}
}

func redisFaults(t *testing.T) {
	r := startRedis(t)
	use, stored := redisStore(t)
	f := startFaulty(t, func(c *Config, list []rules.Rule) {
		use(c, list)
		c.Backends.Redis.Pools["main"].Channel = ""
	}, stored)
	config := func(key, value string) func() { return func() { r.cli("CONFIG", "SET", key, value) } }
	secret := *r
	for _, x := range []fault{
		{"full", func() { r.cli("CONFIG", "SET", "maxmemory", "1") }, config("maxmemory", "0"), "OOM command not allowed"},
		{"a replica", func() { r.cli("REPLICAOF", "127.0.0.1", "1") }, func() { r.cli("REPLICAOF", "NO", "ONE") }, "READONLY"},
		{"too few replicas", config("min-replicas-to-write", "1"), config("min-replicas-to-write", "0"), "NOREPLICAS"},
		{"slow", func() { r.cli("CLIENT", "PAUSE", "4000", "WRITE") }, func() { r.cli("CLIENT", "UNPAUSE") }, "i/o timeout"},
		{"password changed", func() {
			r.cli("CONFIG", "SET", "requirepass", "secret")
			secret.cli("-a", "secret", "CLIENT", "KILL", "TYPE", "normal")
		}, func() { secret.cli("-a", "secret", "CONFIG", "SET", "requirepass", "") }, "NOAUTH"},
	} {
		t.Cleanup(x.mend)
		f.passes(x)
	}
	r.cli("SET", "mqtt:msg:in/odd", "a string of somebody else")
	f.refused("a key of another type", "WRONGTYPE", "in/odd")
}

// login is a user of the test's own, whose password may change.
func login() string { return fmt.Sprintf("u%x", rand.Uint32()) }

// as makes the pool log in as another.
func as(text, user string) string {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	u.User = url.UserPassword(user, "first")
	return u.String()
}

func postgresFaults(t *testing.T) {
	db, user := postgresServer(t), login()
	use, stored := db.store()
	schema := db.query("select current_schema()")
	db.query("create role " + user + " login password 'first'; grant usage on schema " + schema + " to " + user +
		"; grant all on all tables in schema " + schema + " to " + user + "; grant all on all sequences in schema " + schema + " to " + user)
	t.Cleanup(func() { db.query("drop owned by " + user + "; drop role " + user) })
	hangUp := func() {
		db.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = '" + user + "'")
	}
	f := startFaulty(t, func(c *Config, list []rules.Rule) {
		use(c, list)
		pool := c.Backends.Postgres.Pools["main"]
		pool.URL = as(pool.URL, user)
	}, stored)
	do := func(script string) func() { return func() { db.query(script) } }
	then := func(script string) func() { return func() { db.query(script); hangUp() } }
	for _, x := range []fault{
		{"no table", do("alter table mqtt_msg rename to elsewhere"), do("alter table elsewhere rename to mqtt_msg"), "fairlead ctl backend init"},
		{"no column", do("alter table mqtt_msg rename sender to sent_by"), do("alter table mqtt_msg rename sent_by to sender"), "fairlead ctl backend init"},
		{"no right", do("revoke insert on mqtt_msg from " + user), do("grant insert on mqtt_msg to " + user), "grant the role of the pool"},
		{"read only", then("alter role " + user + " set default_transaction_read_only = on"), then("alter role " + user + " reset default_transaction_read_only"), "name the primary server"},
		{"password changed", then("alter role " + user + " password 'second'"), do("alter role " + user + " password 'first'"), "check username and password"},
		{"full", do("create function full_disk() returns trigger language plpgsql as $$ begin raise exception using errcode = '53100'; end $$;" +
			"create trigger full_disk before insert on mqtt_msg execute function full_disk()"), do("drop trigger full_disk on mqtt_msg"), "make room on the disk"},
		{"locked", holdLock(t, db.client("begin; lock table mqtt_msg in access exclusive mode; select pg_sleep(4)")), func() {}, "timeout"},
	} {
		f.passes(x)
	}
	db.query("alter table mqtt_msg alter topic type varchar(40)")
	f.refused("a topic that is too long", "too long", "in/"+strings.Repeat("long/", 20))
}

func mysqlFaults(kind string) func(*testing.T) {
	return func(t *testing.T) {
		db, user := mysqlServer(t, kind), login()
		use, stored := db.store()
		name := db.query("select database()")
		db.query("create user " + user + "@'%' identified by 'first'; grant select, insert, update, delete on " + name + ".* to " + user + "@'%'")
		t.Cleanup(func() { db.query("drop user " + user) })
		hangUp := func() {
			for id := range strings.FieldsSeq(db.query("select id from information_schema.processlist where user = '" + user + "'")) {
				db.client("kill " + id).Run() // it may be gone
			}
		}
		f := startFaulty(t, func(c *Config, list []rules.Rule) {
			use(c, list)
			pool := c.Backends.MySQL.Pools["main"]
			pool.URL = as(pool.URL, user)
		}, stored)
		do := func(script string) func() { return func() { db.query(script) } }
		then := func(script string) func() { return func() { db.query(script); hangUp() } }
		for _, x := range []fault{
			{"no table", do("rename table mqtt_msg to elsewhere"), do("rename table elsewhere to mqtt_msg"), "fairlead ctl backend init"},
			{"no column", do("alter table mqtt_msg rename column sender to sent_by"), do("alter table mqtt_msg rename column sent_by to sender"), "fairlead ctl backend init"},
			{"no right", then("revoke insert on " + name + ".* from " + user), do("grant insert on " + name + ".* to " + user), "grant the user of the pool"},
			{"read only", do("set global read_only = 1"), do("set global read_only = 0"), "name the primary server"},
			{"password changed", then("alter user " + user + "@'%' identified by 'second'"), do("alter user " + user + "@'%' identified by 'first'"), "check username and password"},
			{"full", do("create trigger full_disk before insert on mqtt_msg for each row signal sqlstate 'HY000' set mysql_errno = 1114, message_text = 'The table is full'"),
				do("drop trigger full_disk"), "make room on the disk"},
			{"locked", holdLock(t, db.client("lock tables mqtt_msg write; select sleep(4)")), func() {}, "deadline exceeded"},
		} {
			t.Cleanup(func() { db.query("set global read_only = 0") })
			f.passes(x)
		}
		db.query("alter table mqtt_msg modify topic varchar(40) not null")
		f.refused("a topic that is too long", "too long", "in/"+strings.Repeat("long/", 20))
	}
}

func cassandraFaults(t *testing.T) {
	s, user := cassandraSite(t), login()
	s.do("CREATE ROLE " + user + " WITH PASSWORD = 'second' AND LOGIN = true")
	t.Cleanup(func() { s.do("DROP ROLE " + user) })
	s.do("GRANT SELECT ON KEYSPACE " + s.pool.Keyspace + " TO " + user)
	grant := "GRANT MODIFY ON KEYSPACE " + s.pool.Keyspace + " TO " + user
	s.do(grant)
	f := startFaulty(t, func(c *Config, list []rules.Rule) {
		s.use(c, list)
		pool := c.Backends.Cassandra.Pools["main"]
		pool.Username, pool.Password = user, "first"
	}, s.looks)
	do := func(statement string) func() { return func() { s.do(statement) } }
	f.meets(fault{"password wrong", func() {}, do("ALTER ROLE " + user + " WITH PASSWORD = 'first'"), "check username and password"}, 0, true)
	f.meets(fault{"no table", do("DROP TABLE msg"), func() {
		c := testConfig(t.TempDir())
		if s.use(&c, nil); InitBackends(t.Context(), &c, true, func(string, string) {}) != nil {
			t.Error("no table could be made")
		}
	}, "fairlead ctl backend init"}, 3, false)
	f.passes(fault{"no right", do("REVOKE MODIFY ON KEYSPACE " + s.pool.Keyspace + " FROM " + user), do(grant), "no MODIFY permission"})
}

// holdLock runs a program that keeps a lock for a while.
func holdLock(t *testing.T, cmd *exec.Cmd) func() {
	return func() {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Wait() })
	}
}

func mongoFaults(t *testing.T) {
	use, stored := mongoStore(t)
	f := startFaulty(t, use, stored)
	f.passes(fault{"paused", func() { testservice.Pause(t, "mongodb") }, func() { testservice.Resume(t, "mongodb") }, "deadline exceeded"})
}
