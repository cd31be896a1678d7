package cassandra

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/fairlead-iot/fairlead/backends/sessions"
	"github.com/fairlead-iot/fairlead/backends/sessions/tabletest"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// tableConfig is the pool of the service, in a keyspace of the tests.
func tableConfig(t testing.TB, keyspace string) Config {
	u, err := url.Parse(testservice.URL(t, "cassandra"))
	if err != nil {
		t.Fatal(err)
	}
	c := DefaultConfig()
	c.Nodes, c.Keyspace, c.Timeout, c.PoolSize = []string{u.Host}, keyspace, 20*time.Second, 2
	c.Username = u.User.Username()
	c.Password, _ = u.User.Password()
	return c
}

func openTable(t testing.TB, c Config, namespace string) *Table {
	t.Helper()
	return tabletest.Open(t, &c, namespace).(*Table)
}

// tables has the keyspace of the tests have the tables of sessions. They stay: making them
// takes a second, and each test has a namespace of its own.
func tables(t testing.TB) Config {
	c := tableConfig(t, testKeyspace)
	look := systemSession(t, c)
	makeKeyspace(t, look, testKeyspace)
	end(look)
	d := openTable(t, c, "none")
	defer d.Close()
	if _, err := d.Init(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	return c
}

// bare makes a keyspace without tables, which ends with the test.
func bare(t testing.TB) Config {
	c := tableConfig(t, fmt.Sprintf("sessions_%x", rand.Uint32()))
	look := systemSession(t, c)
	t.Cleanup(func() { end(look) })
	makeKeyspace(t, look, c.Keyspace)
	t.Cleanup(func() {
		if err := look.Query("DROP KEYSPACE " + c.Keyspace).Exec(); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
	return c
}

// systemSession is a session of the test's own, in no keyspace.
func systemSession(t testing.TB, c Config) *gocql.Session {
	c.Keyspace = "system"
	cluster, err := c.cluster()
	if err != nil {
		t.Fatal(err)
	}
	look, err := cluster.CreateSession()
	if err != nil {
		t.Fatal(err)
	}
	return look
}

func TestServiceTable(t *testing.T) {
	c := tables(t)
	try := tabletest.Site{
		Fresh: func(t testing.TB) func() sessions.Database {
			namespace := tabletest.Namespace()
			return func() sessions.Database { return openTable(t, c, namespace) }
		},
		Bare:    func(t testing.TB) sessions.Database { return openTable(t, bare(t), tabletest.Namespace()) },
		Crashes: 1, // a start takes half a minute
	}
	try.Kill, try.Start, try.Pause, try.Resume = testservice.Acts("cassandra")
	tabletest.Run(t, try)
}

// content is everything that stands in d.
func content(t *testing.T, d *Table) string {
	t.Helper()
	var text strings.Builder
	if err := d.Scan(t.Context(), func(part, key, value []byte) error {
		fmt.Fprintf(&text, "%s/%s=%s ", part, key, value)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func put(part, key, value string) sessions.Write {
	return sessions.Write{Part: []byte(part), Key: []byte(key), Value: []byte(value)}
}

// A gateway dies when a Write is decided and none, or some, of it made; whoever claims then
// makes it. What the dead one sent comes even later, and changes nothing.
func TestServiceTableHalf(t *testing.T) {
	testservice.Limit(t, 2*time.Minute)
	c := tables(t)
	namespace := tabletest.Namespace()
	ctx := t.Context()
	a := openTable(t, c, namespace)
	defer a.Close()
	if err := a.Claim(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if err := a.Write(ctx, []sessions.Write{put("p", "k", "1"), put("p", "gone", "1"), put("q", "k", "1")}); err != nil {
		t.Fatal(err)
	}
	s, err := a.db.connected(ctx)
	if err != nil {
		t.Fatal(err)
	}
	half := sessions.Net([]sessions.Write{put("p", "k", "2"), {Kind: sessions.Delete, Part: []byte("p"), Key: []byte("gone")}, {Kind: sessions.DeletePart, Part: []byte("q")}, put("q", "new", "2")})
	seq := a.seq + 2
	if err := a.note(ctx, s, seq, sessions.AppendChanges(nil, half)); err != nil {
		t.Fatal(err)
	}
	// Its own next call makes it, too.
	if got := content(t, a); got != "p/k=2 q/new=2 " && got != "q/new=2 p/k=2 " {
		t.Errorf("after a write that was decided: %s", got)
	}
	again := sessions.Net([]sessions.Write{put("p", "k", "3"), put("q", "new", "3")})
	if err := a.note(ctx, s, seq+2, sessions.AppendChanges(nil, again)); err != nil {
		t.Fatal(err)
	}
	b := openTable(t, c, namespace)
	defer b.Close()
	if err := b.Claim(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	if got := content(t, b); got != "p/k=3 q/new=3 " && got != "q/new=3 p/k=3 " {
		t.Errorf("after the claim: %s", got)
	}
	if err := b.Write(ctx, []sessions.Write{put("p", "k", "4"), {Kind: sessions.DeletePart, Part: []byte("q")}}); err != nil {
		t.Fatal(err)
	}
	for _, late := range []struct {
		seq     int64
		changes []sessions.Change
	}{{seq, half}, {seq + 2, again}} {
		if err := a.apply(ctx, s, late.seq, late.changes); err != nil {
			t.Fatal(err)
		}
	}
	if got := content(t, b); got != "p/k=4 " {
		t.Errorf("after what came late: %s", got)
	}
	if err := a.Write(ctx, []sessions.Write{put("p", "k", "5")}); !errors.Is(err, sessions.ErrClaimed) || !strings.Contains(err.Error(), ": b at ") {
		t.Errorf("the first writes: %v", err)
	}
}

// The answer to a Write is lost, and it is decided only after the next call has looked:
// then nothing is written over it.
func TestServiceTableLate(t *testing.T) {
	testservice.Limit(t, 2*time.Minute)
	c := tables(t)
	ctx := t.Context()
	a := openTable(t, c, tabletest.Namespace())
	defer a.Close()
	if err := a.Claim(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if err := a.Write(ctx, []sessions.Write{put("p", "k", "1")}); err != nil {
		t.Fatal(err)
	}
	s, err := a.db.connected(ctx)
	if err != nil {
		t.Fatal(err)
	}
	before := a.seq
	if err := a.note(ctx, s, before+2, sessions.AppendChanges(nil, sessions.Net([]sessions.Write{put("p", "k", "late")}))); err != nil {
		t.Fatal(err)
	}
	a.unsettled.Store(false) // as if it had looked before
	if err := a.Write(ctx, []sessions.Write{put("p", "k", "2")}); !errors.Is(err, errLate) || errors.Is(err, sessions.ErrClaimed) {
		t.Errorf("a write behind one that came late: %v", err)
	}
	if got := content(t, a); got != "p/k=late " {
		t.Errorf("then there is %s", got)
	}
	if err := a.Write(ctx, []sessions.Write{put("p", "k", "2")}); err != nil || content(t, a) != "p/k=2 " {
		t.Errorf("the next write: %v, %s", err, content(t, a))
	}
}

func TestServiceTableFaults(t *testing.T) {
	testservice.Limit(t, 2*time.Minute)
	c := tables(t)
	for name, f := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"wrong password": {func(c *Config) { c.Password = "wrong" }, "incorrect"},
		"no keyspace":    {func(c *Config) { c.Keyspace = "none" }, "none"},
		"away":           {func(c *Config) { c.Nodes = []string{"127.0.0.1:1"} }, "127.0.0.1:1"},
	} {
		own := c
		f.change(&own)
		d := openTable(t, own, tabletest.Namespace())
		err := d.Claim(t.Context(), "nobody")
		if err == nil || !strings.Contains(err.Error(), f.want) || !strings.Contains(err.Error(), own.Nodes[0]) {
			t.Errorf("%s: %v, want %q and %q in it", name, err, f.want, own.Nodes[0])
		}
		d.Close()
	}
	d := openTable(t, c, tabletest.Namespace())
	defer d.Close()
	list, err := d.Caveats(t.Context())
	if err != nil || len(list) != 1 || !strings.Contains(list[0], "replication_factor = 1") { // commitlog_sync is batch
		t.Errorf("one node: %q, %v", list, err)
	}
	c.Consistency = "one"
	if _, err := c.OpenTable("n"); err == nil || !strings.HasPrefix(err.Error(), "consistency: ") {
		t.Errorf("consistency one: %v", err)
	}
}

// The driver's own: a batch for each partition, all of them side by side. That alone is
// neither done as a whole nor kept from who has lost the claim: so the loop that is compared
// first puts all of it into a row, by a lightweight transaction that compares the claim.
func BenchmarkTable(b *testing.B) {
	d := openTable(b, bare(b), tabletest.Namespace())
	defer d.Close()
	if _, err := d.Init(b.Context(), true); err != nil {
		b.Fatal(err)
	}
	s, err := d.db.connected(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	for _, text := range []string{
		"CREATE TABLE plain (part blob, key blob, value blob, PRIMARY KEY (part, key))",
		"CREATE TABLE plain_claim (name text PRIMARY KEY, holder text, number bigint, note blob)",
		"INSERT INTO plain_claim (name, holder, number) VALUES ('gateway', 'me', 0)",
	} {
		if err := s.Query(text).Exec(); err != nil {
			b.Fatal(err)
		}
	}
	number := int64(0)
	tabletest.Compare(b, d, func(ctx context.Context, group []sessions.Write) error {
		var note []byte
		for _, w := range group {
			note = append(append(append(note, w.Part...), w.Key...), w.Value...)
		}
		done, err := s.Query("UPDATE plain_claim SET number = ?, note = ? WHERE name = 'gateway' IF holder = 'me' AND number = ?", number+1, note, number).
			SerialConsistency(d.serial).MapScanCASContext(ctx, map[string]any{})
		if err != nil || !done {
			return errors.Join(err, errLate)
		}
		number++
		return plainBatches(ctx, s, group)
	}, func(ctx context.Context, group []sessions.Write) error { return plainBatches(ctx, s, group) })
}

func plainBatches(ctx context.Context, s *gocql.Session, group []sessions.Write) error {
	parts := map[string]*gocql.Batch{}
	for _, w := range group {
		batch := parts[string(w.Part)]
		if batch == nil {
			batch = s.Batch(gocql.UnloggedBatch)
			parts[string(w.Part)] = batch
		}
		batch.Query("INSERT INTO plain (part, key, value) VALUES (?, ?, ?)", w.Part, w.Key, w.Value)
	}
	errs := make(chan error, len(parts))
	for _, batch := range parts {
		go func() { errs <- batch.ExecContext(ctx) }()
	}
	var all error
	for range parts {
		all = errors.Join(all, <-errs)
	}
	return all
}
