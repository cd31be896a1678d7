package httpauth

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/identity/identitytest"
	"github.com/fairlead-iot/fairlead/core"
)

func source(t *testing.T, clock *identitytest.Clock, change func(*Config)) *Source {
	t.Helper()
	cfg := DefaultConfig()
	change(&cfg)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := open(cfg, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func client() *core.Credentials {
	return &core.Credentials{ClientID: "c1", Username: "ann", HasUsername: true, Password: []byte("secret"), HasPassword: true,
		Peer: netip.MustParseAddrPort("192.0.2.7:1"), Protocol: "mqtt", Listener: "mqtts"}
}

// Status and body say what EMQ X's servers mean by them; what is neither yes nor no lets
// nobody in.
func TestAnswers(t *testing.T) {
	const kind = "application/json; charset=utf-8"
	h := identitytest.NewServer(t)
	for _, c := range []struct {
		code       int
		kind, body string
		any, json  core.Verdict
		anyFails   bool
		jsonFails  bool
	}{
		{200, "", "", core.Allow, core.Ignore, false, true},
		{200, "text/plain", "ok", core.Allow, core.Ignore, false, true},
		{200, "text/plain", " Ignore\n", core.Ignore, core.Ignore, false, true},
		{200, "text/plain", "deny", core.Deny, core.Ignore, false, true},
		{204, "", "", core.Allow, core.Ignore, false, true},
		{200, kind, `{"result":"allow"}`, core.Allow, core.Allow, false, false},
		{200, "", `{"result":"deny"}`, core.Deny, core.Deny, false, false},
		{200, kind, `{"result":"ignore"}`, core.Ignore, core.Ignore, false, false},
		{200, kind, `{"result":"Allow"}`, core.Ignore, core.Ignore, true, true},
		{200, kind, `{"result":true}`, core.Ignore, core.Ignore, true, true},
		{200, kind, `{}`, core.Ignore, core.Ignore, true, true},
		{200, kind, ``, core.Ignore, core.Ignore, true, true},
		{200, kind, `[]`, core.Ignore, core.Ignore, true, true},
		{200, kind, `{"result":"allow","is_superuser":"yes"}`, core.Ignore, core.Ignore, true, true},
		{200, kind, `{"result":"allow","expire_at":"soon"}`, core.Ignore, core.Ignore, true, true},
		{200, kind, `{"result":"allow","expire_at":-1}`, core.Ignore, core.Ignore, true, true},
		{200, kind, `{"result":"allow","expire_at":1}`, core.Deny, core.Deny, true, true},
		{200, kind, `{"result":"allow","acl":"all"}`, core.Ignore, core.Ignore, true, true},
		{200, kind, `{"result":"allow","acl":[{"permission":"deny","action":"all","topic":"#","qos":[0]}]}`, core.Ignore, core.Ignore, true, true},
		{400, kind, `{"result":"allow"}`, core.Deny, core.Deny, false, false},
		{401, "", "", core.Deny, core.Deny, false, false},
		{403, "", "", core.Deny, core.Deny, false, false},
		{404, "", "", core.Deny, core.Deny, false, false},
		{408, "", "", core.Ignore, core.Ignore, true, true},
		{429, "", "", core.Ignore, core.Ignore, true, true},
		{500, "", "", core.Ignore, core.Ignore, true, true},
		{503, kind, `{"result":"allow"}`, core.Ignore, core.Ignore, true, true},
		{201, "", "", core.Ignore, core.Ignore, true, true},
		{302, "", "", core.Ignore, core.Ignore, true, true},
		{200, "", strings.Repeat("x", maxAnswer+1), core.Ignore, core.Ignore, true, true},
	} {
		h.Says(c.code, c.kind, c.body)
		for kind, want := range map[string]core.Verdict{AnswersAny: c.any, AnswersJSON: c.json} {
			s := source(t, identitytest.NewClock(), func(cfg *Config) { cfg.Auth.URL, cfg.Answers = h.URL, kind })
			v, grant, err := s.Authenticate(t.Context(), client())
			fails := kind == AnswersAny && c.anyFails || kind == AnswersJSON && c.jsonFails
			if v != want || (err != nil) != fails || (grant != nil) != (v == core.Allow) {
				t.Errorf("%s: %d %s %.50q: %v %+v %v, want %v", kind, c.code, c.kind, c.body, v, grant, err, want)
			}
		}
	}
}

// What a client says becomes a value, whatever is in it.
func TestRequests(t *testing.T) {
	h := identitytest.NewServer(t)
	h.Says(200, "", "")
	who := client()
	who.Username, who.Password = "a&b=c d/../?#%00\"<é", []byte("p&password=x\x00\xff")
	who.Certificate = &x509.Certificate{Subject: pkix.Name{CommonName: "dev,7", Organization: []string{"O"}}}
	for _, c := range []struct {
		request Request
		want    string
	}{
		{Request{URL: h.URL + "/mqtt/auth", Method: "post", Format: "form", Params: []string{"clientid=%c", "username=%u", "password=%P"}},
			"POST /mqtt/auth clientid=c1&password=p%26password%3Dx%00%FF&username=a%26b%3Dc+d%2F..%2F%3F%23%2500%22%3C%C3%A9"},
		{Request{URL: h.URL + "/a?x=1&n=${username}", Method: "get", Format: "form", Params: []string{"p=${password}", "t=100 of %c"}},
			"GET /a?x=1&n=a%26b%3Dc+d%2F..%2F%3F%23%2500%22%3C%C3%A9&p=p%26password%3Dx%00%FF&t=100+of+c1 "},
		{Request{URL: h.URL + "/u/${username}/${clientid}%20x", Method: "put", Format: "form", Params: []string{"p=%P", "ip=%a", "via=%r.${listener}", "cn=%C", "dn=%d"}},
			"PUT /u/a&b=c%20d%2F..%2F%3F%23%2500%22%3C%C3%A9/c1%20x cn=dev%2C7&dn=CN%3Ddev%5C%2C7%2CO%3DO&ip=192.0.2.7&p=p%26password%3Dx%00%FF&via=mqtt.mqtts"},
		{Request{URL: h.URL, Method: "post", Format: "json", Params: []string{"u=${username}", "c=%C"}},
			`POST / {"c":"dev,7","u":"a&b=c d/../?#%00\"<é"}`},
	} {
		s := source(t, identitytest.NewClock(), func(cfg *Config) {
			cfg.Auth, cfg.Token, cfg.Headers = c.request, "t0k", []string{"X-Gateway: plant-7"}
		})
		if v, _, err := s.Authenticate(t.Context(), who); v != core.Allow || err != nil {
			t.Errorf("%v %v", v, err)
		}
		if got := h.Questions(); len(got) != 1 || got[0] != c.want {
			t.Errorf("asked %q\nwant  %q", got, c.want)
		}
	}
	h.Answers(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t0k" || r.Header.Get("X-Gateway") != "plant-7" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			w.WriteHeader(403)
		}
	})
	s := source(t, identitytest.NewClock(), func(cfg *Config) { cfg.Auth.URL, cfg.Token, cfg.Headers = h.URL, "t0k", []string{"X-Gateway: plant-7"} })
	if v, _, err := s.Authenticate(t.Context(), client()); v != core.Allow || err != nil {
		t.Errorf("headers: %v %v", v, err)
	}
}

