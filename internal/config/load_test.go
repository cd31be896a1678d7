package config

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func same() cmp.Options {
	return cmp.Options{
		cmp.AllowUnexported(gateway{}, engine{}),
		cmpopts.IgnoreFields(gateway{}, "Logger", "OnStart", "quiet"),
		cmpopts.EquateComparable(netip.Prefix{}),
		cmpopts.EquateEmpty(),
	}
}

const goodFile = `# a file as people write them
node_name = "edge-1"

[log]
level = "debug"
json = true

[core]
max_queued = 5_000
max_queued_bytes = "64KiB"
receive_maximum = 0x10
session_expiry = "7d"
load = 1
strategy = "sticky"

[listeners.mqtt]
address = "0.0.0.0:1883"
allow = ["192.0.2.0/24", "2001:db8::/32"]

[listeners.mqtt.tls]
cert_file = "cert.pem"
password = "hunter2"

[listeners.extra]
address = "[::1]:1884"

[users]
ann = { password = "a", groups = ["ops", "dev"] }

[[sources]]
kind = "file"

[[sources]]
kind = "http"
timeout = "250ms"
`

func goodConfig() *gateway {
	yes := true
	c := defaults()
	c.NodeName = "edge-1"
	c.Log = logging{Level: slog.LevelDebug, JSON: &yes}
	c.Core = engine{
		bounds:         bounds{MaxQueued: 5000, MaxQueuedBytes: 64 << 10},
		ReceiveMaximum: 16, SessionExpiry: 7 * 24 * time.Hour, Load: 1, Strategy: "sticky",
	}
	c.Listeners["mqtt"] = listener{
		Protocol: "mqtt", Address: "0.0.0.0:1883", Enabled: true,
		Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
		TLS:   tlsFiles{CertFile: "cert.pem", Password: "hunter2"},
	}
	c.Listeners["extra"] = listener{Protocol: "mqtt", Address: "[::1]:1884", Enabled: true}
	c.Users = map[string]*user{"ann": {Password: "a", Groups: []string{"ops", "dev"}}}
	c.Sources = []source{{Kind: "file", Timeout: 5 * time.Second}, {Kind: "http", Timeout: 250 * time.Millisecond}}
	return c
}

