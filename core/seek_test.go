package core_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// dear subscribes c to every mix of a and + in so many levels below h, and gives the
// topic that all of them match.
func dear(c *coretest.Client, levels int) (topic string) {
	var all []string
	for mix := range 1 << levels {
		f := "h"
		for i := range levels {
			f += []string{"/a", "/+"}[mix>>i&1]
		}
		all = append(all, f)
	}
	c.Subscribe(1, all...)
	return "h" + strings.Repeat("/a", levels)
}

// publishing is a message that its publisher may have to bring again.
type publishing struct {
	c      *coretest.Client
	search core.Search
	m      core.Publish
}

// again publishes, and says that the message was left.
func (p *publishing) again() (left bool, err *core.Error) {
	m := p.m
	m.Search = &p.search
	_, err = p.c.Publish(m)
	return p.search.Unfinished(), err
}

// through publishes until the message is through; between is called in the pauses.
func (p *publishing) through(t *testing.T, between func(i int)) (pauses int) {
	t.Helper()
	for {
		left, err := p.again()
		if err != nil {
			t.Fatal(err)
		}
		if !left {
			return pauses
		}
		between(pauses)
		pauses++
	}
}

func nothing(int) {}

// TestDearPublishTakesTurns: where the search for receivers takes long, others publish and
// receive in between; the message reaches each receiver once, and is counted and answered
// once.
func TestDearPublishTakesTurns(t *testing.T) {
	for qos := range uint8(3) {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := coretest.Start(t, nil, nil)
				many, a, b, c := g.Connect("many", nil), g.Connect("a", nil), g.Connect("b", nil), g.Connect("c", nil)
				topic := dear(many, 12)
				c.Subscribe(0, "other", "#")
				before := g.Stats().Counters
				p := publishing{c: a, m: pub(topic, "dear", qos, 7)}
				if qos == 0 {
					p.m.PacketID = 0
				}
				pauses := p.through(t, func(i int) {
					if got := show(a.Now()) + show(many.Now()); got != "" {
						t.Fatalf("after %d pieces: %s", i+1, got)
					}
					b.Publish(pub("other", fmt.Sprint(i), 0, 0))
					expect(t, c, fmt.Sprintf("[other=%d q0]", i))
				})
				if pauses < 10 {
					t.Errorf("%d pauses", pauses)
				}
				expect(t, c, "["+topic+"=dear q0]")
				if got := many.Take(1); len(got) != 1 || string(got[0].Msg.Payload) != "dear" {
					t.Errorf("the receiver of 4,096 filters got %s", show(got))
				}
				expect(t, a, []string{"", "[ack 7 success]", "[received 7 success]"}[qos])
				after := g.Stats().Counters
				if n := after[core.MessagesReceived] - before[core.MessagesReceived]; n != uint64(pauses)+1 {
					t.Errorf("%d messages were counted of %d", n, pauses+1)
				}
				if n := after[core.Matched] - before[core.Matched]; n != uint64(pauses)+2 {
					t.Errorf("%d receivers were counted of %d", n, pauses+2)
				}
			})
		})
	}
}

// TestDearPublishWithoutSearch: who cannot bring a message again has it matched at once.
func TestDearPublishWithoutSearch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		many := g.Connect("many", nil)
		topic := dear(many, 12)
		g.Connect("a", nil).Publish(pub(topic, "dear", 0, 0))
		expect(t, many, "["+topic+"=dear q0]")
	})
}

// TestDearPublishOnceRemembered: what takes long to find and is not much is searched for
// once.
func TestDearPublishOnceRemembered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		many := g.Connect("many", nil)
		topic := dear(many, 12)
		near := strings.TrimSuffix(topic, "a") + "b" // matches half of them
		for mix := range 1 << 12 {
			if mix&1 == 0 {
				continue
			}
			f := "h"
			for i := range 12 {
				f += []string{"/a", "/+"}[mix>>(11-i)&1]
			}
			many.Unsubscribe(f)
		}
		p := publishing{c: g.Connect("a", nil), m: pub(near, "x", 0, 0)}
		if p.through(t, nothing) == 0 {
			t.Error("no pause: the search is not dear")
		}
		if p.through(t, nothing) > 0 {
			t.Error("nothing is remembered")
		}
	})
}

