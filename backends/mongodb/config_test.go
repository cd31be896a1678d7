package mongodb

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
	bad := Config{Type: "rs", Server: []string{"nowhere"}, Database: "a b", Write: "w", Read: "r", Timeout: time.Hour, CAFile: "ca", CertFile: "cert"}
	text := bad.Validate().Error()
	for _, key := range []string{"server", "rs_set_name", "pool_size", "database", "w_mode", "r_mode", "timeout", "tls_ca_file", "tls_cert_file"} {
		if !strings.Contains(text, key) {
			t.Errorf("nothing about %s:\n%s", key, text)
		}
	}
}
