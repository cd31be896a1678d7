package core_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// slow makes a connect request of a client that takes one message after the other.
func slow(kept bool) func(*core.ConnectRequest) {
	return func(r *core.ConnectRequest) {
		r.Protocol, r.ReceiveMaximum = "mqttsn", 1
		if kept {
			durable(r)
		}
	}
}

// withWill is slow with a Will that lasts.
func withWill(r *core.ConnectRequest) {
	slow(true)(r)
	r.Will, r.WillLasts = &core.Will{Topic: "will", Payload: []byte("gone"), QoS: 1}, true
}

func waking(any bool) func(*core.ConnectRequest) {
	return func(r *core.ConnectRequest) {
		r.Protocol, r.ReceiveMaximum, r.Awakes, r.AnyAddress = "mqttsn", 1, true, any
	}
}

// A client sleeps, fetches what gathered one by one, and sleeps on; what comes while it
// fetches waits for the next time.
func TestSleepCycle(t *testing.T) {
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprint("durable ", kept), func(t *testing.T) {
			bubble(t, func(t *testing.T) { sleepCycle(t, kept) })
		})
	}
}

func sleepCycle(t *testing.T, kept bool) {
	g := coretest.Start(t, nil, nil)
	p, s := g.Connect("p", nil), g.Connect("s", slow(kept))
	s.Subscribe(1, "a")
	if r := s.Sleep(time.Minute); r != core.Success {
		t.Fatalf("sleep: %s", r)
	}
	for i := range 3 {
		p.Publish(pub("a", fmt.Sprint(i), 1, uint16(i+1)))
	}
	p.Publish(pub("a", "lost", 0, 0))
	expect(t, s, "")
	if c, _ := g.Client("s"); !c.Asleep || c.Queued != 3 {
		t.Errorf("client %+v", c)
	}
	time.Sleep(40 * time.Second)
	if !s.Awake() {
		t.Fatal("does not sleep")
	}
	expect(t, s, "[a=0 q1 id1]")
	p.Publish(pub("a", "later", 1, 9))
	p.Publish(pub("a", "now", 0, 0)) // it is awake: QoS 0 reaches it
	expect(t, s, "[a=now q0]")
	for i := range 2 {
		s.Ack(core.AckReceived1, uint16(i+1))
		expect(t, s, fmt.Sprintf("[a=%d q1 id%d]", i+1, i+2))
	}
	s.Ack(core.AckReceived1, 3)
	expect(t, s, "[asleep]")
	time.Sleep(40 * time.Second) // its time began anew
	s.Awake()
	expect(t, s, "[a=later q1 id4]")
	s.Ack(core.AckReceived1, 4)
	expect(t, s, "[asleep]")
	s.Awake()
	expect(t, s, "[asleep]") // nothing gathered
	balanced(t, g, 0)
	time.Sleep(61 * time.Second)
	if why := s.Closed(); why != core.KeepAliveTimeout {
		t.Errorf("a client that does not wake is closed for %s", why)
	}
}

// What was sent and not acknowledged before or during a sleep is sent again.
func TestSleepSendsAgain(t *testing.T) {
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprint("durable ", kept), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := coretest.Start(t, nil, nil)
				p, s := g.Connect("p", nil), g.Connect("s", slow(kept))
				s.Subscribe(2, "a")
				p.Publish(pub("a", "one", 2, 1))
				p.Publish(pub("a", "two", 2, 2))
				expect(t, s, "[a=one q2 id1]")
				s.Sleep(time.Minute)
				s.Awake()
				expect(t, s, "[a=one q2 id1 dup]")
				s.Ack(core.AckReceived2, 1)
				expect(t, s, "[release 1 success]")
				s.Sleep(time.Minute) // fetching is cut short
				s.Awake()
				expect(t, s, "[release 1 success]")
				s.Ack(core.AckComplete, 1)
				expect(t, s, "[a=two q2 id2]")
				s.Ack(core.AckReceived2, 2)
				expect(t, s, "[release 2 success]")
				s.Ack(core.AckComplete, 2)
				expect(t, s, "[asleep]")
				s.Disconnect(core.NormalDisconnect)
				p.Ack(core.AckRelease, 1)
				p.Ack(core.AckRelease, 2)
				balanced(t, g, 0)
			})
		})
	}
}

