package core_test

import (
	"fmt"
	"math/bits"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// oddTopics allows half of the clients to publish to even topics, and the others to odd
// ones; to subscribe it is the other way round.
type oddTopics struct{ coretest.AllowAll }

// even tells which: by no rule that a table's size could follow.
func even(client, topic int) bool { return (bits.OnesCount(uint(client))+topic)%2 == 0 }

func (oddTopics) Authorize(id *core.Identity, a core.Action, name string) (core.Verdict, error) {
	var client, topic int
	fmt.Sscanf(id.ClientID, "c%d", &client)
	fmt.Sscanf(name, "t%d", &topic)
	if even(client, topic) == (a == core.ActionPublish) {
		return core.Allow, nil
	}
	return core.Deny, nil
}

// TestAuthorizationOfOwnMessages: what the gateway publishes on its own behalf needs no
// right, also after a delay.
func TestAuthorizationOfOwnMessages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rights := &coretest.Rights{}
		rights.Allow("a", core.ActionSubscribe, "x")
		g := coretest.Start(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{rights} })
		a := g.Connect("a", nil)
		a.Subscribe(0, "x")
		for _, name := range []string{"x", "$delayed/5/x"} {
			if err := g.PublishInternal(g.T, &core.Message{Topic: name, Payload: []byte("v")}); err != nil {
				t.Fatal(err)
			}
			g.T.End()
			time.Sleep(6 * time.Second)
			synctest.Wait()
			expect(t, a, "[x=v q0]")
		}
	})
}

// TestAuthorizationOfSearches: a message whose receivers may be looked for in pieces needs
// its right as any other.
func TestAuthorizationOfSearches(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rights := &coretest.Rights{}
		rights.Allow("a", core.ActionSubscribe, "#")
		rights.Allow("b", core.ActionPublish, "x")
		g := coretest.Start(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{rights} })
		a, b := g.Connect("a", nil), g.Connect("b", nil)
		a.Subscribe(0, "x", "y")
		for _, c := range []struct{ topic, answer, received string }{
			{"x", "[ack 7 success]", "[x=v q0]"},
			{"y", "[ack 7 not_authorized]", ""},
		} {
			var search core.Search
			m := pub(c.topic, "v", 1, 7)
			m.Search = &search
			b.Publish(m)
			expect(t, b, c.answer)
			expect(t, a, c.received)
		}
	})
}

// partial speaks of one client only, to whom it denies one topic of those that it lets it
// subscribe to.
type partial struct {
	coretest.AllowAll
	who   string
	mu    sync.Mutex
	asked int // about deliveries
}

func (p *partial) Abstains(id *core.Identity) bool { return id.ClientID != p.who }

func (p *partial) Authorize(id *core.Identity, a core.Action, name string) (core.Verdict, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a == core.ActionDeliver {
		p.asked++
	}
	switch {
	case p.Abstains(id):
		return core.Ignore, nil
	case a == core.ActionDeliver && name == "x/secret":
		return core.Deny, nil
	}
	return core.Allow, nil
}

func (p *partial) Covers(*core.Identity, string) core.Verdict { return core.Ignore }

// TestAuthorizationOfTheSourceThatHasASay: whose rights one source knows is asked about by
// that one for each message, and of all others a later source settles it once.
func TestAuthorizationOfTheSourceThatHasASay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first := &partial{who: "a"}
		g := coretest.Start(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{first, coretest.AllowAll{}} })
		for _, c := range []struct {
			id, want string
			asked    int
		}{{"a", "[x/1=v q0]", 2}, {"b", "[x/1=v q0][x/secret=v q0]", 0}} {
			client := g.Connect(c.id, nil)
			client.Subscribe(0, "x/#")
			first.asked = 0
			for _, name := range []string{"x/1", "x/secret"} {
				if err := g.PublishInternal(g.T, &core.Message{Topic: name, Payload: []byte("v")}); err != nil {
					t.Fatal(err)
				}
			}
			g.T.End()
			synctest.Wait()
			expect(t, client, c.want)
			if first.asked != c.asked {
				t.Errorf("%s: asked %d times about deliveries, want %d", c.id, first.asked, c.asked)
			}
			client.Disconnect(core.NormalDisconnect)
		}
	})
}

// TestAuthorizationDecisionsAreNotMixedUp asks more than a turn remembers, so that
// decisions about others, other topics and other actions stand where one is looked for.
func TestAuthorizationDecisionsAreNotMixedUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{oddTopics{}} })
		const clients, topics = 2500, 5000
		publish := func(c *coretest.Client, client, topic int) {
			c.Publish(pub(fmt.Sprintf("t%d", topic), "", 1, 1))
			if ds := c.Now(); len(ds) != 1 || (ds[0].Reason != core.NotAuthorized) != even(client, topic) {
				t.Fatalf("client %d publishes to topic %d: %v", client, topic, ds)
			}
		}
		subscribe := func(c *coretest.Client, client, topic int) {
			name := fmt.Sprintf("t%d", topic)
			if why := c.Subscribe(0, name); (why == core.NotAuthorized) != even(client, topic) {
				t.Fatalf("client %d subscribes topic %d: %s", client, topic, why)
			}
			c.Unsubscribe(name)
		}
		cs := make([]*coretest.Client, clients)
		for i := range cs {
			cs[i] = g.Connect(fmt.Sprintf("c%d", i), nil)
		}
		for _, ask := range []func(*coretest.Client, int, int){publish, subscribe} {
			for i, c := range cs {
				ask(c, i, 7)
			}
			for topic := range topics {
				ask(cs[0], 0, topic)
			}
		}
	})
}
