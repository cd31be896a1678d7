package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// asked are rights that must be asked for a second before they are known, and are
// forgotten when they change.
type asked struct {
	*coretest.Rights
	strict bool // what is not known is denied, instead of asked on the spot
	takes  time.Duration

	mu    sync.Mutex
	known map[string]core.Verdict
	asks  []string
}

func (a *asked) key(id *core.Identity, act core.Action, topic string) string {
	return fmt.Sprint(a.Rights.Version(), id.ClientID, act, " ", topic)
}

func (a *asked) Authorize(id *core.Identity, act core.Action, topic string) (core.Verdict, error) {
	if act == core.ActionDeliver || !a.strict {
		return a.Rights.Authorize(id, act, topic)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	v, ok := a.known[a.key(id, act, topic)]
	if !ok {
		return core.Deny, errors.New("not known yet")
	}
	return v, nil
}

func (a *asked) Prepared(id *core.Identity, act core.Action, topic string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.known[a.key(id, act, topic)]
	return ok || act == core.ActionDeliver
}

func (a *asked) Prepare(ctx context.Context, id *core.Identity, act core.Action, topic string) {
	select {
	case <-time.After(a.takes):
	case <-ctx.Done():
		return
	}
	v, err := a.Rights.Authorize(id, act, topic)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asks = append(a.asks, topic)
	if err == nil {
		a.known[a.key(id, act, topic)] = v
	}
}

// forget is time that makes answers too old.
func (a *asked) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.known)
}

func newAsked(strict bool, takes time.Duration) *asked {
	return &asked{Rights: &coretest.Rights{}, strict: strict, takes: takes, known: map[string]core.Verdict{}}
}

// askedProtocol is core alone with such rights.
type askedProtocol struct{ coretest.CoreProtocol }

// Name implements coretest.Protocol.
func (askedProtocol) Name() string { return "asked rights" }

// Rules implements coretest.RulesOf.
func (askedProtocol) Rules(_ testing.TB, r *coretest.Rights) core.Authorizer {
	a := newAsked(false, 0)
	a.Rights = r
	return a
}

// TestAuthorizationMatrixAsked: holding what waits for an answer changes no path.
func TestAuthorizationMatrixAsked(t *testing.T) { coretest.RunAuthz(t, askedProtocol{}) }

func startAsked(t *testing.T) (*coretest.Gateway, *asked) {
	rights := newAsked(true, time.Second)
	g := coretest.Start(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{rights} })
	return g, rights
}

// TestPublishIsHeld: a message whose right is asked for pauses its connection, is decided
// when the answer is there, and the next ones need no question.
func TestPublishIsHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, rights := startAsked(t)
		rights.Allow("hub", core.ActionSubscribe, "#")
		rights.Allow("a", core.ActionPublish, "up/#")
		hub, a := g.Connect("hub", nil), g.Connect("a", nil)
		if r := hub.Subscribe(1, "#"); r != core.Success {
			t.Fatal(r)
		}
		for n, c := range []struct {
			topic string
			qos   uint8
			want  string
		}{{"up/1", 1, "[up/1=v q1 id1]"}, {"up/0", 0, "[up/0=v q0]"}, {"down", 1, ""}} {
			payload := []byte("v")
			pause, err := a.Publish(core.Publish{Topic: c.topic, Payload: payload, QoS: c.qos, PacketID: uint16(n + 1)})
			payload[0] = 'x' // the adapter's bytes
			if !pause || err != nil {
				t.Errorf("%s: pause %v, %v", c.topic, pause, err)
			}
			synctest.Wait()
			if ds := append(a.Now(), hub.Now()...); len(ds) != 0 {
				t.Errorf("%s: %d deliveries before there is an answer", c.topic, len(ds))
			}
			time.Sleep(time.Second)
			synctest.Wait()
			a.Completed(core.OpReadable)
			if ds := a.Now(); c.qos == 1 && (len(ds) != 1 || (ds[0].Reason == core.NotAuthorized) != (c.want == "")) {
				t.Errorf("%s: answers %+v", c.topic, ds)
			}
			expect(t, hub, c.want)
		}
		rights.mu.Lock()
		rights.asks = nil
		rights.mu.Unlock()
		if pause, err := a.Publish(core.Publish{Topic: "up/1", Payload: []byte("w"), QoS: 0}); pause || err != nil {
			t.Errorf("pause %v, %v", pause, err)
		}
		synctest.Wait()
		expect(t, hub, "[up/1=w q0]")
		if len(rights.asks) != 0 {
			t.Errorf("asked again about %v", rights.asks)
		}
	})
}

