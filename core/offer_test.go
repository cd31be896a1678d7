package core_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// diary writes down what happens.
type diary struct {
	mu     sync.Mutex
	events []core.Event
}

func (d *diary) Name() string        { return "diary" }
func (d *diary) Sync() bool          { return false }
func (d *diary) Confirm(func(error)) {}
func (d *diary) Wants() (core.EventKind, []string) {
	return core.EventDelivered | core.EventAcked | core.EventConnected | core.EventDisconnected | core.EventSubscribed |
		core.EventUnsubscribed | core.EventSessionCreated | core.EventSessionEnded, nil
}

func (d *diary) Take(es []core.Event) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, es...)
	return len(es)
}

// read gives what was written since the last time, and forgets it.
func (d *diary) read() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := map[core.EventKind]string{core.EventDelivered: "delivered", core.EventAcked: "acked", core.EventConnected: "connected",
		core.EventDisconnected: "disconnected", core.EventSubscribed: "subscribed", core.EventUnsubscribed: "unsubscribed",
		core.EventSessionCreated: "created", core.EventSessionEnded: "ended"}
	var out []string
	for i := range d.events {
		e := &d.events[i]
		text := names[e.Kind] + " " + e.ClientID
		if e.Topic != "" {
			text += fmt.Sprintf(" %s@%d", e.Topic, e.QoS)
		}
		for name, on := range map[string]bool{" fresh": e.Fresh, " proxy": e.Proxy, " retained": e.Retained} {
			if on {
				text += name
			}
		}
		out = append(out, text)
	}
	d.events = nil
	return strings.Join(out, ", ")
}

func (d *diary) last(kind core.EventKind) *core.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.events, func(e core.Event) bool { return e.Kind == kind })
	if i < 0 {
		return &core.Event{}
	}
	e := d.events[i]
	return &e
}

func startDiary(t *testing.T, change func(*core.Options)) (*coretest.Gateway, *diary) {
	d := &diary{}
	return coretest.Start(t, nil, func(o *core.Options) {
		o.Sinks = []core.Sink{d}
		if change != nil {
			change(o)
		}
	}), d
}

// Each event says of whom and of what, once.
func TestEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, d := startDiary(t, nil)
		want := func(text string) {
			t.Helper()
			if got := d.read(); got != text {
				t.Errorf("events: %s\nwant    %s", got, text)
			}
		}
		s := g.Connect("s", durable)
		want("created s, connected s")
		s.SubscribeWith(&core.SubscribeRequest{Filters: []core.FilterRequest{{Filter: "a/+", SubscribeOptions: core.SubscribeOptions{QoS: 2, RetainHandling: 2}}, {Filter: "b#d"}}})
		want("subscribed s a/+@2 fresh")
		s.Subscribe(2, "a/+")
		want("subscribed s a/+@2 retained")
		s.Subscribe(1, "$share/g/c")
		want("subscribed s c@1 fresh")
		p := g.Connect("p", nil)
		d.read()
		p.Publish(pub("a/1", "x", 0, 0))
		s.Take(1)
		p.Publish(pub("a/2", "x", 2, 7))
		s.Take(1)
		g.T.End()
		want("delivered s a/1@0, delivered s a/2@2")
		s.Ack(core.AckReceived2, 1)
		s.Take(1)
		s.Ack(core.AckComplete, 1)
		g.T.End()
		want("acked s a/2@2")
		s.Unsubscribe("a/+", "never")
		want("unsubscribed s a/+@0")
		s.Disconnect(core.ConnectionLost)
		want("disconnected s")
		g.Connect("s", nil)
		want("ended s, created s, connected s")
	})
}

