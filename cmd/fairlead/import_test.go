package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead"
	"github.com/fairlead-iot/fairlead/backends/emqximport"
	"github.com/fairlead-iot/fairlead/internal/config"
)

// TestImportedLoads has the loader take what the importer makes of complete files.
func TestImportedLoads(t *testing.T) {
	for _, name := range []string{"redis", "mysql", "pgsql", "mongo", "cassa"} {
		t.Run(name, func(t *testing.T) {
			file := "emqx_backend_" + name + ".conf"
			text, err := os.ReadFile(filepath.Join("../../backends/emqximport/testdata", file))
			if err != nil {
				t.Fatal(err)
			}
			r := emqximport.Read([]emqximport.File{{Name: file, Text: text}}, emqximport.Options{})
			if len(r.Backends) != 1 {
				t.Fatalf("%d backends, want 1", len(r.Backends))
			}
			if !hasBackend(r.Backends[0].Name) {
				t.Skipf("this build has no %s", r.Backends[0].Name)
			}
			if err := loadText(t, r.TOML()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestImportedIdentitiesLoad has the loader take what the importer makes of complete files
// of sources of identities, alone and beside data rules.
func TestImportedIdentitiesLoad(t *testing.T) {
	var files []emqximport.File
	for _, pattern := range []string{"emqx_auth_*.conf", "emqx_backend_*.conf"} {
		paths, err := filepath.Glob("../../backends/emqximport/testdata/" + pattern)
		if err != nil || len(paths) < 5 {
			t.Fatalf("%v: %v", paths, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, emqximport.File{Name: filepath.Base(path), Text: text})
			if r := emqximport.Read(files[len(files)-1:], emqximport.Options{}); len(r.TOML()) > 0 {
				if err := loadText(t, r.TOML()); err != nil {
					t.Errorf("%s: %v\n%s", path, err, r.TOML())
				}
			}
		}
	}
	r := emqximport.Read(files, emqximport.Options{})
	if err := loadText(t, r.TOML()); err != nil {
		t.Errorf("all of them: %v\n%s", err, r.TOML())
	}
}

func hasBackend(name string) bool {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[fairlead.BackendsConfig]()) {
		if f.Tag.Get("toml") == name {
			return true
		}
	}
	return false
}

func loadText(t *testing.T, toml []byte) error {
	path := filepath.Join(t.TempDir(), "fairlead.toml")
	if err := os.WriteFile(path, toml, 0o600); err != nil {
		t.Fatal(err)
	}
	c := fairlead.DefaultConfig()
	return config.Load(&c, config.Options{Path: path})
}

// broker reads text as emqx.conf; every file that it names is missing.
func broker(text string) *emqximport.Result {
	return emqximport.Read([]emqximport.File{{Name: "emqx.conf", Text: []byte(text)}}, emqximport.Options{Root: "/opt/emqx", Missing: func(string) bool { return true }})
}

// taken checks as fairlead check does.
func taken(t *testing.T, toml []byte) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fairlead.toml")
	if err := os.WriteFile(path, toml, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := (&settings{path: path}).load()
	if err == nil {
		_, err = fairlead.New(l.Config, nil)
	}
	return err
}

// TestImportedBrokerLoads has the gateway take what becomes of whole directories.
func TestImportedBrokerLoads(t *testing.T) {
	for name, open := range map[string]string{"etc-2.4": "mqtt tcp_internal ws", "etc-3": "mqtt tcp_internal"} {
		dir := filepath.Join("../../backends/emqximport/testdata", name)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var files []emqximport.File
		for _, e := range entries {
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, emqximport.File{Name: e.Name(), Text: text})
		}
		r := emqximport.Read(files, emqximport.Options{Missing: func(string) bool { return true }})
		r.Backends = nil // files of TLS that pools name are missing; TestImportedLoads has the rest
		if err := taken(t, r.TOML()); err != nil {
			t.Errorf("%s: %v\n%s", name, err, r.TOML())
		}
		for _, want := range strings.Fields(open) {
			if !slices.ContainsFunc(r.Sections, func(s emqximport.Section) bool {
				return s.Name == "listeners."+want && !slices.Contains(s.Settings, emqximport.Setting{Key: "enabled", Value: false})
			}) {
				t.Errorf("%s: listener %s is off", name, want)
			}
		}
	}
}

// TestImportedBoundsLoad: whatever a setting of the broker says, there is a note for it or the
// gateway takes it.
func TestImportedBoundsLoad(t *testing.T) {
	values := []string{"0", "1", "2", "22", "23", "65535", "65536", "100001", "1000000001", "1KB", "256MB", "257MB", "0s", "1s", "1d", "10w", "20h", "on", "off", "true", "", "-1", "none", "a=1", "a=256,b=2", "a/#/b=1",
		"highest", "hash", "ignore", "disconnect", "error", "x y", "a/b", "100,10s", "1,1000h", "0,0", "1024,4096", "10, 1m, 1h", "0, 1m", "allow all", "deny all", "%c/", "x/", "$x/", "[::1]:1", ":1", "99999", "h:0"}
	seen := map[string]bool{} // the same need not be loaded twice
	for _, key := range []string{"node.name", "log.level", "allow_anonymous", "acl_deny_action", "mqtt.max_packet_size", "mqtt.max_clientid_len", "mqtt.max_topic_levels", "mqtt.max_qos_allowed", "mqtt.max_topic_alias",
		"mqtt.response_information", "mqtt.server_keepalive", "mqtt.session.max_subscriptions", "mqtt.session.max_inflight", "mqtt.session.expiry_interval", "mqtt.mqueue.max_length", "mqtt.mqueue.priority",
		"zone.external.mqueue_default_priority", "zone.external.idle_timeout", "zone.external.publish_limit", "zone.external.rate_limit.conn_bytes_in", "zone.external.mountpoint", "zone.external.max_packet_size",
		"zone.external.flapping_detect_policy", "zone.external.flapping_threshold", "zone.external.flapping_banned_expiry_interval", "broker.sys_interval", "broker.shared_subscription_strategy",
		"retainer.max_message_num", "retainer.expiry_interval", "module.subscription.1.topic", "module.rewrite.rule.1", "listener.tcp.external", "listener.tcp.external.max_connections", "listener.tcp.external.max_conn_rate",
		"listener.tcp.external.backlog", "listener.tcp.external.recbuf", "listener.tcp.external.mountpoint", "listener.tcp.external.max_publish_rate", "listener.tcp.external.rate_limit", "listener.tcp.external.access.1",
		"listener.tcp.external.proxy_protocol", "listener.ssl.external.handshake_timeout", "listener.ssl.external.tls_versions", "listener.ws.external.mqtt_path", "listener.ws.external.check_origins",
		"mqtt.sn.port", "mqtt.sn.gateway_id", "mqtt.sn.advertise_duration", "mqtt.sn.predefined.topic.7", "coap.bind.udp.1", "coap.keepalive", "coap.dtls.port"} {
		for _, value := range values {
			r := broker("listener.tcp.external = 1883\nlistener.ws.external = 8083\nlistener.ws.external.check_origin_enable = true\nlistener.ssl.external = 8883\nzone.external.enable_flapping_detect = on\n" + key + " = " + value + "\n")
			if text := string(r.TOML()); !seen[text] {
				seen[text] = true
				if err := loadText(t, r.TOML()); err != nil {
					t.Errorf("%s = %s: %v\n%s", key, value, err, text)
				}
			}
		}
	}
	if len(seen) < 200 || loadText(t, []byte("[listeners.mqtt]\naddress = \"nowhere\"\n")) == nil {
		t.Errorf("%d configurations were tried; the loader takes anything", len(seen))
	}
}

// TestImportedTextsLoad: whatever stands in a value comes out of the loader as it was.
func TestImportedTextsLoad(t *testing.T) {
	for _, secret := range []string{`"`, `\`, `a"b\c`, "tab\tin", "\x01\x1f\x7f", "é€😀", "\\u0041", "'", "]", "a#b", "\u2028"} {
		text := "backend.redis.p.server = h:1\nbackend.redis.p.password = x" + secret + "x\n"
		r := emqximport.Read([]emqximport.File{{Name: "emqx_backend_redis.conf", Text: []byte(text)}}, emqximport.Options{})
		path := filepath.Join(t.TempDir(), "fairlead.toml")
		if err := os.WriteFile(path, r.TOML(), 0o600); err != nil {
			t.Fatal(err)
		}
		c := fairlead.DefaultConfig()
		if err := config.Load(&c, config.Options{Path: path}); err != nil {
			t.Fatalf("%q: %v\n%s", secret, err, r.TOML())
		}
		if got := strings.Trim(c.Backends.Redis.Pools["p"].Password, "x"); got != secret {
			t.Errorf("%q came out as %q", secret, got)
		}
	}
}
