package httpauth

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/backends/identity"
	"github.com/fairlead-iot/fairlead/backends/rules"
)

// Config is the section [auth.http]. Without the URL of auth_req no server is asked.
type Config struct {
	Auth      Request `toml:"auth_req" doc:"asks whether a client may log in"`
	Superuser Request `toml:"super_req" doc:"asks whether one who may log in is a superuser; the answer to auth_req may say so, too"`
	ACL       Request `toml:"acl_req" doc:"asks whether a client may do something with a topic; where the answer to auth_req has a list acl, that counts instead"`

	Answers string        `toml:"answers" oneof:"any,json" doc:"any: status 200 allows, unless the body is \"ignore\" or says otherwise in JSON; json: nothing but {\"result\": \"allow\"} allows"`
	Headers []string      `toml:"headers" doc:"further headers of each request, such as \"X-Gateway: plant-7\""`
	Token   string        `toml:"token" secret:"true" doc:"sent as Authorization: Bearer, by which the server knows this gateway; better token_file"`
	Timeout time.Duration `toml:"timeout" doc:"longest time of one request"`
	Pool    int           `toml:"pool_size" doc:"connections that are kept, and most at once"`

	Refresh time.Duration `toml:"acl_refresh" doc:"how old an answer to acl_req may be before it is asked for again; twice that and it holds no more"`
	Kept    int           `toml:"acl_kept" doc:"answers to acl_req that are kept for each client"`

	CAFile   string `toml:"tls_ca_file" doc:"certificates that the server's is proven by; empty: those of the system"`
	CertFile string `toml:"tls_cert_file" doc:"certificate that is shown to the server"`
	KeyFile  string `toml:"tls_key_file" doc:"its key"`
}

// Request is one question to the server.
type Request struct {
	URL    string   `toml:"url" doc:"https://HOST/PATH, in which ${…} may stand behind the host; empty: it is not asked"`
	Method string   `toml:"method" oneof:"get,post,put" doc:"get: params go into the query; post, put: into the body"`
	Format string   `toml:"format" oneof:"form,json" doc:"how a body has the params"`
	Params []string `toml:"params" doc:"NAME=TEXT, with ${username} or %u, ${clientid} %c, ${peerhost} %a, ${password} %P, ${protocol} %r, ${listener}, ${cert_common_name} %C, ${cert_subject} %d; of acl_req ${topic} %t, ${action} (publish, subscribe), ${access} %A (2, 1)"`
}

// The kinds of answers.
const (
	AnswersAny  = "any"
	AnswersJSON = "json"
)

// DefaultConfig asks nobody, and has EMQ X's params.
func DefaultConfig() Config {
	request := func(method string, params ...string) Request {
		return Request{Method: method, Format: "form", Params: params}
	}
	return Config{
		Auth:      request("post", "clientid=%c", "username=%u", "password=%P"),
		Superuser: request("post", "clientid=%c", "username=%u"),
		ACL:       request("get", "access=%A", "username=%u", "clientid=%c", "ipaddr=%a", "topic=%t"),
		Answers:   AnswersAny, Timeout: 3 * time.Second, Pool: 32, Refresh: time.Minute, Kept: 64,
	}
}

// Enabled says that there is a server to ask.
func (c *Config) Enabled() bool { return c.Auth.URL != "" }

// Validate reports everything that is wrong, files unread.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	for _, r := range c.requests() {
		if _, err := r.compile(r.about); err != nil {
			errs = append(errs, prefixed(r.key, err))
		}
		if c.Auth.URL == "" && r.URL != "" {
			add("auth_req.url: is empty, so that %s is never asked", r.key)
		}
	}
	if c.Enabled() {
		errs = append(errs, c.checkAuth())
	}
	if c.Answers != AnswersAny && c.Answers != AnswersJSON {
		add("answers: %q must be any or json", c.Answers)
	}
	for _, h := range c.Headers {
		name, value, found := strings.Cut(h, ":")
		if !found || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" || name == "" || strings.ContainsAny(value, "\r\n\x00") {
			add("headers: %q must be NAME: VALUE", h)
		}
	}
	if strings.ContainsAny(c.Token, "\r\n\x00") {
		add("token: holds an end of line")
	}
	if c.Timeout < time.Millisecond || c.Timeout > time.Minute {
		add("timeout: %s must be between 1ms and 1m", c.Timeout)
	}
	if c.Pool < 1 || c.Pool > 1000 {
		add("pool_size: %d must be between 1 and 1000", c.Pool)
	}
	if c.Refresh < time.Second || c.Refresh > time.Hour {
		add("acl_refresh: %s must be between 1s and 1h", c.Refresh)
	}
	if c.Kept < 1 || c.Kept > 10_000 {
		add("acl_kept: %d must be between 1 and 10000", c.Kept)
	}
	return errors.Join(append(errs, rules.CheckTLS(c.speaksTLS(), c.CAFile, c.CertFile, c.KeyFile))...)
}

// named is a request with its key, and what it is about.
type named struct {
	*Request
	key   string
	about kind
}

func (c *Config) requests() []named {
	return []named{{&c.Auth, "auth_req", aboutLogin}, {&c.Superuser, "super_req", aboutClient}, {&c.ACL, "acl_req", aboutTopic}}
}

// checkAuth sees that the server knows whom it lets in, and by what.
func (c *Config) checkAuth() error {
	q, err := c.Auth.compile(aboutLogin)
	if err != nil {
		return nil // told already
	}
	var errs []error
	if !q.uses("username") {
		errs = append(errs, errors.New("auth_req.params: have no ${username}: the server would vouch for a name that it does not see"))
	}
	if !q.uses("password") && !q.uses("cert_common_name") && !q.uses("cert_subject") {
		errs = append(errs, errors.New("auth_req.params: have neither ${password} nor ${cert_common_name}: there is nothing that a client could prove itself by"))
	}
	return errors.Join(errs...)
}

func (c *Config) speaksTLS() bool {
	for _, r := range c.requests() {
		if strings.HasPrefix(r.URL, "https://") {
			return true
		}
	}
	return false
}

// prefixed puts a key in front of each fault.
func prefixed(key string, err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range many.Unwrap() {
			out = append(out, prefixed(key, e))
		}
		return errors.Join(out...)
	}
	return fmt.Errorf("%s.%w", key, err)
}

// Warnings are what is doubtful about the configuration, one line each.
func (s *Source) Warnings() (out []string) {
	for _, r := range s.cfg.requests() {
		host, _, _ := strings.Cut(r.URL, "${")
		if r.URL != "" && identity.Plain(host) {
			out = append(out, fmt.Sprintf("auth.http.%s.url leads over the network without TLS: passwords can be read on the way, and answers made up", r.key))
		}
	}
	return out
}
