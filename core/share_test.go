package core_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
	"github.com/fairlead-iot/fairlead/core/topic"
)

func TestSharedStrategies(t *testing.T) {
	for _, strategy := range []string{"round_robin", "random", "sticky", "hash_clientid", "hash_topic", "local"} {
		t.Run(strategy, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := coretest.Start(t, nil, func(o *core.Options) { o.Config.SharedStrategy = strategy })
				a := g.Connect("a", nil)
				var ms []*coretest.Client
				for i := range 3 {
					m := g.Connect(fmt.Sprint("m", i), nil)
					m.Subscribe(1, "$share/g/s/+")
					ms = append(ms, m)
				}
				for i := range 30 {
					a.Publish(pub(fmt.Sprintf("s/%d", i%4), "v", 1, uint16(i+1)))
				}
				synctest.Wait()
				sum, used := 0, 0
				for _, m := range ms {
					n := len(m.Now())
					sum += n
					if n > 0 {
						used++
					}
				}
				if sum != 30 {
					t.Errorf("%d deliveries, want 30", sum)
				}
				want := map[string]int{"round_robin": 3, "local": 3, "sticky": 1, "hash_clientid": 1}[strategy]
				if want != 0 && used != want {
					t.Errorf("%d members used, want %d", used, want)
				}
				balanced(t, g, 30)
			})
		})
	}
}

func TestSharedByFreeCredit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a := g.Connect("a", nil)
		stuck := g.Connect("stuck", func(r *core.ConnectRequest) { r.ReceiveMaximum = 1 })
		well := g.Connect("well", nil)
		stuck.Subscribe(1, "$share/g/s")
		well.Subscribe(1, "$share/g/s")
		for i := range 10 {
			a.Publish(pub("s", "v", 1, uint16(i+1)))
		}
		synctest.Wait()
		if n := len(stuck.Now()); n != 1 {
			t.Errorf("the stuck member got %d, want 1", n)
		}
		if n := len(well.Now()); n != 9 {
			t.Errorf("the other member got %d, want 9", n)
		}
		well.Disconnect(core.ConnectionLost)
		stuck.Disconnect(core.ConnectionLost)
		a.Publish(pub("s", "nobody", 1, 20))
		balanced(t, g, 0)
	})
}

func TestSharedOfflineMember(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, m := g.Connect("a", nil), g.Connect("m", durable)
		m.Subscribe(1, "$queue/s")
		m.Disconnect(core.ConnectionLost)
		a.Publish(pub("s", "kept", 1, 1))
		m = g.Connect("m", durable)
		expect(t, m, "[s=kept q1 id1]")
		if r := m.Unsubscribe("$queue/s", "s"); r[0] != core.Success || r[1] != core.NoSubscriptionExisted {
			t.Errorf("unsubscribe: %v", r)
		}
		a.Publish(pub("s", "gone", 1, 2))
		expect(t, m, "")
	})
}

func TestFastlane(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, f, d := g.Connect("a", nil), g.Connect("f", nil), g.Connect("d", durable)
		granted, reasons := f.SubscribeWith(&core.SubscribeRequest{Filters: []core.FilterRequest{{Filter: "$fastlane/x", SubscribeOptions: core.SubscribeOptions{QoS: 2}}}})
		if granted[0] != 0 || reasons[0] != core.Success {
			t.Errorf("granted %d, %s", granted[0], reasons[0])
		}
		if r := d.Subscribe(0, "$fastlane/x"); r != core.FastlaneNeedsCleanSession {
			t.Errorf("a durable session's fastlane: %s", r)
		}
		f.Subscribe(1, "x")
		a.Publish(pub("x", "v", 1, 1))
		synctest.Wait()
		if got := show(f.Now()); !strings.Contains(got, "[x=v q0]") || !strings.Contains(got, "[x=v q1 id1]") {
			t.Errorf("fastlane and normal: %s", got)
		}
		f.Unsubscribe("x")
		a.Publish(pub("x", "w", 2, 2))
		expect(t, f, "[x=w q0]")
		f.Subscribe(0, "$fastlane/$share/g/y")
		a.Publish(pub("y", "v", 0, 0))
		expect(t, f, "[y=v q0]")
		if n := g.Stats(); n.Get(core.FastlaneDelivered) != 3 {
			t.Errorf("fastlane %d, want 3", n.Get(core.FastlaneDelivered))
		}
	})
}