// TestDearPublishChanges: what changes while a message is left holds when it goes on.
func TestDearPublishChanges(t *testing.T) {
	const levels = 10
	for _, c := range []struct {
		name   string
		change func(t *testing.T, g *coretest.Gateway, rights *coretest.Rights, many *coretest.Client, topic string)
		many   string // what the receiver of all filters gets
		answer string
	}{
		{"unsubscribed", func(_ *testing.T, _ *coretest.Gateway, _ *coretest.Rights, many *coretest.Client, topic string) {
			var all []string
			for mix := range 1 << levels {
				f := "h"
				for i := range levels {
					f += []string{"/a", "/+"}[mix>>i&1]
				}
				all = append(all, f)
			}
			many.Unsubscribe(all...)
		}, "", "[ack 7 no_matching_subscribers]"},
		{"gone", func(_ *testing.T, _ *coretest.Gateway, _ *coretest.Rights, many *coretest.Client, _ string) {
			many.Disconnect(core.Success)
		}, "", "[ack 7 no_matching_subscribers]"},
		{"its filters are another's", func(_ *testing.T, g *coretest.Gateway, _ *coretest.Rights, many *coretest.Client, topic string) {
			many.Disconnect(core.Success)
			o := g.Connect("other", nil)
			for i := range 1 << levels {
				o.Subscribe(0, fmt.Sprintf("h/%0*d/+", 2*levels-4, i)) // of the same length: in their place
			}
		}, "", "[ack 7 no_matching_subscribers]"},
		{"the right is withdrawn", func(_ *testing.T, _ *coretest.Gateway, rights *coretest.Rights, _ *coretest.Client, _ string) {
			rights.Revoke("a", "h/#")
		}, "", "[ack 7 not_authorized]"},
		{"further ones", func(_ *testing.T, g *coretest.Gateway, _ *coretest.Rights, many *coretest.Client, _ string) {
			many.Subscribe(2, "h/#")
			many.Unsubscribe("h/#")
		}, "[TOPIC=dear q1 id1]", "[ack 7 success]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				rights := &coretest.Rights{}
				g := coretest.Start(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{rights} })
				rights.Allow("a", core.ActionPublish, "h/#")
				rights.Allow("many", core.ActionSubscribe, "#")
				rights.Allow("many", core.ActionDeliver, "#")
				rights.Allow("other", core.ActionSubscribe, "#")
				many, a := g.Connect("many", nil), g.Connect("a", nil)
				topic := dear(many, levels)
				p := publishing{c: a, m: pub(topic, "dear", 1, 7)}
				p.through(t, func(i int) {
					if i == 1 {
						c.change(t, g, rights, many, topic)
					}
				})
				expect(t, many, strings.ReplaceAll(c.many, "TOPIC", topic))
				expect(t, a, c.answer)
			})
		})
	}
}

// TestDearPublishIsAuthorizedFirst: nothing is searched for who may not publish.
func TestDearPublishIsAuthorizedFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rights := &coretest.Rights{}
		g := coretest.Start(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{rights} })
		rights.Allow("many", core.ActionSubscribe, "#")
		many, a := g.Connect("many", nil), g.Connect("a", nil)
		topic := dear(many, 12)
		p := publishing{c: a, m: pub(topic, "dear", 1, 7)}
		if n := p.through(t, nothing); n > 0 {
			t.Errorf("left %d times", n)
		}
		expect(t, a, "[ack 7 not_authorized]")
		expect(t, many, "")
	})
}

// TestDearPublishOfTwo: what one search has found is not another's, however they take
// turns, and on whatever turn.
func TestDearPublishOfTwo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		many := g.Connect("many", nil)
		topic := dear(many, 11)
		sides := []string{topic, strings.TrimSuffix(topic, "a") + "b", topic}
		var ps []*publishing
		for i, name := range sides {
			ps = append(ps, &publishing{c: g.Connect(fmt.Sprint("p", i), nil), m: pub(name, fmt.Sprint(i), 0, 0)})
		}
		other := g.NewTurn()
		defer other.Close()
		for round := 0; len(ps) > 0; round++ {
			left := ps[:0]
			for _, p := range ps {
				g.T, other = other, g.T
				more, err := p.again()
				if err != nil {
					t.Fatal(err)
				}
				if more {
					left = append(left, p)
				}
			}
			if ps = left; round == 0 && len(ps) != len(sides) {
				t.Fatalf("%d of %d are dear", len(ps), len(sides))
			}
		}
		got := map[string]bool{}
		for _, d := range many.Now() {
			got[d.Msg.Topic+" "+string(d.Msg.Payload)] = true
		}
		for i, name := range sides {
			if !got[name+" "+fmt.Sprint(i)] || len(got) != len(sides) {
				t.Errorf("got %v", got)
			}
		}
	})
}

// TestDearPublishRetained: a retained message is retained once it goes its way, and one to
// another place is searched for there.
func TestDearPublishRetained(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) {
			o.Config.Rewrite = []core.RewriteRule{{Action: "publish", Source: "old/#", Re: "^old/(.*)$", Dest: "h/$1"}}
		})
		many, a := g.Connect("many", nil), g.Connect("a", nil)
		topic := dear(many, 12)
		m := pub("old"+strings.TrimPrefix(topic, "h"), "dear", 0, 0)
		m.Retain = true
		p := publishing{c: a, m: m}
		late := g.Connect("late", nil)
		pauses := p.through(t, func(int) {
			late.Unsubscribe("h/#")
			late.Subscribe(0, "h/#")
			expect(t, late, "")
		})
		if pauses == 0 {
			t.Error("no pause")
		}
		expect(t, many, "["+topic+"=dear q0]")
	})
}

// TestDearPublishAskedAgain: where the answer about the publisher's right is forgotten in
// the middle, the message is held as any other, and nothing stays of the search.
func TestDearPublishAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, rights := startAsked(t)
		rights.Allow("many", core.ActionSubscribe, "#")
		rights.Allow("many", core.ActionDeliver, "#")
		rights.Allow("a", core.ActionPublish, "h/#")
		many, a := g.Connect("many", nil), g.Connect("a", nil)
		rights.takes = 0
		topic := dear(many, 12)
		rights.takes = time.Second
		p := publishing{c: a, m: pub(topic, "first", 1, 7)}
		if left, _ := p.again(); left {
			t.Error("left, where it should be held")
		}
		time.Sleep(2 * time.Second)
		expect(t, many, "["+topic+"=first q1 id1]")
		expect(t, a, "[ack 7 success]")
		many.Subscribe(1, "+/x") // what was found holds no longer
		p.m = pub(topic, "second", 1, 8)
		if left, _ := p.again(); !left {
			t.Error("not left")
		}
		rights.forget()
		rights.Reload()
		if left, _ := p.again(); left {
			t.Error("left, where it should be held anew")
		}
		time.Sleep(2 * time.Second)
		expect(t, many, "["+topic+"=second q1 id2]")
		expect(t, a, "[ack 8 success]")
	})
}
