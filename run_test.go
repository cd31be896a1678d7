package fairlead

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fairlead-iot/fairlead/backends/pebble"
)

// testConfig is a gateway on free ports with its data in dir.
func testConfig(dir string) Config {
	c := DefaultConfig()
	c.Node.DataDir = dir
	for _, name := range []string{"mqtt", "ws", "mqttsn", "coap"} {
		c.Listeners[name].Address = "127.0.0.1:0"
	}
	c.Admin.Address = "127.0.0.1:0"
	c.Store.Sync = false
	c.Store.MinFreeBytes = 0
	return c
}

// running is a gateway under test.
type running struct {
	*Gateway
	stop func() error // ends it and gives what Run said
}

// start runs a gateway until the test ends.
func start(t *testing.T, c Config) running {
	t.Helper()
	return startLogged(t, c, nil)
}

// startLogged is start of one that logs.
func startLogged(t *testing.T, c Config, log *slog.Logger) running {
	t.Helper()
	g, err := New(c, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	stopped := false
	r := running{g, func() error {
		stopped = true
		cancel()
		return <-done
	}}
	t.Cleanup(func() {
		if !stopped {
			r.stop()
		}
	})
	select {
	case <-g.Ready():
	case err := <-done:
		stopped = true
		cancel()
		t.Fatalf("Run: %v", err)
	}
	return r
}

// leavesNothing gives what is deferred: it waits until all goroutines that began meanwhile
// have ended. One look of goleak takes half a second, which a busy machine may need for them.
func leavesNothing(t *testing.T) func() {
	before := goleak.IgnoreCurrent()
	return func() {
		t.Helper()
		err := goleak.Find(before)
		for late := time.Now().Add(time.Minute); err != nil && time.Now().Before(late); {
			err = goleak.Find(before)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// connect sends an MQTT 3.1.1 CONNECT and wants the CONNACK with code.
func connect(t *testing.T, address string, code byte) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	c.Write([]byte("\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03abc"))
	var ack [4]byte
	if _, err := io.ReadFull(c, ack[:]); err != nil || ack != [4]byte{0x20, 2, 0, code} {
		t.Fatalf("CONNACK % x, %v; want code %d", ack, err, code)
	}
	return c
}

func TestLife(t *testing.T) {
	defer leavesNothing(t)()
	dir := t.TempDir()
	g := start(t, testConfig(dir))
	if g.FirstPassword() == "" {
		t.Error("the first start made no password")
	}
	if info, err := os.Stat(filepath.Join(dir, adminFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", adminFile, info, err)
	}
	if n := len(g.Addresses()); n != 4 {
		t.Errorf("%d addresses, want 4", n)
	}
	c := connect(t, g.Addresses()["mqtt"], 0)
	checkAdmin(t, g.Gateway)
	if s := g.Stats(); s.Sessions != 1 {
		t.Errorf("%d sessions, want 1", s.Sessions)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes after the end", n)
	}
	again := start(t, testConfig(dir))
	if p := again.FirstPassword(); p != "" {
		t.Error("the second start made another password")
	}
	if err := again.stop(); err != nil {
		t.Fatal(err)
	}
}

// checkAdmin asks the admin server over its socket.
func checkAdmin(t *testing.T, g *Gateway) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func(path, password string, want int) string {
		t.Helper()
		r, _ := http.NewRequest("GET", "http://"+g.AdminAddress()+path, nil)
		if password != "" {
			r.SetBasicAuth(adminUser, password)
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != want {
			t.Fatalf("%s: status %d, want %d: %s", path, res.StatusCode, want, body)
		}
		return string(body)
	}
	ask("/readyz", "", 200)
	ask("/api/v1/stats", "", 401)
	ask("/api/v1/stats", "guess", 401)
	if body := ask("/api/v1/clients/abc", g.FirstPassword(), 200); !strings.Contains(body, `"listener": "mqtt"`) {
		t.Errorf("client: %s", body)
	}
	if body := ask("/metrics", "", 200); !strings.Contains(body, `fairlead_listener_connections{listener="mqtt"} 1`) {
		t.Error("metrics lack the listener's connection")
	}
}

func TestDataDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	start(t, testConfig(dir))
	g, err := New(testConfig(dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	err = g.Run(t.Context())
	var failed *Error
	var locked *pebble.LockedError
	if !errors.As(err, &failed) || failed.Stage != StageStore || !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Fatalf("error %v", err)
	}
}

func TestPortInUse(t *testing.T) {
	defer leavesNothing(t)()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, name := range []string{"mqtt", "ws", "admin"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c := testConfig(dir)
			if name == "admin" {
				c.Admin.Address = other.Addr().String()
			} else {
				c.Listeners[name].Address = other.Addr().String()
			}
			g, err := New(c, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = g.Run(t.Context())
			var failed *Error
			if !errors.As(err, &failed) || failed.Stage != StageListen || !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), name) {
				t.Fatalf("error %v", err)
			}
			// Nothing stays behind: the same directory opens at once.
			start(t, testConfig(dir)).stop()
		})
	}
}

func TestStopBeforeReady(t *testing.T) {
	defer leavesNothing(t)()
	g, err := New(testConfig(t.TempDir()), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := g.Run(ctx); err == nil {
		t.Error("a Gateway ran twice")
	}
}

func TestHurry(t *testing.T) {
	c := testConfig(t.TempDir())
	c.Node.DrainTimeout = time.Hour
	c.Edge.DrainRate = 1 // the first slice takes minutes
	g := start(t, c)
	connect(t, g.Addresses()["mqtt"], 0)
	g.Hurry()
	if err := g.stop(); err != nil {
		t.Error(err)
	}
}

func TestNewReportsEverything(t *testing.T) {
	c := testConfig(t.TempDir())
	c.Auth.PasswdFile = "missing-users"
	c.Auth.ACLFile = "missing-rules"
	c.Listeners["mqtts"].TLS.CertFile = "missing-cert"
	c.Listeners["mqtts"].TLS.KeyFile = "missing-key"
	_, err := New(c, nil)
	var failed *Error
	if !errors.As(err, &failed) || failed.Stage != StageConfig {
		t.Fatalf("error %v", err)
	}
	for _, part := range []string{"missing-users", "missing-rules", "listeners.mqtts.tls.key_file", "missing-key"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("no %q in: %v", part, err)
		}
	}
}

func TestReload(t *testing.T) {
	dir := t.TempDir()
	users := filepath.Join(dir, "users")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(users, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# nobody yet\n")
	c := testConfig(filepath.Join(dir, "data"))
	c.Auth.PasswdFile, c.Auth.AllowAnonymous = users, AnonymousNever
	g := start(t, c)
	connect(t, g.Addresses()["mqtt"], 5) // not authorised [MQTT-3.2.2.3]

	next := c
	next.Core.MaxInflight = 7
	r, err := g.Reload(next)
	if err != nil || len(r.Restart) != 1 || r.Restart[0] != "core.max_inflight" {
		t.Errorf("reload: %+v, %v", r, err)
	}
	if !strings.Contains(strings.Join(r.Done, ","), "users") {
		t.Errorf("users are not among %v", r.Done)
	}
	write("broken")
	if r, err = g.Reload(c); err == nil || len(r.Restart) != 0 {
		t.Errorf("reload of a broken file: %+v, %v", r, err)
	}
}

func TestWarnings(t *testing.T) {
	dir := t.TempDir()
	keys, pair := filepath.Join(dir, "keys"), selfSigned(t, dir)
	if err := os.WriteFile(keys, []byte("meter-1:"+hex.EncodeToString(privateKey)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dtls := func(listener string, more ...string) []string {
		return append([]string{"listeners." + listener + ".address=0.0.0.0:0", "listeners." + listener + ".dtls.psk_file=" + keys}, more...)
	}
	certs := func(listener string, more ...string) []string {
		l := "listeners." + listener + "."
		return append([]string{l + "address=0.0.0.0:0", l + "tls.cert_file=" + pair.CertFile, l + "tls.key_file=" + pair.KeyFile, l + "tls.client_auth=require", l + "tls.client_ca_file=" + pair.CertFile}, more...)
	}
	tests := []struct {
		name string
		sets []string
		want string // "" for none
	}{
		{"defaults", nil, ""},
		{"network without users", []string{"listeners.mqtt.address=0.0.0.0:0"}, "there are no users"},
		{"open to all, default rules", []string{"listeners.mqtt.address=0.0.0.0:0", "auth.allow_anonymous=always"}, "neither publish nor subscribe"},
		{"coap keys without users", dtls("coaps"), ""},
		{"mqttsn keys without users", dtls("mqttsns"), ""},
		{"keys of a protocol that asks for none of them", []string{"listeners.x.protocol=exproto", "listeners.x.transport=dtls", "listeners.x.exproto.handler=127.0.0.1:1", "listeners.x.address=0.0.0.0:0", "listeners.x.dtls.psk_file=" + keys}, "there are no users"},
		{"mqttsn rules without users", []string{"listeners.mqttsn.address=0.0.0.0:0", `mqttsn.clients=[{client_id="*", networks=["10.0.0.0/8"]}]`}, ""},
		{"rules are mqttsn's", []string{"listeners.mqtt.address=0.0.0.0:0", `mqttsn.clients=[{client_id="*", networks=["10.0.0.0/8"]}]`}, "there are no users"},
		{"certificates that name clients", certs("mqtts", "listeners.mqtts.tls.identity=cn"), ""},
		{"certificates that bind a client id", certs("coaps", "listeners.coaps.tls.client_id=cn"), ""},
		{"certificates that name nobody", certs("mqtts"), "there are no users"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := load(tt.sets...)
			if err != nil {
				t.Fatal(err)
			}
			g, err := New(c, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(g.Warnings(), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("warnings %q, want %q", got, tt.want)
			}
		})
	}
}
