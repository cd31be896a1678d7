package core_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// table is a source whose rows a test changes.
type table struct {
	mu       sync.Mutex
	name     string
	rows     []core.ProxyRequest
	err      error
	required bool
	asked    []core.Identity
}

func (s *table) Name() string   { return s.name }
func (s *table) Required() bool { return s.required }

func (s *table) Subscriptions(_ context.Context, id *core.Identity) ([]core.ProxyRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, *id)
	return s.rows, s.err
}

func (s *table) set(err error, rows ...core.ProxyRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows, s.err = rows, err
}

func row(filter string, qos uint8) core.ProxyRequest {
	return core.ProxyRequest{FilterRequest: core.FilterRequest{Filter: filter, SubscribeOptions: core.SubscribeOptions{QoS: qos}}}
}

func permitted(filter string, qos uint8) core.ProxyRequest {
	r := row(filter, qos)
	r.Permitted = true
	return r
}

func startSourced(t *testing.T, store *coretest.MemStore, r *rules, sources ...core.SubscriptionSource) *coretest.Gateway {
	return coretest.Start(t, store, func(o *core.Options) {
		o.Subscriptions, o.Authenticators = sources, []core.Authenticator{vouching{}}
		if r != nil {
			o.Authorizers = []core.Authorizer{r}
		}
	})
}

// What a table holds is reconciled at each connect; the origin is listed.
func TestSourcedSubscriptions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := &table{name: "a"}, &table{name: "b"}
		a.set(nil, row("of/%c", 1), row("both", 0))
		b.set(nil, row("both", 2), row("user/%u", 0))
		g := startSourced(t, nil, nil, a, b)
		s := g.Connect("s", as("eve"))
		wantListed(t, g, "s", "both@2 proxy, of/s@1 proxy, user/eve@0 proxy")
		list, _ := g.Subscriptions("s", 10)
		for _, sub := range list {
			if want := map[string]string{"both": "b", "of/s": "a", "user/eve": "b"}[sub.Filter]; sub.Origin != want {
				t.Errorf("%s comes from %q, want %q", sub.Filter, sub.Origin, want)
			}
		}
		if id := a.asked[0]; id.ClientID != "s" || id.Username != "eve" {
			t.Errorf("asked about %+v", id)
		}
		p := g.Connect("p", nil)
		p.Publish(pub("of/s", "1", 1, 1))
		expect(t, s, "[of/s=1 q1 id1]")
		a.set(nil, row("new", 0))
		g.Connect("s", as("eve"))
		wantListed(t, g, "s", "both@2 proxy, new@0 proxy, user/eve@0 proxy")
	})
}

// A source that is away takes nothing from a durable session, also after a restart; one
// that answers does.
func TestSourceAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := &table{name: "a"}, &table{name: "b"}
		a.set(nil, row("a", 1))
		b.set(nil, row("b", 1))
		g := startSourced(t, nil, nil, a, b)
		g.Connect("s", durable)
		g = startSourced(t, g.Store.Kill(0), nil, a, b)
		a.set(errors.New("no route to host"))
		b.set(nil)
		g.Connect("s", durable)
		wantListed(t, g, "s", "a@1 proxy")
		rs := g.Explain(1, func(r *core.Record) bool { return r.ClientID == "s" && strings.Contains(r.Detail, "no route") })
		if len(rs) != 1 {
			t.Error("nothing explains what was missed")
		}
		a.required = true
		if r := g.Connect("s", durable).Result.Reason; r != core.ServerUnavailable {
			t.Errorf("a required source is away: %s", r)
		}
		g = startSourced(t, g.Store.Kill(0), nil, b) // a is not configured any more
		g.Connect("s", durable)
		wantListed(t, g, "s", "")
	})
}

// A row may be the permission: for its filter and what that delivers, and no more, also
// while the client is away and after a restart.
func TestPermittedSubscription(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &rules{allowed: map[string]bool{"pub #": true, "sub open": true, "get open": true}}
		src := &table{name: "a"}
		src.set(nil, permitted("mine/+", 1), row("secret", 1))
		g := startSourced(t, nil, r, src)
		s := g.Connect("s", durable)
		wantListed(t, g, "s", "mine/+@1 proxy")
		if got := s.Subscribe(1, "mine/x"); got != core.NotAuthorized {
			t.Errorf("the row let the client subscribe itself: %s", got)
		}
		p := g.Connect("p", nil)
		p.Publish(pub("mine/x", "1", 1, 1))
		expect(t, s, "[mine/x=1 q1 id1]")
		s.Ack(core.AckReceived1, 1)
		s.Disconnect(core.ConnectionLost)
		p.Publish(pub("mine/x", "2", 1, 2))
		g = startSourced(t, g.Store.Kill(0), r, src)
		p = g.Connect("p", nil)
		p.Publish(pub("mine/x", "3", 1, 3))
		r.version++
		s = g.Connect("s", durable)
		expect(t, s, "[mine/x=2 q1 id2 dup][mine/x=3 q1 id3]")
		s.Disconnect(core.ConnectionLost)
		src.set(nil) // taken back, while a message waits
		p.Publish(pub("mine/x", "4", 1, 4))
		s = g.Connect("s", durable)
		wantListed(t, g, "s", "")
		expect(t, s, "") // and so with what waits
	})
}

func TestChangeProxies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := startSourced(t, nil, nil)
		kept := pub("cmd/s", "kept", 1, 1)
		kept.Retain = true
		p, s := g.Connect("p", nil), g.Connect("s", durable)
		p.Publish(kept)
		if !g.ChangeProxies(g.T, "s", "channel", []core.ProxyRequest{row("cmd/%c", 1), row("b#d", 0)}, nil) {
			t.Error("s is not known")
		}
		g.T.End()
		expect(t, s, "[cmd/s=kept q1 id1 retain]")
		wantListed(t, g, "s", "cmd/s@1 proxy")
		s.Ack(core.AckReceived1, 1)
		g = startSourced(t, g.Store.Kill(0), nil)
		wantListed(t, g, "s", "cmd/s@1 proxy")
		g.ChangeProxies(g.T, "s", "channel", []core.ProxyRequest{row("other", 0)}, []string{"cmd/%c", "never"})
		g.T.End()
		synctest.Wait()
		wantListed(t, g, "s", "other@0 proxy")
		if g.ChangeProxies(g.T, "nobody", "channel", nil, nil) {
			t.Error("nobody is known")
		}
		s = g.Connect("s", durable)
		wantListed(t, g, "s", "other@0 proxy") // no table says otherwise
		if r := s.Unsubscribe("other"); r[0] != core.Success {
			t.Errorf("the client cannot end it: %v", r)
		}
	})
}
