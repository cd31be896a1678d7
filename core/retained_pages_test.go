package core_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// walk follows the pages of a filter to the end, and calls between after each.
func walk(t *testing.T, g *coretest.Gateway, filter string, max int, between func(page int)) (topics []string, pages int) {
	t.Helper()
	for after := ""; pages == 0 || after != ""; pages++ {
		p, err := g.Retained(t.Context(), filter, after, max)
		if err != nil || len(p.Messages) > max || pages > 5000 {
			t.Fatalf("%s, page %d: %d messages, %v", filter, pages, len(p.Messages), err)
		}
		for _, m := range p.Messages {
			name := m.Topic
			if m.Elsewhere {
				name = "~" + name
			}
			topics = append(topics, name)
		}
		if after = p.Next; between != nil {
			between(pages)
		}
	}
	slices.Sort(topics)
	return topics, pages
}

// Every message that stays is on one page, whatever comes and goes between them.
func TestRetainedPages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a := g.Connect("a", nil)
		put := func(name, payload string) {
			a.Publish(core.Publish{Topic: name, Payload: []byte(payload), Retain: true})
		}
		var want []string
		for i := range 3000 {
			put(fmt.Sprintf("stay/%04d", i), "x")
			put(fmt.Sprintf("go/%04d", i), "x")
			want = append(want, fmt.Sprintf("stay/%04d", i))
		}
		a.Publish(core.Publish{Topic: "stay/lapsed", Payload: []byte("x"), Retain: true, HasExpiry: true})
		got, pages := walk(t, g, "#", 7, func(page int) {
			put(fmt.Sprintf("go/%04d", page%3000), "")
			put(fmt.Sprintf("come/%d", page), "x")
		})
		got = slices.DeleteFunc(got, func(s string) bool { return !strings.HasPrefix(s, "stay") })
		if !slices.Equal(got, want) || pages < 3000/7 {
			t.Errorf("%d of %d on %d pages", len(got), len(want), pages)
		}
		if got, _ := walk(t, g, "stay/0007", 1, nil); !slices.Equal(got, []string{"stay/0007"}) {
			t.Errorf("one: %v", got)
		}
	})
}

// A filter that matches little of much has short pages, and ends.
func TestRetainedPagesOfLittle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Config.MaxRetained, o.Config.MaxRetainedBytes = 1<<20, 1<<30 })
		a := g.Connect("a", nil)
		for i := range 150_000 {
			a.Publish(core.Publish{Topic: fmt.Sprintf("d/%d/x", i), Payload: []byte("x"), Retain: true})
		}
		a.Publish(core.Publish{Topic: "d/last/y", Payload: []byte("y"), Retain: true})
		p, err := g.Retained(t.Context(), "d/+/y", "", 10)
		if err != nil || len(p.Messages) != 0 || p.Next == "" {
			t.Errorf("all of it at once: %d, %v", len(p.Messages), err)
		}
		if got, _ := walk(t, g, "d/+/y", 10, nil); !slices.Equal(got, []string{"d/last/y"}) {
			t.Errorf("%v", got)
		}
	})
}

// What is elsewhere comes behind what is here, and its fault is told.
func TestRetainedPagesElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old := kept("db/old")
		old.Expires = time.Now().UnixMilli()
		a := &archive{found: []*core.Message{kept("db/a"), kept("db/b"), old, kept("other"), kept("db/c")}, takes: time.Second}
		g := coretest.Start(t, nil, func(o *core.Options) { o.Retained = a })
		c := g.Connect("c", nil)
		c.Publish(core.Publish{Topic: "here", Retain: true, Payload: []byte("x")})
		for filter, want := range map[string]string{"#": "here ~db/a ~db/b ~db/c ~other", "db/+": "~db/a ~db/b ~db/c", "here": "here"} {
			for max := 1; max < 7; max += 2 {
				if got, _ := walk(t, g, filter, max, nil); strings.Join(got, " ") != want {
					t.Errorf("%s by %d: %v, want %s", filter, max, got, want)
				}
			}
		}
		if m, ok, err := g.RetainedMessage(t.Context(), "db/a"); !ok || err != nil || !m.Elsewhere || m.Topic != "db/a" {
			t.Errorf("one: %+v, %v", m, err)
		}
		a.takes = time.Hour
		for _, err := range []error{errors.New("unplugged"), nil} { // at once, and too slow
			_, e1 := g.Retained(t.Context(), "db/+", "", 9)
			_, _, e2 := g.RetainedMessage(t.Context(), "db/a")
			if no := (&core.Error{Reason: core.ServerUnavailable}); !errors.Is(e1, no) && !strings.Contains(e1.Error(), "server_unavailable") || e2 == nil {
				t.Errorf("%v, %v", e1, e2)
			}
			a.takes, a.err = 0, err
		}
		if p, err := g.Retained(t.Context(), "here", "", 9); err != nil || len(p.Messages) != 1 {
			t.Errorf("here alone: %v", err)
		}
	})
}

