package core_test

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// bannedKinds are bans and whether they silence what client a of user u, from 127.0.0.1,
// left behind.
func bannedKinds() []struct {
	kind    core.BanKind
	value   string
	silence bool
} {
	return []struct {
		kind    core.BanKind
		value   string
		silence bool
	}{
		{core.BanClientID, "a", true}, {core.BanClientID, "b", false},
		{core.BanUsername, "u", true}, {core.BanUsername, "v", false},
		{core.BanAddress, "127.0.0.0/8", true}, {core.BanAddress, "192.0.2.0/24", false},
		{core.BanClientAt, "a@127.0.0.1", false}, // it is for connections only
	}
}

// banWorld is a gateway with a watcher from elsewhere.
func banWorld(t *testing.T, store *coretest.MemStore) (g *coretest.Gateway, watcher *coretest.Client) {
	g = coretest.Start(t, store, func(o *core.Options) { o.Authenticators = []core.Authenticator{users{&atomic.Int64{}}} })
	watcher = g.ConnectFrom(netip.MustParseAddrPort("198.51.100.1:9"), "watcher", nil)
	watcher.Subscribe(0, "#")
	return g, watcher
}

// banTold checks what the watcher got, and that what is missing has its name.
func banTold(t *testing.T, g *coretest.Gateway, watcher *coretest.Client, text, about string, silence bool) {
	t.Helper()
	want, records := text, 0
	if silence {
		want, records = "", 1
	}
	expect(t, watcher, want)
	got := g.Explain(10, func(r *core.Record) bool {
		return r.Reason == core.Banned && (r.Topic == about || strings.Contains(r.Detail, "publish to "+about))
	})
	if len(got) != records {
		t.Errorf("explained: %+v, want %d", got, records)
	}
	if n := g.Stats().Counters[core.MessagesRefused]; n != uint64(records) {
		t.Errorf("%d refused, want %d", n, records)
	}
}

func TestBanDropsDelayedMessages(t *testing.T) {
	for _, b := range bannedKinds() {
		for _, restart := range []bool{false, true} {
			bubble(t, func(t *testing.T) {
				store := coretest.NewMemStore()
				g, watcher := banWorld(t, store)
				a := g.Connect("a", named("u"))
				a.Publish(pub("$delayed/5/later", "v", 1, 1))
				expect(t, a, "[ack 1 success]")
				a.Disconnect(core.NormalDisconnect)
				ban(t, g, b.kind, b.value, 0)
				if restart {
					g.Stop()
					g, watcher = banWorld(t, store)
				}
				pass(6 * time.Second)
				banTold(t, g, watcher, "[later=v q0]", "later", b.silence)
				if n := delayed(g); n != 0 {
					t.Errorf("%d still wait", n)
				}
			})
		}
	}
}

func TestBanThatEndedDropsNoDelayedMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, watcher := banWorld(t, nil)
		a := g.Connect("a", nil)
		a.Publish(pub("$delayed/5/later", "v", 1, 1))
		ban(t, g, core.BanClientID, "a", 4*time.Second)
		pass(6 * time.Second)
		expect(t, watcher, "[later=v q0]")
	})
}

// A Will is not sent for whom a ban disconnects, nor for whom it meets while the Will
// waits: for its delay, in $delayed/, or with a session that lasts (MQTT-SN).
func TestBanSilencesWills(t *testing.T) {
	lasting := func(r *core.ConnectRequest) { r.WillLasts, r.CleanStart, r.Expiry = true, false, 3600 }
	for name, w := range map[string]struct {
		topic  string
		change func(*core.ConnectRequest)
		gone   bool // the client is, when the ban comes
	}{
		"disconnected by it": {topic: "will", change: func(*core.ConnectRequest) {}},
		"in its delay":       {topic: "will", gone: true, change: func(r *core.ConnectRequest) { r.CleanStart, r.Expiry, r.Will.Delay = false, 3600, 5 }},
		"delayed":            {topic: "$delayed/5/will", gone: true, change: func(*core.ConnectRequest) {}},
		"lasting":            {topic: "will", change: lasting},
	} {
		for _, b := range bannedKinds() {
			t.Run(name+"/"+string(b.kind)+" "+b.value, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					g, watcher := banWorld(t, nil)
					a := g.Connect("a", func(r *core.ConnectRequest) {
						named("u")(r)
						r.Will = &core.Will{Topic: w.topic, Payload: []byte("bye")}
						w.change(r)
					})
					if w.gone {
						a.Disconnect(core.ConnectionLost)
					}
					ban(t, g, b.kind, b.value, 0)
					if !w.gone {
						why := core.ConnectionLost
						if a.Ended() {
							why = a.Closed()
						}
						a.Disconnect(why)
					}
					pass(6 * time.Second)
					expect(t, watcher, map[bool]string{false: "[will=bye q0]"}[b.silence])
					got := g.Explain(10, func(r *core.Record) bool { return r.Reason == core.Banned && r.Topic == "will" })
					if (len(got) == 1) != b.silence {
						t.Errorf("explained: %+v", got)
					}
				})
			})
		}
	}
}

// A lasting Will is silent for a later connection's end, too, until the ban is lifted.
func TestBanIsOverForALastingWill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, watcher := banWorld(t, nil)
		lasts := func(r *core.ConnectRequest) { r.WillLasts, r.CleanStart, r.Expiry = true, false, 3600 }
		a := g.Connect("a", func(r *core.ConnectRequest) { r.Will = &core.Will{Topic: "will", Payload: []byte("bye")}; lasts(r) })
		ban(t, g, core.BanClientID, "a", 0)
		a.Disconnect(a.Closed())
		expect(t, watcher, "")
		if !g.Unban(g.T, core.BanClientID, "a", nil) {
			t.Fatal("not lifted")
		}
		g.T.End()
		a = g.Connect("a", func(r *core.ConnectRequest) { lasts(r); r.KeepWill = true })
		a.Disconnect(core.ConnectionLost)
		pass(time.Second)
		expect(t, watcher, "[will=bye q0]")
	})
}

// Whoever is banned publishes nothing without a connection either: MQTT-SN's QoS -1.
func TestBanStopsMessagesWithoutAConnection(t *testing.T) {
	for _, b := range bannedKinds() {
		bubble(t, func(t *testing.T) {
			g, watcher := banWorld(t, nil)
			ban(t, g, b.kind, b.value, 0)
			g.T.Begin(time.Now())
			id := &core.Identity{ClientID: "a", Username: "u", Peer: netip.MustParseAddr("127.0.0.1")}
			g.PublishUnconnected(g.T, id, &core.Publish{Topic: "t", Payload: []byte("v")})
			g.T.End()
			banTold(t, g, watcher, "[t=v q0]", "t", b.silence || b.kind == core.BanClientAt && b.value == "a@127.0.0.1")
		})
	}
}
