package mysql_test

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/mysql"
	"github.com/fairlead-iot/fairlead/backends/sessions"
	"github.com/fairlead-iot/fairlead/backends/sessions/tabletest"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// openTable opens the Table of a namespace at url.
func openTable(t testing.TB, url, namespace string) sessions.Database {
	t.Helper()
	c := mysql.DefaultConfig()
	c.URL = url
	return tabletest.Open(t, &c, namespace)
}

// tables makes a database with the tables of sessions.
func tables(t testing.TB, server string) *site {
	s := &site{server: server}
	s.fresh(t)
	client(t, s.url, mysql.TableSchema)
	return s
}

func TestServiceTable(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		all := tables(t, s.server)
		try := tabletest.Site{
			Fresh: func(t testing.TB) func() sessions.Database {
				namespace := tabletest.Namespace()
				return func() sessions.Database { return openTable(t, all.url, namespace) }
			},
			Bare: func(t testing.TB) sessions.Database {
				bare := &site{server: s.server}
				bare.fresh(t)
				return openTable(t, bare.url, tabletest.Namespace())
			},
		}
		try.Kill, try.Start, try.Pause, try.Resume = testservice.Acts(s.service)
		tabletest.Run(t, try)
	})
}

// A gateway that died in the middle of a transaction, which the server does not know yet,
// holds up who takes over only until the server ends an idle session.
func TestServiceTableOfTheDead(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		all := tables(t, s.server)
		namespace := tabletest.Namespace()
		d := openTable(t, all.url, namespace)
		defer d.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := d.Claim(ctx, "first"); err != nil {
			t.Fatal(err)
		}
		dead := raw(t, all.url)
		for _, text := range []string{
			strings.Replace(mysql.IdleServer, "wait_timeout = 20", "wait_timeout = 2", 1), "start transaction", // as a Table does, but for the time
			"select * from fairlead_claim where namespace = '" + namespace + "' lock in share mode",
		} {
			if _, err := dead.ExecContext(ctx, text); err != nil {
				t.Fatal(err)
			}
		}
		next := openTable(t, all.url, namespace)
		defer next.Close()
		if err := next.Claim(ctx, "second"); err != nil {
			t.Fatalf("claim: %v", err)
		}
		err := d.Write(ctx, []sessions.Write{{Part: []byte("p"), Key: []byte("k")}})
		if !errors.Is(err, sessions.ErrClaimed) || !strings.Contains(err.Error(), ": second at ") {
			t.Errorf("the first writes: %v", err)
		}
	})
}

// raw is a connection of the test's own.
func raw(t testing.TB, address string) *sql.Conn {
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", u.User.String()+"@tcp("+u.Host+")"+u.Path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	c, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestServiceTableFaults(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		all := tables(t, s.server)
		user := strings.ReplaceAll(tabletest.Namespace(), "-", "_")
		u, _ := url.Parse(all.url)
		client(t, s.server, "create user "+user+" identified by 'secret'; grant create on "+strings.Trim(u.Path, "/")+".* to "+user)
		t.Cleanup(func() { client(t, s.server, "drop user "+user) })
		as := func(password string) string {
			own := *u
			own.User = url.UserPassword(user, password)
			return own.String()
		}
		for name, c := range map[string]struct{ url, want string }{
			"wrong password": {as("wrong"), "Access denied"},
			"no rights":      {as("secret"), "on the tables fairlead_*"},
			"away":           {"mysql://a:b@127.0.0.1:1/c", "127.0.0.1:1"},
		} {
			d := openTable(t, c.url, tabletest.Namespace())
			err := d.Claim(t.Context(), "nobody")
			if err == nil || !strings.Contains(err.Error(), c.want) || name != "away" && !strings.Contains(err.Error(), u.Host) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v, want %q and %q in it", name, err, c.want, u.Host)
			}
			d.Close()
		}
		client(t, s.server, "grant select, insert, update, delete on "+strings.Trim(u.Path, "/")+".* to "+user+"; set global read_only = 1")
		defer client(t, s.server, "set global read_only = 0")
		narrow := openTable(t, as("secret"), tabletest.Namespace())
		defer narrow.Close()
		if err := narrow.Claim(t.Context(), "nobody"); err == nil || !strings.Contains(err.Error(), "name the primary server") {
			t.Errorf("a server that is read only: %v", err)
		}
		d := openTable(t, all.url, tabletest.Namespace())
		defer d.Close()
		list, err := d.Caveats(t.Context())
		flush := client(t, s.server, "select @@innodb_flush_log_at_trx_commit")
		if err != nil || strings.Contains(strings.Join(list, ""), "innodb_flush_log_at_trx_commit") != (flush != "1") {
			t.Errorf("with innodb_flush_log_at_trx_commit %s the caveats are %q, %v", flush, list, err)
		}
	})
}

// The driver's own: one prepared statement of 256 rows, in a transaction that keeps a
// claim, as a Write must.
func BenchmarkTable(b *testing.B) {
	onEach(b, func(b *testing.B, s *site) {
		all := tables(b, s.server)
		d := openTable(b, all.url, "table")
		defer d.Close()
		client(b, all.url, "create table plain_claim (name varbinary(64) primary key, token varbinary(64) not null); insert into plain_claim values ('gateway', 'token')")
		client(b, all.url, "create table plain (part varbinary(32), name varbinary(1001), value mediumblob not null, primary key (part, name))")
		db := raw(b, all.url)
		many, err := db.PrepareContext(context.Background(), "insert into plain (part, name, value) values "+strings.Repeat("(?, ?, ?), ", 255)+"(?, ?, ?) on duplicate key update value = values(value)")
		if err != nil {
			b.Fatal(err)
		}
		hold, err := db.PrepareContext(context.Background(), "select 1 from plain_claim where name = ? and token = ? lock in share mode")
		if err != nil {
			b.Fatal(err)
		}
		tabletest.Compare(b, d, func(ctx context.Context, group []sessions.Write) error {
			args := make([]any, 0, 3*len(group))
			for _, w := range group {
				args = append(args, w.Part, w.Key, w.Value)
			}
			of, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer of.Rollback()
			var one int
			if err := of.StmtContext(ctx, hold).QueryRowContext(ctx, "gateway", "token").Scan(&one); err != nil {
				return err
			}
			if _, err := of.StmtContext(ctx, many).ExecContext(ctx, args...); err != nil {
				return err
			}
			return of.Commit()
		})
	})
}
