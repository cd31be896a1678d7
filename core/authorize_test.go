package core_test

import (
	"fmt"
	"math/bits"
	"testing"

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

// TestAuthorizationDecisionsAreNotMixedUp asks more than a turn remembers, so that
// decisions about others, other topics and other actions stand where one is looked for.
func TestAuthorizationDecisionsAreNotMixedUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{oddTopics{}} })
		const clients, topics = 2500, 5000
		check := func(c *coretest.Client, client, topic int) {
			want := even(client, topic)
			id := uint16(1)
			c.Publish(pub(fmt.Sprintf("t%d", topic), "", 1, id))
			ds := c.Now()
			if len(ds) != 1 || (ds[0].Reason != core.NotAuthorized) != want {
				t.Fatalf("client %d, topic %d: %v, want allowed %v", client, topic, ds, want)
			}
			if why := c.Subscribe(0, fmt.Sprintf("t%d", topic)); (why != core.NotAuthorized) == want {
				t.Fatalf("client %d subscribes topic %d: %s", client, topic, why)
			}
		}
		for i := range clients {
			c := g.Connect(fmt.Sprintf("c%d", i), nil)
			check(c, i, 7)
			if i == 0 {
				for topic := range topics {
					check(c, i, topic)
					c.Unsubscribe(fmt.Sprintf("t%d", topic))
				}
			}
		}
	})
}
