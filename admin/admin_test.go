package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/fairlead-iot/fairlead/core"
)

// fake is a Source with what a test put in.
type fake struct {
	stats   core.Stats
	records []core.Record
	clients map[string]core.ClientInfo
	kicked  []string
	bans    []core.Ban
	fault   error // of Ban and Unban

	delayed   []core.DelayedInfo
	cancelled []uint64
	subs      map[string][]core.SubscriptionInfo

	shelf // retained messages
}

func (f *fake) Stats() core.Stats { return f.stats }

func (f *fake) Explain(max int, keep func(*core.Record) bool) []core.Record {
	var out []core.Record
	for i := range f.records {
		if keep(&f.records[i]) && len(out) < max {
			out = append(out, f.records[i])
		}
	}
	return out
}

func (f *fake) Client(id string) (core.ClientInfo, bool) {
	c, ok := f.clients[id]
	return c, ok
}

func (f *fake) Clients(fn func(core.ClientInfo) bool) {
	for _, c := range f.clients {
		if !fn(c) {
			return
		}
	}
}

func (f *fake) Kick(id string) bool {
	f.kicked = append(f.kicked, id)
	return f.clients[id].Connected
}

func (f *fake) Redirect(id string) bool {
	f.kicked = append(f.kicked, "elsewhere:"+id)
	return f.clients[id].Connected
}

func newTestServer(f *fake, change func(*Options)) *Server {
	o := Options{
		Config: DefaultConfig(), Source: f, Version: "v1", Commit: "abc",
		Authenticate: func(_ context.Context, user, password string) bool { return user == "admin" && password == "secret" },
	}
	if change != nil {
		change(&o)
	}
	return New(o)
}

// ask sends one request from this machine, with the password.
func ask(s *Server, method, target string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:18083"+target, nil)
	r.RemoteAddr = "127.0.0.1:5000"
	r.SetBasicAuth("admin", "secret")
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func anonymous(r *http.Request) { r.Header.Del("Authorization") }

func TestAccess(t *testing.T) {
	from := func(addr string) func(*http.Request) {
		return func(r *http.Request) { anonymous(r); r.RemoteAddr = addr }
	}
	tests := []struct {
		name   string
		method string
		target string
		change func(*http.Request)
		open   bool
		status int
	}{
		{"api without password", "GET", "/api/v1/stats", anonymous, false, 401},
		{"api with open metrics still needs the password", "GET", "/api/v1/stats", anonymous, true, 401},
		{"api with wrong password", "GET", "/api/v1/stats", func(r *http.Request) { r.SetBasicAuth("admin", "guess") }, false, 401},
		{"api with wrong user", "GET", "/api/v1/stats", func(r *http.Request) { r.SetBasicAuth("root", "secret") }, false, 401},
		{"api with password", "GET", "/api/v1/stats", nil, false, 200},
		{"api from elsewhere with password", "GET", "/api/v1/stats", func(r *http.Request) { r.RemoteAddr = "10.1.2.3:1" }, false, 200},
		{"clients without password", "GET", "/api/v1/clients", anonymous, false, 401},
		{"client without password", "GET", "/api/v1/clients/a", anonymous, false, 401},
		{"kick without password", "DELETE", "/api/v1/clients/a", anonymous, false, 401},
		{"explain without password", "GET", "/api/v1/explain", anonymous, false, 401},
		{"metrics from this machine", "GET", "/metrics", anonymous, false, 200},
		{"metrics over IPv6 loopback", "GET", "/metrics", from("[::1]:5"), false, 200},
		{"metrics over mapped loopback", "GET", "/metrics", from("[::ffff:127.0.0.1]:5"), false, 200},
		{"metrics from elsewhere", "GET", "/metrics", from("10.1.2.3:1"), false, 401},
		{"metrics from elsewhere with password", "GET", "/metrics", func(r *http.Request) { r.RemoteAddr = "10.1.2.3:1" }, false, 200},
		{"open metrics from elsewhere", "GET", "/metrics", from("10.1.2.3:1"), true, 200},
		{"metrics through a proxy on this machine", "GET", "/metrics", func(r *http.Request) { anonymous(r); r.Header.Set("X-Forwarded-For", "1.2.3.4") }, false, 401},
		{"metrics under a foreign name", "GET", "/metrics", func(r *http.Request) { anonymous(r); r.Host = "evil.example:18083" }, false, 401},
		{"metrics under localhost", "GET", "/metrics", func(r *http.Request) { anonymous(r); r.Host = "localhost:18083" }, false, 200},
		{"livez for anyone", "GET", "/livez", from("10.1.2.3:1"), false, 200},
		{"readyz for anyone", "GET", "/readyz", from("10.1.2.3:1"), false, 200},
		{"unknown page", "GET", "/nothing", anonymous, false, 404},
		{"wrong method", "POST", "/api/v1/stats", nil, false, 405},
		{"head", "HEAD", "/livez", anonymous, false, 200},
		{"index", "GET", "/", anonymous, false, 200},
		{"a foreign page makes a browser delete", "DELETE", "/api/v1/clients/a", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, false, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestServer(&fake{}, func(o *Options) { o.Config.OpenMetrics = tt.open })
			w := ask(s, tt.method, tt.target, tt.change)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if w.Code == 401 && w.Header().Get("WWW-Authenticate") == "" {
				t.Error("no WWW-Authenticate")
			}
			if w.Code >= 400 && w.Code != 403 {
				checkProblem(t, w)
			}
		})
	}
}

