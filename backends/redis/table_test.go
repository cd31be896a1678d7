package redis

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/fairlead-iot/fairlead/backends/sessions"
	"github.com/fairlead-iot/fairlead/backends/sessions/tabletest"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// tableConfig is the pool of a service that scripts/services starts.
func tableConfig(t testing.TB, service string) Config {
	u, err := url.Parse(testservice.URL(t, service))
	if err != nil {
		t.Fatal(err)
	}
	c := DefaultConfig()
	c.Server = append([]string{u.Host}, u.Query()["addr"]...)
	switch service {
	case "redis-cluster":
		c.Type = Cluster
	case "redis-sentinel":
		c.Type, c.Sentinel, c.Server, c.Replicas = Sentinel, "main", u.Query()["addr"], 1
	}
	return c
}

func openTable(t testing.TB, c Config, namespace string) sessions.Database {
	t.Helper()
	return tabletest.Open(t, &c, namespace)
}

func TestServiceTable(t *testing.T) { runTable(t, "redis") }

func TestServiceTableValkey(t *testing.T) { runTable(t, "valkey") }

func TestServiceTableCluster(t *testing.T) { runTable(t, "redis-cluster") }

func TestServiceTableSentinel(t *testing.T) { runTable(t, "redis-sentinel") }

func runTable(t *testing.T, service string) {
	c := tableConfig(t, service)
	s := tabletest.Site{
		Fresh: func(t testing.TB) func() sessions.Database {
			namespace := tabletest.Namespace()
			t.Cleanup(func() { wipe(t, c, namespace) })
			return func() sessions.Database { return openTable(t, c, namespace) }
		},
	}
	if c.Type != Sentinel { // which would make another one the master
		s.Kill, s.Start, s.Pause, s.Resume = testservice.Acts(service)
	}
	tabletest.Run(t, s)
}

// wipe deletes what a namespace has.
func wipe(t testing.TB, c Config, namespace string) {
	d := openTable(t, c, namespace).(*Table)
	defer d.Close()
	ctx := context.Background()
	parts, err := d.client.ZRange(ctx, d.key("parts"), 0, -1).Result()
	if err != nil {
		t.Errorf("cleaning up: %v", err)
	}
	keys := []string{d.key("claim"), d.key("parts")}
	for _, part := range parts {
		keys = append(keys, d.partKey([]byte(part)))
	}
	if err := d.client.Del(ctx, keys...).Err(); err != nil {
		t.Errorf("cleaning up: %v", err)
	}
}

