package redis

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// startKind is startServer for the other kinds of Redis.
func startKind(t testing.TB, service string) *server {
	u, err := url.Parse(testservice.URL(t, service))
	if err != nil {
		t.Fatal(err)
	}
	testservice.Limit(t, 2*time.Minute)
	s := &server{t: t, port: u.Port(), service: service, config: func(c *Config) {
		c.Server = append([]string{u.Host}, u.Query()["addr"]...)
		c.Timeout = 3 * time.Second
	}}
	all := s.config
	switch service {
	case "redis-cluster":
		for _, node := range u.Query()["addr"] {
			_, port, _ := net.SplitHostPort(node)
			s.others = append(s.others, port)
		}
		s.config = func(c *Config) { all(c); c.Type = Cluster }
	case "redis-sentinel":
		s.sentinel = u.Port()
		s.config = func(c *Config) { all(c); c.Type, c.Sentinel = Sentinel, u.Query().Get("master_name") }
	}
	s.flush()
	return s
}

// master is the port of the server that sentinels name.
func (s *server) master() string {
	ask := &server{t: s.t, port: s.sentinel}
	fields := strings.Fields(ask.cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"))
	if len(fields) != 2 {
		s.t.Fatalf("the sentinels name %q", fields)
	}
	return fields[1]
}

func TestServiceRulesValkey(t *testing.T)  { rulestest.Run(t, &site{s: startKind(t, "valkey")}) }
func TestServiceRulesCluster(t *testing.T) { rulestest.Run(t, &site{s: startKind(t, "redis-cluster")}) }

// Sentinels are not killed with their servers: TestServiceFailover is for that.
func TestServiceRulesSentinel(t *testing.T) {
	rulestest.Run(t, struct{ rulestest.Site }{&site{s: startKind(t, "redis-sentinel")}})
}

// storing stores messages one batch after the other, as a lane of the engine does, until
// n more are done, over whatever happens.
func storing(t *testing.T, d *Database, stored *int, n int) (failed int) {
	t.Helper()
	want := *stored + n
	for late := time.Now().Add(time.Minute); *stored < want; {
		jobs := make([]rules.Job, 20)
		for i := range jobs {
			jobs[i] = published(rules.OnMessagePublish, *stored+i, fmt.Sprintf("k/%d", (*stored+i)%7), "x")
		}
		done, err := d.Do(context.Background(), jobs)
		if *stored += done; err == nil {
			continue
		}
		failed++
		if rules.IsPermanent(err) || time.Now().After(late) {
			t.Fatalf("after %d: %v", *stored, err)
		}
		<-time.After(20 * time.Millisecond)
	}
	return failed
}

// lost counts what of the first n messages is not there.
func (s *server) lost(n int) (missing int) {
	for lane := range 7 {
		there := len(strings.Fields(s.cli("ZRANGE", fmt.Sprintf("mqtt:msg:k/%d", lane), "0", "-1")))
		missing += max(0, (n-lane+6)/7-there)
	}
	return missing
}

// Sentinels make the replica the master. The pool follows by itself; what the old master
// had answered and not yet sent to its replica is lost, which no client of Redis can help.
func TestServiceFailover(t *testing.T) {
	s := startKind(t, "redis-sentinel")
	d, stored := s.open(nil), 0
	storing(t, d, &stored, 2000)
	old := s.master()
	process := "master"
	if strings.HasSuffix(old, "1") { // of an earlier failover
		process = "replica"
	}
	testservice.Kill(t, "redis-sentinel/"+process)
	began := time.Now()
	failed := storing(t, d, &stored, 2000)
	took := time.Since(began)
	await(t, func() bool { // one of three sentinels is asked, and it may hear of it last
		s.port = s.master()
		return s.port != old
	})
	t.Logf("| Sentinel | master killed | %s until 2000 more were stored, %d tries failed | %d acknowledged, %d of them lost |", took.Round(time.Millisecond), failed, stored, s.lost(stored))
	if lost := s.lost(stored); lost > 100 {
		t.Errorf("%d are lost: more than were on their way", lost)
	}
	testservice.Start(t, "redis-sentinel/"+process)
}

// A node of a cluster is killed and comes back, and slots move: nothing is lost, as each
// node keeps what it has answered.
func TestServiceClusterNodes(t *testing.T) {
	s := startKind(t, "redis-cluster")
	d, stored := s.open(nil), 0
	storing(t, d, &stored, 1000)
	testservice.Kill(t, "redis-cluster/node1")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var jobs []rules.Job
	for i := range 7 {
		jobs = append(jobs, published(rules.OnMessagePublish, stored+i, fmt.Sprintf("k/%d", (stored+i)%7), "x"))
	}
	if done, err := d.Do(ctx, jobs); err == nil || rules.IsPermanent(err) {
		t.Errorf("a node is away: %d done, %v", done, err)
	}
	testservice.Start(t, "redis-cluster/node1")
	failed := storing(t, d, &stored, 1000)
	id := func(port string) string { return (&server{t: t, port: port}).cli("CLUSTER", "MYID") }
	slot := s.cli("CLUSTER", "KEYSLOT", "mqtt:msg:k/0")
	from, to := "", ""
	for _, port := range append([]string{s.port}, s.others...) {
		if (&server{t: t, port: port}).cli("EXISTS", "mqtt:msg:k/0") == "1" {
			from = port
		} else {
			to = port
		}
	}
	moveSlot(t, slot, from, to, id)
	failed += storing(t, d, &stored, 1000)
	t.Logf("| cluster | a node killed, a slot moved | %d tries failed | %d acknowledged, %d of them lost |", failed, stored, s.lost(stored))
	if lost := s.lost(stored); lost > 0 {
		t.Errorf("%d are lost", lost)
	}
	moveSlot(t, slot, to, from, id)
}

// moveSlot has another node serve a slot, as redis-cli --cluster reshard does.
func moveSlot(t *testing.T, slot, from, to string, id func(string) string) {
	t.Helper()
	source, target := &server{t: t, port: from}, &server{t: t, port: to}
	target.cli("CLUSTER", "SETSLOT", slot, "IMPORTING", id(from))
	source.cli("CLUSTER", "SETSLOT", slot, "MIGRATING", id(to))
	for {
		keys := strings.Fields(source.cli("CLUSTER", "GETKEYSINSLOT", slot, "100"))
		if len(keys) == 0 {
			break
		}
		for _, k := range keys {
			if got := source.cli("MIGRATE", "127.0.0.1", to, k, "0", "5000"); got != "OK" && got != "NOKEY" {
				t.Fatalf("migrate %s: %s", k, got)
			}
		}
	}
	target.cli("CLUSTER", "SETSLOT", slot, "NODE", id(to))
	source.cli("CLUSTER", "SETSLOT", slot, "NODE", id(to))
}

// What is wrong with the names of servers is told so that it can be mended.
func TestServiceKindsMistaken(t *testing.T) {
	sentinel, cluster, single := startKind(t, "redis-sentinel"), startKind(t, "redis-cluster"), startServer(t)
	for _, tt := range []struct {
		name   string
		of     *server
		change func(*Config)
		want   string
	}{
		{"unknown master", sentinel, func(c *Config) { c.Sentinel = "mymaster" }, `sentinel: the sentinels know no master "mymaster"`},
		{"a server for sentinels", single, func(c *Config) { c.Type, c.Sentinel = Sentinel, "main" }, `type: is "sentinel"`},
		{"sentinels for a server", sentinel, func(c *Config) { c.Type, c.Sentinel = Single, ""; c.Server = c.Server[:1] }, `type: server names a sentinel`},
		{"a server for a cluster", single, func(c *Config) { c.Type = Cluster }, `type: is "cluster"`},
		{"a node alone", cluster, func(c *Config) { c.Type = Single; c.Server = c.Server[:1] }, `type: server names a node of a cluster`},
		{"TLS without", single, func(c *Config) { c.TLS, c.Timeout = true, time.Second }, `a server that does not speak TLS`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := tt.of.open(tt.change)
			var jobs []rules.Job
			for i := range 7 {
				jobs = append(jobs, published(rules.OnMessagePublish, i, fmt.Sprintf("k/%d", i), "x"))
			}
			if done, err := d.Do(t.Context(), jobs); err == nil || !strings.Contains(err.Error(), tt.want) || rules.IsPermanent(err) {
				t.Errorf("%d done: %v\nwant %s", done, err, tt.want)
			}
		})
	}
}
