package admin

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
)

func (f *fake) Subscriptions(id string, max int) ([]core.SubscriptionInfo, bool) {
	list, ok := f.subs[id]
	return slices.Clone(list[:min(len(list), max)]), ok
}

func showSubscriptions(t *testing.T) func(text []byte) (items, next string) {
	return func(text []byte) (items, next string) {
		var p subscriptionPage
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		for _, c := range p.Subscriptions {
			items += c.Filter + map[bool]string{true: "*"}[c.Proxy] + " "
		}
		return strings.TrimSpace(items), p.Next
	}
}

// A filter that stands twice, by the client and by proxy (*), is on one page.
func TestSubscriptionPages(t *testing.T) {
	f := &fake{subs: map[string][]core.SubscriptionInfo{
		"a/b":  {{Filter: "z"}, {Filter: "b", Proxy: true}, {Filter: "$share/g/a", QoS: 2}, {Filter: "b"}, {Filter: "c/#"}},
		"none": {},
	}}
	s := newTestServer(f, nil)
	for path, want := range map[string]string{
		"a%2Fb/subscriptions?limit=100":           "[$share/g/a b b* c/# z]",
		"a%2Fb/subscriptions?limit=1":             "[$share/g/a|b b*|c/#|z]",
		"a%2Fb/subscriptions?limit=2":             "[$share/g/a b b*|c/# z]",
		"a%2Fb/subscriptions?limit=3":             "[$share/g/a b b*|c/# z]",
		"a%2Fb/subscriptions?limit=9&proxy=true":  "[b*]",
		"a%2Fb/subscriptions?limit=2&proxy=false": "[$share/g/a b|c/# z]",
		"none/subscriptions?limit=1":              "[]",
	} {
		if got := "[" + strings.Join(pagesOf(t, s, "/api/v1/clients/"+path, showSubscriptions(t)), "|") + "]"; got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	for path, want := range map[string]int{"nobody/subscriptions": 404, "none/subscriptions?limit=0": 400, "none/subscriptions?proxy=1": 400, "none/subscriptions?qos=1": 400} {
		if w := ask(s, "GET", "/api/v1/clients/"+path, nil); w.Code != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestSubscriptionIsShownWhole(t *testing.T) {
	f := &fake{subs: map[string][]core.SubscriptionInfo{"c": {{Filter: "a", QoS: 1, NoLocal: true, RetainAsPublished: true, SubID: 7, Proxy: true},
		{Filter: "b", Proxy: true, Origin: "redis.main"}, {Filter: "c"}}}}
	want := `{"subscriptions":[{"filter":"a","qos":1,"no_local":true,"retain_as_published":true,"subscription_identifier":7,"proxy":true,"origin":"core.subscriptions"},` +
		`{"filter":"b","qos":0,"proxy":true,"origin":"redis.main"},{"filter":"c","qos":0,"proxy":false}]}`
	w := ask(newTestServer(f, nil), "GET", "/api/v1/clients/c/subscriptions", nil)
	if got := strings.Join(strings.Fields(w.Body.String()), ""); w.Code != http.StatusOK || got != want {
		t.Errorf("%d %s", w.Code, got)
	}
}
