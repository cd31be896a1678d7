package core_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// pass lets time pass in a bubble.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func delayed(g *coretest.Gateway) int64 { s := g.Stats(); return s.Delayed }

func TestDelayedKeepsItsTimeAndMeaning(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, b, away := g.Connect("a", nil), g.Connect("b", nil), g.Connect("away", durable)
		b.Subscribe(2, "#")
		away.Subscribe(1, "x")
		away.Disconnect(core.ConnectionLost)
		a.Publish(pub("$delayed/10/x", "ten", 1, 1))
		a.Publish(pub("$delayed/5/x", "five", 2, 2))
		a.Publish(pub("$delayed/7/y", "seven", 0, 0))
		a.Publish(pub("$delayed/0/x", "now", 0, 0))
		r := pub("$delayed/20/kept", "v", 1, 3)
		r.Retain = true
		a.Publish(r)
		expect(t, a, "[ack 1 success][received 2 success][ack 3 success]")
		expect(t, b, "[x=now q0]")
		if n := delayed(g); n != 4 {
			t.Errorf("%d delayed, want 4", n)
		}
		pass(4999 * time.Millisecond)
		expect(t, b, "")
		pass(time.Millisecond)
		expect(t, b, "[x=five q2 id1]")
		pass(2 * time.Second)
		expect(t, b, "[y=seven q0]")
		pass(3 * time.Second)
		expect(t, b, "[x=ten q1 id2]")
		if n := g.Store.Queued("away"); n != 2 {
			t.Errorf("the session that is away has %d messages, want 2", n)
		}
		pass(10 * time.Second)
		expect(t, b, "[kept=v q1 id3]")
		c := g.Connect("c", nil)
		c.Subscribe(0, "kept")
		expect(t, c, "[kept=v q0 retain]")
		s := g.Stats()
		if s.Delayed != 0 || s.DelayedBytes != 0 || s.Store.Delayed != 0 || s.Get(core.MessagesDelayed) != 4 || s.Get(core.DelayedPublished) != 4 {
			t.Errorf("after all: %d (%d bytes), %d in the store, %d taken, %d published", s.Delayed, s.DelayedBytes, s.Store.Delayed, s.Get(core.MessagesDelayed), s.Get(core.DelayedPublished))
		}
	})
}

// A resend of a QoS 2 PUBLISH is one delayed message. [MQTT-4.3.3-10]
func TestDelayedQoS2IsOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, b := g.Connect("a", durable), g.Connect("b", nil)
		b.Subscribe(2, "x")
		a.Publish(pub("$delayed/3/x", "v", 2, 9))
		again := pub("$delayed/3/x", "v", 2, 9)
		again.Dup = true
		a.Publish(again)
		a.Ack(core.AckRelease, 9)
		pass(4 * time.Second)
		expect(t, b, "[x=v q2 id1]")
		if n := g.Stats(); n.Get(core.MessagesDelayed) != 1 {
			t.Errorf("%d delayed messages taken, want 1", n.Get(core.MessagesDelayed))
		}
	})
}

// The Message Expiry Interval counts from the publish. [MQTT-3.3.2-5] [MQTT-3.3.2-6]
func TestDelayedExpiryCountsFromPublish(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, b := g.Connect("a", nil), g.Connect("b", nil)
		b.Subscribe(0, "#")
		for name, expiry := range map[string]uint32{"gone": 5, "left": 25} {
			p := pub("$delayed/10/"+name, "v", 0, 0)
			p.Expiry, p.HasExpiry = expiry, true
			a.Publish(p)
		}
		pass(10 * time.Second)
		got := b.Now()
		if show(got) != "[left=v q0]" {
			t.Fatalf("got %s", show(got))
		}
		if left, _ := got[0].Msg.RemainingExpiry(time.Now().UnixMilli()); left != 15 {
			t.Errorf("%d s left, want 15", left)
		}
		balanced(t, g, 0)
		rs := g.Explain(10, func(r *core.Record) bool { return r.Reason == core.MessageExpired })
		if len(rs) != 1 || rs[0].Topic != "gone" || rs[0].ClientID != "a" {
			t.Errorf("explain: %+v", rs)
		}
	})
}

func TestDelayedIsAuthorizedTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &rules{allowed: map[string]bool{"pub ok/#": true, "sub #": true, "get #": true, "pub $delayed/#": true}}
		g := coretest.Start(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{r} })
		a, b := g.Connect("a", nil), g.Connect("b", nil)
		b.Subscribe(0, "#")
		a.Publish(pub("$delayed/5/secret", "v", 1, 1)) // the prefix lends no rights
		a.Publish(pub("$delayed/5/ok/1", "v", 1, 2))
		a.Publish(pub("$delayed/5/ok/2", "v", 1, 3))
		expect(t, a, "[ack 1 not_authorized][ack 2 success][ack 3 success]")
		delete(r.allowed, "pub ok/#")
		r.allowed["pub ok/2"], r.version = true, 2
		a.Disconnect(core.NormalDisconnect)
		pass(6 * time.Second)
		expect(t, b, "[ok/2=v q0]")
		rs := g.Explain(10, func(r *core.Record) bool { return r.Topic == "ok/1" })
		if len(rs) != 1 || rs[0].Reason != core.NotAuthorized || rs[0].ClientID != "a" || !strings.Contains(rs[0].Detail, "delayed") {
			t.Errorf("explain: %+v", rs)
		}
		if n := delayed(g); n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
}

func TestDelayedBounds(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*core.Config)
		topic  string
		reason core.Reason
		detail string
	}{
		{"messages", func(c *core.Config) { c.MaxDelayed = 1 }, "$delayed/5/x", core.DelayedLimit, "max_delayed messages"},
		{"bytes", func(c *core.Config) { c.MaxDelayedBytes = 150 }, "$delayed/5/x", core.DelayedLimit, "max_delayed_bytes"},
		{"of one client", func(c *core.Config) { c.MaxDelayedOfClient = 1 }, "$delayed/5/x", core.DelayedLimit, "max_delayed_of_client"},
		{"delay", func(c *core.Config) { c.MaxDelay = 10 * time.Second }, "$delayed/11/x", core.DelayedLimit, "max_delay"},
		{"delay of EMQX", func(*core.Config) {}, "$delayed/4294968/x", core.DelayedLimit, "max_delay"},
		{"off", func(c *core.Config) { c.MaxDelayed = 0 }, "$delayed/5/x", core.DelayedLimit, "max_delayed"},
		{"no number", func(*core.Config) {}, "$delayed/x/y", core.TopicNameInvalid, "whole seconds"},
		{"no topic", func(*core.Config) {}, "$delayed/5/", core.TopicNameInvalid, "empty"},
		{"deep", func(c *core.Config) { c.MaxTopicLevels = 2 }, "$delayed/5/a/b/c", core.TopicNameInvalid, "levels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := coretest.Start(t, nil, func(o *core.Options) { c.change(&o.Config) })
				a := g.Connect("a", nil)
				a.Publish(pub("$delayed/5/first", "v", 0, 0))
				a.Publish(pub(c.topic, "v", 1, 1))
				expect(t, a, fmt.Sprintf("[ack 1 %s]", c.reason))
				rs := g.Explain(1, func(r *core.Record) bool { return r.Reason == c.reason && r.QoS == 1 })
				if len(rs) != 1 || rs[0].ClientID != "a" || !strings.Contains(rs[0].Detail, c.detail) {
					t.Errorf("explain: %+v", rs)
				}
				if s := g.Stats(); s.Reasons[c.reason] == 0 || s.Delayed > 1 {
					t.Errorf("counted %d, %d wait", s.Reasons[c.reason], s.Delayed)
				}
				pass(6 * time.Second)
				if n := delayed(g); n != 0 {
					t.Errorf("%d still wait", n)
				}
				if c.reason == core.DelayedLimit && c.name != "off" && !strings.HasPrefix(c.name, "delay") {
					a.Publish(pub(c.topic, "v", 1, 2)) // there is room again
					expect(t, a, "[ack 2 success]")
				}
			})
		})
	}
}

