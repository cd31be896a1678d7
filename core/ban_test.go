package core_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// named makes a connect request with a user name.
func named(user string) func(*core.ConnectRequest) {
	return func(r *core.ConnectRequest) {
		r.Credentials.Username, r.Credentials.HasUsername = user, true
	}
}

// users vouches for every name, and counts how often it is asked.
type users struct{ asked *atomic.Int64 }

func (users) Name() string { return "users" }

func (u users) Authenticate(_ context.Context, c *core.Credentials) (core.Verdict, *core.Grant, error) {
	u.asked.Add(1)
	if c.Username == "" {
		return core.Ignore, nil, nil
	}
	return core.Allow, &core.Grant{Username: strings.ToLower(c.Username)}, nil
}

func ban(t *testing.T, g *coretest.Gateway, kind core.BanKind, value string, d time.Duration) {
	t.Helper()
	b := core.Ban{Kind: kind, Value: value, Reason: "test", By: "admin"}
	g.T.Begin(time.Now())
	if d > 0 {
		b.Expires = time.Now().Add(d).UnixMilli()
	}
	kept := make(chan error, 1)
	if err := g.Ban(g.T, &b, func(err error) { kept <- err }); err != nil {
		t.Fatal(err)
	}
	g.T.End()
	if err := <-kept; err != nil {
		t.Fatal(err)
	}
}

func TestBansKeepClientsOut(t *testing.T) {
	for _, c := range []struct {
		kind  core.BanKind
		value string
		meets bool
	}{
		{core.BanClientID, "a", true}, {core.BanClientID, "A", false}, {core.BanClientID, "b", false},
		{core.BanUsername, "ann", true}, {core.BanUsername, "bob", false},
		{core.BanAddress, "127.0.0.1", true}, {core.BanAddress, "127.0.0.0/8", true}, {core.BanAddress, "::ffff:127.0.0.1", true},
		{core.BanAddress, "0.0.0.0/0", true}, {core.BanAddress, "::/0", false}, {core.BanAddress, "127.0.0.2", false},
		{core.BanClientAt, "a@127.0.0.1", true}, {core.BanClientAt, "a@127.0.0.2", false}, {core.BanClientAt, "b@127.0.0.1", false},
	} {
		t.Run(string(c.kind)+" "+c.value, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				u := users{new(atomic.Int64)}
				g := coretest.Start(t, nil, func(o *core.Options) { o.Authenticators = []core.Authenticator{u} })
				there := g.Connect("a", named("Ann")) // it proves to be ann
				asked := u.asked.Load()
				ban(t, g, c.kind, c.value, time.Minute)
				synctest.Wait()
				want := core.Success
				if c.meets {
					want = core.Banned
					if r := there.Closed(); r != core.Banned {
						t.Errorf("closed for %s", r)
					}
				}
				if r := g.Connect("a", named("Ann")).Result.Reason; r != want {
					t.Errorf("connect: %s, want %s", r, want)
				}
				// Only who is banned by a name that has yet to be proven costs a question.
				if c.meets && c.kind != core.BanUsername && u.asked.Load() != asked {
					t.Error("the identity source was asked about a banned client")
				}
				time.Sleep(61 * time.Second)
				if r := g.Connect("a", named("Ann")).Result.Reason; r != core.Success {
					t.Errorf("after the ban: %s", r)
				}
				if left := g.Bans(g.T); len(left) != 0 {
					t.Errorf("left: %+v", left)
				}
			})
		})
	}
}

func TestBansSurviveARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := coretest.NewMemStore()
		g := coretest.Start(t, store, func(o *core.Options) { o.Config.Bans = []string{"client_id = fixed", "address=10.0.0.0/8"} })
		ban(t, g, core.BanClientID, "a", time.Hour)
		ban(t, g, core.BanUsername, "b/#+", 0)
		ban(t, g, core.BanAddress, "2001:db8::/32", time.Minute)
		ban(t, g, core.BanClientID, "gone", 0)
		lifted := make(chan error, 1)
		if !g.Unban(g.T, core.BanClientID, "gone", func(err error) { lifted <- err }) {
			t.Error("not lifted")
		}
		g.T.End()
		<-lifted
		if g.Unban(g.T, core.BanClientID, "fixed", nil) || g.Unban(g.T, core.BanClientID, "nobody", nil) {
			t.Error("lifted what is not there, or is configured")
		}
		g = coretest.Start(t, store, nil)
		g.T.Begin(time.Now())
		all := ""
		for _, b := range g.Bans(g.T) {
			all += fmt.Sprintf("%s %s by %s in %s; ", b.Kind, b.Value, b.By, b.Source)
		}
		if want := "address 2001:db8::/32 by admin in store; client_id a by admin in store; username b/#+ by admin in store; "; all != want {
			t.Errorf("got  %s\nwant %s", all, want)
		}
		time.Sleep(2 * time.Minute)
		g = coretest.Start(t, store, nil)
		time.Sleep(2 * time.Second) // the sweep forgets what is over
		if n := len(g.Bans(g.T)); n != 2 {
			t.Errorf("%d bans left, want 2", n)
		}
		if s := g.Stats(); s.Retained != 0 {
			t.Errorf("%d retained messages", s.Retained)
		}
	})
}

