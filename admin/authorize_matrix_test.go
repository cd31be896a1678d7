package admin

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
)

// asker is one way to come to the server, and what is answered there.
type asker struct {
	name   string
	change func(*http.Request)
	// Whether pages of each kind are shown: those for the administrator, and metrics.
	guarded, metrics bool
}

// askers are who may come. Requests are from this machine with the password, but for
// what they change.
func askers() []asker {
	from := func(addr string) func(*http.Request) {
		return func(r *http.Request) { r.RemoteAddr = addr }
	}
	without := func(change func(*http.Request)) func(*http.Request) {
		return func(r *http.Request) { r.Header.Del("Authorization"); change(r) }
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	return []asker{
		{"right, from this machine", func(*http.Request) {}, true, true},
		{"right, from elsewhere", from("192.0.2.7:5000"), true, true},
		{"none, from this machine", without(func(*http.Request) {}), false, true},
		{"none, from this machine by IPv6", without(from("[::1]:5000")), false, true},
		{"none, from this machine, without a port", without(func(r *http.Request) { r.Host = "127.0.0.1" }), false, true},
		{"none, from this machine, by its name", without(func(r *http.Request) { r.Host = "localhost:18083" }), false, true},
		{"none, from elsewhere", without(from("192.0.2.7:5000")), false, false},
		{"none, from no address", without(from("@")), false, false},
		{"none, by a proxy on this machine", without(header("X-Forwarded-For", "192.0.2.7")), false, false},
		{"none, by a proxy that says Forwarded", without(header("Forwarded", "for=192.0.2.7")), false, false},
		{"none, by a proxy that says X-Real-Ip", without(header("X-Real-Ip", "192.0.2.7")), false, false},
		{"none, by a proxy that says Via", without(header("Via", "1.1 p")), false, false},
		{"none, from this machine under a foreign name", without(func(r *http.Request) { r.Host = "attacker.example:18083" }), false, false},
		{"wrong password, from elsewhere", func(r *http.Request) { r.SetBasicAuth("admin", "Secret"); from("192.0.2.7:5000")(r) }, false, false},
		{"wrong user, from elsewhere", func(r *http.Request) { r.SetBasicAuth("root", "secret"); from("192.0.2.7:5000")(r) }, false, false},
		{"empty password, from elsewhere", func(r *http.Request) { r.SetBasicAuth("admin", ""); from("192.0.2.7:5000")(r) }, false, false},
		{"wrong password, from this machine", func(r *http.Request) { r.SetBasicAuth("admin", "Secret") }, false, true},
		{"a bearer's token, from elsewhere", func(r *http.Request) { header("Authorization", "Bearer secret")(r); from("192.0.2.7:5000")(r) }, false, false},
	}
}

// open are the pages that are for everyone; any other, and any that is added, is for
// the administrator.
func open(pattern string) bool { return pattern == "GET /livez" || pattern == "GET /readyz" }

// TestAuthorizationMatrix asks for every page of the table in every way.
func TestAuthorizationMatrix(t *testing.T) {
	cells, passed := 0, 0
	cell := func(name string, f func(t *testing.T)) {
		cells++
		if t.Run(name, f) {
			passed++
		}
	}
	for _, p := range newTestServer(&fake{}, nil).pages() {
		for _, a := range askers() {
			want := a.guarded || open(p.pattern) || p.pattern == "GET /metrics" && a.metrics
			cell(p.pattern+"/"+a.name, func(t *testing.T) { askPage(t, p.pattern, a.change, want) })
		}
		cell(p.pattern+"/right, by a page of another origin", func(t *testing.T) { askAcross(t, p.pattern) })
	}
	for _, a := range askers() { // open_metrics opens metrics and nothing else
		cell("open metrics/"+a.name, func(t *testing.T) {
			s := newTestServer(&fake{}, func(o *Options) { o.Config.OpenMetrics = true })
			if w := ask(s, "GET", "/metrics", a.change); w.Code != http.StatusOK {
				t.Errorf("metrics: %d", w.Code)
			}
			if w := ask(s, "GET", "/api/v1/stats", a.change); (w.Code == http.StatusOK) != a.guarded {
				t.Errorf("stats: %d", w.Code)
			}
		})
	}
	t.Logf("authorisation matrix: %d cells, %d passed (%d pages)", cells, passed, len(newTestServer(&fake{}, nil).pages()))
}

// secretSource is a Source whose figures nobody else may see.
func secretSource() *fake {
	return &fake{clients: map[string]core.ClientInfo{"planted": {ClientID: "planted", Connected: true}},
		records: []core.Record{{Seq: 1, Reason: core.QueueFull, ClientID: "planted"}},
		bans:    []core.Ban{{Kind: core.BanClientID, Value: "planted"}},
		delayed: []core.DelayedInfo{{ID: 7, Topic: "planted"}},
		shelf:   shelf{kept: []core.RetainedMessage{{Message: &core.Message{Topic: "planted", Payload: []byte("planted")}}}},
		subs:    map[string][]core.SubscriptionInfo{"planted": {{Filter: "planted"}}}}
}

// acted says that something was done to a secretSource.
func (f *fake) acted() bool {
	return len(f.kicked)+len(f.cancelled)+len(f.removed) > 0 || len(f.bans) != 1
}

func target(pattern string) (method, path string) {
	if pattern == "DELETE /api/v1/retained" { // which ones must be said
		pattern += "?topic=planted"
	}
	method, path, _ = strings.Cut(pattern, " ")
	return method, strings.NewReplacer("{id}", "planted", "{number}", "7", "{topic}", "planted", "{kind}", "client_id", "{value}", "planted").Replace(path)
}

func askPage(t *testing.T, pattern string, change func(*http.Request), shown bool) {
	f := secretSource()
	method, path := target(pattern)
	w := ask(newTestServer(f, nil), method, path, func(r *http.Request) {
		if method == "POST" {
			body(`{"kind":"client_id","value":"another"}`)(r)
		}
		change(r)
	})
	if shown {
		if w.Code/100 != 2 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		return
	}
	if w.Code != http.StatusUnauthorized || checkProblem(t, w).Code != "unauthorized" || w.Header().Get("WWW-Authenticate") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if given := ask(newTestServer(f, nil), method, path, change).Body.String(); strings.Contains(given, "wrong") != strings.Contains(t.Name(), "wrong") &&
		!strings.Contains(t.Name(), "empty") {
		t.Errorf("it does not say what is the matter: %s", given)
	}
	if strings.Contains(w.Body.String(), "planted") || strings.Contains(w.Body.String(), "fairlead_") || f.acted() {
		t.Errorf("it leaks or acts: %s, %+v", w.Body, f)
	}
}

// askAcross comes as a browser does that remembers the password and shows a page of
// somebody else: nothing may be done, and nothing read by that page.
func askAcross(t *testing.T, pattern string) {
	f := secretSource()
	method, path := target(pattern)
	for _, from := range []http.Header{{"Sec-Fetch-Site": {"cross-site"}}, {"Origin": {"https://attacker.example"}}, {"Origin": {"null"}}} {
		w := ask(newTestServer(f, nil), method, path, func(r *http.Request) {
			for k, v := range from {
				r.Header[k] = v
			}
		})
		if method != "GET" && w.Code != http.StatusForbidden || f.acted() {
			t.Errorf("%v: %d %s, %+v", from, w.Code, w.Body, f)
		}
		if allowed := w.Header().Get("Access-Control-Allow-Origin"); allowed != "" {
			t.Errorf("%v: pages of %s may read the answer", from, allowed)
		}
	}
}
