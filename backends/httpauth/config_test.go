package httpauth

import (
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/identity/identitytest"
)

func TestConfigFaults(t *testing.T) {
	const url = "https://auth.example/mqtt"
	for name, c := range map[string]struct {
		change func(*Config)
		want   string // "" for none
	}{
		"as it is":           {func(*Config) {}, ""},
		"EMQ X's":            {func(c *Config) { c.Auth.URL, c.Superuser.URL, c.ACL.URL = url, url, url }, ""},
		"variable in path":   {func(c *Config) { c.Auth.URL = url + "/${username}?c=${clientid}" }, ""},
		"letter in the URL":  {func(c *Config) { c.Auth.URL = url + "/%c3%a9" }, ""},
		"only rights":        {func(c *Config) { c.ACL.URL = url }, "auth_req.url: is empty"},
		"no URL":             {func(c *Config) { c.Auth.URL = "127.0.0.1:8991/auth" }, "auth_req.url: must begin"},
		"password in URL":    {func(c *Config) { c.Auth.URL = "https://a:b@auth.example" }, "auth_req.url: must hold no"},
		"variable as host":   {func(c *Config) { c.Auth.URL = "https://${clientid}.example/" }, "auth_req.url: holds a variable"},
		"unknown variable":   {func(c *Config) { c.Auth.URL = url + "?x=${topic}" }, "auth_req.url: ${topic} is not known here"},
		"unknown letter":     {func(c *Config) { c.Auth.URL, c.Auth.Params = url, []string{"username=%u", "p=%P", "x=%x"} }, `auth_req.params: "x=%x": %x is not known`},
		"password in rights": {func(c *Config) { c.Auth.URL, c.ACL.URL, c.ACL.Params = url, url, []string{"p=%P"} }, "acl_req.params: \"p=%P\""},
		"no user name":       {func(c *Config) { c.Auth.URL, c.Auth.Params = url, []string{"c=%c", "p=%P"} }, "auth_req.params: have no ${username}"},
		"no password":        {func(c *Config) { c.Auth.URL, c.Auth.Params = url, []string{"u=%u"} }, "auth_req.params: have neither"},
		"certificate":        {func(c *Config) { c.Auth.URL, c.Auth.Params = url, []string{"u=%u", "cn=%C"} }, ""},
		"no param":           {func(c *Config) { c.Auth.Params = []string{"username"} }, "auth_req.params: \"username\" must be"},
		"method":             {func(c *Config) { c.Auth.Method = "delete" }, "auth_req.method"},
		"format":             {func(c *Config) { c.ACL.Format = "xml" }, "acl_req.format"},
		"answers":            {func(c *Config) { c.Answers = "xml" }, "answers: "},
		"header":             {func(c *Config) { c.Headers = []string{"X: a\r\nY: b"} }, "headers: "},
		"token":              {func(c *Config) { c.Token = "a\nb" }, "token: "},
		"timeout":            {func(c *Config) { c.Timeout = 0 }, "timeout: "},
		"pool":               {func(c *Config) { c.Pool = 0 }, "pool_size: "},
		"refresh":            {func(c *Config) { c.Refresh = 0 }, "acl_refresh: "},
		"kept":               {func(c *Config) { c.Kept = 0 }, "acl_kept: "},
		"certificates":       {func(c *Config) { c.Auth.URL, c.CAFile = "http://auth.example/", "ca.pem" }, "tls_ca_file"},
	} {
		cfg := DefaultConfig()
		c.change(&cfg)
		err := cfg.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	bad := Config{Auth: Request{URL: "x", Params: []string{"y"}}}
	if err := bad.Validate(); err == nil || strings.Count(err.Error(), "\n") < 10 {
		t.Errorf("not all faults are told at once: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	for url, want := range map[string]int{"http://auth.example/a": 1, "http://127.0.0.1:8991/a": 0, "http://localhost/${username}": 0, "https://auth.example/": 0, "http://10.0.0.1/${username}": 1} {
		s := source(t, identitytest.NewClock(), func(c *Config) { c.Auth.URL = url })
		if w := s.Warnings(); len(w) != want {
			t.Errorf("%s: %q", url, w)
		}
	}
}
