package core_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// formerScene is what a turn that is slow to flush decides of a session, which is over and
// followed by another one of its client before that turn comes to it.
type formerScene struct {
	before func(w *formerWorld) // on the first connection
	decide func(w *formerWorld) // on the slow turn
	then   func(w *formerWorld) // on the next session's connection
	judge  func(w *formerWorld) // after a crash, on its next connection
}

// formerWorld is a client s with the connection at hand, another client p, and a turn that
// is slow to flush.
type formerWorld struct {
	t    *testing.T
	g    *coretest.Gateway
	s, p *coretest.Client
	slow *core.Turn
	sent uint16 // by got
}

func (w *formerWorld) link() core.Link { return w.s.Result.Link }

func (w *formerWorld) subscribe(filters ...string) {
	r := &core.SubscribeRequest{}
	for _, f := range filters {
		r.Filters = append(r.Filters, core.FilterRequest{Filter: f, SubscribeOptions: core.SubscribeOptions{QoS: 2}})
	}
	w.g.Gateway.Subscribe(w.slow, w.link(), r)
}

func (w *formerWorld) publish(c *coretest.Client, p core.Publish) {
	w.g.Gateway.Publish(w.slow, c.Result.Link, &p)
}

func (w *formerWorld) ack(k core.AckKind, id uint16) {
	w.g.Gateway.Acknowledge(w.slow, w.link(), k, id, core.Success)
}

func (w *formerWorld) subscribed() { w.s.Subscribe(2, "x") }

// got has s receive one message, which stays unanswered.
func (w *formerWorld) got(qos uint8) {
	w.subscribed()
	w.sent++
	w.p.Publish(pub("x", "m", qos, w.sent))
	w.s.Take(1)
}

func formerScenes() map[string]formerScene {
	return map[string]formerScene{
		"a subscription": {
			decide: func(w *formerWorld) { w.subscribe("stale") },
			judge:  func(w *formerWorld) { w.p.Publish(pub("stale", "m", 1, 1)); expect(w.t, w.s, "") },
		},
		"an end of a subscription": {
			before: (*formerWorld).subscribed,
			decide: func(w *formerWorld) {
				w.g.Gateway.Unsubscribe(w.slow, w.link(), &core.UnsubscribeRequest{Filters: []string{"x"}})
			},
			then:  (*formerWorld).subscribed,
			judge: func(w *formerWorld) { w.p.Publish(pub("x", "m", 0, 0)); expect(w.t, w.s, "[x=m q0]") },
		},
		"an identifier received": {
			decide: func(w *formerWorld) { w.publish(w.s, pub("x", "old", 2, 7)) },
			judge: func(w *formerWorld) {
				w.p.Subscribe(2, "x")
				w.s.Publish(pub("x", "new", 2, 7))
				expect(w.t, w.p, "[x=new q2 id1]")
			},
		},
		"an identifier released": {
			before: func(w *formerWorld) { w.s.Publish(pub("x", "old", 2, 7)); w.s.Take(1) },
			decide: func(w *formerWorld) { w.ack(core.AckRelease, 7) },
			then:   func(w *formerWorld) { w.s.Publish(pub("x", "new", 2, 7)); w.s.Take(1) },
			judge: func(w *formerWorld) {
				w.p.Subscribe(2, "x")
				w.s.Publish(pub("x", "new", 2, 7))
				expect(w.t, w.p, "")
				expect(w.t, w.s, "[received 7 success]")
			},
		},
		"a message": {
			before: (*formerWorld).subscribed,
			decide: func(w *formerWorld) { w.publish(w.p, pub("x", "m", 1, 1)) },
			judge:  func(w *formerWorld) { expect(w.t, w.s, "") },
		},
		"an acknowledgement": {
			before: func(w *formerWorld) { w.got(1) },
			decide: func(w *formerWorld) { w.ack(core.AckReceived1, 1) },
			then:   func(w *formerWorld) { w.got(1) },
			judge:  func(w *formerWorld) { w.wantAgain() },
		},
		"a half of an acknowledgement": {
			before: func(w *formerWorld) { w.got(2) },
			decide: func(w *formerWorld) { w.ack(core.AckReceived2, 1) },
			then:   func(w *formerWorld) { w.got(2) },
			judge:  func(w *formerWorld) { w.wantAgain() },
		},
		"a registration": {
			decide: func(w *formerWorld) {
				w.g.Gateway.Register(w.slow, w.link(), 0, core.Registration{ID: 1, Topic: "old"})
			},
			then: func(w *formerWorld) { w.s.Register(1, "new") },
			judge: func(w *formerWorld) {
				if rs := w.s.Result.Registrations; len(rs) != 1 || rs[0].Topic != "new" {
					w.t.Errorf("the session has the registrations %v", rs)
				}
			},
		},
		"an attachment": {
			decide: func(w *formerWorld) {
				w.g.Gateway.Attach(w.slow, w.link(), core.Attachment{Key: "k", Value: []byte("old")})
			},
			judge: func(w *formerWorld) {
				if as := w.s.Attachments(); len(as) != 0 {
					w.t.Errorf("the session has the attachments %v", as)
				}
			},
		},
	}
}

// wantAgain sees that the message of got comes again.
func (w *formerWorld) wantAgain() {
	synctest.Wait()
	if ds := w.s.Now(); len(ds) != 1 || ds[0].Msg == nil {
		w.t.Errorf("got %s, want the message again", show(ds))
	}
}

