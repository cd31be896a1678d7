package core_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// durable makes a connect request that keeps its session.
func durable(r *core.ConnectRequest) { r.CleanStart, r.Expiry = false, core.NeverExpires }

func pub(topic, payload string, qos uint8, id uint16) core.Publish {
	return core.Publish{Topic: topic, Payload: []byte(payload), QoS: qos, PacketID: id}
}

// show renders deliveries for comparison.
func show(ds []core.Delivery) string {
	s := ""
	for _, d := range ds {
		switch d.Kind {
		case core.DeliverMessage:
			s += fmt.Sprintf("[%s=%s q%d", d.Msg.Topic, d.Msg.Payload, d.QoS)
			if d.QoS > 0 {
				s += fmt.Sprintf(" id%d", d.PacketID)
			}
			if d.Dup {
				s += " dup"
			}
			if d.Retain {
				s += " retain"
			}
			if d.SubID != 0 {
				s += fmt.Sprintf(" sub%d", d.SubID)
			}
			if d.SubIDs != nil {
				s += fmt.Sprintf(" subs%v", *d.SubIDs)
			}
			s += "]"
		case core.DeliverRelease:
			s += fmt.Sprintf("[release %d %s]", d.PacketID, d.Reason)
		case core.DeliverAck:
			s += fmt.Sprintf("[ack %d %s]", d.PacketID, d.Reason)
		case core.DeliverReceived:
			s += fmt.Sprintf("[received %d %s]", d.PacketID, d.Reason)
		case core.DeliverComplete:
			s += fmt.Sprintf("[complete %d %s]", d.PacketID, d.Reason)
		case core.DeliverAsleep:
			s += "[asleep]"
		}
	}
	return s
}

func expect(t *testing.T, c *coretest.Client, want string) {
	t.Helper()
	synctest.Wait()
	if got := show(c.Now()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// balanced checks the ledger: all that was matched is accounted for.
func balanced(t *testing.T, g *coretest.Gateway, pending int64) {
	t.Helper()
	synctest.Wait()
	s := g.Stats()
	if s.Pending() != pending {
		t.Errorf("ledger: %d pending, want %d (matched %d, restored %d, retained %d, delivered %d, expired %d, dropped %d)", s.Pending(), pending,
			s.Get(core.Matched), s.Get(core.Restored), s.Get(core.RetainedMatched), s.Get(core.Delivered), s.Get(core.Expired), s.Get(core.Dropped))
	}
	queued := int64(0)
	g.Clients(func(c core.ClientInfo) bool { queued += int64(c.Queued); return true })
	if queued != pending {
		t.Errorf("queues hold %d, the ledger says %d", queued, pending)
	}
}

// bubble runs f in a synctest bubble: time is fake, waiting is exact.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestQoS0(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, b := g.Connect("a", nil), g.Connect("b", nil)
		b.Subscribe(1, "x/+", "y")
		a.Publish(pub("x/1", "one", 0, 0))
		a.Publish(pub("z", "none", 0, 0))
		expect(t, b, "[x/1=one q0]")
		b.Unsubscribe("x/+")
		a.Publish(pub("x/1", "two", 0, 0))
		expect(t, b, "")
		balanced(t, g, 0)
		if n := g.Stats(); n.Get(core.MessagesUnmatched) != 2 {
			t.Errorf("unmatched %d, want 2", n.Get(core.MessagesUnmatched))
		}
	})
}

func TestQoS1CleanSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, b := g.Connect("a", nil), g.Connect("b", nil)
		b.Subscribe(1, "x")
		a.Publish(pub("x", "one", 1, 7))
		expect(t, a, "[ack 7 success]")
		expect(t, b, "[x=one q1 id1]")
		balanced(t, g, 1)
		b.Ack(core.AckReceived1, 1)
		b.Ack(core.AckReceived1, 1) // twice: nothing happens
		balanced(t, g, 0)
		a.Publish(pub("nobody", "-", 1, 8))
		expect(t, a, "[ack 8 no_matching_subscribers]")
	})
}

