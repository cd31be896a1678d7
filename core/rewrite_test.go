package core_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

func TestRewriteRuleFaults(t *testing.T) {
	good := core.RewriteRule{Action: "all", Source: "x/#", Re: "^x/(.+)/(.+)$", Dest: "y/$1/%c/%u/$2"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*core.RewriteRule)
		faults []string
	}{
		{"action", func(r *core.RewriteRule) { r.Action = "both" }, []string{"action"}},
		{"source", func(r *core.RewriteRule) { r.Source = "x#" }, []string{"source"}},
		{"no source", func(r *core.RewriteRule) { r.Source = "" }, []string{"source"}},
		{"expression", func(r *core.RewriteRule) { r.Re = "(" }, []string{"re"}},
		{"no expression", func(r *core.RewriteRule) { r.Re, r.Dest = "", "y" }, []string{"re"}},
		{"group", func(r *core.RewriteRule) { r.Dest = "y/$3" }, []string{"dest"}},
		{"no destination", func(r *core.RewriteRule) { r.Dest = "" }, []string{"dest"}},
		{"wildcard", func(r *core.RewriteRule) { r.Dest = "y/+" }, []string{"dest"}},
		{"wildcard to subscribe", func(r *core.RewriteRule) { r.Action, r.Dest = "subscribe", "y/+" }, nil},
		{"all at once", func(r *core.RewriteRule) { *r = core.RewriteRule{Action: "no", Source: "#/x", Re: "[", Dest: ""} }, []string{"action", "source", "re", "dest"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := good
			c.change(&r)
			var got []string
			if err := r.Validate(); err != nil {
				for line := range strings.Lines(err.Error()) {
					key, _, _ := strings.Cut(line, ":")
					key, _, _ = strings.Cut(key, " = ")
					got = append(got, key)
				}
			}
			if strings.Join(got, " ") != strings.Join(c.faults, " ") {
				t.Errorf("faults of %q, want of %q", got, c.faults)
			}
		})
	}
}

// startRewriting is a gateway with rules, and an ACL that knows only what they lead to.
func startRewriting(t *testing.T, rs ...core.RewriteRule) *coretest.Gateway {
	c := core.DefaultConfig()
	c.Rewrite = rs
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return coretest.Start(t, nil, func(o *core.Options) {
		o.Config.Rewrite, o.Authenticators = rs, []core.Authenticator{vouching{}}
	})
}

// vouching believes everyone's user name.
type vouching struct{}

func (vouching) Name() string { return "vouching" }

func (vouching) Authenticate(context.Context, *core.Credentials) (core.Verdict, *core.Grant, error) {
	return core.Allow, nil, nil
}

// as connects under a user name.
func as(user string) func(*core.ConnectRequest) {
	return func(r *core.ConnectRequest) {
		r.Credentials.Username, r.Credentials.HasUsername = user, user != ""
	}
}

func rule(action, source, re, dest string) core.RewriteRule {
	return core.RewriteRule{Action: action, Source: source, Re: re, Dest: dest}
}

func TestRewrite(t *testing.T) {
	for _, c := range []struct {
		name      string
		rules     []core.RewriteRule
		published string
		lands     string // or a reason
	}{
		{"none matches", []core.RewriteRule{rule("all", "y/#", "^(.+)$", "z/$1")}, "x/1", "x/1"},
		{"groups", []core.RewriteRule{rule("publish", "x/#", "^x/(.+)/(.+)$", "y/$2/$1")}, "x/1/2", "y/2/1"},
		{"the last rule counts", []core.RewriteRule{rule("all", "x/#", ".+", "first"), rule("all", "x/+", ".+", "last")}, "x/1", "last"},
		{"and no other is tried", []core.RewriteRule{rule("all", "x/#", ".+", "first"), rule("all", "x/+", "^no$", "last")}, "x/1", "x/1"},
		{"only to subscribe", []core.RewriteRule{rule("subscribe", "x/#", ".+", "y")}, "x/1", "x/1"},
		{"client id", []core.RewriteRule{rule("all", "x", ".+", "of/%c/100%")}, "x", "of/a/100%"},
		{"user", []core.RewriteRule{rule("all", "x", ".+", "of/%u")}, "x", "of/eve"},
		{"what a group found is not looked at again", []core.RewriteRule{rule("all", "x/+", "^x/(.+)$", "y/$1")}, "x/%c$1", "y/%c$1"},
		{"an optional group", []core.RewriteRule{rule("all", "x/#", "^x(/1)?.*$", "y$1")}, "x/2", "y"},
		{"to a system topic is the rules' matter", []core.RewriteRule{rule("all", "x", ".+", "$own/x")}, "x", "$own/x"},
		{"becomes empty", []core.RewriteRule{rule("all", "x/#", "^x/(.*)$", "$1")}, "x/", "topic_name_invalid"},
		{"becomes too deep", []core.RewriteRule{rule("all", "x", ".+", strings.Repeat("/", 200))}, "x", "topic_name_invalid"},
		{"the inner topic of a delay", []core.RewriteRule{rule("all", "x", ".+", "y")}, "$delayed/5/x", "y"},
		{"into a delay", []core.RewriteRule{rule("all", "x/+", "^x/(.)$", "$delayed/5/y/$1")}, "x/1", "y/1"},
		{"into a delay that is none", []core.RewriteRule{rule("all", "x/+", "^x/(.)$", "$delayed/$1/y")}, "x/a", "topic_name_invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := startRewriting(t, c.rules...)
				s := g.Connect("s", nil)
				s.Subscribe(0, "#", "$own/#")
				a := g.Connect("a", as("eve"))
				a.Publish(pub(c.published, "v", 1, 1))
				pass(5 * time.Second)
				got := ""
				for _, d := range s.Now() {
					got = d.Msg.Topic
				}
				if got == "" {
					got = a.Now()[0].Reason.String()
				}
				if got != c.lands {
					t.Errorf("landed at %s, want %s", got, c.lands)
				}
			})
		})
	}
}

