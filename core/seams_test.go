package core_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// listSink takes events into a list of limited length and confirms on demand.
type listSink struct {
	mu     sync.Mutex
	events []core.Event
	room   int
	first  int // of the events that are not confirmed
}

func (s *listSink) Name() string { return "list" }
func (s *listSink) Sync() bool   { return true }
func (s *listSink) Wants() (core.EventKind, []string) {
	return core.EventPublish | core.EventDropped, []string{"k/#"}
}

func (s *listSink) Take(es []core.Event) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(es), s.room-len(s.events))
	s.events = append(s.events, es[:n]...)
	return n
}

// release confirms the event that has waited longest.
func (s *listSink) release(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events[s.first].Done(err)
	s.first++
}

func TestSinkIsPartOfThePromise(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sink := &listSink{room: 2}
		g := coretest.Start(t, nil, func(o *core.Options) { o.Sinks = []core.Sink{sink} })
		a := g.Connect("a", nil)
		a.Publish(pub("k/1", "v", 1, 1))
		a.Publish(pub("other", "v", 1, 2))
		expect(t, a, "")
		sink.release(nil)
		expect(t, a, "[ack 1 no_matching_subscribers][ack 2 no_matching_subscribers]")
		a.Publish(pub("k/2", "v", 1, 3))
		sink.release(errors.New("broken"))
		expect(t, a, "[ack 3 store_unavailable]")
		a.Publish(pub("k/3", "v", 1, 4)) // no room: named, not acknowledged as kept
		expect(t, a, "[ack 4 quota_exceeded]")
		for _, detail := range []string{"sink list is full", "broken"} {
			if rs := g.Explain(10, func(r *core.Record) bool { return r.Detail == detail }); len(rs) != 1 {
				t.Errorf("%q is explained %d times", detail, len(rs))
			}
		}
	})
}

// What sinks are slow with, or refuse, is its publisher's matter alone: others of the
// same turn, what they publish to durable sessions, and who subscribes, go on.
func TestSinkHoldsItsPublisherAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sink := &listSink{room: 10}
		g := coretest.Start(t, nil, func(o *core.Options) { o.Sinks = []core.Sink{sink} })
		s := g.Connect("s", durable)
		s.Subscribe(1, "#")
		a, b := g.Connect("a", nil), g.Connect("b", nil)
		g.PublishTogether(coretest.Publication{Client: a, Message: pub("k/1", "first", 1, 1)}, coretest.Publication{Client: b, Message: pub("k/2", "second", 1, 1)},
			coretest.Publication{Client: b, Message: pub("other", "third", 1, 2)}, coretest.Publication{Client: a, Message: pub("k/3", "fourth", 1, 2)})
		expect(t, s, "[k/1=first q1 id1][k/2=second q1 id2][other=third q1 id3][k/3=fourth q1 id4]")
		expect(t, b, "")
		sink.release(errors.New("refused"))
		expect(t, a, "[ack 1 store_unavailable]")
		sink.release(nil)
		expect(t, b, "[ack 1 success][ack 2 success]")
		expect(t, a, "")
		sink.release(nil)
		expect(t, a, "[ack 2 success]")
	})
}

// Of QoS 2 the store has the identifier once sinks have the message: a resend after a
// crash in between must come to them.
func TestSinkComesBeforeTheIdentifier(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sink := &listSink{room: 10}
		g := coretest.Start(t, nil, func(o *core.Options) { o.Sinks = []core.Sink{sink} })
		a := g.Connect("a", durable)
		a.Publish(pub("k/1", "v", 2, 1))
		a.Publish(pub("k/1", "v", 2, 1)) // resent: nothing new
		expect(t, a, "")
		if n := g.Store.Received("a"); n != 0 {
			t.Errorf("the store has %d identifiers, and the sink no message", n)
		}
		sink.release(nil)
		expect(t, a, "[received 1 no_matching_subscribers][received 1 success]")
		if n := g.Store.Received("a"); n != 1 {
			t.Errorf("the store has %d identifiers, want 1", n)
		}
		a.Publish(pub("k/1", "w", 2, 2))
		sink.release(errors.New("refused"))
		expect(t, a, "[received 2 store_unavailable]")
		if n := g.Store.Received("a"); n != 1 {
			t.Errorf("the store has %d identifiers, one was refused", n)
		}
		if len(sink.events) != 2 {
			t.Errorf("the sink has %d events, want 2", len(sink.events))
		}
	})
}

// promptSink confirms before anybody can wait.
type promptSink struct{ *listSink }

func (s promptSink) Take(es []core.Event) int {
	for _, e := range es {
		if e.Done != nil {
			e.Done(nil)
		}
	}
	return len(es)
}

// A sink that confirms at once does not answer for the store.
func TestPromptSinkWaitsForTheStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Sinks = []core.Sink{promptSink{&listSink{room: 10}}} })
		s := g.Connect("s", durable)
		s.Subscribe(1, "k/#")
		a := g.Connect("a", nil)
		g.Store.Hold()
		a.Publish(pub("k/1", "v", 1, 1))
		expect(t, a, "")
		g.Store.Release()
		expect(t, a, "[ack 1 success]")
		expect(t, s, "[k/1=v q1 id1]")
		g.Store.Fail(errors.New("disk"))
		a.Publish(pub("k/1", "v", 1, 2))
		expect(t, a, "[ack 2 store_unavailable]")
	})
}

// fakePeers is a cluster of one other node, which wants everything forwarded.
type fakePeers struct {
	mu       sync.Mutex
	log      []string
	forwards []func(error)
	refuse   error
}

func (p *fakePeers) add(format string, a ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, fmt.Sprintf(format, a...))
}

func (p *fakePeers) Announce(filter, share string, present bool) {
	p.add("announce %s %s %v", filter, share, present)
}

func (p *fakePeers) Forward(m *core.Message, nodes uint64, done func(error)) {
	p.add("forward %s to %b", m.Topic, nodes)
	p.forwards = append(p.forwards, done)
}

func (p *fakePeers) Own(id string, durable bool, done func(uint64, error)) {
	p.add("own %s %v", id, durable)
	go done(1, p.refuse)
}

func (p *fakePeers) Disown(id string, epoch uint64) { p.add("disown %s", id) }

func TestPeers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &fakePeers{}
		g := coretest.Start(t, nil, func(o *core.Options) { o.Peers = p })
		a, b := g.Connect("a", nil), g.Connect("b", nil)
		a.Subscribe(0, "x", "$local/y", "$share/g/z")
		b.Subscribe(0, "x", "$share/g/z")
		a.Unsubscribe("x", "$share/g/z")
		b.Unsubscribe("x")
		b.Disconnect(core.NormalDisconnect)
		want := "[own a false own b false announce x  true announce z g true announce x  false announce z g false disown b]"
		if got := fmt.Sprint(p.log); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		g.DeliverRemote(g.T, &core.Message{Topic: "y", Payload: []byte("remote")}, nil)
		g.T.End()
		expect(t, a, "[y=remote q0]")
		p.refuse = errors.New("no majority")
		if c := g.Connect("c", durable); c.Result.Reason != core.ServerUnavailable {
			t.Errorf("refused ownership: %s", c.Result.Reason)
		}
	})
}
