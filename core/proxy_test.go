package core_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

func startProxied(t *testing.T, store *coretest.MemStore, ps ...core.ProxySubscription) *coretest.Gateway {
	c := core.DefaultConfig()
	c.Subscriptions = ps
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	for i := range ps {
		if err := ps[i].Validate(); err != nil {
			t.Fatal(err)
		}
	}
	return coretest.Start(t, store, func(o *core.Options) {
		o.Config.Subscriptions, o.Authenticators = ps, []core.Authenticator{vouching{}}
		o.Mounts = map[string]string{"tenant": "t/%u/"}
	})
}

// listed renders a client's subscriptions.
func listed(g *coretest.Gateway, id string) string {
	list, _ := g.Subscriptions(id, 1000)
	var out []string
	for _, s := range list {
		text := fmt.Sprintf("%s@%d", s.Filter, s.QoS)
		if s.Proxy {
			text += " proxy"
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func wantListed(t *testing.T, g *coretest.Gateway, id, want string) {
	t.Helper()
	if got := listed(g, id); got != want {
		t.Errorf("subscriptions of %s: %q, want %q", id, got, want)
	}
}

func TestProxySubscriptionFaults(t *testing.T) {
	for _, c := range []struct {
		p    core.ProxySubscription
		want string
	}{
		{core.ProxySubscription{Filter: "$share/g/of/%c/%u", QoS: 2}, ""},
		{core.ProxySubscription{}, "filter"},
		{core.ProxySubscription{Filter: "a#"}, "filter"},
		{core.ProxySubscription{Filter: "$share/g/x", NoLocal: true}, "no_local"},
		{core.ProxySubscription{Filter: "$exclusive/$share/g/x"}, "filter"},
		{core.ProxySubscription{Filter: "+#", QoS: 3, RetainHandling: 3, ClientID: "(", Username: "["}, "filter qos retain_handling client_id username"},
	} {
		var got []string
		if err := c.p.Validate(); err != nil {
			for line := range strings.Lines(err.Error()) {
				key, _, _ := strings.Cut(line, ":")
				key, _, _ = strings.Cut(key, " = ")
				got = append(got, key)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: faults of %q, want %q", c.p, got, c.want)
		}
	}
}

func TestProxySubscriptions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := startProxied(t, nil,
			core.ProxySubscription{Filter: "client/%c", QoS: 1},
			core.ProxySubscription{Filter: "user/%u"},
			core.ProxySubscription{Filter: "lan", Listeners: []string{"lan"}},
			core.ProxySubscription{Filter: "sensors/#", ClientID: "^s-"},
			core.ProxySubscription{Filter: "of-eve", Username: "^eve$"})
		p := g.Connect("p", nil)
		wantListed(t, g, "p", "client/p@1 proxy")
		kept := pub("client/s-1", "kept", 1, 1)
		kept.Retain = true
		p.Publish(kept)
		p.Now()
		s := g.Connect("s-1", as("eve"))
		wantListed(t, g, "s-1", "client/s-1@1 proxy, of-eve@0 proxy, sensors/#@0 proxy, user/eve@0 proxy")
		expect(t, s, "[client/s-1=kept q1 id1 retain]")
		g.Connect("l", by("lan"))
		wantListed(t, g, "l", "client/l@1 proxy, lan@0 proxy")
		g.Connect("m", by("tenant", as("eve")))
		wantListed(t, g, "m", "t/eve/client/m@1 proxy, t/eve/of-eve@0 proxy, t/eve/user/eve@0 proxy")
		g.Connect("a/b", nil) // never half applied
		wantListed(t, g, "a/b", "")
		rs := g.Explain(10, func(r *core.Record) bool { return r.ClientID == "a/b" })
		if len(rs) != 2 || rs[0].Reason != core.TopicFilterInvalid || !strings.Contains(rs[1].Detail, "client/%c") {
			t.Errorf("explain: %+v", rs)
		}
	})
}

// Access rules hold for them; who may not have one is connected without.
func TestProxySubscriptionsAreAuthorized(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &rules{allowed: map[string]bool{"sub ok/+": true, "get #": true, "pub #": true}}
		g := coretest.Start(t, nil, func(o *core.Options) {
			o.Authorizers = []core.Authorizer{r}
			o.Config.Subscriptions = []core.ProxySubscription{{Filter: "secret"}, {Filter: "ok/%c"}}
		})
		a := g.Connect("a", durable)
		if a.Result.Reason != core.Success {
			t.Fatal(a.Result.Reason)
		}
		wantListed(t, g, "a", "ok/a@0 proxy")
		rs := g.Explain(10, func(r *core.Record) bool { return r.ClientID == "a" })
		if s := g.Stats(); len(rs) != 1 || rs[0].Reason != core.NotAuthorized || rs[0].Detail != "proxy subscribe secret" || s.Reasons[core.NotAuthorized] != 1 || s.Get(core.SubscribesRefused) != 1 {
			t.Errorf("explain: %+v, counted %d and %d", rs, s.Reasons[core.NotAuthorized], s.Get(core.SubscribesRefused))
		}
	})
}