// TestPublisherLeavesWhileHeld: what was held is published at QoS 0, and nobody is told.
func TestPublisherLeavesWhileHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, rights := startAsked(t)
		rights.Allow("hub", core.ActionSubscribe, "#")
		rights.Allow("a", core.ActionPublish, "up/#")
		hub, a := g.Connect("hub", nil), g.Connect("a", nil)
		hub.Subscribe(1, "#")
		a.Publish(core.Publish{Topic: "up/0", Payload: []byte("v")})
		a.Publish(core.Publish{Topic: "up/1", Payload: []byte("v"), QoS: 1, PacketID: 1})
		a.Disconnect(core.NormalDisconnect)
		b := g.Connect("a", nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		expect(t, hub, "[up/0=v q0]")
		if ds := b.Now(); len(ds) != 0 {
			t.Errorf("the next connection is told %+v", ds)
		}
		if pause, _ := b.Publish(core.Publish{Topic: "up/0", Payload: []byte("w")}); pause {
			t.Error("the next connection is paused")
		}
	})
}

// TestSubscribeIsHeld: it is answered once all of its filters are.
func TestSubscribeIsHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, rights := startAsked(t)
		rights.Allow("a", core.ActionSubscribe, "x", "y/#")
		a := g.Connect("a", nil)
		granted, reasons := a.SubscribeWith(&core.SubscribeRequest{Token: 7, Filters: []core.FilterRequest{{Filter: "x"}, {Filter: "z"}, {Filter: "a/#/b"}, {Filter: "$share/g/y/#"}}})
		if got := fmt.Sprint(granted, reasons); !strings.Contains(got, "success not_authorized topic_filter_invalid success") {
			t.Error(got)
		}
	})
}

// TestSessionGoesOnWithRights: who comes back gets what waited, though its rights must be
// asked for first; and a Will is sent though its answer is long forgotten.
func TestSessionGoesOnWithRights(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, rights := startAsked(t)
		rights.Allow("a", core.ActionSubscribe, "x")
		rights.Allow("a", core.ActionPublish, "gone")
		rights.Allow("hub", core.ActionSubscribe, "gone")
		durable := func(r *core.ConnectRequest) {
			r.CleanStart, r.Expiry = false, core.NeverExpires
			r.Will = &core.Will{Topic: "gone", Payload: []byte("w")}
		}
		hub, a := g.Connect("hub", nil), g.Connect("a", durable)
		hub.Subscribe(0, "gone")
		a.Subscribe(1, "x")
		a.Disconnect(core.NormalDisconnect)
		if err := g.PublishInternal(g.T, &core.Message{Topic: "x", Payload: []byte("v"), QoS: 1}); err != nil {
			t.Fatal(err)
		}
		g.T.End()
		rights.forget()
		rights.asks = nil
		a = g.Connect("a", durable)
		expect(t, a, "[x=v q1 id1]")
		if got := strings.Join(rights.asks, " "); got != "gone x" {
			t.Errorf("asked about %q", got)
		}
		rights.forget()
		a.Disconnect(core.ConnectionLost)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		expect(t, hub, "[gone=w q0]")
	})
}

// TestSourceOfRightsNeverAnswers: what is held is decided in the end, and denied.
func TestSourceOfRightsNeverAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, rights := startAsked(t)
		rights.takes = time.Hour
		rights.Allow("a", core.ActionPublish, "up")
		a := g.Connect("a", nil)
		if pause, _ := a.Publish(core.Publish{Topic: "up", Payload: []byte("v"), QoS: 1, PacketID: 1}); !pause {
			t.Error("not held")
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if ds := a.Now(); len(ds) != 1 || ds[0].Reason != core.NotAuthorized {
			t.Errorf("%+v", ds)
		}
	})
}

// TestPublishAnswered: who asks for it hears at QoS 0, too, what became of a message whose
// right had to be asked for, and of one that is known.
func TestPublishAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, rights := startAsked(t)
		rights.Allow("hub", core.ActionSubscribe, "#")
		rights.Allow("a", core.ActionPublish, "up/#")
		hub, a := g.Connect("hub", nil), g.Connect("a", nil)
		hub.Subscribe(0, "up/+")
		for n, c := range []struct {
			topic string
			known bool
			want  core.Reason
		}{{"up/1", false, core.Success}, {"up/1", true, core.Success}, {"up/1/2", false, core.NoMatchingSubscribers}, {"down", false, core.NotAuthorized}} {
			p := core.Publish{Topic: c.topic, Payload: []byte("v"), PacketID: uint16(n + 1), Answer: true}
			if _, late := g.Allowed(g.T, a.Result.Link, &p); late == c.known {
				t.Errorf("%s: late is %v", c.topic, late)
			}
			if _, err := a.Publish(p); err != nil {
				t.Fatal(err)
			}
			d := a.Take(1)[0]
			if d.Kind != core.DeliverAck || d.PacketID != p.PacketID || d.Reason != c.want {
				t.Errorf("%s: %+v, want %s", c.topic, d, c.want)
			}
		}
		a.Publish(core.Publish{Topic: "up/1", Payload: []byte("v"), PacketID: 9}) // nobody asks
		if ds := a.Now(); len(ds) != 0 {
			t.Errorf("answered unasked: %+v", ds)
		}
		expect(t, hub, "[up/1=v q0][up/1=v q0][up/1=v q0]")
	})
}
