package core_test

import (
	"fmt"
	"math/bits"
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