// Who cannot be asked about is not let in, and nobody is asked.
func TestNamesThatCannotBeAskedAbout(t *testing.T) {
	h := identitytest.NewServer(t)
	h.Says(200, "", "")
	path := source(t, identitytest.NewClock(), func(c *Config) { c.Auth.URL = h.URL + "/${username}/auth" })
	text := source(t, identitytest.NewClock(), func(c *Config) { c.Auth.URL, c.Auth.Format = h.URL, "json" })
	for _, name := range []string{"", ".", ".."} {
		who := client()
		who.Username = name
		if v, _, err := path.Authenticate(t.Context(), who); v != core.Deny || err == nil {
			t.Errorf("%q: %v %v", name, v, err)
		}
	}
	who := client()
	who.Password = []byte("\xff")
	if v, _, err := text.Authenticate(t.Context(), who); v != core.Deny || err == nil {
		t.Errorf("%v %v", v, err)
	}
	for _, who := range []*core.Credentials{{ClientID: "c1"}, {Username: "ann", HasUsername: true, Method: "SCRAM-SHA-256"}, {Username: "ann", HasUsername: true, HasPassword: true, Password: make([]byte, 2000)}} {
		if v, _, err := text.Authenticate(t.Context(), who); v != core.Ignore || err != nil {
			t.Errorf("%v %v", v, err)
		}
	}
	if q := h.Questions(); len(q) != 0 {
		t.Errorf("asked %q", q)
	}
}

