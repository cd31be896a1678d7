package fairlead

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// api asks the REST API as the administrator.
func api(t *testing.T, g *Gateway, method, path string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+g.AdminAddress()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(adminUser, g.FirstPassword())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// TestKickEndToEnd: the administrator closes a client's connection.
func TestKickEndToEnd(t *testing.T) {
	g := start(t, testConfig(t.TempDir()))
	c := connect(t, g.Addresses()["mqtt"], 0)
	if status, body := api(t, g.Gateway, "GET", "/api/v1/clients"); status != 200 || !strings.Contains(body, `"client_id": "abc"`) {
		t.Fatalf("clients: %d %s", status, body)
	}
	if status, body := api(t, g.Gateway, "DELETE", "/api/v1/clients/abc"); status != 204 {
		t.Fatalf("kick: %d %s", status, body)
	}
	if n, err := c.Read(make([]byte, 16)); err != io.EOF {
		t.Errorf("the connection gave %d bytes, %v; want its end", n, err)
	}
}

// TestBanEndToEnd: a banned client is disconnected, kept out over a restart, and let in
// once the ban is lifted.
func TestBanEndToEnd(t *testing.T) {
	dir := t.TempDir()
	g := start(t, testConfig(dir))
	c := connect(t, g.Addresses()["mqtt"], 0)
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+g.AdminAddress()+"/api/v1/bans", strings.NewReader(`{"kind":"client_id","value":"abc","for":"1h"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(adminUser, g.FirstPassword())
	res, err := http.DefaultClient.Do(r)
	if err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("ban: %v, %v", res, err)
	}
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if n, err := c.Read(make([]byte, 16)); err != io.EOF {
		t.Errorf("the connection gave %d bytes, %v; want its end", n, err)
	}
	connect(t, g.Addresses()["mqtt"], 5)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	password := g.FirstPassword()
	g = start(t, testConfig(dir))
	connect(t, g.Addresses()["mqtt"], 5)
	g.Gateway.password = password // of the first start
	if status, body := api(t, g.Gateway, "DELETE", "/api/v1/bans/client_id/abc"); status != 204 {
		t.Fatalf("lift: %d %s", status, body)
	}
	connect(t, g.Addresses()["mqtt"], 0)
}

// TestDelayedEndToEnd: a message that waits is listed and taken back, and a client's
// subscriptions are shown with those of the configuration.
func TestDelayedEndToEnd(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Core.Subscriptions = []core.ProxySubscription{{Filter: "to/%c", QoS: 1}}
	g := start(t, cfg)
	c := connect(t, g.Addresses()["mqtt"], 0)
	c.Write([]byte("\x82\x06\x00\x01\x00\x01a\x00"))
	c.Write([]byte("\x32\x13\x00\x0d$delayed/60/a\x00\x02x\x00"))
	if _, err := io.ReadFull(c, make([]byte, 5+4)); err != nil {
		t.Fatal(err)
	}
	status, body := api(t, g.Gateway, "GET", "/api/v1/clients/abc/subscriptions")
	if status != 200 || strings.Count(body, `"filter"`) != 2 || !strings.Contains(strings.Join(strings.Fields(body), ""), `{"filter":"to/abc","qos":1,"proxy":true,"origin":"core.subscriptions"}`) {
		t.Errorf("subscriptions: %d %s", status, body)
	}
	var page struct {
		Delayed []struct{ ID, Topic, Publisher string }
	}
	_, body = api(t, g.Gateway, "GET", "/api/v1/delayed?publisher=abc")
	if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.Delayed) != 1 || page.Delayed[0].Topic != "a" {
		t.Fatalf("delayed: %s", body)
	}
	path := "/api/v1/delayed/" + page.Delayed[0].ID
	for _, s := range []struct {
		method string
		want   int
	}{{"GET", 200}, {"DELETE", 204}, {"GET", 404}, {"DELETE", 404}} {
		if status, body := api(t, g.Gateway, s.method, path); status != s.want {
			t.Errorf("%s %s: %d %s, want %d", s.method, path, status, body, s.want)
		}
	}
}

// TestRetainedEndToEnd: what clients retained is listed, shown and deleted, for good.
func TestRetainedEndToEnd(t *testing.T) {
	dir := t.TempDir()
	g := start(t, testConfig(dir))
	c := connect(t, g.Addresses()["mqtt"], 0)
	for id, topic := range []string{"a/1", "a/2", "b/1"} {
		c.Write([]byte("\x33\x08\x00\x03" + topic + "\x00" + string(rune('1'+id)) + "x"))
		if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
	}
	c.Write([]byte("\x82\x06\x00\x01\x00\x01#\x02")) // it hears nothing of what is deleted below
	status, body := api(t, g.Gateway, "GET", "/api/v1/retained/a%2F2")
	if status != 200 || !strings.Contains(body, `"payload": "eA=="`) || !strings.Contains(body, `"publisher": "abc"`) {
		t.Errorf("one: %d %s", status, body)
	}
	password := g.FirstPassword()
	for round, want := range []string{"a/1 a/2 b/1", "b/1", "b/1"} {
		topics, after := []string{}, ""
		for more := true; more; more = after != "" {
			var page struct {
				Retained []struct{ Topic string }
				Next     string
			}
			status, body := api(t, g.Gateway, "GET", "/api/v1/retained?limit=1&after="+after)
			if err := json.Unmarshal([]byte(body), &page); err != nil || status != 200 {
				t.Fatalf("page: %d %s", status, body)
			}
			for _, m := range page.Retained {
				topics = append(topics, m.Topic)
			}
			after = page.Next
		}
		slices.Sort(topics)
		if got := strings.Join(topics, " "); got != want {
			t.Errorf("round %d: %s, want %s", round, got, want)
		}
		switch round {
		case 0:
			if status, body := api(t, g.Gateway, "DELETE", "/api/v1/retained?topic=a/%2B&limit=1"); status != 200 || !strings.Contains(body, `"next"`) {
				t.Errorf("a slice: %d %s", status, body)
			}
			if status, body := api(t, g.Gateway, "DELETE", "/api/v1/retained?topic=a/%2B"); status != 200 || !strings.Contains(body, `"deleted": 1`) {
				t.Errorf("the rest: %d %s", status, body)
			}
		case 1:
			if err := g.stop(); err != nil {
				t.Fatal(err)
			}
			g = start(t, testConfig(dir))
			g.Gateway.password = password // of the first start
		}
	}
	for _, want := range []int{204, 404} {
		if status, body := api(t, g.Gateway, "DELETE", "/api/v1/retained/b%2F1"); status != want {
			t.Errorf("delete: %d %s, want %d", status, body, want)
		}
	}
}

// TestExplainEndToEnd: what a client did wrong can be asked for afterwards.
func TestExplainEndToEnd(t *testing.T) {
	g := start(t, testConfig(t.TempDir()))
	c, err := net.Dial("tcp", g.Addresses()["mqtt"])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	c.Write([]byte{0x10, 0xff, 0xff, 0xff, 0xff, 0xff}) // a remaining length of five bytes
	io.ReadAll(c)                                       // until the gateway has closed it
	var got struct {
		Records []struct{ Reason, Listener, Peer string }
	}
	_, body := api(t, g.Gateway, "GET", "/api/v1/explain?reason=malformed_packet")
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if len(got.Records) != 1 || got.Records[0].Listener != "mqtt" || got.Records[0].Peer != c.LocalAddr().String() {
		t.Errorf("records: %s", body)
	}
}
