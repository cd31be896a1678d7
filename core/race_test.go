package core_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// stormConn is a connection that any turn may wake: it acknowledges what comes,
// after the turn that brought it.
type stormConn struct {
	g    *core.Gateway
	mu   sync.Mutex // the outgoing lock
	link core.Link
	todo []core.Delivery
	buf  []core.Delivery
	done chan core.Completion
	gone chan struct{}
	dead bool
}

func (c *stormConn) Wake(t *core.Turn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	more := true
	for more {
		c.buf, more = c.g.Take(t, c.link, c.buf[:0], 8)
		c.todo = append(c.todo, c.buf...)
	}
}

func (c *stormConn) Complete(r core.Completion) { c.done <- r }
func (c *stormConn) Peer() netip.AddrPort       { return netip.AddrPort{} }

// Close ends every wait: a connection that was taken over gets no answers.
func (c *stormConn) Close(core.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead {
		c.dead = true
		close(c.gone)
	}
}

func (c *stormConn) wait() {
	select {
	case <-c.done:
	case <-c.gone:
	}
}

// answer acknowledges what was taken. It says whether the connection lives.
func (c *stormConn) answer(t *core.Turn) bool {
	c.mu.Lock()
	todo, dead := c.todo, c.dead
	c.todo = nil
	c.mu.Unlock()
	for _, d := range todo {
		switch {
		case d.Kind == core.DeliverMessage && d.QoS == 1:
			c.g.Acknowledge(t, c.link, core.AckReceived1, d.PacketID, core.Success)
		case d.Kind == core.DeliverMessage && d.QoS == 2:
			c.g.Acknowledge(t, c.link, core.AckReceived2, d.PacketID, core.Success)
		case d.Kind == core.DeliverRelease:
			c.g.Acknowledge(t, c.link, core.AckComplete, d.PacketID, core.Success)
		case d.Kind == core.DeliverReceived:
			c.g.Acknowledge(t, c.link, core.AckRelease, d.PacketID, core.Success)
		}
	}
	return !dead
}

// stormer is one goroutine with its own turn, as an event loop has.
type stormer struct {
	g   *core.Gateway
	t   *core.Turn
	rnd *rand.Rand
	c   *stormConn
	id  uint16

	refused core.Reason // the last that a connect met
}

func (s *stormer) connect() {
	s.c = &stormConn{g: s.g, done: make(chan core.Completion, 8), gone: make(chan struct{})}
	r := &core.ConnectRequest{Conn: s.c, Protocol: "mqtt", Version: 5, CleanStart: s.rnd.IntN(4) == 0, ReceiveMaximum: uint16(1 + s.rnd.IntN(20)),
		Credentials: core.Credentials{ClientID: fmt.Sprint("c", s.rnd.IntN(6))}}
	if s.rnd.IntN(2) == 0 {
		r.Expiry = core.NeverExpires
	}
	if s.rnd.IntN(3) == 0 {
		r.Will = &core.Will{Topic: "t/will", QoS: 1}
	}
	s.t.Begin(time.Now())
	res, pending := s.g.Connect(s.t, r)
	s.t.End()
	if pending {
		res = (<-s.c.done).Connect
	}
	if res.Reason != core.Success {
		s.c, s.refused = nil, res.Reason
		return
	}
	s.c.mu.Lock()
	s.c.link = res.Link
	s.c.mu.Unlock()
	s.g.Resume(s.t, res.Link)
	s.t.End()
}

func (s *stormer) step() {
	if s.c == nil {
		s.connect()
		return
	}
	s.t.Begin(time.Now())
	alive := s.c.answer(s.t)
	switch n := s.rnd.IntN(100); {
	case n < 3 || !alive:
		s.g.Disconnect(s.t, s.c.link, core.ConnectionLost, nil)
		s.c = nil
	case n < 13:
		filters := []string{"t/#", "t/1", "t/+", "$share/g/t/+", "$local/t/2"}
		r := &core.SubscribeRequest{Filters: []core.FilterRequest{{Filter: filters[s.rnd.IntN(len(filters))], SubscribeOptions: core.SubscribeOptions{QoS: uint8(s.rnd.IntN(3))}}}}
		if _, _, pending := s.g.Subscribe(s.t, s.c.link, r); pending {
			s.t.End()
			s.c.wait()
		}
	case n < 18:
		if _, pending := s.g.Unsubscribe(s.t, s.c.link, &core.UnsubscribeRequest{Token: 1, Filters: []string{"t/+"}}); pending {
			s.t.End()
			s.c.wait()
		}
	default:
		s.id = s.id%60000 + 1
		p := &core.Publish{Topic: fmt.Sprint("t/", s.rnd.IntN(3)), Payload: []byte("v"), QoS: uint8(s.rnd.IntN(3)), PacketID: s.id, Retain: n == 50}
		s.g.Publish(s.t, s.c.link, p)
	}
	s.t.End()
}

// TestStorm runs many turns beside each other on few ClientIDs: takeovers, ends,
// shared groups and queues under way everywhere. The race detector watches, and
// the ledger must balance once all is quiet.
func TestStorm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				s := &stormer{g: g.Gateway, t: g.NewTurn(), rnd: rand.New(rand.NewPCG(uint64(i), 7))}
				defer s.t.Close()
				for range 1500 {
					s.step()
				}
				if s.c != nil {
					s.t.Begin(time.Now())
					s.c.answer(s.t)
					s.g.Disconnect(s.t, s.c.link, core.NormalDisconnect, nil)
				}
				if s.refused != core.Success {
					t.Errorf("a connect was refused: %s", s.refused)
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		for i := range 6 { // every session ends: nothing may stay behind
			g.Connect(fmt.Sprint("c", i), nil).Disconnect(core.NormalDisconnect)
		}
		balanced(t, g, 0)
		if s := g.Stats(); s.Sessions != 0 || s.Subscriptions != 0 {
			t.Errorf("%d sessions and %d subscriptions are left", s.Sessions, s.Subscriptions)
		}
		if n := g.Store.Stats().Sessions; n != 0 {
			t.Errorf("%d sessions are left in the store", n)
		}
	})
}

// TestPauseAndReadOn: a client that knows no Receive Maximum is slowed by not
// reading, not refused.
func TestPauseAndReadOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Config.ReceiveMaximum = 10 })
		a := g.Connect("a", func(r *core.ConnectRequest) { r.Version = 4 })
		b := g.Connect("b", durable)
		b.Subscribe(1, "x")
		g.Store.Hold()
		paused := 0
		for i := range 1100 {
			pause, err := a.Publish(pub("x", "v", 1, uint16(i+1)))
			if err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
			if pause && paused == 0 {
				paused = i + 1
			}
		}
		if paused != 1024 {
			t.Errorf("paused after %d, want 1024", paused)
		}
		g.Store.Release()
		a.Completed(core.OpReadable)
		synctest.Wait()
		if n := len(a.Now()); n != 1100 {
			t.Errorf("%d acknowledgements", n)
		}
	})
}
