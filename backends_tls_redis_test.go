package fairlead

import (
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/redis"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// TestServiceTLSOfRedisKinds: with sentinels and in a cluster every connection speaks TLS, to
// the sentinels and to each server that they name: none of these has a port without.
func TestServiceTLSOfRedisKinds(t *testing.T) {
	testservice.URL(t, "redis") // tests with services are wanted
	if _, err := exec.LookPath("redis-server"); err != nil {
		testservice.Lack(t, "redis", err.Error())
	}
	for kind, begin := range map[string]func(*testing.T, pemFiles) string{redis.Cluster: beginCluster, redis.Sentinel: beginSentinel} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			good, other := newIssuer(t), newIssuer(t)
			address := begin(t, good.write(t.TempDir(), "127.0.0.1"))
			own, foreign := good.write(t.TempDir(), "gateway"), other.write(t.TempDir(), "gateway")
			s := &secured{open: func(on bool, f pemFiles) (rules.Database, error) {
				c := redis.DefaultConfig()
				c.Type, c.Server, c.TLS, c.CAFile, c.CertFile, c.KeyFile = kind, []string{address}, on, f.ca, f.cert, f.key
				if kind == redis.Sentinel {
					c.Sentinel = "main"
				}
				return c.Open()
			}}
			s.wants(t, "proven, with a certificate", true, own, "")
			s.wants(t, "another issuer", true, foreign, "unknown authority")
			s.wants(t, "without a certificate", true, pemFiles{ca: own.ca}, "certificate required")
			s.wants(t, "without TLS", false, pemFiles{}, "tls = true")
		})
	}
}

// redisOfTLS is a process that takes connections by TLS only, with certificates.
type redisOfTLS struct {
	t    *testing.T
	port string
	f    pemFiles
}

// redisPort finds a port for a server, and 10,000 above it one for the nodes of a cluster. The
// system gives neither to anybody: between this and the server's start others connect.
func redisPort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := 10_000 + mathrand.IntN(1_400) // where scripts/services has none, nor 10,000 above
		own, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err != nil {
			continue
		}
		defer own.Close() // held, so that none is tried twice
		if nodes, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port+10_000)); err == nil {
			nodes.Close()
			return fmt.Sprint(port)
		}
	}
	t.Fatal("no free port")
	return ""
}

// beginRedis starts one, on another port where somebody else has taken the first.
func beginRedis(t *testing.T, f pemFiles, settings string, args ...string) *redisOfTLS {
	for range 10 {
		r := &redisOfTLS{t: t, port: redisPort(t), f: f}
		if r.begin(settings, args) {
			return r
		}
	}
	t.Fatal("redis-server does not start")
	return nil
}

// begin returns when the server answers, or false when it has ended.
func (r *redisOfTLS) begin(settings string, args []string) bool {
	t, port, f := r.t, r.port, r.f
	dir := t.TempDir()
	file := filepath.Join(dir, "redis.conf")
	text := fmt.Sprintf("port 0\nbind 127.0.0.1\ntls-port %s\ntls-replication yes\ntls-ca-cert-file %s\ntls-cert-file %s\ntls-key-file %s\ndir %s\n%s\n", port, f.ca, f.cert, f.key, dir, settings)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("redis-server", append([]string{file}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-ended })
	return r.answers("PONG", ended, "PING")
}

// await asks until the answer has a text.
func (r *redisOfTLS) await(want string, command ...string) {
	r.t.Helper()
	r.answers(want, nil, command...)
}

// answers does so, or until the server has ended.
func (r *redisOfTLS) answers(want string, ended <-chan struct{}, command ...string) bool {
	r.t.Helper()
	line := append([]string{"--tls", "--cacert", r.f.ca, "--cert", r.f.cert, "--key", r.f.key, "-p", r.port}, command...)
	for end := time.Now().Add(time.Minute); ; {
		out, err := exec.Command("redis-cli", line...).CombinedOutput()
		if strings.Contains(string(out), want) {
			return true
		}
		select {
		case <-ended:
			return false
		default:
		}
		if time.Now().After(end) {
			r.t.Fatalf("%q: %s, %v, want %q", command, out, err, want)
		}
	}
}

func beginCluster(t *testing.T, f pemFiles) (address string) {
	r := beginRedis(t, f, "save \"\"\ntls-cluster yes\ncluster-enabled yes\ncluster-announce-ip 127.0.0.1")
	r.await("OK", "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	r.await("cluster_state:ok", "CLUSTER", "INFO")
	return "127.0.0.1:" + r.port
}

func beginSentinel(t *testing.T, f pemFiles) (address string) {
	master := beginRedis(t, f, `save ""`)
	s := beginRedis(t, f, "sentinel monitor main 127.0.0.1 "+master.port+" 1", "--sentinel")
	s.await(master.port, "SENTINEL", "get-master-addr-by-name", "main")
	return "127.0.0.1:" + s.port
}
