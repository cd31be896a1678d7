package fairlead

import (
	"crypto/rand"
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
	return map[string]func(t testing.TB) sessions.Pool{
		"postgres": func(t testing.TB) sessions.Pool {
			c := postgres.DefaultConfig()
			c.URL = given(t, "postgres").String()
			return &c
		},
		"mariadb": func(t testing.TB) sessions.Pool {
			c := mysql.DefaultConfig()
			c.URL = given(t, "mariadb").String()
			return &c
		},
		"redis": func(t testing.TB) sessions.Pool {
			c := redis.DefaultConfig()
			c.Server = []string{given(t, "redis").Host}
			return &c
		},
		"mysql": func(t testing.TB) sessions.Pool {
			c := mysql.DefaultConfig()
			c.URL = given(t, "mysql").String()
			return &c
		},
		"mongodb": func(t testing.TB) sessions.Pool {
			c := mongoPool(t)
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
	db, err := pool.OpenTable(namespace)
	if err == nil {
		_, err = db.Init(t.Context(), true)
	}
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
	for name, pool := range storePools() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pool(t)
			namespaces := map[string]string{} // by directory: the suite opens one again
			began := time.Now()
			coretest.RunStore(t, func(t *testing.T, dir string) core.Store {
				if namespaces[dir] == "" {
					namespaces[dir] = "test-" + rand.Text()
				}
				return openSessions(t, openTable(t, p, namespaces[dir]))
			})
			t.Logf("%d stores in %s", len(namespaces), time.Since(began).Round(time.Millisecond))
		})
	}
}
