package fairlead

import (
	"crypto/rand"
	"flag"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/mysql"
	"github.com/fairlead-iot/fairlead/backends/postgres"
	"github.com/fairlead-iot/fairlead/backends/redis"
	"github.com/fairlead-iot/fairlead/backends/sessions"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// storePools gives a pool for each database that can keep sessions, of the server that
// stands for it in tests.
func storePools() map[string]func(t testing.TB) sessions.Pool {
	ofMySQL := func(service string) func(t testing.TB) sessions.Pool {
		return func(t testing.TB) sessions.Pool {
			c := mysql.DefaultConfig()
			c.URL = given(t, service).String()
			return &c
		}
	}
	return map[string]func(t testing.TB) sessions.Pool{
		"postgres": func(t testing.TB) sessions.Pool {
			c := postgres.DefaultConfig()
			c.URL = given(t, "postgres").String()
			return &c
		},
		"mariadb": ofMySQL("mariadb"),
		"mysql":   ofMySQL("mysql"),
		"redis": func(t testing.TB) sessions.Pool {
			c := redis.DefaultConfig()
			c.Server = []string{given(t, "redis").Host}
			return &c
		},
		"mongodb": func(t testing.TB) sessions.Pool {
			c := mongoPool(t)
			c.Timeout = 30 * time.Second
			return &c
		},
		"cassandra": func(t testing.TB) sessions.Pool {
			c := cassandraPool(t)
			return &c
		},
	}
}

// openTable opens the table of a namespace, with its schema.
func openTable(t testing.TB, pool sessions.Pool, namespace string) sessions.Database {
	t.Helper()
	db := attach(t, pool, namespace)
	if _, err := db.Init(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	return db
}

// attach opens the table of a namespace.
func attach(t testing.TB, pool sessions.Pool, namespace string) sessions.Database {
	t.Helper()
	db, err := pool.OpenTable(namespace)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func openSessions(t testing.TB, db sessions.Database) *sessions.Store {
	t.Helper()
	s, err := sessions.Open(t.Context(), db, sessions.Options{Engine: "test", Who: t.Name(), MaxPendingBytes: 8 << 20, CommitOperations: 256})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Each database keeps sessions as core wants it.
func TestServiceStore(t *testing.T) {
	fewerChecks(t)
	for name, pool := range storePools() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			receivers := 2000
			if name == "mongodb" { // what ends a session looks through all documents of the emulator, for each session
				receivers = 100
			}
			type home struct {
				pool      sessions.Pool
				namespace string
			}
			one := pool(t)
			homes := map[string]home{} // by directory: the suite opens one again
			began := time.Now()
			coretest.RunStoreFor(t, receivers, func(t *testing.T, dir string) core.Store {
				h, again := homes[dir]
				if !again {
					h = home{one, "test-" + rand.Text()}
					if name == "mongodb" { // the emulator looks through all that a collection has, and forgets no marks
						h.pool = pool(t)
					}
					openTable(t, h.pool, h.namespace).Close()
					homes[dir] = h
				}
				return openSessions(t, attach(t, h.pool, h.namespace))
			})
			t.Logf("%d stores in %s", len(homes), time.Since(began).Round(time.Millisecond))
		})
	}
}

// fewerChecks has the suite play fewer random lives with databases, which open slowly,
// unless the command line says how many.
func fewerChecks(t *testing.T) {
	checks := flag.Lookup("rapid.checks")
	if checks.Value.String() != checks.DefValue {
		return
	}
	if err := checks.Value.Set("20"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { checks.Value.Set(checks.DefValue) })
}