func checkProblem(t *testing.T, w *httptest.ResponseRecorder) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Code == "" || p.Message == "" {
		t.Fatalf("no problem in %q: %v", w.Body, err)
	}
	return p
}

func TestReadiness(t *testing.T) {
	faults := []Check{{"store", ""}, {"listeners", "not open"}}
	s := newTestServer(&fake{}, func(o *Options) { o.Checks = func() []Check { return faults } })

	w := ask(s, "GET", "/readyz", anonymous)
	if w.Code != 503 || !strings.Contains(w.Body.String(), `"listeners": "not open"`) || strings.Contains(w.Body.String(), `"store"`) {
		t.Errorf("this machine hears %d %s", w.Code, w.Body)
	}
	w = ask(s, "GET", "/readyz", func(r *http.Request) { anonymous(r); r.RemoteAddr = "10.0.0.1:1" })
	if w.Code != 503 || strings.Contains(w.Body.String(), "not open") {
		t.Errorf("a stranger hears %d %s", w.Code, w.Body)
	}
	if w = ask(s, "GET", "/livez", anonymous); w.Code != 200 {
		t.Errorf("livez says %d while not ready", w.Code)
	}
	faults[1].Detail = ""
	if w = ask(s, "GET", "/readyz", anonymous); w.Code != 200 || !strings.Contains(w.Body.String(), `"ready"`) {
		t.Errorf("ready: %d %s", w.Code, w.Body)
	}
}

