package ldap

import (
	"strings"
	"testing"
)

func TestConfigFaults(t *testing.T) {
	on := func(change func(*Config)) func(*Config) {
		return func(c *Config) {
			c.Server, c.BaseDN = []string{"ldap://127.0.0.1"}, "ou=device,dc=example,dc=com"
			change(c)
		}
	}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string // "" for none
	}{
		"as it is":            {func(*Config) {}, ""},
		"EMQ X's":             {on(func(*Config) {}), ""},
		"bind":                {on(func(c *Config) { c.Method, c.UserDN, c.BaseDN = Bind, "uid=${username},ou=x", "" }), ""},
		"no scheme":           {on(func(c *Config) { c.Server = []string{"127.0.0.1:389"} }), `server: "127.0.0.1:389"`},
		"HTTP":                {on(func(c *Config) { c.Server = []string{"http://127.0.0.1"} }), "server: "},
		"twice TLS":           {on(func(c *Config) { c.Server, c.StartTLS = []string{"ldaps://a"}, true }), "starttls: has no meaning"},
		"no base":             {on(func(c *Config) { c.BaseDN = "" }), "base_dn: "},
		"a base that is none": {on(func(c *Config) { c.BaseDN = "example.com" }), "base_dn: "},
		"one for all":         {on(func(c *Config) { c.Filter = "(uid=ann)" }), "filter: "},
		"no filter":           {on(func(c *Config) { c.Filter = "uid=${username" }), "filter: "},
		"open filter":         {on(func(c *Config) { c.Filter = "(uid=${username}" }), "is no filter"},
		"no DN":               {on(func(c *Config) { c.Method, c.UserDN = Bind, "${username}" }), "user_dn: "},
		"one DN":              {on(func(c *Config) { c.Method, c.UserDN = Bind, "uid=ann,dc=x" }), "user_dn: "},
		"method":              {on(func(c *Config) { c.Method = "sasl" }), "method: "},
		"no password":         {on(func(c *Config) { c.PasswordAttr = "" }), "password_attribute: "},
		"bound as nobody":     {on(func(c *Config) { c.BindDN = "cn=a" }), "bind_password: is empty"},
		"password of nobody":  {on(func(c *Config) { c.BindPassword = "x" }), "bind_dn: is empty"},
		"certificates":        {on(func(c *Config) { c.CAFile = "ca.pem" }), "tls_ca_file"},
		"pool":                {func(c *Config) { c.PoolSize = 0 }, "pool_size: "},
		"timeout":             {func(c *Config) { c.Timeout = 0 }, "timeout: "},
		"refresh":             {func(c *Config) { c.Refresh = 0 }, "acl_refresh: "},
	} {
		cfg := DefaultConfig()
		c.change(&cfg)
		err := cfg.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	bad := Config{Server: []string{"x"}, CAFile: "a"}
	if err := bad.Validate(); err == nil || strings.Count(err.Error(), "\n") < 5 {
		t.Errorf("not all faults are told at once: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	for server, want := range map[string]int{"ldap://ldap.example": 1, "ldap://10.0.0.1:389": 1, "ldap://127.0.0.1": 0, "ldap://localhost:389": 0, "ldaps://ldap.example": 0} {
		cfg := DefaultConfig()
		cfg.Server = []string{server}
		s, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if w := s.Warnings(); len(w) != want {
			t.Errorf("%s: %q", server, w)
		}
		s.Close()
	}
}
