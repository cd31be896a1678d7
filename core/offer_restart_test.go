package core_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// backend is a sink that offers messages, and writes down what it hears of them.
type backend struct {
	diary
	g *coretest.Gateway
}

func (b *backend) Name() string { return "db" }
func (b *backend) Wants() (core.EventKind, []string) {
	return core.EventRestored | core.EventAcked | core.EventDropped | core.EventSubscribed, nil
}

// heard gives what it heard since the last time: of messages with a name.
func (b *backend) heard() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for i := range b.events {
		e := &b.events[i]
		if e.Msg == nil || e.Msg.Stored == nil {
			continue
		}
		text := map[core.EventKind]string{core.EventRestored: "restored", core.EventAcked: "acked", core.EventDropped: "dropped"}[e.Kind]
		if text += fmt.Sprintf(" %s of %s", e.Msg.Stored.ID, e.Msg.Stored.Sink); e.Answered {
			text += " answered"
		}
		out = append(out, text)
	}
	b.events = nil
	return strings.Join(out, ", ")
}

// offer offers messages of topic a to s; kept tells how that was kept.
func (b *backend) offer(names ...string) (kept chan error) {
	e := &core.Event{Kind: core.EventSubscribed, ClientID: "s", Topic: "a", Filter: "a"}
	var ms []*core.Message
	for _, name := range names {
		ms = append(ms, &core.Message{Topic: "a", Payload: []byte(name), QoS: 2, ID: b.g.NewMessageID(), Stored: &core.StoredName{Sink: "db", ID: name}})
	}
	kept = make(chan error, 1)
	b.g.Offer(b.g.T, e, ms, false, func(err error) { kept <- err })
	b.g.T.End()
	return kept
}

// start goes on with what a store holds, nil for nothing.
func (b *backend) start(t *testing.T, store *coretest.MemStore) *coretest.Client {
	b.g = coretest.Start(t, store, func(o *core.Options) { o.Sinks = []core.Sink{b} })
	return b.g.Connect("s", durable)
}

// What was offered is known by its name after a restart, once, in order, before any
// acknowledgement.
func TestOfferedAfterRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &backend{}
		s := b.start(t, nil)
		s.Subscribe(2, "a")
		if err := <-b.offer("m1", "m2", "m3"); err != nil {
			t.Error(err)
		}
		expect(t, s, "[a=m1 q2 id1][a=m2 q2 id2][a=m3 q2 id3]")
		s.Ack(core.AckReceived2, 1)
		expect(t, s, "[release 1 success]")
		want := func(text string) {
			t.Helper()
			b.g.T.End()
			if got := b.heard(); got != text {
				t.Errorf("heard %q, want %q", got, text)
			}
		}
		want("acked m1 of db")
		s = b.start(t, b.g.Store.Kill(0))
		expect(t, s, "[release 1 success][a=m2 q2 id2 dup][a=m3 q2 id3 dup]")
		want("restored m1 of db answered, restored m2 of db, restored m3 of db")
		s.Ack(core.AckReceived2, 2)
		s.Ack(core.AckComplete, 1)
		want("acked m2 of db")
		s.Disconnect(core.ConnectionLost)
		s = b.g.Connect("s", durable)
		expect(t, s, "[release 2 success][a=m3 q2 id3 dup]")
		want("") // it has heard of them
		s = b.start(t, b.g.Store.Kill(0))
		expect(t, s, "[release 2 success][a=m3 q2 id3 dup]")
		want("restored m2 of db answered, restored m3 of db")
	})
}

// Of a queue that has a gap, and where no subscription is for it any more, nothing is told.
func TestOfferedAfterRestartWithout(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(b *backend, s *coretest.Client, d []core.Delivery)
		want string
	}{
		{"all", func(*backend, *coretest.Client, []core.Delivery) {}, "restored m1 of db, restored m2 of db"},
		{"its subscription", func(_ *backend, s *coretest.Client, _ []core.Delivery) { s.Unsubscribe("a") }, ""},
		{"one that was dropped", func(b *backend, s *coretest.Client, d []core.Delivery) {
			b.g.Drop(b.g.T, s.Result.Link, d[0], core.OutgoingFull)
		}, ""},
		{"one that is too large", func(b *backend, s *coretest.Client, d []core.Delivery) {
			b.g.Drop(b.g.T, s.Result.Link, d[0], core.TooLargeForReceiver)
		}, "restored m2 of db"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := &backend{}
				s := b.start(t, nil)
				s.Subscribe(1, "a")
				if err := <-b.offer("m1", "m2"); err != nil {
					t.Error(err)
				}
				c.do(b, s, s.Take(2))
				b.g.T.End()
				b.heard()
				s = b.start(t, b.g.Store.Kill(0))
				s.Take(1)
				if got := b.heard(); got != c.want {
					t.Errorf("heard %q, want %q", got, c.want)
				}
			})
		})
	}
}

// Where the oldest give way to newer ones, the gap is remembered, too.
func TestOfferedGivesWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &backend{}
		start := func(store *coretest.MemStore) *coretest.Client {
			b.g = coretest.Start(t, store, func(o *core.Options) {
				o.Sinks, o.Config.QueueDrop, o.Config.MaxQueued = []core.Sink{b}, core.DropOldest, 3
			})
			return b.g.Connect("s", func(r *core.ConnectRequest) { durable(r); r.ReceiveMaximum = 1 })
		}
		s := start(nil)
		s.Subscribe(1, "a")
		if err := <-b.offer("m1", "m2", "m3"); err != nil {
			t.Error(err)
		}
		expect(t, s, "[a=m1 q1 id1]")
		p := b.g.Connect("p", nil)
		for i := range 2 {
			p.Publish(pub("a", "live", 1, uint16(i+1)))
			p.Take(1)
		}
		b.g.T.End()
		if got := b.heard(); got != "dropped m2 of db" {
			t.Errorf("heard %q", got)
		}
		s = start(b.g.Store.Kill(0))
		expect(t, s, "[a=m1 q1 id1 dup]")
		s.Ack(core.AckReceived1, 1)
		expect(t, s, "[a=m3 q1 id3 dup]")
		b.g.T.End()
		if got := b.heard(); got != "acked m1 of db" {
			t.Errorf("heard %q", got)
		}
	})
}

// Who offers hears whether it was kept, also where there is nothing to be kept.
func TestOfferKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &backend{}
		s := b.start(t, nil)
		if err := <-b.offer("nobody subscribes to it"); err != nil {
			t.Error(err)
		}
		s.Subscribe(1, "a")
		full := errors.New("full")
		b.g.Store.Fail(full)
		if err := <-b.offer("m1"); !errors.Is(err, full) {
			t.Errorf("kept: %v", err)
		}
		b.g.Store.Fail(nil)
		b.g.Store.Hold()
		kept := b.offer("m2")
		expect(t, s, "")
		if len(kept) > 0 {
			t.Error("it is not in the store, and said to be")
		}
		b.g.Store.Release()
		if err := <-kept; err != nil {
			t.Error(err)
		}
		expect(t, s, "[a=m2 q1 id2]")
	})
}