// A Write that cannot be done changes nothing, whichever of its parts is in the way.
func TestServiceTableRefused(t *testing.T) {
	testservice.Limit(t, 2*time.Minute)
	c := tableConfig(t, "redis")
	d := openTable(t, c, tabletest.Namespace()).(*Table)
	defer wipe(t, c, d.namespace)
	defer d.Close()
	ctx := t.Context()
	if err := d.Claim(ctx, "test"); err != nil {
		t.Fatal(err)
	}
	set := func(part string) sessions.Write {
		return sessions.Write{Part: []byte(part), Key: []byte("k"), Value: []byte("v")}
	}
	if err := d.Write(ctx, []sessions.Write{set("a"), set("b")}); err != nil {
		t.Fatal(err)
	}
	look := func() string {
		var text strings.Builder
		if err := d.Scan(ctx, func(part, key, value []byte) error {
			fmt.Fprintf(&text, "%s %s %s;", part, key, value)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	ws := []sessions.Write{set("c"), {Kind: sessions.DeletePart, Part: []byte("a")}, set("wrong"), {Kind: sessions.Delete, Part: []byte("b"), Key: []byte("k")}}
	before := look()
	d.client.Set(ctx, d.partKey([]byte("wrong")), "a string", 0)
	defer d.client.Del(ctx, d.partKey([]byte("wrong")))
	if err := d.Write(ctx, ws); err == nil || !strings.Contains(err.Error(), "delete it") {
		t.Errorf("a key of another type: %v", err)
	}
	if after := look(); after != before {
		t.Errorf("after a key of another type %q, before it %q", after, before)
	}
	d.client.Del(ctx, d.partKey([]byte("wrong")))
	d.client.ConfigSet(ctx, "maxmemory", "1")
	defer d.client.ConfigSet(ctx, "maxmemory", "0")
	if err := d.Write(ctx, ws); err == nil || !strings.Contains(err.Error(), "raise maxmemory") {
		t.Errorf("no memory: %v", err)
	}
	d.client.ConfigSet(ctx, "maxmemory", "0")
	if after := look(); after != before {
		t.Errorf("after a want of memory %q, before it %q", after, before)
	}
	if err := d.Write(ctx, ws); err != nil || look() == before {
		t.Errorf("when all is well again: %v, %q", err, look())
	}
}

func TestServiceTableFaults(t *testing.T) {
	testservice.Limit(t, 2*time.Minute)
	ctx := t.Context()
	good := tableConfig(t, "redis")
	d := openTable(t, good, tabletest.Namespace()).(*Table)
	defer d.Close()
	if err := d.client.Do(ctx, "ACL", "SETUSER", "narrow", "on", ">secret", "~other:*", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	defer d.client.Do(ctx, "ACL", "DELUSER", "narrow")
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"wrong password": {func(c *Config) { c.Username, c.Password = "narrow", "wrong" }, "are wrong"},
		"no rights":      {func(c *Config) { c.Username, c.Password = "narrow", "secret" }, "~fairlead:*"},
		"away":           {func(c *Config) { c.Server = []string{"127.0.0.1:1"} }, "127.0.0.1:1"},
		"no replica":     {func(c *Config) { c.Replicas = 1; c.Timeout = 1e9 }, "lower replicas"},
	} {
		cfg := good
		c.change(&cfg)
		d := openTable(t, cfg, tabletest.Namespace())
		err := d.Claim(ctx, "nobody")
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), cfg.Server[0]) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q and %q in it", name, err, c.want, cfg.Server[0])
		}
		if err := d.Write(ctx, nil); !errors.Is(err, sessions.ErrUnclaimed) {
			t.Errorf("%s: a write after that: %v", name, err)
		}
		d.Close()
	}
	big := make([]byte, 300<<20)
	if _, _, err := d.arguments([]sessions.Change{{Sets: []sessions.Pair{{Value: big}, {Value: big}}}}); err == nil {
		t.Error("600 MiB go as one command")
	}
}

func TestServiceTableCaveats(t *testing.T) {
	testservice.Limit(t, 2*time.Minute)
	ctx := t.Context()
	d := openTable(t, tableConfig(t, "redis"), tabletest.Namespace()).(*Table)
	defer d.Close()
	set := func(name, value string) {
		if err := d.client.ConfigSet(ctx, name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	fsync, err := d.client.ConfigGet(ctx, "appendfsync").Result()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		set("appendfsync", fsync["appendfsync"])
		set("maxmemory", "0")
		set("maxmemory-policy", "noeviction")
	}()
	for _, c := range []struct{ fsync, memory, policy, want string }{
		{"always", "0", "allkeys-lru", ""},
		{"always", "1gb", "noeviction", ""},
		{"everysec", "0", "noeviction", "appendfsync is everysec"},
		{"no", "0", "noeviction", "appendfsync is no"},
		{"always", "1gb", "allkeys-lru", "maxmemory-policy is allkeys-lru"},
	} {
		set("appendfsync", c.fsync)
		set("maxmemory-policy", c.policy)
		set("maxmemory", c.memory)
		list, err := d.Caveats(ctx)
		if got := strings.Join(list, "\n"); err != nil || (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}

// The driver's own: an HSET of each pair, in one MULTI.
func BenchmarkTable(b *testing.B) {
	c := tableConfig(b, "redis")
	d := openTable(b, c, tabletest.Namespace()).(*Table)
	defer wipe(b, c, d.namespace)
	defer d.Close()
	defer d.client.Del(context.Background(), "plain")
	var keys [256]string
	for i := range keys {
		keys[i] = fmt.Sprint("plain:", i)
	}
	defer d.client.Del(context.Background(), keys[:]...)
	tabletest.Compare(b, d, func(ctx context.Context, group []sessions.Write) error {
		_, err := d.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			for _, w := range group {
				p.HSet(ctx, keys[w.Part[1]], w.Key, w.Value)
			}
			return nil
		})
		return err
	})
}