func TestMetrics(t *testing.T) {
	f := &fake{stats: core.Stats{Started: time.Unix(1000, 0), Sessions: 7, Connections: 3, StoreHealth: errors.New("disk full")}}
	f.stats.Counters[core.Delivered] = 41
	f.stats.Counters[core.Matched] = 50
	f.stats.Reasons[core.QueueFull] = 5
	s := newTestServer(f, func(o *Options) {
		o.Listeners = func() []ListenerFigures {
			l := ListenerFigures{Name: "mqtt", Open: 3, Accepted: 9}
			l.Refused[core.AddressLimit] = 2
			return []ListenerFigures{l}
		}
	})
	body := ask(s, "GET", "/metrics", anonymous).Body.String()
	for _, want := range []string{
		"fairlead_delivered_total 41\n",
		`fairlead_reason_total{reason="queue_full"} 5` + "\n",
		`fairlead_reason_total{reason="banned"} 0` + "\n",
		"fairlead_sessions 7\n",
		"fairlead_pending 9\n",
		"fairlead_store_healthy 0\n",
		`fairlead_build_info{commit="abc",version="v1"} 1` + "\n",
		`fairlead_listener_connections{listener="mqtt"} 3` + "\n",
		`fairlead_listener_refused_total{listener="mqtt",reason="address_limit"} 2` + "\n",
		"go_goroutines ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
	for i := range core.CounterCount {
		if name := "\nfairlead_" + core.Counter(i).String() + "_total "; !strings.Contains(body, name) {
			t.Errorf("no %q", name)
		}
	}
}

func TestMetricNames(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(newCollector(newTestServer(&fake{}, nil)))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}

func TestExplain(t *testing.T) {
	now := time.Now()
	f := &fake{records: []core.Record{
		{Seq: 4, Time: now.UnixMilli(), Reason: core.QueueFull, ClientID: "slow", Publisher: "p", Topic: "a/b", MessageID: 1 << 60, QoS: 1, Size: 10},
		{Seq: 3, Time: now.Add(-time.Hour).UnixMilli(), Reason: core.MessageExpired, ClientID: "slow", Topic: "a/c", Count: 9},
		{Seq: 2, Time: now.UnixMilli(), Reason: core.NotAuthorized, ClientID: "bad", Listener: "mqtt", Peer: "10.0.0.1:9", Detail: "no user"},
	}}
	tests := []struct {
		query string
		want  string // sequence numbers, or the code of the problem
	}{
		{"", "[4 3 2]"},
		{"client=slow", "[4 3]"},
		{"client=p", "[4]"},
		{"topic=a/%2B", "[4 3]"},
		{"topic=a/b", "[4]"},
		{"topic=%23", "[4 3]"},
		{"reason=queue_full", "[4]"},
		{"since=10m", "[4 2]"},
		{"since=" + url.QueryEscape(now.Add(-2*time.Hour).UTC().Format(time.RFC3339)), "[4 3 2]"},
		{"limit=1", "[4]"},
		{"client=slow&reason=message_expired", "[3]"},
		{"client=nobody", "[]"},
		{"reason=queue_ful", "bad_request"},
		{"reason=success", "bad_request"},
		{"topic=a/%23/b", "bad_request"},
		{"since=yesterday", "bad_request"},
		{"limit=0", "bad_request"},
		{"limit=many", "bad_request"},
		{"clientid=slow", "bad_request"},
		{"client=a&client=b", "bad_request"},
	}
	s := newTestServer(f, nil)
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			w := ask(s, "GET", "/api/v1/explain?"+tt.query, nil)
			if w.Code == 400 {
				if p := checkProblem(t, w); p.Code != tt.want {
					t.Fatalf("problem %+v, want %s", p, tt.want)
				}
				return
			}
			var got struct{ Records []record }
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
				t.Fatalf("%d %s: %v", w.Code, w.Body, err)
			}
			seqs := []uint64{}
			for _, r := range got.Records {
				seqs = append(seqs, r.Seq)
			}
			if fmt.Sprint(seqs) != tt.want {
				t.Errorf("records %v, want %s", seqs, tt.want)
			}
		})
	}
}