// The client's own subscription to the same filter is another one, and what both match
// comes once.
func TestProxyAndOwnSubscription(t *testing.T) {
	for _, prefix := range []string{"", "$share/g/", "$exclusive/"} {
		t.Run(prefix, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := startProxied(t, nil, core.ProxySubscription{Filter: prefix + "x", Username: "eve"})
				p, s := g.Connect("p", nil), g.Connect("s", as("eve"))
				own, proxy := prefix+"x@1", prefix+"x@0 proxy"
				s.Subscribe(1, prefix+"x")
				wantListed(t, g, "s", proxy+", "+own)
				p.Publish(pub("x", "1", 1, 1))
				if prefix == "$share/g/" {
					expect(t, s, "[x=1 q0]") // two members, whose turn it is
				} else {
					expect(t, s, "[x=1 q1 id1]")
				}
				if r := s.Unsubscribe(prefix + "x"); r[0] != core.Success {
					t.Errorf("unsubscribe: %v", r)
				}
				wantListed(t, g, "s", proxy)
				p.Publish(pub("x", "2", 1, 2))
				expect(t, s, "[x=2 q0]")
				if prefix == "$exclusive/" {
					if r := p.Subscribe(0, "$exclusive/x"); r != core.ExclusiveTaken {
						t.Errorf("the twin's end freed the filter: %s", r)
					}
				}
				s.Subscribe(1, prefix+"x")
				s.Unsubscribe(prefix + "x")
				if r := s.Unsubscribe(prefix+"x", prefix+"x"); r[0] != core.Success || r[1] != core.NoSubscriptionExisted {
					t.Errorf("unsubscribe of the proxy one: %v", r)
				}
				wantListed(t, g, "s", "")
				p.Publish(pub("x", "3", 1, 3))
				expect(t, s, "")
				if r := p.Subscribe(0, prefix+"x"); r != core.Success {
					t.Errorf("it is not free: %s", r)
				}
				s.Disconnect(core.NormalDisconnect)
				g.Connect("s", as("eve"))
				want := proxy
				if prefix == "$exclusive/" {
					want = "" // p was quicker
				}
				wantListed(t, g, "s", want)
				balanced(t, g, 0)
			})
		})
	}
}

// Durable sessions keep theirs, over restarts too, and follow the configuration at
// their next connect.
func TestProxySubscriptionsOfDurableSessions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old, both := core.ProxySubscription{Filter: "old", QoS: 1}, core.ProxySubscription{Filter: "both", QoS: 1}
		g := startProxied(t, nil, old, both)
		s := g.Connect("s", durable)
		s.Subscribe(2, "both", "own")
		s.Disconnect(core.ConnectionLost)
		both.QoS = 0
		g = startProxied(t, g.Store.Kill(0), both, core.ProxySubscription{Filter: "new"})
		wantListed(t, g, "s", "both@1 proxy, both@2, old@1 proxy, own@2")
		p := g.Connect("p", nil)
		p.Publish(pub("old", "away", 1, 1))
		p.Publish(pub("both", "away", 2, 2))
		s = g.Connect("s", durable)
		expect(t, s, "[old=away q1 id1][both=away q2 id2]")
		wantListed(t, g, "s", "both@0 proxy, both@2, new@0 proxy, own@2")
		p.Publish(pub("old", "gone", 1, 3))
		expect(t, s, "")
		s.Unsubscribe("new")
		g = startProxied(t, g.Store.Kill(0)) // none are configured
		wantListed(t, g, "s", "both@0 proxy, both@2, own@2")
		g.Connect("s", durable)
		wantListed(t, g, "s", "both@2, own@2")
		g = startProxied(t, g.Store.Kill(0))
		wantListed(t, g, "s", "both@2, own@2")
	})
}

// Where the store refuses the connect, nothing of it stays.
func TestProxySubscriptionsOfRefusedConnect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := startProxied(t, nil, core.ProxySubscription{Filter: "x"})
		s := g.Connect("s", func(r *core.ConnectRequest) { r.CleanStart, r.Expiry = false, 100 })
		s.Unsubscribe("x")
		s.Disconnect(core.ConnectionLost)
		g.Store.Fail(core.ErrStoreFull)
		if r := g.Connect("s", durable).Result.Reason; r != core.StoreFull {
			t.Errorf("connect: %s", r)
		}
		wantListed(t, g, "s", "")
	})
}
