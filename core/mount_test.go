package core_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

func TestValidateMount(t *testing.T) {
	for template, good := range map[string]bool{
		"": true, "a/": true, "/a/": true, "tenant/%u/%c/": true, "50%/": true,
		"a": false, "$SYS/": false, "a/+/": false, "#/": false, "a\x00/": false, "a\xff/": false, "x%c/": false, "%c%u/": false,
		strings.Repeat("a", 5000) + "/": false,
	} {
		if err := core.ValidateMount(template); (err == nil) != good {
			t.Errorf("%q: %v", template, err)
		}
	}
}

// startMounted is a gateway with two tenants' listeners, one of users, one of clients,
// and one without mount point, "mqtt".
func startMounted(t *testing.T, store *coretest.MemStore, change func(*core.Options)) *coretest.Gateway {
	return coretest.Start(t, store, func(o *core.Options) {
		o.Mounts = map[string]string{"a": "t/a/", "b": "t/b/", "user": "u/%u/", "client": "c/%c/"}
		o.Authenticators = []core.Authenticator{vouching{}}
		if change != nil {
			change(o)
		}
	})
}

// by connects through a listener.
func by(listener string, more ...func(*core.ConnectRequest)) func(*core.ConnectRequest) {
	return func(r *core.ConnectRequest) {
		r.Listener = listener
		for _, f := range more {
			f(r)
		}
	}
}

// seen renders what a client sees: topics below its mount point.
func seen(c *coretest.Client) string {
	synctest.Wait()
	var out []string
	for _, d := range c.Now() {
		if d.Kind == core.DeliverMessage {
			out = append(out, d.Topic()+"="+string(d.Msg.Payload))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func wantSeen(t *testing.T, c *coretest.Client, want string) {
	t.Helper()
	if got := seen(c); got != want {
		t.Errorf("seen %q, want %q", got, want)
	}
}

func TestMountIsolates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := startMounted(t, nil, nil)
		all := g.Connect("all", nil)
		all.Subscribe(0, "#", "$SYS/#")
		a, a2, b := g.Connect("1", by("a")), g.Connect("2", by("a", durable)), g.Connect("3", by("b"))
		for _, c := range []*coretest.Client{a2, b} {
			if r := c.Subscribe(1, "#", "$SYS/#"); r != core.Success {
				t.Fatal(r)
			}
		}
		a.Publish(pub("x", "qos0", 0, 0))
		a.Publish(pub("x", "qos1", 1, 1))
		a.Publish(pub("../b/x", "up", 0, 0))
		wantSeen(t, a2, "../b/x=up x=qos0 x=qos1")
		wantSeen(t, b, "")
		wantSeen(t, all, "t/a/../b/x=up t/a/x=qos0 t/a/x=qos1")
		// What stands above a mount point, and what hides from wildcards there.
		for _, topic := range []string{"t/a", "t/a/", "t/ab/x", "t/a/$SYS/x", "t/a/$x", "$SYS/x"} {
			g.PublishInternal(g.T, &core.Message{Topic: topic, Payload: []byte("v")})
		}
		g.T.End()
		wantSeen(t, a2, "$SYS/x=v") // its own $SYS/#, which is nobody else's
		a2.Subscribe(0, "$x")
		all.Publish(pub("t/a/$x", "v", 0, 0))
		all.Publish(pub("t/a/y", "v", 0, 0))
		wantSeen(t, a2, "$x=v y=v")
		wantSeen(t, b, "")
		if got := a2.Unsubscribe("t/a/#", "#"); got[0] != core.NoSubscriptionExisted || got[1] != core.Success {
			t.Errorf("unsubscribe: %v", got)
		}
		all.Publish(pub("t/a/y", "v", 0, 0))
		wantSeen(t, a2, "")
	})
}

// Every way that a topic can take leads below the mount point.
func TestMountOfEveryPath(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := startMounted(t, nil, func(o *core.Options) {
			o.Config.Rewrite = []core.RewriteRule{rule("publish", "flee", ".+", "t/b/x")}
		})
		all := g.Connect("all", nil)
		all.Subscribe(0, "#")
		a := g.Connect("1", by("a", func(r *core.ConnectRequest) { r.Will = &core.Will{Topic: "will", Payload: []byte("v")} }))
		b, b2, a2 := g.Connect("2", by("b")), g.Connect("3", by("b")), g.Connect("4", by("a"))
		retained := pub("kept", "v", 0, 0)
		retained.Retain = true
		a.Publish(retained)
		a.Publish(pub("$delayed/5/late", "v", 0, 0))
		a.Publish(pub("flee", "v", 0, 0))
		wantSeen(t, all, "t/a/kept=v t/a/t/b/x=v")
		pass(5 * time.Second)
		a.Disconnect(core.ConnectionLost)
		wantSeen(t, all, "t/a/late=v t/a/will=v")
		a2.Subscribe(0, "kept")
		b.Subscribe(0, "kept", "kept/#")
		wantSeen(t, a2, "kept=v")
		wantSeen(t, b, "")
		// Groups and exclusive filters of two tenants do not meet.
		for i, c := range []*coretest.Client{a2, b, b2} {
			want := core.Success
			if i == 2 {
				want = core.ExclusiveTaken
			}
			if r := c.Subscribe(0, "$exclusive/one"); r != want {
				t.Errorf("client %d: exclusive: %s, want %s", i, r, want)
			}
			c.Subscribe(0, "$share/g/job")
		}
		all.Publish(pub("t/b/job", "1", 0, 0))
		all.Publish(pub("t/b/job", "2", 0, 0))
		if got := seen(b) + " " + seen(b2); got != "job=1 job=2" {
			t.Errorf("the group of b saw %q", got)
		}
		wantSeen(t, a2, "")
		// A fastlane subscription passes the session by, not its mount point.
		a2.Subscribe(0, "$fastlane/fast")
		all.Publish(pub("t/a/fast", "v", 0, 0))
		wantSeen(t, a2, "fast=v")
	})
}