// QoS 0 is kept for sleeping and for disconnected clients where that is asked for, and
// takes no place in the window when it goes out.
func TestSleepQueuesQoS0(t *testing.T) {
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprint("durable ", kept), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := coretest.Start(t, nil, func(o *core.Options) { o.Config.QueueQoS0 = true })
				p, s := g.Connect("p", nil), g.Connect("s", slow(kept))
				s.Subscribe(1, "a")
				s.Sleep(time.Minute)
				for i := range 3 {
					p.Publish(pub("a", fmt.Sprint(i), 0, 0))
				}
				s.Awake()
				expect(t, s, "[a=0 q0][a=1 q0][a=2 q0][asleep]")
				balanced(t, g, 0)
			})
		})
	}
}

// A sleeping client that is late is lost: its Will goes out, its queue stays.
func TestSleepLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		w, s := g.Connect("w", nil), g.Connect("s", withWill)
		w.Subscribe(0, "will")
		s.Subscribe(1, "a")
		s.Sleep(time.Minute)
		w.Publish(pub("a", "kept", 1, 1))
		expect(t, w, "[ack 1 success]")
		time.Sleep(61 * time.Second)
		s.Disconnect(s.Closed())
		expect(t, w, "[will=gone q0]")
		s = g.Connect("s", slow(true))
		expect(t, s, "[a=kept q1 id1]")
	})
}

// Neither a CONNECT of a sleeping client nor its normal end sends the Will.
func TestSleepEndsWithoutWill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		w, s := g.Connect("w", nil), g.Connect("s", withWill)
		w.Subscribe(0, "will")
		s.Subscribe(1, "a")
		s.Sleep(time.Minute)
		w.Publish(pub("a", "kept", 1, 1))
		again := g.Connect("s", withWill) // from elsewhere
		if why := s.Closed(); why != core.SessionTakenOver {
			t.Errorf("the old connection is closed for %s", why)
		}
		expect(t, again, "[a=kept q1 id1]")
		again.Ack(core.AckReceived1, 1)
		again.Sleep(time.Minute)
		again.Disconnect(core.NormalDisconnect)
		expect(t, w, "[ack 1 success]")
		time.Sleep(3 * time.Minute)
		expect(t, w, "")
	})
}

// The gateway is killed; a sleeping client sleeps on, wakes without a CONNECT, and has
// its queue, its Will and the numbers of its topics.
func TestSleepSurvivesRestart(t *testing.T) {
	for _, how := range []string{"killed", "stopped"} {
		t.Run(how, func(t *testing.T) { bubble(t, func(t *testing.T) { sleepOverRestart(t, how == "stopped") }) })
	}
}

func sleepOverRestart(t *testing.T, stopped bool) {
	store := coretest.NewMemStore()
	g := coretest.Start(t, store, nil)
	p, s := g.Connect("p", nil), g.Connect("s", withWill)
	s.Subscribe(1, "a", "will")
	if r := s.Register(7, "a"); r != core.Success {
		t.Fatal(r)
	}
	s.Sleep(time.Minute)
	p.Publish(pub("a", "one", 1, 1))
	synctest.Wait()
	if stopped {
		g.Stopping()
		s.Disconnect(core.ServerShuttingDown)
		synctest.Wait()
	}
	store.Crash()
	g = coretest.Start(t, store, nil)
	p = g.Connect("p", nil)
	p.Publish(pub("a", "two", 1, 1))
	if c, _ := g.Client("s"); !c.Asleep || c.Connected {
		t.Errorf("after the start: %+v", c)
	}
	other := func(r *core.ConnectRequest) {
		waking(false)(r)
		r.Conn = elsewhere{r.Conn}
	}
	if c := g.Connect("s", other); c.Result.Reason != core.NotAuthorized {
		t.Errorf("from another address: %s", c.Result.Reason)
	}
	s = g.Connect("s", waking(false))
	if r := s.Result; r.Reason != core.Success || len(r.Registrations) != 1 || r.Registrations[0] != (core.Registration{ID: 7, Topic: "a"}) {
		t.Fatalf("waking: %+v", r)
	}
	expect(t, s, "")
	s.Awake()
	expect(t, s, "[a=one q1 id1 dup]")
	s.Ack(core.AckReceived1, 1)
	synctest.Wait()
	if ds := s.Now(); len(ds) != 1 || string(ds[0].Msg.Payload) != "two" {
		t.Fatalf("got %s", show(ds))
	} else {
		s.Ack(core.AckReceived1, ds[0].PacketID)
	}
	expect(t, s, "[asleep]")
	// Once more, without waking: the Will goes out, and is in its own queue.
	store.Crash()
	g = coretest.Start(t, store, nil)
	time.Sleep(59 * time.Second)
	if store.Queued("s") != 0 {
		t.Error("lost too early")
	}
	time.Sleep(2 * time.Second)
	synctest.Wait()
	stats := g.Stats()
	if c, _ := g.Client("s"); c.Asleep || c.Queued != 1 || stats.Get(core.WillsPublished) != 1 {
		t.Errorf("after its time: %+v, %d Wills", c, stats.Get(core.WillsPublished))
	}
	if c := g.Connect("s", waking(true)); c.Result.Reason != core.SessionEnded {
		t.Errorf("waking too late: %s", c.Result.Reason)
	}
}

