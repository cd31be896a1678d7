package core_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// onlyOpen allows what begins with "open".
type onlyOpen struct{ coretest.AllowAll }

func (onlyOpen) Authorize(_ *core.Identity, a core.Action, topic string) (core.Verdict, error) {
	if a == core.ActionPublish || len(topic) > 3 && topic[:4] == "open" || topic == "#" {
		return core.Allow, nil
	}
	return core.Deny, nil
}

func (onlyOpen) Covers(*core.Identity, string) core.Verdict { return core.Ignore }

func TestReadAndList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{onlyOpen{}} })
		c := g.Connect("c", nil)
		for _, topic := range []string{"open/a", "open/b", "shut"} {
			c.Publish(core.Publish{Topic: topic, Retain: true, Payload: []byte(topic)})
		}
		c.Publish(core.Publish{Topic: "open/c", Retain: true, Payload: []byte("x"), Expiry: 1, HasExpiry: true})
		time.Sleep(2 * time.Second)
		g.T.Begin(time.Now())
		for _, tt := range []struct {
			name   string
			reason core.Reason
			there  bool
		}{
			{"open/a", core.Success, true}, {"open/none", core.Success, false}, {"open/c", core.Success, false},
			{"shut", core.NotAuthorized, false}, {"open/+", core.TopicNameInvalid, false},
		} {
			m, r, late := g.Read(g.T, c.Result.Link, 1, tt.name)
			if late || r != tt.reason || (m != nil) != tt.there {
				t.Errorf("%s: %v, %s", tt.name, m, r)
			}
		}
		ms, r, _ := g.List(g.T, c.Result.Link, 1, "#", 10)
		if r != core.Success || len(ms) != 2 {
			t.Errorf("listed %d, %s: want the two that may be delivered", len(ms), r)
		}
		if ms, _, _ := g.List(g.T, c.Result.Link, 1, "open/+", 1); len(ms) != 1 {
			t.Errorf("listed %d, 1 is the most", len(ms))
		}
		if _, r, _ := g.List(g.T, c.Result.Link, 1, "+", 1); r != core.NotAuthorized {
			t.Errorf("listed + with %s", r)
		}
		if g.Waiting(c.Result.Link) {
			t.Error("something waits")
		}
	})
}

func TestAttachments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := coretest.NewMemStore()
		g := coretest.Start(t, store, nil)
		durable := func(r *core.ConnectRequest) { r.CleanStart, r.Expiry = false, 60 }
		c := g.Connect("c", durable)
		for _, a := range []core.Attachment{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte("2")}, {Key: "a", Value: []byte("3")}, {Key: "b"}, {Key: "never"}} {
			if r := g.Attach(g.T, c.Result.Link, a); r != core.Success {
				t.Fatal(r)
			}
		}
		g.T.End()
		synctest.Wait()
		c.Disconnect(core.NormalDisconnect)
		if r := g.Attach(g.T, c.Result.Link, core.Attachment{Key: "late", Value: []byte("x")}); r != core.SessionTakenOver {
			t.Errorf("a stale link attaches: %s", r)
		}
		synctest.Wait()
		g = coretest.Start(t, store, nil)
		c = g.Connect("c", durable)
		got := g.Attachments(c.Result.Link)
		if len(got) != 1 || got[0].Key != "a" || string(got[0].Value) != "3" {
			t.Errorf("after the restart: %q", got)
		}
	})
}

func TestKeepExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		c := g.Connect("c", func(r *core.ConnectRequest) { r.CleanStart, r.Expiry = false, 60 })
		c.Disconnect(core.NormalDisconnect)
		c = g.Connect("c", func(r *core.ConnectRequest) { r.CleanStart, r.KeepExpiry = false, true })
		if c.Result.Expiry != 60 || !c.Result.SessionPresent {
			t.Errorf("%+v", c.Result)
		}
		c.Disconnect(core.NormalDisconnect)
		time.Sleep(30 * time.Second)
		if c = g.Connect("c", func(r *core.ConnectRequest) { r.CleanStart = false }); !c.Result.SessionPresent || c.Result.Expiry != 0 {
			t.Errorf("%+v", c.Result)
		}
	})
}