func TestQoS2CleanSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, b := g.Connect("a", nil), g.Connect("b", nil)
		b.Subscribe(2, "x")
		a.Publish(pub("x", "one", 2, 7))
		a.Publish(pub("x", "one", 2, 7)) // [MQTT-4.3.3-10]: a resend goes no further
		expect(t, a, "[received 7 success][received 7 success]")
		a.Ack(core.AckRelease, 7)
		a.Ack(core.AckRelease, 7)
		expect(t, a, "[complete 7 success][complete 7 packet_id_not_found]")
		expect(t, b, "[x=one q2 id1]")
		b.Ack(core.AckReceived2, 1)
		expect(t, b, "[release 1 success]")
		b.Ack(core.AckReceived2, 1)
		expect(t, b, "[release 1 success]")
		b.Ack(core.AckComplete, 1)
		balanced(t, g, 0)
		b.Ack(core.AckReceived2, 99)
		expect(t, b, "[release 99 packet_id_not_found]")
		a.Publish(pub("x", "two", 2, 7)) // the identifier is free again
		expect(t, b, "[x=two q2 id2]")
	})
}

func TestReceiveMaximumTowardsClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a := g.Connect("a", nil)
		b := g.Connect("b", func(r *core.ConnectRequest) { r.ReceiveMaximum = 2 })
		b.Subscribe(2, "x")
		for i := range 5 {
			a.Publish(pub("x", fmt.Sprint(i), 1, uint16(i+1)))
		}
		expect(t, b, "[x=0 q1 id1][x=1 q1 id2]")
		b.Ack(core.AckReceived1, 2)
		expect(t, b, "[x=2 q1 id3]")
		b.Ack(core.AckReceived1, 1)
		b.Ack(core.AckReceived1, 3)
		expect(t, b, "[x=3 q1 id4][x=4 q1 id5]")
		balanced(t, g, 2)
		b.Disconnect(core.ConnectionLost)
		balanced(t, g, 0)
		if n := g.Stats(); n.Reasons[core.SessionEnded] != 2 {
			t.Errorf("session_ended %d, want 2", n.Reasons[core.SessionEnded])
		}
	})
}

func TestReceiveMaximumOfGateway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Config.ReceiveMaximum = 3 })
		a := g.Connect("a", nil)
		for i := range 3 {
			a.Publish(pub("x", "", 2, uint16(i+1)))
		}
		if _, err := a.Publish(pub("x", "", 2, 4)); err == nil || err.Reason != core.ReceiveMaximumExceeded {
			t.Errorf("got %v, want receive_maximum_exceeded", err)
		}
	})
}

func TestDurableQueueAndResume(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, b := g.Connect("a", nil), g.Connect("b", durable)
		if b.Result.SessionPresent {
			t.Error("a new session is said to be present")
		}
		b.Subscribe(2, "x")
		a.Publish(pub("x", "1", 1, 1))
		a.Publish(pub("x", "2", 2, 2))
		expect(t, b, "[x=1 q1 id1][x=2 q2 id2]")
		b.Ack(core.AckReceived2, 2)
		expect(t, b, "[release 2 success]")
		b.Disconnect(core.ConnectionLost)
		a.Publish(pub("x", "3", 1, 3))
		a.Publish(pub("x", "zero", 0, 0))
		expect(t, a, "[ack 1 success][received 2 success][ack 3 success]")
		balanced(t, g, 3)
		b = g.Connect("b", durable)
		if !b.Result.SessionPresent {
			t.Error("the session is not said to be present")
		}
		expect(t, b, "[x=1 q1 id1 dup][release 2 success][x=3 q1 id3]")
		a.Publish(pub("x", "4", 1, 4))
		expect(t, b, "[x=4 q1 id4]")
		b.Ack(core.AckReceived1, 1)
		b.Ack(core.AckComplete, 2)
		b.Ack(core.AckReceived1, 3)
		b.Ack(core.AckReceived1, 4)
		balanced(t, g, 0)
		if n := g.Store.Queued("b"); n != 0 {
			t.Errorf("the store still holds %d", n)
		}
	})
}

func TestAckWaitsForCommit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, b := g.Connect("a", nil), g.Connect("b", durable)
		b.Subscribe(1, "x")
		c := g.Connect("c", nil)
		c.Subscribe(1, "y")
		g.Store.Hold()
		a.Publish(pub("x", "kept", 1, 1))
		a.Publish(pub("y", "quick", 1, 2)) // needs no disk, but its ack may not overtake
		expect(t, a, "")
		expect(t, b, "")
		expect(t, c, "[y=quick q1 id1]")
		g.Store.Release()
		expect(t, a, "[ack 1 success][ack 2 success]")
		expect(t, b, "[x=kept q1 id1]")
	})
}

func TestStoreFailureIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, b := g.Connect("a", nil), g.Connect("b", durable)
		b.Subscribe(2, "x")
		g.Store.Fail(core.ErrStoreFull)
		a.Publish(pub("x", "1", 1, 1))
		a.Publish(pub("x", "2", 2, 2))
		expect(t, a, "[ack 1 store_full][received 2 store_full]")
		expect(t, b, "")
		if r := b.Subscribe(1, "z"); r != core.StoreFull {
			t.Errorf("subscribe: %s", r)
		}
		if c := g.Connect("c", durable); c.Result.Reason != core.StoreFull {
			t.Errorf("connect: %s", c.Result.Reason)
		}
		g.Store.Fail(nil)
		balanced(t, g, 0)
		a.Publish(pub("x", "2", 2, 2)) // the identifier was given back
		a.Publish(pub("z", "no", 1, 3))
		expect(t, a, "[received 2 success][ack 3 no_matching_subscribers]")
		expect(t, b, "[x=2 q2 id3]")
	})
}

func TestRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := coretest.NewMemStore()
		g := coretest.Start(t, store, nil)
		a, b := g.Connect("a", durable), g.Connect("b", durable)
		b.Subscribe(2, "x")
		a.Publish(pub("x", "1", 1, 1))
		a.Publish(pub("x", "2", 2, 2))
		r := pub("r", "kept", 1, 3)
		r.Retain = true
		a.Publish(r)
		expect(t, b, "[x=1 q1 id1][x=2 q2 id2]")
		b.Ack(core.AckReceived1, 1)
		b.Ack(core.AckReceived2, 2)
		synctest.Wait()

		// The process is killed: nothing more is written.
		g2 := coretest.Start(t, store, nil)
		b = g2.Connect("b", durable)
		if !b.Result.SessionPresent {
			t.Error("the session is gone")
		}
		expect(t, b, "[release 2 success]")
		a = g2.Connect("a", durable)
		a.Publish(pub("x", "2", 2, 2)) // resent: it was received before
		expect(t, a, "[received 2 success]")
		expect(t, b, "")
		a.Ack(core.AckRelease, 2)
		expect(t, a, "[complete 2 success]")
		a.Publish(pub("x", "3", 2, 2))
		expect(t, b, "[x=3 q2 id3]")
		b.Subscribe(1, "r")
		expect(t, b, "[r=kept q1 id4 retain]")
		b.Ack(core.AckComplete, 2)
		balanced(t, g2, 2)
	})
}

func TestTakeover(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, w := g.Connect("a", nil), g.Connect("w", nil)
		w.Subscribe(0, "will")
		will := func(r *core.ConnectRequest) {
			durable(r)
			r.Will = &core.Will{Topic: "will", Payload: []byte("gone")}
		}
		b := g.Connect("b", will)
		b.Subscribe(1, "x")
		a.Publish(pub("x", "1", 1, 1))
		expect(t, b, "[x=1 q1 id1]")
		b2 := g.Connect("b", will)
		if r := b.Closed(); r != core.SessionTakenOver {
			t.Errorf("closed for %s", r)
		}
		expect(t, b2, "[x=1 q1 id1 dup]")
		expect(t, w, "[will=gone q0]") // [MQTT-3.1.4-3]: no delay, so it is sent
		b.Ack(core.AckReceived1, 1)    // stale: changes nothing
		b.Disconnect(core.ConnectionLost)
		a.Publish(pub("x", "2", 1, 2))
		expect(t, b2, "[x=2 q1 id2]")
		b3 := g.Connect("b", nil) // Clean Start: nothing is left
		if b3.Result.SessionPresent || b2.Closed() != core.SessionTakenOver {
			t.Error("clean start resumed a session")
		}
		expect(t, w, "[will=gone q0]")
		a.Publish(pub("x", "3", 1, 3))
		expect(t, b3, "")
		balanced(t, g, 0)
	})
}

// anyPassword vouches for every user name.
type anyPassword struct{}

func (anyPassword) Name() string { return "any" }
func (anyPassword) Authenticate(context.Context, *core.Credentials) (core.Verdict, *core.Grant, error) {
	return core.Allow, nil, nil
}

// ofUserAndListener allows user alice everything, and whoever came by "mqtt" to
// be delivered to.
type ofUserAndListener struct{ coretest.AllowAll }

func (ofUserAndListener) Authorize(id *core.Identity, a core.Action, _ string) (core.Verdict, error) {
	if id.Username == "alice" || (a != core.ActionPublish && id.Listener == "mqtt" && id.Peer.IsLoopback()) {
		return core.Allow, nil
	}
	return core.Deny, nil
}

func (ofUserAndListener) Covers(*core.Identity, string) core.Verdict { return core.Ignore }