// What a backend has kept comes by the subscription it is for, at the client's pace.
func TestOffer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, d := startDiary(t, nil)
		s := g.Connect("s", func(r *core.ConnectRequest) { r.ReceiveMaximum = 10 })
		d.read()
		s.SubscribeWith(&core.SubscribeRequest{Filters: []core.FilterRequest{{Filter: "a/#", SubscribeOptions: core.SubscribeOptions{QoS: 1, NoLocal: true}}}})
		e := d.last(core.EventSubscribed)
		stored := func(topic, publisher string) *core.Message {
			return &core.Message{Topic: topic, Payload: []byte("kept"), Publisher: publisher, QoS: 2, ID: g.NewMessageID()}
		}
		if n, open := g.Offer(g.T, e, []*core.Message{stored("a/1", "p"), stored("a/2", "s"), stored("a/3", "")}, false, nil); n != 3 || !open {
			t.Errorf("taken %d, open %v", n, open)
		}
		g.T.End()
		expect(t, s, "[a/1=kept q1 id1][a/3=kept q1 id2]")
		if n, open := g.Offer(g.T, e, []*core.Message{stored("a/r", "p")}, true, nil); n != 1 || !open {
			t.Errorf("taken %d, open %v", n, open)
		}
		g.T.End()
		expect(t, s, "[a/r=kept q1 id3 retain]")
		var many []*core.Message
		for i := range 1000 {
			many = append(many, stored(fmt.Sprintf("a/%d", i), "p"))
		}
		got := 0
		for next := uint16(1); len(many) > 0; {
			n, open := g.Offer(g.T, e, many, false, nil)
			if st := g.Stats(); !open || st.Get(core.Dropped) > 0 {
				t.Fatalf("taken %d, open %v, dropped %d", n, open, st.Get(core.Dropped))
			}
			many = many[n:]
			g.T.End()
			got += len(s.Now())
			for ; int(next) <= got+3; next++ {
				s.Ack(core.AckReceived1, next)
			}
			g.T.End()
			got += len(s.Now())
		}
		for next := uint16(got); got < 1000 && next < 1100; next++ {
			s.Ack(core.AckReceived1, next)
			g.T.End()
			got += len(s.Now())
		}
		if got != 1000 {
			t.Errorf("%d came, want 1000", got)
		}
		s.Unsubscribe("a/#")
		if _, open := g.Offer(g.T, e, []*core.Message{stored("a/1", "p")}, false, nil); open {
			t.Error("the subscription is no more")
		}
	})
}

// notHere keeps the retained messages of some topics elsewhere.
type notHere string

func (n notHere) OwnsRetained(topic string) bool { return strings.HasPrefix(topic, string(n)) }
func (n notHere) LooksUp(string) bool            { return false }
func (n notHere) ReadRetained(context.Context, string, string, int) ([]*core.Message, string, error) {
	return nil, "", nil
}

func TestRetainedElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, d := startDiary(t, func(o *core.Options) { o.Retained = notHere("db/"); o.Config.MaxRetained = 1 })
		p := g.Connect("p", nil)
		for i, topic := range []string{"db/1", "db/2", "here"} {
			m := pub(topic, "x", 1, uint16(i+1))
			m.Retain = true
			p.Publish(m)
		}
		expect(t, p, "[ack 1 no_matching_subscribers][ack 2 no_matching_subscribers][ack 3 no_matching_subscribers]")
		s := g.Connect("s", nil)
		d.read()
		s.Subscribe(0, "#")
		if e := d.last(core.EventSubscribed); !e.Retained || e.Before == 0 {
			t.Errorf("%+v", e)
		}
		expect(t, s, "[here=x q0 retain]")
	})
}

// Identifiers of messages keep up with the clock: backends order by them.
func TestMessageIDsFollowTheClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		first := g.NewMessageID()
		if second := g.NewMessageID(); second != first+1 {
			t.Errorf("%d after %d", second, first)
		}
		hour := time.Now().Add(time.Hour)
		g.T.Begin(hour)
		later := g.NewMessageID()
		if us := later >> 8; us < uint64(hour.UnixMilli())*1000 || us > uint64(hour.UnixMicro())+1000 {
			t.Errorf("an hour later the clock is at %d, an identifier at %d", hour.UnixMicro(), us)
		}
		g.T.Begin(hour.Add(-2 * time.Hour)) // the clock is set back
		if id := g.NewMessageID(); id != later+1 {
			t.Errorf("%d after %d", id, later)
		}
	})
}

// What lies above a client's mount point is not its own, whoever has kept it.
func TestOfferStaysBelowTheMountPoint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, d := startDiary(t, func(o *core.Options) {
			o.Authenticators, o.Mounts = []core.Authenticator{vouching{}}, map[string]string{"tenant": "t/%u/"}
		})
		s := g.Connect("s", by("tenant", as("eve")))
		d.read()
		s.Subscribe(1, "#")
		e := d.last(core.EventSubscribed)
		var ms []*core.Message
		for _, name := range []string{"t/eve", "t/eve/$hidden", "t/eve/a"} {
			ms = append(ms, &core.Message{Topic: name, Payload: []byte("kept"), QoS: 1, ID: g.NewMessageID()})
		}
		if n, open := g.Offer(g.T, e, ms, false, nil); n != len(ms) || !open {
			t.Errorf("taken %d, open %v", n, open)
		}
		g.T.End()
		expect(t, s, "[t/eve/a=kept q1 id1]") // the prefix is the adapter's to take
	})
}