func TestExplainRecord(t *testing.T) {
	f := &fake{records: []core.Record{{Seq: 4, Time: 1_700_000_000_123, Reason: core.QueueFull, ClientID: "c", MessageID: 1 << 60, Peer: "10.0.0.1:9"}}}
	body := ask(newTestServer(f, nil), "GET", "/api/v1/explain", nil).Body.String()
	// The identifier is a text: JSON numbers lose digits above 2^53.
	for _, want := range []string{`"time": "2023-11-14T22:13:20.123Z"`, `"message_id": "1152921504606846976"`, `"reason": "queue_full"`, `"count": 1`, `"peer": "10.0.0.1:9"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
}

func TestClientPages(t *testing.T) {
	f := &fake{clients: map[string]core.ClientInfo{}}
	for i := range 9000 {
		id := fmt.Sprintf("c%04d", i)
		f.clients[id] = core.ClientInfo{ClientID: id, Connected: i%2 == 0, Username: fmt.Sprintf("u%d", i%3)}
	}
	s := newTestServer(f, nil)
	var ids []string
	for after := ""; ; {
		w := ask(s, "GET", "/api/v1/clients?limit=1000&connected=true&after="+after, nil)
		var p clientPage
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		for _, c := range p.Clients {
			ids = append(ids, c.ClientID)
		}
		if after = p.Next; after == "" {
			break
		}
	}
	if len(ids) != 4500 {
		t.Fatalf("%d clients on all pages, want 4500", len(ids))
	}
	for i, id := range ids {
		if want := fmt.Sprintf("c%04d", 2*i); id != want {
			t.Fatalf("client %d is %s, want %s", i, id, want)
		}
	}
}

func TestClientQueryFaults(t *testing.T) {
	s := newTestServer(&fake{}, nil)
	for _, q := range []string{"limit=1001", "connected=maybe", "name=x"} {
		if w := ask(s, "GET", "/api/v1/clients?"+q, nil); w.Code != 400 {
			t.Errorf("%s: %d", q, w.Code)
		}
	}
}

func TestClient(t *testing.T) {
	f := &fake{clients: map[string]core.ClientInfo{
		"a/b c": {ClientID: "a/b c", Connected: true, ConnectedAt: 1_700_000_000, Peer: "10.0.0.1:9", Queued: 3},
		"off":   {ClientID: "off"},
	}}
	s := newTestServer(f, nil)
	w := ask(s, "GET", "/api/v1/clients/a%2Fb%20c", nil)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"connected_at": "2023-11-14T22:13:20Z"`) {
		t.Errorf("client: %d %s", w.Code, w.Body)
	}
	if w = ask(s, "GET", "/api/v1/clients/nobody", nil); w.Code != 404 {
		t.Errorf("unknown client: %d", w.Code)
	}
	if w = ask(s, "DELETE", "/api/v1/clients/a%2Fb%20c?redirect=true", nil); w.Code != 204 || fmt.Sprint(f.kicked) != "[elsewhere:a/b c]" {
		t.Errorf("redirect: %d, kicked %v", w.Code, f.kicked)
	}
	if w = ask(s, "DELETE", "/api/v1/clients/a%2Fb%20c?redirect=b", nil); w.Code != 400 {
		t.Errorf("redirect to something: %d", w.Code)
	}
	f.kicked = nil
	if w = ask(s, "DELETE", "/api/v1/clients/a%2Fb%20c", nil); w.Code != 204 || fmt.Sprint(f.kicked) != "[a/b c]" {
		t.Errorf("kick: %d, kicked %v", w.Code, f.kicked)
	}
	if w = ask(s, "DELETE", "/api/v1/clients/off", nil); w.Code != 404 || checkProblem(t, w).Code != "not_connected" {
		t.Errorf("kick of a session without connection: %d %s", w.Code, w.Body)
	}
	if w = ask(s, "DELETE", "/api/v1/clients/nobody", nil); w.Code != 404 || checkProblem(t, w).Code != "not_found" {
		t.Errorf("kick of nobody: %d %s", w.Code, w.Body)
	}
}

func TestStats(t *testing.T) {
	f := &fake{stats: core.Stats{Started: time.Now(), Sessions: 5, Store: core.StoreStats{Engine: "pebble", Queued: 4}}}
	f.stats.Counters[core.Matched] = 6
	f.stats.Reasons[core.Banned] = 1
	w := ask(newTestServer(f, nil), "GET", "/api/v1/stats", nil)
	var got figures
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Sessions != 5 || got.Pending != 6 || got.Store.Engine != "pebble" || got.Reasons["banned"] != 1 || len(got.Reasons) != 1 || len(got.Counters) != core.CounterCount {
		t.Errorf("stats: %+v", got)
	}
}