func TestNobodyIsWhoTheyClaim(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{ofUserAndListener{}} })
		a := g.Connect("a", func(r *core.ConnectRequest) { r.Credentials.Username, r.Credentials.HasUsername = "alice", true })
		a.Publish(pub("x", "v", 1, 1))
		expect(t, a, "[ack 1 not_authorized]")
	})
}

func TestRestoredSessionKeepsItsRights(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := coretest.NewMemStore()
		change := func(o *core.Options) {
			o.Authorizers = []core.Authorizer{ofUserAndListener{}}
			o.Authenticators = []core.Authenticator{anyPassword{}}
		}
		g := coretest.Start(t, store, change)
		g.Connect("b", durable).Subscribe(1, "x")
		synctest.Wait()
		g = coretest.Start(t, store, change)
		a := g.Connect("a", func(r *core.ConnectRequest) { r.Credentials.Username, r.Credentials.HasUsername = "alice", true })
		a.Publish(pub("x", "v", 1, 1))
		expect(t, a, "[ack 1 success]")
		if n := store.Queued("b"); n != 1 {
			t.Errorf("%d queued for the restored session, want 1", n)
		}
	})
}

// fromListener lets deliver only to who came by the listener "trusted", and
// claims that a subscription made there is covered.
type fromListener struct{ coretest.AllowAll }

func (fromListener) Authorize(id *core.Identity, a core.Action, _ string) (core.Verdict, error) {
	if a == core.ActionPublish || id.Listener == "trusted" {
		return core.Allow, nil
	}
	return core.Deny, nil
}

func TestResumeFromElsewhereIsCheckedAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{fromListener{}} })
		by := func(listener string) func(*core.ConnectRequest) {
			return func(r *core.ConnectRequest) { durable(r); r.Listener = listener }
		}
		a, b := g.Connect("a", nil), g.Connect("b", by("trusted"))
		b.Subscribe(0, "x")
		a.Publish(pub("x", "1", 0, 0))
		expect(t, b, "[x=1 q0]")
		b = g.Connect("b", by("open"))
		a.Publish(pub("x", "2", 0, 0))
		expect(t, b, "")
		b = g.Connect("b", by("trusted"))
		a.Publish(pub("x", "3", 0, 0))
		expect(t, b, "[x=3 q0]")
	})
}

func TestTakeoverOnlyWithinIdentity(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Authenticators = []core.Authenticator{anyPassword{}} })
		user := func(name string) func(*core.ConnectRequest) {
			return func(r *core.ConnectRequest) {
				durable(r)
				r.Credentials.Username, r.Credentials.HasUsername = name, true
			}
		}
		g.Connect("id", user("alice"))
		if c := g.Connect("id", user("mallory")); c.Result.Reason != core.NotAuthorized {
			t.Errorf("another user got the session: %s", c.Result.Reason)
		}
	})
}

func TestWill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		w := g.Connect("w", nil)
		w.Subscribe(1, "will/#")
		with := func(delay uint32, expiry uint32) func(*core.ConnectRequest) {
			return func(r *core.ConnectRequest) {
				r.Expiry = expiry
				r.Will = &core.Will{Topic: "will/" + r.Credentials.ClientID, Payload: []byte("x"), Delay: delay}
			}
		}
		g.Connect("normal", with(0, 0)).Disconnect(core.NormalDisconnect)
		expect(t, w, "")
		g.Connect("lost", with(0, 0)).Disconnect(core.KeepAliveTimeout)
		expect(t, w, "[will/lost=x q0]")
		g.Connect("asked", with(0, 0)).Disconnect(core.DisconnectWithWill)
		expect(t, w, "[will/asked=x q0]")
		g.Connect("delayed", with(10, 100)).Disconnect(core.ConnectionLost)
		time.Sleep(9 * time.Second)
		expect(t, w, "")
		time.Sleep(2 * time.Second)
		expect(t, w, "[will/delayed=x q0]")
		g.Connect("expired", with(100, 10)).Disconnect(core.ConnectionLost)
		time.Sleep(11 * time.Second)
		expect(t, w, "[will/expired=x q0]")
		if _, ok := g.Client("expired"); ok {
			t.Error("the session outlived its expiry")
		}
		g.Connect("back", with(10, 100)).Disconnect(core.ConnectionLost)
		time.Sleep(5 * time.Second)
		g.Connect("back", durable)
		time.Sleep(20 * time.Second)
		expect(t, w, "")
	})
}