func TestRewriteOfSubscriptions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &rules{allowed: map[string]bool{"sub new/+": true, "get #": true, "pub #": true}}
		g := coretest.Start(t, nil, func(o *core.Options) {
			o.Authorizers = []core.Authorizer{r}
			o.Config.Rewrite = []core.RewriteRule{
				rule("subscribe", "old/#", "^old/(.*)$", "new/$1"), rule("subscribe", "mine/#", ".+", "new/%c"), rule("subscribe", "bad/#", "^bad/(.*)$", "new/#/$1")}
		})
		p := g.Connect("p", nil)
		s := g.Connect("s", durable)
		for filter, want := range map[string]core.Reason{
			"old/+": core.Success, "$share/g/old/1/2": core.NotAuthorized, "$share/g/old/+": core.Success, "mine/x": core.Success,
			"bad/x": core.TopicFilterInvalid, "old/1/2": core.NotAuthorized, "other": core.NotAuthorized, "#": core.NotAuthorized,
		} {
			if got := s.Subscribe(0, filter); got != want {
				t.Errorf("%s: %s, want %s", filter, got, want)
			}
		}
		rs := g.Explain(10, func(r *core.Record) bool { return r.Reason == core.TopicFilterInvalid })
		if len(rs) != 1 || !strings.Contains(rs[0].Detail, `"new/#/x"`) {
			t.Errorf("explain: %+v", rs)
		}
		p.Publish(pub("new/1", "v", 0, 0))
		expect(t, s, "[new/1=v q0][new/1=v q0]") // its own, and the group's
		if got := s.Unsubscribe("$share/g/old/+", "new/2", "old/+", "bad/x"); got[0] != core.Success || got[1] != core.NoSubscriptionExisted || got[2] != core.Success || got[3] != core.NoSubscriptionExisted {
			t.Errorf("unsubscribe: %v", got)
		}
		p.Publish(pub("new/1", "v", 0, 0))
		expect(t, s, "")
		s.Subscribe(0, "old/+")
		store := g.Store.Kill(0)
		g = coretest.Start(t, store, nil) // without the rules
		g.Connect("p", nil).Publish(pub("new/1", "v", 0, 0))
		s = g.Connect("s", durable)
		if got := s.Unsubscribe("new/+"); got[0] != core.Success {
			t.Errorf("what was stored is not what was subscribed: %v", got)
		}
	})
}

// The rules of access see what a topic became, also of a Will.
func TestRewriteBeforeAccessRules(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &rules{allowed: map[string]bool{"pub new/a": true, "sub #": true, "get #": true}}
		g := coretest.Start(t, nil, func(o *core.Options) {
			o.Authorizers = []core.Authorizer{r}
			o.Config.Rewrite = []core.RewriteRule{rule("publish", "old", ".+", "new/%c"), rule("publish", "out", ".+", "secret")}
		})
		s := g.Connect("s", nil)
		s.Subscribe(0, "#")
		a := g.Connect("a", func(q *core.ConnectRequest) { q.Will = &core.Will{Topic: "old", Payload: []byte("bye")} })
		a.Publish(pub("old", "v", 1, 1))
		a.Publish(pub("out", "v", 1, 2))
		a.Publish(pub("new/b", "v", 1, 3))
		expect(t, a, "[ack 1 success][ack 2 not_authorized][ack 3 not_authorized]")
		a.Disconnect(core.ConnectionLost)
		expect(t, s, "[new/a=v q0][new/a=bye q0]")
		for id, want := range map[string]core.Reason{"b": core.NotAuthorized, "a/b": core.TopicNameInvalid, "+": core.TopicNameInvalid, "#": core.TopicNameInvalid} {
			c := g.Connect(id, func(q *core.ConnectRequest) { q.Will = &core.Will{Topic: "old"} })
			if c.Result.Reason != want {
				t.Errorf("the Will of %q: %s, want %s", id, c.Result.Reason, want)
			}
		}
		for _, id := range []string{"a/b", "+", "#"} { // never half applied
			c := g.Connect(id, nil)
			c.Publish(pub("old", "v", 1, 1))
			expect(t, c, "[ack 1 topic_name_invalid]")
		}
		expect(t, s, "")
	})
}

// A rule that was never validated lets nothing through.
func TestRewriteFailsClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) {
			o.Config.Rewrite = []core.RewriteRule{rule("all", "x/#", "(", "y")}
		})
		a := g.Connect("a", nil)
		a.Publish(pub("x/1", "v", 1, 1))
		expect(t, a, "[ack 1 topic_name_invalid]")
		if r := a.Subscribe(0, "x/1"); r != core.TopicFilterInvalid {
			t.Errorf("subscribe: %s", r)
		}
	})
}