func TestOverlappingSubscriptions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, b := g.Connect("a", nil), g.Connect("b", nil)
		for i, f := range []string{"x/#", "x/+", "x/1"} {
			b.SubscribeWith(&core.SubscribeRequest{SubID: uint32(i + 1), Filters: []core.FilterRequest{{Filter: f, SubscribeOptions: core.SubscribeOptions{QoS: uint8(i)}}}})
		}
		a.Publish(pub("x/1", "v", 2, 1))
		synctest.Wait()
		ds := b.Now() // [MQTT-3.3.4-2] [MQTT-3.3.4-3]: one copy, highest QoS, all identifiers
		if len(ds) != 1 || ds[0].QoS != 2 || ds[0].SubIDs == nil || len(*ds[0].SubIDs) != 3 {
			t.Errorf("got %s", show(ds))
		}
	})
}

func TestNoLocal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a := g.Connect("a", nil)
		noLocal := core.SubscribeOptions{NoLocal: true}
		a.SubscribeWith(&core.SubscribeRequest{Filters: []core.FilterRequest{{Filter: "x", SubscribeOptions: noLocal}}})
		a.Publish(pub("x", "own", 0, 0))
		expect(t, a, "")
		if _, r := a.SubscribeWith(&core.SubscribeRequest{Filters: []core.FilterRequest{{Filter: "$share/g/x", SubscribeOptions: noLocal}}}); r[0] != core.ProtocolError {
			t.Errorf("No Local on a shared subscription: %s", r[0]) // [MQTT-3.8.3-4]
		}
	})
}

func TestSlowReceiverQoS0(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Config.MaxOutgoing = 16 })
		a, b := g.Connect("a", nil), g.Connect("b", nil)
		b.Subscribe(0, "x")
		b.Block(true)
		for range 20 {
			a.Publish(pub("x", "v", 0, 0))
		}
		b.Block(false)
		synctest.Wait()
		if n := len(b.Now()); n != 16 {
			t.Errorf("%d delivered, want 16", n)
		}
		balanced(t, g, 0)
		rs := g.Explain(10, func(r *core.Record) bool { return r.Reason == core.OutgoingFull && r.ClientID == "b" })
		if len(rs) != 4 || rs[0].Topic != "x" || rs[0].Publisher != "a" {
			t.Errorf("explain: %+v", rs)
		}
	})
}

func TestQueueFull(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Config.MaxQueued = 5 })
		a, b := g.Connect("a", nil), g.Connect("b", durable)
		b.Subscribe(1, "x")
		b.Disconnect(core.ConnectionLost)
		for i := range 8 {
			a.Publish(pub("x", fmt.Sprint(i), 1, uint16(i+1)))
		}
		b = g.Connect("b", durable)
		expect(t, b, "[x=0 q1 id1][x=1 q1 id2][x=2 q1 id3][x=3 q1 id4][x=4 q1 id5]")
		balanced(t, g, 5)
		if n := g.Stats(); n.Reasons[core.QueueFull] != 3 {
			t.Errorf("queue_full %d, want 3", n.Reasons[core.QueueFull])
		}
	})
}

// rules is an Authorizer made of allowed strings "action topic".
type rules struct {
	allowed map[string]bool
	version uint64
}

func (*rules) Name() string      { return "rules" }
func (r *rules) Version() uint64 { return r.version }
func (r *rules) Covers(*core.Identity, string) core.Verdict {
	return core.Ignore
}

func (r *rules) Authorize(id *core.Identity, a core.Action, name string) (core.Verdict, error) {
	verb := [...]string{"pub ", "sub ", "get "}[a]
	for k := range r.allowed {
		if f, ok := strings.CutPrefix(k, verb); ok && (f == name || topic.Match(f, name)) {
			return core.Allow, nil
		}
	}
	return core.Deny, nil
}