func TestRetained(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a := g.Connect("a", nil)
		for i := range 3 {
			p := pub(fmt.Sprintf("r/%d", i), "v", 1, uint16(i+1))
			p.Retain = true
			a.Publish(p)
		}
		b := g.Connect("b", nil)
		b.Subscribe(1, "r/1", "r/#")
		synctest.Wait()
		if n := len(b.Now()); n != 4 {
			t.Errorf("%d retained messages, want 4", n)
		}
		live := pub("r/1", "new", 0, 0)
		live.Retain = true
		a.Publish(live)
		expect(t, b, "[r/1=new q0]") // [MQTT-3.3.1-12]: not for established subscriptions
		live.Payload = nil
		a.Publish(live)
		b.Now()
		c := g.Connect("c", nil)
		c.Subscribe(0, "r/1")
		expect(t, c, "")
		handling := func(h uint8) { // [MQTT-3.3.1-10] [MQTT-3.3.1-11]
			c.SubscribeWith(&core.SubscribeRequest{SubID: 9, Filters: []core.FilterRequest{{Filter: "r/2", SubscribeOptions: core.SubscribeOptions{RetainHandling: h, RetainAsPublished: true}}}})
		}
		handling(2)
		expect(t, c, "")
		handling(1)
		expect(t, c, "")
		handling(0)
		expect(t, c, "[r/2=v q0 retain sub9]")
		live = pub("r/2", "again", 0, 0)
		live.Retain = true
		a.Publish(live)
		expect(t, c, "[r/2=again q0 retain sub9]") // [MQTT-3.3.1-13]
	})
}

// A replay is paced by its client, and nothing of it is dropped: neither with bounds
// that it exceeds many times over, nor when the outbox never runs empty.
func TestRetainedIsPacedAndWhole(t *testing.T) {
	for _, qos := range []uint8{0, 1} {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) { bubble(t, func(t *testing.T) { replayWhole(t, qos) }) })
	}
}

func replayWhole(t *testing.T, qos uint8) {
	g := coretest.Start(t, nil, func(o *core.Options) {
		o.Config.MaxOutgoing, o.Config.MaxQueued, o.Config.MaxQueuedBytes = 16, 4, 4096
	})
	a := g.Connect("a", nil)
	const n = 5000
	for i := range n {
		a.Publish(core.Publish{Topic: fmt.Sprintf("r/%d", i), Payload: make([]byte, 1000), QoS: qos, PacketID: uint16(i + 1), Retain: true})
		if i%1000 == 0 {
			synctest.Wait() // acknowledged: the Receive Maximum is 1024
		}
	}
	b := g.Connect("b", func(r *core.ConnectRequest) { r.ReceiveMaximum = 10 })
	b.Block(true)
	b.Subscribe(qos, "r/#")
	synctest.Wait()
	b.Block(false)
	seen := map[string]bool{}
	for more := true; more; {
		synctest.Wait()
		ds := b.Now()
		more = len(ds) > 0 && qos > 0
		for _, d := range ds {
			seen[d.Msg.Topic] = true
			if qos > 0 {
				b.Ack(core.AckReceived1, d.PacketID)
			}
		}
	}
	if len(seen) != n {
		t.Errorf("%d of %d retained messages", len(seen), n)
	}
	balanced(t, g, 0)
}

func TestMessageExpiry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, b := g.Connect("a", nil), g.Connect("b", durable)
		b.Subscribe(1, "x")
		b.Disconnect(core.ConnectionLost)
		p := pub("x", "short", 1, 1)
		p.HasExpiry, p.Expiry = true, 5
		a.Publish(p)
		p = pub("x", "long", 1, 2)
		p.HasExpiry, p.Expiry = true, 50
		a.Publish(p)
		synctest.Wait()
		time.Sleep(10 * time.Second)
		b = g.Connect("b", durable)
		synctest.Wait()
		ds := b.Now()
		// The first may have been sent before as far as the store knows only if
		// it was: it never was, so it lapses [MQTT-3.3.2-5].
		if got := show(ds); got != "[x=long q1 id2]" {
			t.Fatalf("got %s", got)
		}
		if s, ok := ds[0].Msg.RemainingExpiry(time.Now().UnixMilli()); !ok || s != 40 {
			t.Errorf("remaining expiry %d, want 40", s)
		}
		if n := g.Stats(); n.Get(core.Expired) != 1 {
			t.Errorf("expired %d, want 1", n.Get(core.Expired))
		}
		balanced(t, g, 1)
	})
}