// elsewhere is a connection from another port.
type elsewhere struct{ core.Conn }

func (e elsewhere) Peer() netip.AddrPort {
	p := e.Conn.Peer()
	return netip.AddrPortFrom(p.Addr(), p.Port()+1)
}

// A sleeping client wakes from another address; its old connection is told.
func TestSleepWakesElsewhere(t *testing.T) {
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprint("durable ", kept), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := coretest.Start(t, nil, nil)
				p, s := g.Connect("p", nil), g.Connect("s", slow(kept))
				s.Subscribe(1, "a")
				s.Sleep(time.Minute)
				p.Publish(pub("a", "one", 1, 1))
				now := g.Connect("s", waking(true))
				if why := s.Closed(); why != core.SessionTakenOver {
					t.Errorf("the old connection is closed for %s", why)
				}
				now.Awake()
				expect(t, now, "[a=one q1 id1]")
				now.Ack(core.AckReceived1, 1)
				expect(t, now, "[asleep]")
				if s.Awake() {
					t.Error("the stale link still wakes")
				}
				balanced(t, g, 0)
			})
		})
	}
}

// Who does not sleep cannot wake; who belongs to somebody else neither.
func TestSleepWakeRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		g.Connect("s", slow(true))
		for _, id := range []string{"s", "nobody"} {
			if c := g.Connect(id, waking(true)); c.Result.Reason != core.SessionEnded {
				t.Errorf("%s: %s", id, c.Result.Reason)
			}
		}
		if g.Connect("s", nil).Awake() {
			t.Error("Awake of a client that does not sleep")
		}
	})
}

// A Will that lasts outlives the end of a connection, also in the store, and may be
// changed; a clean session has none of it.
func TestWillLasts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := coretest.NewMemStore()
		g := coretest.Start(t, store, nil)
		lost := func(change func(*core.ConnectRequest)) string {
			w := g.Connect("w", nil)
			w.Subscribe(0, "#")
			g.Connect("s", change).Disconnect(core.ConnectionLost)
			synctest.Wait()
			return show(w.Now())
		}
		keep := func(r *core.ConnectRequest) {
			slow(true)(r)
			r.KeepWill = true
		}
		g.Connect("s", withWill).Disconnect(core.NormalDisconnect)
		store.Crash()
		g = coretest.Start(t, store, nil)
		for range 2 { // it was published, and is kept all the same
			if got := lost(keep); got != "[will=gone q0]" {
				t.Errorf("kept: %q", got)
			}
		}
		s := g.Connect("s", keep)
		if r := s.SetWill(&core.Will{Topic: "other", Payload: []byte("x")}); r != core.Success {
			t.Error(r)
		}
		s.Disconnect(core.NormalDisconnect)
		if got := lost(keep); got != "[other=x q0]" {
			t.Errorf("changed: %q", got)
		}
		s = g.Connect("s", keep)
		s.SetWill(nil)
		s.Disconnect(core.NormalDisconnect)
		if got := lost(keep); got != "" {
			t.Errorf("deleted: %q", got)
		}
		g.Connect("s", withWill).Disconnect(core.NormalDisconnect)
		g.Connect("s", slow(false)).Disconnect(core.NormalDisconnect) // clean
		if got := lost(keep); got != "" {
			t.Errorf("after a clean session: %q", got)
		}
	})
}

func TestRegistrationsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Config.MaxRegistrations = 2 })
		s := g.Connect("s", slow(true))
		for _, c := range []struct {
			id   uint16
			want core.Reason
		}{{1, core.Success}, {2, core.Success}, {3, core.QuotaExceeded}, {2, core.Success}} {
			if r := s.Register(c.id, fmt.Sprint("t", c.id)); r != c.want {
				t.Errorf("number %d: %s, want %s", c.id, r, c.want)
			}
		}
		if r := s.Register(2, strings.Repeat("x", 5000)); r != core.TopicNameInvalid {
			t.Errorf("a topic of 5000 bytes: %s", r)
		}
		if n := len(g.Connect("s", slow(true)).Result.Registrations); n != 2 {
			t.Errorf("%d registrations on coming back", n)
		}
		if n := len(g.Connect("s", slow(false)).Result.Registrations); n != 0 {
			t.Errorf("%d registrations in a clean session", n)
		}
	})
}

