package core_test

import (
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// someRights allows each action for the topics that are named.
type someRights map[core.Action]string

func (someRights) Name() string    { return "some rights" }
func (someRights) Version() uint64 { return 1 }

func (r someRights) Authorize(_ *core.Identity, a core.Action, topic string) (core.Verdict, error) {
	if r[a] == topic {
		return core.Allow, nil
	}
	return core.Deny, nil
}

func (someRights) Covers(*core.Identity, string) core.Verdict { return core.Ignore }

// startWithRights gives a client of a gateway with these rights, on a listener with a
// mount point if mount says so.
func startWithRights(t *testing.T, r someRights, mount string) (*coretest.Gateway, *coretest.Client) {
	g := coretest.Start(t, nil, func(o *core.Options) {
		o.Authorizers, o.Mounts = []core.Authorizer{r}, map[string]string{"mqtt": mount}
	})
	g.T.Begin(time.Now())
	return g, g.Connect("c", nil)
}

// Whoever asks for a retained message needs what a subscriber needs: the right to
// subscribe, and to have it delivered.
func TestReadNeedsBothRights(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tt := range []struct {
			subscribe, deliver string
			want               core.Reason
		}{
			{"a", "a", core.Success}, {"a", "", core.NotAuthorized}, {"", "a", core.NotAuthorized},
		} {
			g, c := startWithRights(t, someRights{core.ActionSubscribe: tt.subscribe, core.ActionDeliver: tt.deliver}, "")
			if _, r, _ := g.Read(g.T, c.Result.Link, 1, "a"); r != tt.want {
				t.Errorf("subscribe %q, deliver %q: %s", tt.subscribe, tt.deliver, r)
			}
		}
	})
}

// Reading is below the mount point, too: the rights are asked for there, and what is
// above it cannot be reached.
func TestReadBelowAMountPoint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, c := startWithRights(t, someRights{core.ActionPublish: "m/a", core.ActionSubscribe: "m/a", core.ActionDeliver: "m/a"}, "m/")
		if err := g.PublishInternal(g.T, &core.Message{Topic: "a", Payload: []byte("above"), Retain: true}); err != nil {
			t.Fatal(err)
		}
		if m, r, late := g.Read(g.T, c.Result.Link, 1, "a"); late || m != nil || r != core.Success {
			t.Errorf("nothing is retained there: %v, %s", m, r)
		}
		c.Publish(core.Publish{Topic: "a", Payload: []byte("below"), Retain: true})
		m, r, _ := g.Read(g.T, c.Result.Link, 1, "a")
		if r != core.Success || m == nil || m.Topic != "a" || string(m.Payload) != "below" {
			t.Errorf("%v, %s", m, r)
		}
		if ms, r, _ := g.List(g.T, c.Result.Link, 1, "a", 9); r != core.Success || len(ms) != 1 || ms[0].Topic != "a" {
			t.Errorf("listed %v, %s", ms, r)
		}
	})
}

// Allowed says what Publish would, with and without a mount point.
func TestPublishAllowed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, mount := range []string{"", "m/"} {
			g, c := startWithRights(t, someRights{core.ActionPublish: mount + "a"}, mount)
			for topic, want := range map[string]core.Reason{"a": core.Success, "b": core.NotAuthorized} {
				if r, late := g.Allowed(g.T, c.Result.Link, &core.Publish{Topic: topic}); r != want || late {
					t.Errorf("mount point %q, topic %s: %s", mount, topic, r)
				}
			}
		}
	})
}

// A Will that replaces another is asked about as the first one was.
func TestWillReplacedNeedsTheRight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, c := startWithRights(t, someRights{core.ActionPublish: "a"}, "")
		for topic, want := range map[string]core.Reason{"a": core.Success, "b": core.NotAuthorized} {
			if r := c.SetWill(&core.Will{Topic: topic}); r != want {
				t.Errorf("%s: %s", topic, r)
			}
		}
		if w := g.Will(c.Result.Link); w == nil || w.Topic != "a" {
			t.Errorf("the refused Will took the place of the other: %+v", w)
		}
	})
}

// A Will that replaces another, and messages without a connection, stay below the mount
// point as everything else does.
func TestWillAndUnconnectedBelowAMountPoint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, c := startWithRights(t, someRights{core.ActionPublish: "m/a"}, "m/")
		if r := c.SetWill(&core.Will{Topic: "a"}); r != core.Success {
			t.Error(r)
		}
		if w := g.Will(c.Result.Link); w == nil || w.Topic != "a" {
			t.Errorf("seen as %+v", w)
		}
		id := &core.Identity{Listener: "mqtt"}
		for topic, want := range map[string]core.Reason{"a": core.Success, "m/a": core.NotAuthorized} {
			if r := g.PublishUnconnected(g.T, id, &core.Publish{Topic: topic, Payload: []byte("x"), Retain: true}); r != want {
				t.Errorf("%s: %s", topic, r)
			}
		}
		if p, err := g.Retained(t.Context(), "#", "", 9); err != nil || len(p.Messages) != 1 || p.Messages[0].Topic != "m/a" {
			t.Errorf("retained: %v %v", p, err)
		}
	})
}
