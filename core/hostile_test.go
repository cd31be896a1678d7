package core_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// heap gives the live bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestReplaysAreBounded: a repeated subscription has one replay, however often it
// is repeated.
func TestReplaysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		p := g.Connect("p", nil)
		for i := range 200 {
			p.Publish(core.Publish{Topic: fmt.Sprint("r/", i), Payload: []byte("x"), QoS: 1, PacketID: uint16(i + 1), Retain: true})
		}
		c := g.Connect("c", func(r *core.ConnectRequest) { r.ReceiveMaximum = 1 })
		before := heap()
		for range 200_000 {
			c.Subscribe(1, "r/#")
		}
		if grown := heap() - before; grown > 4<<20 {
			t.Errorf("200,000 repeated subscriptions hold %d MiB", grown>>20)
		}
	})
}

// TestKnownClientsComeBack: a full table of sessions keeps new clients out, not
// those who have a session.
func TestKnownClientsComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) { o.Config.MaxSessions = 2 })
		g.Connect("a", durable).Disconnect(core.ConnectionLost)
		g.Connect("b", durable).Disconnect(core.ConnectionLost)
		if r := g.Connect("a", durable).Result.Reason; r != core.Success {
			t.Errorf("a known client: %v", r)
		}
		if r := g.Connect("c", durable).Result.Reason; r != core.ServerBusy {
			t.Errorf("a new client: %v", r)
		}
	})
}

// TestTakeoverIsExplained: who asks why a client was thrown out gets an answer.
func TestTakeoverIsExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		g.Connect("a", nil)
		g.Connect("a", nil)
		if len(g.Explain(10, func(r *core.Record) bool { return r.Reason == core.SessionTakenOver && r.ClientID == "a" })) == 0 {
			t.Error("no record of the takeover")
		}
	})
}

// TestOneGroupTwice: a session that is in a shared group by two kinds of filters
// leaves it one by one.
func TestOneGroupTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		c, p := g.Connect("c", nil), g.Connect("p", nil)
		c.Subscribe(0, "$share/a/f", "$local/$share/a/f")
		c.Unsubscribe("$share/a/f")
		p.Publish(core.Publish{Topic: "f", Payload: []byte("x")})
		if n := len(c.Now()); n != 1 {
			t.Errorf("%d messages to the subscription that is left", n)
		}
		c.Disconnect(core.NormalDisconnect)
		if n := g.Stats().Subscriptions; n != 0 {
			t.Errorf("%d subscriptions are left", n)
		}
	})
}

// TestQueueCountsWhatItHolds: what waits for one session is bounded by what it really
// holds, in whatever part of a message it stands, and for both kinds of queues
// together.
func TestQueueCountsWhatItHolds(t *testing.T) {
	const bound = 1 << 20
	text := strings.Repeat("p", 120)
	for _, c := range []struct {
		name string
		p    core.Publish
	}{
		{"payload", core.Publish{Payload: make([]byte, 10_000)}},
		{"small", core.Publish{Payload: []byte("x")}},
		{"properties", core.Publish{Payload: []byte("x"), Properties: &core.Properties{User: slices.Repeat([]core.UserProperty{{Name: "k", Value: text}}, 60)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := coretest.Start(t, nil, func(o *core.Options) { o.Config.MaxQueuedBytes = bound })
				b := g.Connect("b", func(r *core.ConnectRequest) { r.ReceiveMaximum = 1 })
				b.Block(true)
				b.Subscribe(1, "q")
				a := g.Connect("a", nil)
				before := heap()
				for i := range 20_000 {
					p := c.p
					p.Topic, p.Payload = "q", slices.Clone(p.Payload)
					if p.Properties != nil {
						p.Properties = &core.Properties{User: slices.Clone(p.Properties.User)}
						for k := range p.Properties.User { // as a packet's own
							p.Properties.User[k].Value = strings.Clone(text)
						}
					}
					if p.QoS = uint8(i % 2); p.QoS > 0 {
						p.PacketID = uint16(i%1000) + 1
					}
					a.Publish(p)
					if i%200 == 0 {
						synctest.Wait()
						a.Now()
					}
				}
				synctest.Wait() // what is on its way to the store is no queue
				a.Now()
				grown := heap() - before
				t.Logf("%d KiB", grown>>10)
				if grown > 2*bound {
					t.Errorf("%d KiB wait where %d are allowed", grown>>10, bound>>10)
				}
				runtime.KeepAlive(b)
			})
		})
	}
}

// TestSessionsOfOneUser: a user beyond its sessions gets no further one until one
// ends; its own and other users' clients come and go.
func TestSessionsOfOneUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := coretest.Start(t, nil, func(o *core.Options) {
			o.Config.MaxSessionsPerUser = 3
			o.Authenticators = []core.Authenticator{&slowSource{}}
		})
		enter := func(id, user string, expiry uint32) core.Reason {
			c := &guessConn{from: "10.0.0.1", answer: make(chan *core.ConnectResult, 1)}
			r := &core.ConnectRequest{Conn: c, Protocol: "mqtt", Version: 5, Expiry: expiry,
				Credentials: core.Credentials{ClientID: id, Username: user, HasUsername: true, Password: []byte("right"), HasPassword: true}}
			g.T.Begin(time.Now())
			if res, pending := g.Gateway.Connect(g.T, r); !pending {
				c.answer <- res
			}
			g.T.End()
			res := <-c.answer
			if res.Reason == core.Success {
				g.Disconnect(g.T, res.Link, core.ConnectionLost, nil)
				g.T.End()
			}
			synctest.Wait()
			return res.Reason
		}
		for i := range 3 {
			if r := enter(fmt.Sprint("a", i), "alice", 10); r != core.Success {
				t.Fatalf("session %d: %v", i, r)
			}
		}
		if r := enter("a3", "alice", 10); r != core.QuotaExceeded {
			t.Errorf("one too many: %v", r)
		}
		if r := enter("a2", "alice", 10); r != core.Success {
			t.Errorf("one that is known: %v", r)
		}
		if r := enter("b", "bob", 10); r != core.Success {
			t.Errorf("another user: %v", r)
		}
		time.Sleep(time.Minute)
		for i := range 10 {
			if r := enter(fmt.Sprint("c", i), "alice", 0); r != core.Success {
				t.Errorf("clean session %d when all others have ended: %v", i, r)
			}
		}
	})
}

// TestStoreFaultsAreLoggedSeldom: a store that refuses everything does not fill the
// disk by its log as well.
func TestStoreFaultsAreLoggedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		g := coretest.Start(t, nil, func(o *core.Options) { o.Log = slog.New(slog.NewTextHandler(&text, nil)) })
		b := g.Connect("b", durable)
		b.Subscribe(1, "x")
		b.Disconnect(core.ConnectionLost)
		a := g.Connect("a", nil)
		g.Store.Fail(core.ErrStoreFull)
		for i := range 5000 {
			a.Publish(pub("x", "v", 1, uint16(i%1000)+1))
			synctest.Wait()
			a.Now()
			time.Sleep(time.Millisecond)
		}
		for i := range 1000 {
			if r := g.Connect(fmt.Sprint("c", i), durable).Result.Reason; r != core.StoreFull {
				t.Fatalf("a connect: %v", r)
			}
		}
		g.Store.Fail(nil)
		lines := strings.Count(text.String(), "\n")
		if lines > 20 {
			t.Errorf("%d lines in five seconds of refusals", lines)
		}
		for _, want := range []string{"store: commit failed", "connect refused", "left_out_before="} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("%q is not in\n%s", want, text.String())
			}
		}
	})
}