// Access rules see the whole topic.
func TestMountBeforeAccessRules(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &rules{allowed: map[string]bool{"pub t/a/ok": true, "sub t/a/ok": true, "get t/a/ok": true}}
		g := startMounted(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{r} })
		a := g.Connect("1", by("a"))
		if got := a.Subscribe(0, "ok"); got != core.Success {
			t.Errorf("subscribe: %s", got)
		}
		if got := a.Subscribe(0, "t/a/ok"); got != core.NotAuthorized {
			t.Errorf("subscribe outside of the rules: %s", got)
		}
		a.Publish(pub("ok", "v", 1, 1))
		a.Publish(pub("t/a/ok", "v", 1, 2))
		expect(t, a, "[t/a/ok=v q0][ack 1 success][ack 2 not_authorized]")
	})
}

func TestMountByNames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := startMounted(t, nil, nil)
		for _, c := range []struct {
			listener, id, user string
			want               core.Reason
		}{
			{"client", "dev1", "", core.Success},
			{"client", "", "", core.Success}, // it is given one
			{"client", "a/b", "", core.ClientIDNotValid},
			{"client", "+", "", core.ClientIDNotValid},
			{"client", "x#", "", core.ClientIDNotValid},
			{"user", "dev3", "eve", core.Success},
			{"user", "dev2", "", core.NotAuthorized},
			{"user", "dev2", "a/b", core.NotAuthorized},
			{"user", "dev2", "+", core.NotAuthorized},
			{"mqtt", "a/b", "a/b", core.Success},
		} {
			got := g.Connect(c.id, by(c.listener, as(c.user))).Result
			if got.Reason != c.want || got.Reason != core.Success && !strings.Contains(got.Detail, "mounted at") {
				t.Errorf("%+v: %s, %q", c, got.Reason, got.Detail)
			}
			if c.id == "" {
				rs := g.Explain(1, func(*core.Record) bool { return true })
				if len(rs) != 0 {
					t.Errorf("%+v", rs)
				}
			}
		}
		all := g.Connect("all", nil)
		all.Subscribe(0, "#")
		g.Connect("d", by("client")).Publish(pub("x", "v", 0, 0))
		g.Connect("e", by("user", as("eve"))).Publish(pub("x", "v", 0, 0))
		wantSeen(t, all, "c/d/x=v u/eve/x=v")
	})
}

// A session keeps its mount point, over restarts too; who comes by a listener with
// another one does not get it.
func TestMountOfDurableSessions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := startMounted(t, nil, nil)
		s := g.Connect("s", by("a", durable))
		s.Subscribe(1, "#")
		s.Disconnect(core.ConnectionLost)
		all := g.Connect("all", nil)
		all.Publish(pub("t/a/x", "one", 1, 1))
		if r := g.Connect("s", by("b", durable)).Result; r.Reason != core.ClientIDNotValid || !strings.Contains(r.Detail, `"t/a/"`) {
			t.Errorf("by another listener: %s, %q", r.Reason, r.Detail)
		}
		if r := g.Connect("s", durable).Result; r.Reason != core.ClientIDNotValid {
			t.Errorf("without mount point: %s", r.Reason)
		}
		g = startMounted(t, g.Store.Kill(0), func(o *core.Options) { o.Mounts["a"], o.Mounts["other"] = "new/", "t/a/" })
		all = g.Connect("all", nil)
		all.Publish(pub("t/a/x", "two", 1, 1))
		all.Publish(pub("t/a/$x", "two", 1, 1))
		all.Publish(pub("t/a", "two", 1, 1))
		if r := g.Connect("s", by("a", durable)).Result; r.Reason != core.ClientIDNotValid {
			t.Errorf("after the listener's mount point has changed: %s", r.Reason)
		}
		s = g.Connect("s", by("other", durable))
		if !s.Result.SessionPresent {
			t.Fatal("the session is gone")
		}
		wantSeen(t, s, "x=one x=two")
		s.Disconnect(core.ConnectionLost)
		s = g.Connect("s", by("b", func(r *core.ConnectRequest) { r.Expiry = 100 })) // a clean start
		if s.Result.Reason != core.Success {
			t.Fatal(s.Result.Reason)
		}
		s.Subscribe(0, "#")
		all.Publish(pub("t/a/x", "three", 1, 1))
		all.Publish(pub("t/b/x", "four", 1, 1))
		wantSeen(t, s, "x=four")
	})
}