func TestLoadFile(t *testing.T) {
	for _, tc := range []struct{ name, text string }{
		{"plain", goodFile},
		{"carriage returns", strings.ReplaceAll(goodFile, "\n", "\r\n")},
		{"byte order mark", "\ufeff" + goodFile},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := defaults()
			if err := Load(got, Options{Path: writeFile(t, "fairlead.toml", tc.text)}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(goodConfig(), got, same()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLayers(t *testing.T) {
	file := "[core]\nmax_queued = 1\nreceive_maximum = 1\nload = 0.1\n"
	env := []string{"FAIRLEAD_CORE_MAX_QUEUED=2", "FAIRLEAD_CORE_RECEIVE_MAXIMUM=2", "HOME=/nowhere", "FAIRLEADER=1"}
	got, origins := defaults(), map[string]string{}
	err := Load(got, Options{
		Path: writeFile(t, "f.toml", file), Env: env, Prefix: "FAIRLEAD",
		Sets:   []string{"core.max_queued=3", "core.max_queued=4"},
		Origin: func(key, where string) { origins[key] = filepath.Base(where) },
	})
	if err != nil {
		t.Fatal(err)
	}
	want := defaults().Core
	want.MaxQueued, want.ReceiveMaximum, want.Load = 4, 2, 0.1
	if diff := cmp.Diff(want, got.Core, same()); diff != "" {
		t.Error(diff)
	}
	wantOrigins := map[string]string{
		"core.max_queued":      "--set core.max_queued",
		"core.receive_maximum": "FAIRLEAD_CORE_RECEIVE_MAXIMUM",
		"core.load":            "f.toml:4:8",
	}
	if diff := cmp.Diff(wantOrigins, origins); diff != "" {
		t.Error(diff)
	}
}

// overlayCase sets one thing by a variable or argument.
type overlayCase struct {
	name string
	env  string
	set  string
	want func(*gateway)
}

func overlayCases() []overlayCase {
	return []overlayCase{
		{"text", "FAIRLEAD_NODE_NAME=a=b", "node_name=a=b", func(c *gateway) { c.NodeName = "a=b" }},
		{"empty text", "FAIRLEAD_NODE_NAME=", "node_name=", func(c *gateway) { c.NodeName = "" }},
		{"optional", "FAIRLEAD_LOG_JSON=false", "log.json=false", func(c *gateway) { c.Log.JSON = new(bool) }},
		{"size", "FAIRLEAD_CORE_MAX_QUEUED_BYTES=2mib", "core.max_queued_bytes=2MiB", func(c *gateway) { c.Core.MaxQueuedBytes = 2 << 20 }},
		{"duration", "FAIRLEAD_CORE_SESSION_EXPIRY=90s", "core.session_expiry=1m30s", func(c *gateway) { c.Core.SessionExpiry = 90 * time.Second }},
		{"level", "FAIRLEAD_LOG_LEVEL=warn", "log.level=warn", func(c *gateway) { c.Log.Level = slog.LevelWarn }},
		{"table of tables", "FAIRLEAD_LISTENERS_MQTT_ADDRESS=:1", "listeners.mqtt.address=:1", func(c *gateway) {
			l := c.Listeners["mqtt"]
			l.Address = ":1"
			c.Listeners["mqtt"] = l
		}},
		{"name with a dash", "FAIRLEAD_LISTENERS_MQTTSN_DTLS_ADDRESS=:2", "listeners.mqttsn-dtls.address=:2", func(c *gateway) {
			l := c.Listeners["mqttsn-dtls"]
			l.Address = ":2"
			c.Listeners["mqttsn-dtls"] = l
		}},
		{"new name", "FAIRLEAD_LISTENERS_NEW_ONE_ADDRESS=:3", "listeners.new_one.address=:3", func(c *gateway) {
			c.Listeners["new_one"] = listener{Protocol: "mqtt", Enabled: true, Address: ":3"}
		}},
		{"behind a pointer", "FAIRLEAD_USERS_BOB_GROUPS=a, b", "users.bob.groups=a,b", func(c *gateway) {
			c.Users = map[string]*user{"bob": {Groups: []string{"a", "b"}}}
		}},
		{"list as in the file", `FAIRLEAD_USERS_BOB_GROUPS=["a,b"]`, `users.bob.groups=["a,b"]`, func(c *gateway) {
			c.Users = map[string]*user{"bob": {Groups: []string{"a,b"}}}
		}},
		{"list of own type", "FAIRLEAD_LISTENERS_L_ALLOW=192.0.2.0/24", "listeners.l.allow=192.0.2.0/24", func(c *gateway) {
			c.Listeners["l"] = listener{Protocol: "mqtt", Enabled: true, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
		}},
		{"whole table", "", `listeners.t={address=":4", tls={cert_file="c"}}`, func(c *gateway) {
			c.Listeners["t"] = listener{Protocol: "mqtt", Enabled: true, Address: ":4", TLS: tlsFiles{CertFile: "c"}}
		}},
		{"list of tables", "", `sources=[{kind="k"}]`, func(c *gateway) { c.Sources = []source{{"k", 5 * time.Second}} }},
		{"plain table", "FAIRLEAD_LABELS_SITE_A=x", "labels.site_a=x", func(c *gateway) { c.Labels = map[string]string{"site_a": "x"} }},
		{"quoted name", "", `labels."a.b"=x`, func(c *gateway) { c.Labels = map[string]string{"a.b": "x"} }},
	}
}

func TestOverlay(t *testing.T) {
	check := func(t *testing.T, want func(*gateway), o Options) {
		t.Helper()
		expected, got := defaults(), defaults()
		want(expected)
		l := newLoader(structOf(got).Type(), readSecret)
		l.environment(structOf(got), o)
		for _, s := range o.Sets {
			l.set(structOf(got), s)
		}
		if len(l.faults) > 0 {
			t.Fatal(Faults(l.faults))
		}
		if diff := cmp.Diff(expected, got, same()); diff != "" {
			t.Error(diff)
		}
	}
	for _, tc := range overlayCases() {
		if tc.env != "" {
			t.Run(tc.name+" by variable", func(t *testing.T) {
				check(t, tc.want, Options{Env: []string{tc.env}, Prefix: "FAIRLEAD"})
			})
		}
		t.Run(tc.name+" by argument", func(t *testing.T) {
			check(t, tc.want, Options{Sets: []string{tc.set}})
		})
	}
}

func TestVariablesThatAreNoKeys(t *testing.T) {
	env := []string{
		"FAIRLEAD_REQUIRE=mosquitto", "FAIRLEAD_TEST_PYTHON=python3", "FAIRLEAD_CONFIG=x", "OTHER_X=1", "odd",
		"FAIRLEAD_SERVICE_HOST=10.0.0.1", "FAIRLEAD_SERVICE_PORT=1883", "FAIRLEAD_SERVICE_PORT_MQTT=1883",
		"FAIRLEAD_PORT=tcp://10.0.0.1:1883", "FAIRLEAD_PORT_1883_TCP=tcp://10.0.0.1:1883", "FAIRLEAD_PORT_1883_TCP_ADDR=10.0.0.1",
	}
	if err := Load(defaults(), Options{Env: env, Prefix: "FAIRLEAD", Ignore: []string{"FAIRLEAD_CONFIG"}}); err != nil {
		t.Fatal(err)
	}
}

func TestSecretFiles(t *testing.T) {
	secret := writeFile(t, "secret", "swordfish\r\n")
	want := "swordfish"
	for _, tc := range []struct {
		name string
		o    Options
	}{
		{"file", Options{Path: writeFile(t, "f.toml", "[users.ann]\npassword_file = "+quoteTOML(secret)+"\n")}},
		{"variable", Options{Env: []string{"FAIRLEAD_USERS_ANN_PASSWORD_FILE=" + secret}, Prefix: "FAIRLEAD"}},
		{"argument", Options{Sets: []string{"users.ann.password_file=" + secret}}},
		{"a later layer wins", Options{Path: writeFile(t, "g.toml", "[users.ann]\npassword = \"old\"\n"), Sets: []string{"users.ann.password_file=" + secret}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := defaults()
			if err := Load(got, tc.o); err != nil {
				t.Fatal(err)
			}
			if got.Users["ann"].Password != want {
				t.Errorf("password is %q, want %q", got.Users["ann"].Password, want)
			}
		})
	}
}

func TestListReplacesAndTableMerges(t *testing.T) {
	got := defaults()
	got.Sources = []source{{Kind: "old"}}
	got.Labels = map[string]string{"a": "1", "b": "2"}
	if err := Load(got, Options{Path: writeFile(t, "f.toml", "[labels]\nb = \"3\"\n[[sources]]\nkind = \"new\"\n")}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]source{{"new", 5 * time.Second}}, got.Sources); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "3"}, got.Labels); diff != "" {
		t.Error(diff)
	}
}

func TestLoadWantsAPointerToAStruct(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Load took a struct by value")
		}
	}()
	_ = Load(*defaults(), Options{})
}

func TestUnreadableFiles(t *testing.T) {
	dir := t.TempDir()
	huge := filepath.Join(dir, "huge.toml")
	if err := os.WriteFile(huge, []byte(strings.Repeat("#\n", maxConfig)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, path, want string }{
		{"missing", filepath.Join(dir, "none.toml"), "none.toml: cannot be read: no such file or directory"},
		{"folder", dir, ": is a folder, not a file"},
		{"huge", huge, "huge.toml: is larger than 256 KiB"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := defaults()
			c.Core.MaxQueued = 0 // Validate must not be heard on top
			err := Load(c, Options{Path: tc.path})
			if err == nil || !strings.HasSuffix(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line that ends in %q", err, tc.want)
			}
		})
	}
}