// A place is good for its filter, and for the gateway that gave it.
func TestRetainedPagesRefuse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, other := coretest.Start(t, nil, nil), coretest.Start(t, nil, nil)
		for _, g := range []*coretest.Gateway{g, other} {
			a := g.Connect("a", nil)
			for i := range 9 {
				a.Publish(core.Publish{Topic: fmt.Sprintf("t/%d", i), Payload: []byte("x"), Retain: true})
			}
		}
		p, err := g.Retained(t.Context(), "t/+", "", 3)
		if err != nil || p.Next == "" {
			t.Fatal(err)
		}
		for _, ask := range []struct{ filter, after string }{{"t/#", p.Next}, {"t/+", p.Next[:4]}, {"t/+", "!"}, {"t/+", "A" + p.Next[1:]}} {
			if _, err := g.Retained(t.Context(), ask.filter, ask.after, 3); (err == nil) != (ask.filter+ask.after == "t/+"+p.Next) || err != nil && !errors.Is(err, core.ErrPlace) {
				t.Errorf("%s after %q: %v", ask.filter, ask.after, err)
			}
		}
		if _, err := other.Retained(t.Context(), "t/+", p.Next, 3); !errors.Is(err, core.ErrPlace) {
			t.Errorf("another gateway: %v", err)
		}
		var e *core.Error
		if _, err := g.Retained(t.Context(), "a/#/b", "", 3); !errors.As(err, &e) || e.Reason != core.TopicFilterInvalid {
			t.Errorf("%v", err)
		}
		if _, _, err := g.RetainedMessage(t.Context(), "a/+"); !errors.As(err, &e) || e.Reason != core.TopicNameInvalid {
			t.Errorf("%v", err)
		}
		if _, ok, err := g.RetainedMessage(t.Context(), "none"); ok || err != nil {
			t.Errorf("%v, %v", ok, err)
		}
	})
}

// erasures are the empty retained messages that a sink is told of.
type erasures struct {
	mu   sync.Mutex
	told []string
}

func (*erasures) Name() string                      { return "erasures" }
func (*erasures) Sync() bool                        { return false }
func (*erasures) Wants() (core.EventKind, []string) { return core.EventPublish, nil }
func (e *erasures) Take(es []core.Event) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range es {
		if m := es[i].Msg; m.Retain && len(m.Payload) == 0 {
			e.told = append(e.told, m.Topic)
		}
	}
	return len(es)
}

// A deletion is stored before it is answered, told to databases, explained once, and no
// client's matter.
func TestDeleteRetained(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store, sink := coretest.NewMemStore(), &erasures{}
		set := func(o *core.Options) { o.Sinks, o.Retained = []core.Sink{sink}, notHere("db/") }
		g := coretest.Start(t, store, set)
		a := g.Connect("a", nil)
		for i, name := range []string{"r/1", "r/2", "r/3"} {
			a.Publish(keep(name, "x", uint16(i+1)))
		}
		a.Subscribe(0, "#")
		synctest.Wait()
		a.Now()
		answer := make(chan error, 1)
		remove := func(about string, topics ...string) {
			g.T.Begin(time.Now())
			g.DeleteRetained(g.T, topics, about, func(err error) { answer <- err })
			g.T.End()
		}
		store.Hold()
		remove("r/+", "r/1", "r/2", "db/x")
		synctest.Wait()
		if len(answer) > 0 {
			t.Error("it is answered before it is stored")
		}
		store.Release()
		if err := <-answer; err != nil {
			t.Error(err)
		}
		remove("none", "none")
		if err := <-answer; err != nil {
			t.Error(err)
		}
		expect(t, a, "")
		if got := strings.Join(sink.told, " "); got != "r/1 r/2 db/x none" {
			t.Errorf("told: %s", got)
		}
		rs := g.Explain(9, func(r *core.Record) bool { return r.Reason == core.AdministrativeAction })
		if n := g.Stats(); n.Retained != 1 || n.Reasons[core.AdministrativeAction] != 4 || len(rs) != 2 || rs[1].Topic != "r/+" || rs[1].Count != 3 {
			t.Errorf("%d retained, %d counted, %+v", n.Retained, n.Reasons[core.AdministrativeAction], rs)
		}
		balanced(t, g, 0)
		store.Crash()
		g = coretest.Start(t, store, set)
		if got, _ := walk(t, g, "#", 9, nil); !slices.Equal(got, []string{"r/3"}) {
			t.Errorf("after a restart: %v", got)
		}
		store.Fail(core.ErrStoreFull)
		remove("r/3", "r/3")
		if err := <-answer; !errors.Is(err, core.ErrStoreFull) {
			t.Errorf("not stored: %v", err)
		}
	})
}