// What a turn has decided of a session gets into no later session of its client, though it
// comes to the store behind the end of the one that it is about.
func TestFormerSessionFlushedLate(t *testing.T) {
	clean := func(r *core.ConnectRequest) { r.CleanStart, r.Expiry = true, core.NeverExpires }
	for name, replace := range map[string]func(w *formerWorld){
		"clean start": func(w *formerWorld) { w.s = w.g.Connect("s", clean) },
		"end": func(w *formerWorld) {
			over := uint32(0)
			w.g.Gateway.Disconnect(w.g.T, w.link(), core.NormalDisconnect, &over)
			w.g.T.End()
			w.s = w.g.Connect("s", durable)
		},
	} {
		for what, c := range formerScenes() {
			t.Run(name+"/"+what, func(t *testing.T) {
				bubble(t, func(t *testing.T) { c.play(t, replace) })
			})
		}
	}
}

func (c *formerScene) play(t *testing.T, replace func(*formerWorld)) {
	g := coretest.Start(t, nil, nil)
	w := &formerWorld{t: t, g: g, s: g.Connect("s", durable), p: g.Connect("p", nil), slow: g.NewTurn()}
	defer w.slow.Close()
	w.slowly(c, replace)
	next := coretest.Start(t, g.Store.Kill(0), nil)
	w.g, w.s, w.p = next, next.Connect("s", durable), next.Connect("p", nil)
	if !w.s.Result.SessionPresent {
		t.Fatal("the next session is lost")
	}
	w.run(c.judge)
}

// slowly plays c until the slow turn has come to its end: what follows what that decided
// either waits for it or is done.
func (w *formerWorld) slowly(c *formerScene, next func(*formerWorld)) {
	w.run(c.before)
	w.slow.Begin(time.Now())
	c.decide(w)
	var wait sync.WaitGroup
	wait.Go(func() {
		next(w)
		if c.then != nil {
			c.then(w)
		}
	})
	synctest.Wait()
	w.slow.End()
	wait.Wait()
	synctest.Wait()
}

func (w *formerWorld) run(step func(*formerWorld)) {
	if step != nil {
		step(w)
		synctest.Wait()
	}
}

// What a turn has decided of a session's subscriptions goes to the store before what is
// decided on the next connection of that session.
func TestSubscriptionsOfTakenOverFlushedLate(t *testing.T) {
	for name, c := range map[string]struct {
		former formerScene
		want   string
	}{
		"subscribed, then not": {formerScene{
			decide: func(w *formerWorld) { w.subscribe("x") },
			then:   func(w *formerWorld) { w.s.Unsubscribe("x") },
		}, ""},
		"not subscribed, then so": {formerScene{
			before: (*formerWorld).subscribed,
			decide: func(w *formerWorld) {
				w.g.Gateway.Unsubscribe(w.slow, w.link(), &core.UnsubscribeRequest{Filters: []string{"x"}})
			},
			then: (*formerWorld).subscribed,
		}, "x@2"},
		"refused, then subscribed": {formerScene{
			before: func(w *formerWorld) { w.p.Subscribe(0, "$exclusive/x") },
			decide: func(w *formerWorld) { w.subscribe("$exclusive/x") },
			then:   (*formerWorld).subscribed,
		}, "x@2"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { c.former.playResumed(t, c.want) })
		})
	}
}

func (c *formerScene) playResumed(t *testing.T, want string) {
	g := coretest.Start(t, nil, nil)
	w := &formerWorld{t: t, g: g, s: g.Connect("s", durable), p: g.Connect("p", nil), slow: g.NewTurn()}
	defer w.slow.Close()
	w.slowly(c, func(w *formerWorld) { w.s = g.Connect("s", durable) })
	wantListed(t, g, "s", want)
	wantListed(t, coretest.Start(t, g.Store.Kill(0), nil), "s", want)
}

// The store did not take the end of a session: its client is let in all the same, with a
// session that has nothing of that one.
func TestConnectAfterEndThatWasNotStored(t *testing.T) {
	clean := func(r *core.ConnectRequest) { r.CleanStart, r.Expiry = true, core.NeverExpires }
	for name, end := range map[string]func(*testing.T, *coretest.Gateway, *coretest.Client){
		"end": func(_ *testing.T, g *coretest.Gateway, s *coretest.Client) {
			over := uint32(0)
			g.Gateway.Disconnect(g.T, s.Result.Link, core.NormalDisconnect, &over)
			g.T.End()
		},
		"clean start": func(t *testing.T, g *coretest.Gateway, _ *coretest.Client) {
			if r := g.Connect("s", clean).Result.Reason; r != core.StoreFull {
				t.Errorf("connect while the store is full: %s", r)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				news := core.ProxySubscription{Filter: "news"}
				g := startProxied(t, nil, news)
				s := g.Connect("s", durable)
				s.Subscribe(1, "old")
				g.Store.Fail(core.ErrStoreFull)
				end(t, g, s)
				synctest.Wait()
				g.Store.Fail(nil)
				s = g.Connect("s", durable)
				if r := s.Result; r.Reason != core.Success || r.SessionPresent {
					t.Fatalf("connect: %s, session present: %v", r.Reason, r.SessionPresent)
				}
				s.Subscribe(1, "new")
				wantListed(t, startProxied(t, g.Store.Kill(0), news), "s", "new@1, news@0 proxy")
			})
		})
	}
}

// A client whose first connect the store did not take begins with the next one. [MQTT-3.2.2-3]
func TestMQTT_3_2_2_3_NoSessionWasStored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		g.Store.Fail(core.ErrStoreFull)
		if r := g.Connect("s", durable).Result.Reason; r != core.StoreFull {
			t.Errorf("connect while the store is full: %s", r)
		}
		synctest.Wait()
		g.Store.Fail(nil)
		for i, present := range []bool{false, true} {
			if r := g.Connect("s", durable).Result; r.Reason != core.Success || r.SessionPresent != present {
				t.Errorf("connect %d: %s, session present: %v", i+1, r.Reason, r.SessionPresent)
			}
		}
	})
}
