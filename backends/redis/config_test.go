package redis

import (
	"strings"
	"testing"
	"time"
)

func TestConfigFaults(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	bad := Config{Type: Cluster, Server: []string{"nowhere"}, Sentinel: "m", Database: 3, Channel: "c", EventChannel: "c", Timeout: time.Hour, CAFile: "ca", CertFile: "cert"}
	text := bad.Validate().Error()
	for _, key := range []string{"server", "sentinel", "pool_size", "database", "event_channel", "timeout", "tls_ca_file", "tls_cert_file"} {
		if !strings.Contains(text, key) {
			t.Errorf("nothing about %s:\n%s", key, text)
		}
	}
}