func TestBansAreChecked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) {
			o.Config.MaxBans, o.Config.Bans = 2, []string{"client_id = fixed"}
		})
		for _, b := range []core.Ban{
			{}, {Kind: core.BanClientID}, {Kind: "nick", Value: "x"}, {Kind: core.BanAddress, Value: "10.0.0"},
			{Kind: core.BanAddress, Value: "10.0.0.0/33"}, {Kind: core.BanClientAt, Value: "a@b"}, {Kind: core.BanClientAt, Value: "@::1"},
			{Kind: core.BanClientID, Value: strings.Repeat("x", 1025)}, {Kind: core.BanClientID, Value: "x", Expires: 1},
			{Kind: core.BanClientID, Value: "fixed"},
		} {
			if err := g.Ban(g.T, &b, nil); err == nil {
				t.Errorf("%+v was taken", b)
			}
		}
		ban(t, g, core.BanClientID, "x", 0)
		ban(t, g, core.BanClientID, "x", time.Hour) // new terms of the same
		if err := g.Ban(g.T, &core.Ban{Kind: core.BanClientID, Value: "y"}, nil); err == nil {
			t.Error("more than max_bans")
		}
		// Nobody can publish what the store would take for a ban.
		if _, err := g.Connect("a", nil).Publish(core.Publish{Topic: "t", QoS: 0}); err != nil {
			t.Error(err)
		}
		if err := g.PublishInternal(g.T, &core.Message{Topic: "+/document/ban/client_id/a", Retain: true, Payload: []byte("{}")}); err == nil {
			t.Error("published a document")
		}
	})
}

// TestFlappingBansWhoFlaps: a client that loses its connection again and again is
// banned, from its address only; failed and orderly connects count nothing.
func TestFlappingBansWhoFlaps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		refuse := false
		g := coretest.Start(t, nil, func(o *core.Options) {
			o.Config.FlappingCount, o.Config.FlappingWindow, o.Config.FlappingBan = 3, time.Minute, 10*time.Minute
			o.Anonymous = func(*core.Credentials) bool { return !refuse }
		})
		for range 10 {
			g.Connect("orderly", nil).Disconnect(core.NormalDisconnect)
			g.Connect("slow", nil).Disconnect(core.ConnectionLost)
			time.Sleep(35 * time.Second)
		}
		refuse = true
		for range 10 {
			g.Connect("victim", nil)
		}
		refuse = false
		for range 3 {
			g.Connect("bad", nil).Disconnect(core.ConnectionLost)
		}
		for id, want := range map[string]core.Reason{"orderly": core.Success, "slow": core.Success, "victim": core.Success, "bad": core.Banned} {
			if r := g.Connect(id, nil).Result.Reason; r != want {
				t.Errorf("%s: %s, want %s", id, r, want)
			}
		}
		if len(g.Explain(9, func(r *core.Record) bool { return r.Reason == core.Banned && strings.Contains(r.Detail, "abruptly") })) != 1 {
			t.Error("nothing explains the ban")
		}
		elsewhere := func(r *core.ConnectRequest) { r.Conn = movedConn{r.Conn} }
		if r := g.Connect("bad", elsewhere).Result.Reason; r != core.Success {
			t.Errorf("from elsewhere: %s", r)
		}
		time.Sleep(10 * time.Minute)
		if r := g.Connect("bad", nil).Result.Reason; r != core.Success {
			t.Errorf("after the ban: %s", r)
		}
	})
}

// movedConn is a connection from another address.
type movedConn struct{ core.Conn }

func (movedConn) Peer() netip.AddrPort { return netip.MustParseAddrPort("192.0.2.7:1") }

// TestTakeoverWarFlaps: two clients that fight for one ClientID are both stopped.
func TestTakeoverWarFlaps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Config.FlappingCount = 5 })
		last := core.Success
		for range 7 {
			last = g.Connect("a", nil).Result.Reason
		}
		if last != core.Banned {
			t.Errorf("the seventh takeover: %s", last)
		}
	})
}

func BenchmarkBanLookup(b *testing.B) {
	g := coretest.Start(b, nil, nil)
	for i := range 10_000 {
		if err := g.Ban(g.T, &core.Ban{Kind: core.BanAddress, Value: fmt.Sprintf("10.%d.%d.0/24", i>>8, i&255)}, nil); err != nil {
			b.Fatal(err)
		}
		g.T.End()
	}
	c := &sinkConn{g: g.Gateway}
	b.ReportAllocs()
	for b.Loop() {
		g.Gateway.Connect(g.T, &core.ConnectRequest{Conn: movedConn{c}, CleanStart: true, Protocol: "mqtt", Version: 5, Credentials: core.Credentials{ClientID: "x"}})
		g.T.End()
	}
}

// slowPeers gives a ClientID when the test says so.
type slowPeers struct{ owned chan func() }

func (slowPeers) Announce(string, string, bool)                       {}
func (slowPeers) Forward(_ *core.Message, _ uint64, done func(error)) { done(nil) }
func (slowPeers) Disown(string, uint64)                               {}
func (p slowPeers) Own(_ string, _ bool, done func(uint64, error)) {
	p.owned <- func() { done(1, nil) }
}

// TestBanMeetsAConnectUnderWay: a client that was let in before the ban and gets its
// session after it does not stay.
func TestBanMeetsAConnectUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := slowPeers{make(chan func(), 1)}
		g := coretest.Start(t, nil, func(o *core.Options) { o.Peers = p })
		came := make(chan *coretest.Client, 1)
		go func() { came <- g.Connect("a", nil) }()
		own := <-p.owned
		synctest.Wait()
		admin := g.NewTurn()
		defer admin.Close()
		admin.Begin(time.Now())
		if err := g.Ban(admin, &core.Ban{Kind: core.BanClientID, Value: "a"}, nil); err != nil {
			t.Fatal(err)
		}
		admin.End()
		own()
		if r := (<-came).Closed(); r != core.Banned {
			t.Errorf("closed for %s", r)
		}
	})
}