// What was acknowledged is sent after a kill, late if need be; what was not stored
// was not acknowledged.
func TestDelayedSurvivesAKill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := coretest.NewMemStore()
		g := coretest.Start(t, store, nil)
		a, b := g.Connect("a", nil), g.Connect("b", durable)
		b.Subscribe(1, "x")
		a.Publish(pub("$delayed/10/x", "kept", 1, 1))
		expect(t, a, "[ack 1 success]")
		store.Hold()
		a.Publish(pub("$delayed/10/x", "lost", 1, 2))
		expect(t, a, "")
		store = store.Kill(0)
		pass(time.Hour) // the machine is off
		if n := store.Stats(); n.Delayed != 1 {
			t.Fatalf("%d are kept, want 1", n.Delayed)
		}
		g = coretest.Start(t, store, nil)
		b = g.Connect("b", durable)
		pass(time.Second)
		expect(t, b, "[x=kept q1 id1]")
		// An identifier of the next run must not be one that was stored.
		a = g.Connect("a", nil)
		a.Publish(pub("$delayed/10/x", "next", 1, 1))
		if s := store.Stats(); s.Delayed != 1 {
			t.Errorf("%d in the store", s.Delayed)
		}
	})
}

// Whatever had reached the store when the process was killed, the message comes, and
// once: its removal and its receivers' copies are one batch.
func TestDelayedIsSentOnce(t *testing.T) {
	for kept := range 3 {
		t.Run(fmt.Sprintf("%d batches kept", kept), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				store := coretest.NewMemStore()
				g := coretest.Start(t, store, nil)
				a, b := g.Connect("a", nil), g.Connect("b", durable)
				b.Subscribe(2, "x")
				b.Disconnect(core.ConnectionLost)
				a.Publish(pub("$delayed/5/x", "v", 2, 1))
				synctest.Wait()
				store.Hold()
				pass(5 * time.Second)
				store = store.Kill(min(kept, store.Held()))
				g = coretest.Start(t, store, nil)
				pass(time.Second)
				b = g.Connect("b", durable)
				synctest.Wait()
				if got := b.Now(); len(got) != 1 || string(got[0].Msg.Payload) != "v" {
					t.Errorf("got %s", show(got))
				}
				if s := g.Stats(); s.Delayed != 0 || s.Store.Delayed != 0 {
					t.Errorf("%d still wait, %d in the store", s.Delayed, s.Store.Delayed)
				}
			})
		})
	}
}

// While the store fails nothing is sent and nothing is lost; where it fails under the
// sending, those alone get a second copy whose first was refused.
func TestDelayedWaitsForTheStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := coretest.NewMemStore()
		g := coretest.Start(t, store, nil)
		a, live, kept := g.Connect("a", nil), g.Connect("live", nil), g.Connect("kept", durable)
		live.Subscribe(1, "x")
		kept.Subscribe(1, "x")
		a.Publish(pub("$delayed/5/x", "one", 1, 1))
		a.Publish(pub("$delayed/20/x", "two", 1, 2))
		store.Fail(core.ErrStoreFull)
		a.Publish(pub("$delayed/5/x", "never", 1, 3))
		expect(t, a, "[ack 1 success][ack 2 success][ack 3 store_full]")
		pass(10 * time.Second)
		expect(t, live, "")
		store.Fail(nil)
		pass(2 * time.Second)
		expect(t, live, "[x=one q1 id1]")
		expect(t, kept, "[x=one q1 id1]")
		store.Hold()
		pass(10 * time.Second) // the second is sent, its commit under way
		expect(t, live, "[x=two q1 id2]")
		store.Fail(core.ErrStoreBusy)
		store.Release()
		pass(3 * time.Second)
		expect(t, kept, "")
		store.Fail(nil)
		pass(2 * time.Second)
		expect(t, kept, "[x=two q1 id3]")
		expect(t, live, "")
		if s := g.Stats(); s.Delayed != 0 || s.Store.Delayed != 0 || s.Get(core.DelayedPublished) != 2 {
			t.Errorf("%d wait, %d in the store, %d published", s.Delayed, s.Store.Delayed, s.Get(core.DelayedPublished))
		}
		live.Ack(core.AckReceived1, 1)
		live.Ack(core.AckReceived1, 2)
		kept.Ack(core.AckReceived1, 1)
		kept.Ack(core.AckReceived1, 3)
		balanced(t, g, 0)
	})
}

