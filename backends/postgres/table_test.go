package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/postgres"
	"github.com/fairlead-iot/fairlead/backends/sessions"
	"github.com/fairlead-iot/fairlead/backends/sessions/tabletest"
	"github.com/fairlead-iot/fairlead/internal/testservice"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// openTable opens the Table of a namespace at url.
func openTable(t testing.TB, url, namespace string) sessions.Database {
	t.Helper()
	c := postgres.DefaultConfig()
	c.URL = url
	return tabletest.Open(t, &c, namespace)
}

// tables makes a schema with the tables of sessions.
func tables(t testing.TB) *site {
	s := &site{server: server(t)}
	s.fresh(t)
	psql(t, s.url, "set client_min_messages = error;"+postgres.TableSchema)
	return s
}

func TestServiceTable(t *testing.T) {
	s := tables(t)
	try := tabletest.Site{
		Fresh: func(t testing.TB) func() sessions.Database {
			namespace := tabletest.Namespace()
			return func() sessions.Database { return openTable(t, s.url, namespace) }
		},
		Bare: func(t testing.TB) sessions.Database {
			bare := &site{server: s.server}
			bare.fresh(t)
			return openTable(t, bare.url, tabletest.Namespace())
		},
	}
	try.Kill, try.Start, try.Pause, try.Resume = testservice.Acts("postgres")
	tabletest.Run(t, try)
}

// A gateway that died in the middle of a transaction, which the server does not know yet,
// holds up nobody who takes over.
func TestServiceTableOfTheDead(t *testing.T) {
	s := tables(t)
	namespace := tabletest.Namespace()
	d := openTable(t, s.url, namespace)
	defer d.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := d.Claim(ctx, "first"); err != nil {
		t.Fatal(err)
	}
	dead, err := pgx.Connect(ctx, s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close(context.Background())
	for _, text := range []string{
		"set application_name = 'fairlead sessions " + namespace + "'", "begin",
		"select * from fairlead_claim where namespace = '" + namespace + "' for share",
	} {
		if _, err := dead.Exec(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	next := openTable(t, s.url, namespace)
	defer next.Close()
	if err := next.Claim(ctx, "second"); err != nil {
		t.Fatalf("claim: %v", err)
	}
	err = d.Write(ctx, []sessions.Write{{Part: []byte("p"), Key: []byte("k")}})
	if !errors.Is(err, sessions.ErrClaimed) || !strings.Contains(err.Error(), ": second at ") {
		t.Errorf("the first writes: %v", err)
	}
}

func TestServiceTableFaults(t *testing.T) {
	s := tables(t)
	role := strings.ReplaceAll(tabletest.Namespace(), "-", "_")
	psql(t, s.server, "create role "+role+" login password 'secret'")
	t.Cleanup(func() { psql(t, s.server, "drop owned by "+role+"; drop role "+role) })
	psql(t, s.url, "do $$ begin execute 'grant usage on schema ' || current_schema() || ' to "+role+"'; end $$")
	as := func(login string) string {
		_, rest, _ := strings.Cut(s.url, "@")
		return "postgres://" + login + "@" + rest
	}
	readOnly := strings.Replace(s.url, "options=", "default_transaction_read_only=on&options=", 1)
	host, _, _ := strings.Cut(strings.SplitN(s.url, "@", 2)[1], "/")
	for name, c := range map[string]struct{ url, want string }{
		"wrong password": {as(role + ":wrong"), "password authentication failed"},
		"no rights":      {as(role + ":secret"), "on fairlead_claim and fairlead_state"},
		"read only":      {readOnly, "name the primary server"},
		"away":           {"postgres://a:b@127.0.0.1:1/c", "127.0.0.1:1"},
	} {
		d := openTable(t, c.url, tabletest.Namespace())
		err := d.Claim(t.Context(), "nobody")
		if err == nil || !strings.Contains(err.Error(), c.want) || name != "away" && !strings.Contains(err.Error(), host) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q and %q in it", name, err, c.want, host)
		}
		d.Close()
	}
	d := openTable(t, s.url, tabletest.Namespace())
	defer d.Close()
	list, err := d.Caveats(t.Context())
	fsync := psql(t, s.url, "show fsync")
	if err != nil || (len(list) == 0) != (fsync == "on") {
		t.Errorf("with fsync %s the caveats are %q, %v", fsync, list, err)
	}
}

func TestNamespace(t *testing.T) {
	c := postgres.DefaultConfig()
	if _, err := c.OpenTable("a b"); err == nil || !strings.Contains(err.Error(), "namespace") {
		t.Errorf("a namespace with a blank: %v", err)
	}
}

// The driver's own: each pair its INSERT, all in one pgx.Batch.
func BenchmarkTable(b *testing.B) {
	s := tables(b)
	d := openTable(b, s.url, "table")
	defer d.Close()
	pool, err := pgxpool.New(context.Background(), s.url)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	psql(b, s.url, "create table plain (part bytea, key bytea, value bytea not null, primary key (part, key))")
	tabletest.Compare(b, d, func(ctx context.Context, group []sessions.Write) error {
		var batch pgx.Batch
		for _, w := range group {
			batch.Queue("insert into plain (part, key, value) values ($1, $2, $3) on conflict (part, key) do update set value = excluded.value", w.Part, w.Key, w.Value)
		}
		return pool.SendBatch(ctx, &batch).Close()
	})
}
