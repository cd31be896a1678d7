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
	mu      sync.Mutex
	events  []core.Event
	room    int
	confirm []func(error)
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

func (s *listSink) Confirm(done func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.confirm = append(s.confirm, done)
}

func (s *listSink) release(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, done := range s.confirm {
		done(err)
	}
	s.confirm = nil
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
		if rs := g.Explain(1, func(r *core.Record) bool { return r.Detail == "sink list is full" }); len(rs) != 1 {
			t.Error("a full sink is not explained")
		}
	})
}

// promptSink confirms before anybody can wait.
type promptSink struct{ *listSink }

func (s promptSink) Confirm(done func(error)) { done(nil) }

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
