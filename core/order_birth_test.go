package core_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// birthScene is a client that connects with proxy subscriptions on a turn that is slow to
// flush: its session is known, and not stored yet.
type birthScene struct {
	former    func(*core.ConnectRequest) // of a session that there was before, nil for none
	meanwhile func(t *testing.T, g *coretest.Gateway) (judge func(t *testing.T, again *coretest.Client, g *coretest.Gateway))
}

// Whatever happens to a session before it is stored lasts with it.
func TestProxySubscribedBeforeStored(t *testing.T) {
	formers := map[string]func(*core.ConnectRequest){"first": nil, "clean start": durable}
	for name, former := range formers {
		for what, meanwhile := range map[string]func(*testing.T, *coretest.Gateway) func(*testing.T, *coretest.Client, *coretest.Gateway){
			"a message":             publishMeanwhile,
			"a further one":         changeMeanwhile,
			"a message for another": changePublishMeanwhile,
			"one taken back":        takeBackMeanwhile,
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				bubble(t, func(t *testing.T) { (&birthScene{former, meanwhile}).play(t) })
			})
		}
	}
}

func (c *birthScene) play(t *testing.T) {
	ps := []core.ProxySubscription{{Filter: "news", QoS: 1, ClientID: "^s$"}}
	g := startProxied(t, nil, ps...)
	if c.former != nil {
		g.Connect("s", c.former)
	}
	slow := g.NewTurn()
	defer slow.Close()
	slow.Begin(time.Now())
	g.Gateway.Connect(slow, &core.ConnectRequest{Conn: deafConn{}, CleanStart: true, Expiry: core.NeverExpires, Protocol: "mqtt", Version: 5, Listener: "mqtt", Credentials: core.Credentials{ClientID: "s", Listener: "mqtt"}})
	judge := c.meanwhile(t, g)
	synctest.Wait()
	slow.End()
	synctest.Wait()
	next := startProxied(t, g.Store.Kill(0), ps...)
	again := next.Connect("s", durable)
	if !again.Result.SessionPresent {
		t.Fatal("the session is lost")
	}
	judge(t, again, next)
}

// What a client has by proxy goes on until what it has instead holds.
func TestProxySubscriptionsReplacedWithoutGap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := &table{name: "a"}
		a.set(nil, row("news", 1))
		g := startSourced(t, nil, nil, a)
		g.Connect("s", durable)
		a.set(nil, row("+", 1))
		g.Store.Hold()
		var again *coretest.Client
		var wait sync.WaitGroup
		other := *g // another loop
		other.T = g.NewTurn()
		defer other.T.Close()
		wait.Go(func() { again = other.Connect("s", durable) })
		synctest.Wait()
		g.Connect("p", nil).Publish(pub("news", "m", 1, 1))
		wantListed(t, g, "s", "news@1 proxy")
		g.Store.Release()
		wait.Wait()
		expect(t, again, "[news=m q1 id1]")
		wantListed(t, g, "s", "+@1 proxy")
	})
}

// A connection that is taken over before it is stored leaves the client nothing that its
// successor does not have.
func TestProxySubscriptionsOfConnectTakenOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ps := []core.ProxySubscription{{Filter: "lan", Listeners: []string{"lan"}}, {Filter: "wan", Listeners: []string{"wan"}}}
		g := startProxied(t, nil, ps...)
		slow := g.NewTurn()
		defer slow.Close()
		slow.Begin(time.Now())
		r := &core.ConnectRequest{Conn: deafConn{}, Expiry: core.NeverExpires, Protocol: "mqtt", Version: 5, Listener: "lan", Credentials: core.Credentials{ClientID: "s", Listener: "lan"}}
		g.Gateway.Connect(slow, r)
		var wait sync.WaitGroup
		wait.Go(func() { g.Connect("s", by("wan", durable)) })
		synctest.Wait()
		slow.End()
		wait.Wait()
		wantListed(t, g, "s", "wan@0 proxy")
		wantListed(t, startProxied(t, g.Store.Kill(0), ps...), "s", "wan@0 proxy")
	})
}

// A proxy subscription that the table does not take is not stored either.
func TestProxySubscriptionRefusedLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := core.ProxySubscription{Filter: "$exclusive/x", ClientID: "^s$"}
		g := startProxied(t, nil, p)
		holder := g.Connect("h", nil)
		holder.Subscribe(0, "$exclusive/x")
		s := g.Connect("s", durable)
		synctest.Wait()
		rs := g.Explain(1, func(r *core.Record) bool { return r.ClientID == "s" })
		if s.Result.Reason != core.Success || len(rs) != 1 || rs[0].Reason != core.ExclusiveTaken {
			t.Errorf("connect: %s, explain: %+v", s.Result.Reason, rs)
		}
		wantListed(t, g, "s", "")
		next := startProxied(t, g.Store.Kill(0), p)
		wantListed(t, next, "s", "")
		next.Connect("s", durable)
		wantListed(t, next, "s", "$exclusive/x@0 proxy")
	})
}

// publishNews publishes one message and says whether the publisher was told of a receiver.
func publishNews(t *testing.T, g *coretest.Gateway, topic string) (matched bool) {
	p := g.Connect("p", nil)
	p.Publish(pub(topic, "m", 1, 1))
	synctest.Wait()
	switch got := show(p.Now()); got {
	case "[ack 1 success]":
		return true
	case "[ack 1 no_matching_subscribers]":
	default:
		t.Errorf("the publisher got %q", got)
	}
	return false
}

func publishMeanwhile(t *testing.T, g *coretest.Gateway) func(*testing.T, *coretest.Client, *coretest.Gateway) {
	return wantKept(publishNews(t, g, "news"), "news")
}

// wantKept sees that a message that had a receiver is there.
func wantKept(matched bool, topic string) func(*testing.T, *coretest.Client, *coretest.Gateway) {
	return func(t *testing.T, again *coretest.Client, _ *coretest.Gateway) {
		synctest.Wait()
		ds := again.Now()
		if there := len(ds) == 1 && ds[0].Msg.Topic == topic; there != matched {
			t.Errorf("the publisher was told of a receiver: %v; after the crash that got %s", matched, show(ds))
		}
	}
}

func changeMeanwhile(_ *testing.T, g *coretest.Gateway) func(*testing.T, *coretest.Client, *coretest.Gateway) {
	g.ChangeProxies(g.T, "s", "a test", []core.ProxyRequest{row("more", 1)}, nil)
	g.T.End()
	return func(t *testing.T, _ *coretest.Client, g *coretest.Gateway) {
		wantListed(t, g, "s", "more@1 proxy, news@1 proxy")
	}
}

func changePublishMeanwhile(t *testing.T, g *coretest.Gateway) func(*testing.T, *coretest.Client, *coretest.Gateway) {
	changeMeanwhile(t, g)
	synctest.Wait()
	return wantKept(publishNews(t, g, "more"), "more")
}

func takeBackMeanwhile(_ *testing.T, g *coretest.Gateway) func(*testing.T, *coretest.Client, *coretest.Gateway) {
	g.ChangeProxies(g.T, "s", "a test", []core.ProxyRequest{row("more", 1)}, nil)
	g.T.End()
	g.ChangeProxies(g.T, "s", "a test", nil, []string{"more"})
	g.T.End()
	live := g
	return func(t *testing.T, _ *coretest.Client, g *coretest.Gateway) {
		wantListed(t, live, "s", "news@1 proxy")
		wantListed(t, g, "s", "news@1 proxy")
	}
}