func TestPublishUnconnected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{&onlyTopic{}} })
		s := g.Connect("s", nil)
		s.Subscribe(0, "ok")
		id := &core.Identity{Listener: "mqttsn", Peer: netip.MustParseAddr("192.0.2.1")}
		for topic, want := range map[string]core.Reason{"ok": core.Success, "no": core.NotAuthorized} {
			if r := g.PublishUnconnected(g.T, id, &core.Publish{Topic: topic, Payload: []byte("x")}); r != want {
				t.Errorf("%s: %s, want %s", topic, r, want)
			}
		}
		g.T.End()
		expect(t, s, "[ok=x q0]")
	})
}

// onlyTopic allows the topic "ok".
type onlyTopic struct{ coretest.AllowAll }

func (*onlyTopic) Authorize(_ *core.Identity, _ core.Action, topic string) (core.Verdict, error) {
	if topic != "ok" {
		return core.Deny, nil
	}
	return core.Allow, nil
}

func (*onlyTopic) Covers(*core.Identity, string) core.Verdict { return core.Ignore }

// The store fails while a client falls asleep or wakes: it is told, or sleeps on.
func TestSleepStoreFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := coretest.NewMemStore()
		g := coretest.Start(t, store, nil)
		s := g.Connect("s", slow(true))
		store.Fail(context.DeadlineExceeded)
		if r := s.Sleep(time.Minute); r != core.StoreUnavailable {
			t.Errorf("sleep: %s", r)
		}
		if c := g.Connect("s", waking(true)); c.Result.Reason != core.StoreUnavailable {
			t.Errorf("waking: %s", c.Result.Reason)
		}
		store.Fail(nil)
		if c, _ := g.Client("s"); !c.Asleep {
			t.Errorf("it does not sleep on: %+v", c)
		}
		if c := g.Connect("s", waking(true)); c.Result.Reason != core.Success {
			t.Errorf("waking again: %s", c.Result.Reason)
		}
	})
}

// A Connect that the store could not keep does not shut the session out for ever.
func TestConnectAgainAfterStoreFailed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := coretest.NewMemStore()
		g := coretest.Start(t, store, nil)
		g.Connect("s", durable).Disconnect(core.NormalDisconnect)
		synctest.Wait()
		store.Fail(context.DeadlineExceeded)
		if r := g.Connect("s", durable).Result.Reason; r != core.StoreUnavailable {
			t.Errorf("while it fails: %s", r)
		}
		store.Fail(nil)
		for range 2 {
			if r := g.Connect("s", durable).Result; r.Reason != core.Success || !r.SessionPresent {
				t.Errorf("afterwards: %s, present %v", r.Reason, r.SessionPresent)
			}
		}
	})
}

// stalling is a store that, while it stalls, neither does nor answers what it is given.
type stalling struct {
	core.Store
	mu      sync.Mutex
	stalls  bool
	waiting []func(error)
}

func (s *stalling) Commit(b *core.Batch, done func(error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stalls {
		return s.Store.Commit(b, done)
	}
	s.waiting = append(s.waiting, done)
	return nil
}

// fail ends the stall: the first fails with err, and those behind it as err has it.
func (s *stalling) fail(err, behind error) (failed int) {
	s.mu.Lock()
	all := s.waiting
	s.stalls, s.waiting = false, nil
	s.mu.Unlock()
	for i, done := range all {
		if i > 0 {
			err = behind
		}
		done(err)
	}
	return len(all)
}

// Several puts of a session are under way when the store fails: none of them shuts the
// session out for ever.
func TestConnectAgainAfterStoreFailedLate(t *testing.T) {
	for _, behind := range []error{context.DeadlineExceeded, core.ErrConflict} {
		t.Run(behind.Error(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				store := &stalling{}
				g := coretest.Start(t, nil, func(o *core.Options) { store.Store, o.Store = o.Store, store })
				g.Connect("s", durable).Disconnect(core.NormalDisconnect)
				synctest.Wait()
				store.mu.Lock()
				store.stalls = true
				store.mu.Unlock()
				var connects sync.WaitGroup
				for range 3 {
					connects.Go(func() {
						if r := g.Connect("s", durable).Result.Reason; r == core.Success {
							t.Error("a connect is granted that the store did not keep")
						}
					})
					synctest.Wait()
				}
				if n := store.fail(context.DeadlineExceeded, behind); n < 3 {
					t.Errorf("%d puts were under way", n)
				}
				connects.Wait()
				synctest.Wait()
				for range 2 {
					if r := g.Connect("s", durable).Result; r.Reason != core.Success || !r.SessionPresent {
						t.Errorf("afterwards: %s, present %v", r.Reason, r.SessionPresent)
					}
				}
			})
		})
	}
}