// Superusers, the end of a login and access rules come with the answer, or are asked for.
func TestGrants(t *testing.T) {
	h := identitytest.NewServer(t)
	clock := identitytest.NewClock()
	with := func(fields string) *core.Grant {
		t.Helper()
		h.Says(200, "application/json", `{"result":"allow"`+fields+`}`)
		s := source(t, clock, func(c *Config) { c.Auth.URL = h.URL })
		v, grant, err := s.Authenticate(t.Context(), client())
		if v != core.Allow || err != nil {
			t.Fatalf("%s: %v %v", fields, v, err)
		}
		return grant
	}
	if g := with(`,"is_superuser":true,"acl":"of no meaning"`); !g.Superuser || g.ACL != nil {
		t.Errorf("%+v", g)
	}
	until := clock.Now().Unix() + 60
	if g := with(fmt.Sprintf(`,"expire_at":%d,"client_attrs":{"a":"b"}`, until)); g.Superuser || g.Expires != until*1000 || g.Username != "ann" {
		t.Errorf("%+v", g)
	}
	h.Says(200, "application/json", `{"result":"allow","acl":{"pub":["up/%c"],"sub":[]}}`)
	s := source(t, clock, func(c *Config) { c.Auth.URL = h.URL })
	_, grant, err := s.Authenticate(t.Context(), client())
	if err != nil {
		t.Fatal(err)
	}
	id := &core.Identity{ClientID: "c1", Username: "ann", Grant: grant}
	for name, want := range map[string]core.Verdict{"up/c1": core.Allow, "up/c2": core.Deny} {
		if v, err := s.Authorize(id, core.ActionPublish, name); v != want || err != nil {
			t.Errorf("%s: %v %v", name, v, err)
		}
	}
	if v := s.Covers(id, "up/c1"); v != core.Deny || s.Abstains(id) || !s.Abstains(&core.Identity{}) {
		t.Errorf("covers %v", v)
	}
	h.Answers(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/super" && r.FormValue("username") != "ann" {
			w.WriteHeader(403)
		}
	})
	s = source(t, clock, func(c *Config) { c.Auth.URL, c.Superuser.URL = h.URL, h.URL+"/super" })
	for name, want := range map[string]bool{"ann": true, "bob": false} {
		who := client()
		who.Username = name
		if v, g, err := s.Authenticate(t.Context(), who); v != core.Allow || err != nil || g.Superuser != want {
			t.Errorf("%s: %v %+v %v", name, v, g, err)
		}
	}
	if q := strings.Join(h.Questions(), "\n"); strings.Contains(q, "super clientid=c1&password") {
		t.Errorf("super_req tells the password: %s", q)
	}
}

// A server that is away costs five tries, and then nothing until it is time to see.
func TestServerAway(t *testing.T) {
	h := identitytest.NewServer(t)
	clock := identitytest.NewClock()
	s := source(t, clock, func(c *Config) { c.Auth.URL = h.URL })
	h.Says(500, "", "")
	try := func(times, asked int, want core.Verdict) {
		t.Helper()
		for range times {
			v, _, err := s.Authenticate(t.Context(), client())
			if v != want || (err != nil) != (want == core.Ignore) {
				t.Errorf("%v %v", v, err)
			}
		}
		if got := len(h.Questions()); got != asked {
			t.Errorf("asked %d times, want %d", got, asked)
		}
	}
	try(100, 5, core.Ignore)
	clock.Pass(time.Second)
	try(100, 1, core.Ignore)
	clock.Pass(time.Second)
	try(100, 0, core.Ignore)
	clock.Pass(time.Second)
	h.Says(200, "", "")
	try(100, 100, core.Allow)
	h.Says(403, "", "")
	try(100, 100, core.Deny)
}

// A server that is slow, or never ends, is not waited for beyond the time.
func TestSlowServers(t *testing.T) {
	leave := make(chan struct{})
	h := identitytest.NewServer(t)
	t.Cleanup(func() { close(leave) })
	for name, answer := range map[string]http.HandlerFunc{
		"never answers": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-leave:
			case <-r.Context().Done():
			}
		},
		"drips": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(" ")); err != nil {
					return
				}
				w.(http.Flusher).Flush()
			}
		},
	} {
		h.Answers(answer)
		s := source(t, identitytest.NewClock(), func(c *Config) { c.Auth.URL, c.Timeout = h.URL, 100*time.Millisecond })
		began := time.Now()
		if v, _, err := s.Authenticate(t.Context(), client()); v != core.Ignore || err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v %v", name, v, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

// A redirect would tell passwords to whom it names.
func TestRedirectsAreNotFollowed(t *testing.T) {
	other, h := identitytest.NewServer(t), identitytest.NewServer(t)
	other.Says(200, "", "")
	for _, code := range []int{301, 302, 303, 307, 308} {
		h.Answers(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, code) })
		s := source(t, identitytest.NewClock(), func(c *Config) { c.Auth.URL = h.URL })
		if v, _, err := s.Authenticate(t.Context(), client()); v != core.Ignore || err == nil {
			t.Errorf("%d: %v %v", code, v, err)
		}
	}
	if q := other.Questions(); len(q) != 0 {
		t.Errorf("asked %q", q)
	}
}

// FuzzAnswer: no body of a 200 in JSON mode lets anybody in that does not say allow.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{"", "ok", "ignore", `{"result":"allow"}`, `{"result":"deny"}`, `{"RESULT":"allow"}`, `{"result":"allow"}{`, `{"result":"allow","acl":{"pub":[]}}`, `[{"result":"allow"}]`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := &http.Response{StatusCode: 200, Header: http.Header{}}
		a, err := judge(r, []byte(body), true)
		var v map[string]any
		if a.verdict == core.Allow && (json.Unmarshal([]byte(body), &v) != nil || !strings.Contains(body, "allow")) {
			t.Errorf("%q lets in", body)
		}
		if err != nil && a.verdict != core.Ignore {
			t.Errorf("%q: %v %v", body, a, err)
		}
	})
}