func TestDelayedWill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &rules{allowed: map[string]bool{"pub ok": true, "sub #": true, "get #": true}}
		g := coretest.Start(t, nil, func(o *core.Options) { o.Authorizers = []core.Authorizer{r} })
		b := g.Connect("b", nil)
		b.Subscribe(0, "#")
		will := func(topic string) func(*core.ConnectRequest) {
			return func(q *core.ConnectRequest) { q.Will = &core.Will{Topic: topic, Payload: []byte("bye")} }
		}
		for topic, want := range map[string]core.Reason{"$delayed/5/secret": core.NotAuthorized, "$delayed/x/ok": core.TopicNameInvalid, "$delayed/4294968/ok": core.DelayedLimit} {
			if c := g.Connect("c", will(topic)); c.Result.Reason != want {
				t.Errorf("will to %s: %s, want %s", topic, c.Result.Reason, want)
			}
		}
		c := g.Connect("c", will("$delayed/5/ok"))
		c.Disconnect(core.ConnectionLost)
		pass(4 * time.Second)
		expect(t, b, "")
		pass(time.Second)
		expect(t, b, "[ok=bye q0]")
	})
}

func TestDelayedIsListedAndCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := coretest.Start(t, nil, nil)
		a, b := g.Connect("a", nil), g.Connect("b", nil)
		b.Subscribe(0, "#")
		a.Publish(pub("$delayed/5/x", "12345", 1, 1))
		if err := g.PublishInternal(g.T, &core.Message{Topic: "$delayed/5/own"}); err != nil {
			t.Fatal(err)
		}
		g.T.End()
		synctest.Wait()
		var listed []core.DelayedInfo
		g.Delayed(func(d core.DelayedInfo) bool {
			if d.Topic == "x" {
				listed = append(listed, d)
			}
			return true
		})
		if len(listed) != 1 || listed[0].Publisher != "a" || listed[0].Size != 5 || listed[0].QoS != 1 || listed[0].Due-listed[0].Published != 5000 {
			t.Fatalf("listed %+v", listed)
		}
		for i, want := range []bool{true, false} {
			if got := g.CancelDelayed(g.T, listed[0].ID); got != want {
				t.Errorf("cancelled the time %d: %v", i, got)
			}
		}
		g.T.End()
		pass(6 * time.Second)
		expect(t, b, "[own= q0]")
		if s := g.Stats(); s.Store.Delayed != 0 || s.Reasons[core.AdministrativeAction] != 1 {
			t.Errorf("%d in the store, %d counted", s.Store.Delayed, s.Reasons[core.AdministrativeAction])
		}
		if err := g.PublishInternal(g.T, &core.Message{Topic: "$delayed/x/own"}); err == nil {
			t.Error("a delay that is no number passes")
		}
	})
}

// BenchmarkDelayed measures what one waiting message costs in memory.
func BenchmarkDelayed(b *testing.B) {
	g := coretest.Start(b, nil, nil)
	a := connectSink(g, "a", 0)
	before := heapInUse()
	b.ReportAllocs()
	for b.Loop() {
		p := core.Publish{Topic: "$delayed/3600/bench/topic/of/usual/length", Payload: make([]byte, 64)}
		g.Gateway.Publish(g.T, a.link, &p)
		g.T.End()
	}
	b.StopTimer()
	b.ReportMetric(float64(heapInUse()-before)/float64(max(1, g.Stats().Delayed)), "bytes/message")
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