func TestAuthorizeEveryPath(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &rules{allowed: map[string]bool{"pub ok/#": true, "sub ok/#": true, "sub mixed/+": true, "get ok/#": true, "get mixed/1": true, "pub mixed/+": true}}
		g := coretest.Start(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{r} })
		a, b := g.Connect("a", nil), g.Connect("b", nil)
		if why := b.Subscribe(0, "secret"); why != core.NotAuthorized {
			t.Errorf("subscribe: %s", why)
		}
		if why := b.Subscribe(0, "$share/g/secret"); why != core.NotAuthorized {
			t.Errorf("shared inner filter: %s", why)
		}
		b.Subscribe(0, "ok/#", "mixed/+")
		a.Publish(pub("secret", "v", 1, 1))
		a.Publish(pub("ok/1", "v", 1, 2))
		expect(t, a, "[ack 1 not_authorized][ack 2 success]")
		a.Publish(pub("mixed/1", "v", 0, 0))
		a.Publish(pub("mixed/2", "v", 0, 0))
		expect(t, b, "[ok/1=v q0][mixed/1=v q0]")
		c := g.Connect("c", func(q *core.ConnectRequest) { q.Will = &core.Will{Topic: "secret"} })
		if c.Result.Reason != core.NotAuthorized {
			t.Errorf("will: %s", c.Result.Reason)
		}
		kept := pub("mixed/2", "kept", 0, 0)
		kept.Retain = true
		a.Publish(kept)
		b.Subscribe(0, "mixed/+")
		expect(t, b, "")
		delete(r.allowed, "pub ok/#")
		r.version++
		a.Publish(pub("ok/1", "v", 1, 3))
		expect(t, a, "[ack 3 not_authorized]")
	})
}

func TestLimitsAndRefusals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) {
			o.Config.MaxSubscriptions, o.Config.MaxRetained, o.Config.MaxClientIDLength = 2, 1, 30
			o.Anonymous = func(c *core.Credentials) bool { return c.ClientID != "stranger" }
		})
		a := g.Connect("a", nil)
		granted, reasons := a.SubscribeWith(&core.SubscribeRequest{Filters: []core.FilterRequest{{Filter: "1"}, {Filter: "bad/#/x"}, {Filter: "2"}, {Filter: "3"}}})
		if fmt.Sprint(granted, reasons) != "[0 0 0 0] [success topic_filter_invalid success subscription_limit]" {
			t.Errorf("%v %v", granted, reasons)
		}
		p := pub("r/1", "v", 1, 1)
		p.Retain = true
		a.Publish(p)
		p = pub("r/2", "v", 1, 2)
		p.Retain = true
		a.Publish(p)
		expect(t, a, "[ack 1 no_matching_subscribers][ack 2 retained_limit]")
		if c := g.Connect(strings.Repeat("x", 31), nil); c.Result.Reason != core.ClientIDNotValid {
			t.Errorf("long id: %s", c.Result.Reason)
		}
		if c := g.Connect("stranger", nil); c.Result.Reason != core.NotAuthorized {
			t.Errorf("stranger: %s", c.Result.Reason)
		}
		a.Publish(pub(strings.Repeat("l/", 200), "v", 1, 3))
		expect(t, a, "[ack 3 topic_name_invalid]")
		deep := func(r *core.ConnectRequest) { r.Will = &core.Will{Topic: strings.Repeat("l/", 200)} }
		if c := g.Connect("w", deep); c.Result.Reason != core.TopicNameInvalid {
			t.Errorf("deep will: %s", c.Result.Reason)
		}
		if err := g.PublishInternal(g.T, &core.Message{Topic: "a/#"}); err == nil {
			t.Error("a wildcard was published")
		}
		if c := g.Connect("", nil); !c.Result.Assigned || c.Result.ClientID == "" {
			t.Error("no client id was assigned")
		}
	})
}
