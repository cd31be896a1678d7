package rules_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// subscriber connects a client that begins anew and subscribes.
func (w *world) subscriber(id string, qos uint8, filters ...string) *coretest.Client {
	w.t.Helper()
	c := w.Connect(id, nil)
	if r := c.Subscribe(qos, filters...); r != core.Success {
		w.t.Fatalf("%s: %s", id, r)
	}
	synctest.Wait()
	return c
}

// The cursors of a client follow what it acknowledges; what it has not is read again.
func TestUnread(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, nil, nil)
		s, p := w.subscriber("s", 1, "t/+"), w.Connect("p", nil)
		p.Publish(pub("t/1", "live", 1, 1))
		w.ack(s, w.gets(s, "t/1=live q1")...)
		s.Disconnect(core.NormalDisconnect)
		for i := range 3 {
			p.Publish(pub("t/1", fmt.Sprint(i), uint8(i), uint16(i+2)))
		}
		p.Publish(pub("t/2", "two", 1, 9))
		p.Publish(pub("u", "other", 1, 10))
		s = w.subscriber("s", 1, "t/+")
		ids := w.gets(s, "t/1=1 q1, t/1=2 q1, t/2=two q1")
		w.ack(s, ids[0])
		p.Publish(pub("t/1", "live again", 1, 11))
		live := w.gets(s, "t/1=live again q1")
		w.ack(s, live[0]) // before others that are older
		s.Disconnect(core.NormalDisconnect)
		s = w.subscriber("s", 2, "t/+")
		w.ack(s, w.gets(s, "t/1=2 q2, t/2=two q1, t/1=live again q1")...)
		s.Disconnect(core.NormalDisconnect)
		s = w.subscriber("s", 1, "t/+")
		w.gets(s, "t/1=2 q1, t/1=live again q1") // the first was of QoS 2, a PUBACK is not its answer
		s.Subscribe(1, "t/+")                    // it had it
		w.gets(s, "")
		if c := w.subscriber("zero", 0, "t/+"); c != nil {
			w.gets(c, "")
		}
		w.gets(w.subscriber("new", 1, "t/+"), "")
		w.gets(w.subscriber("shared", 1, "$share/g/t/+"), "")
	})
}

// Nothing comes twice and nothing is lost while messages are published and a client comes
// and goes.
func TestUnreadBesideLive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, nil, nil)
		p := w.Connect("p", nil)
		w.subscriber("s", 1, "t").Disconnect(core.NormalDisconnect)
		next, acked := 0, 0
		publish := func(n int) {
			for range n {
				p.Publish(pub("t", fmt.Sprint(next), 1, uint16(next%60000+1)))
				next++
			}
		}
		for round := range 30 {
			publish(round % 7)
			c := w.Connect("s", nil)
			c.Subscribe(1, "t")
			publish(round % 5)
			synctest.Wait()
			seen := map[string]bool{}
			upTo := acked + 3
			for _, d := range c.Now() {
				text := string(d.Msg.Payload)
				if seen[text] {
					t.Fatalf("round %d: %s came twice", round, text)
				}
				seen[text] = true
				n := 0
				if fmt.Sscan(text, &n); n < upTo {
					w.ack(c, d.PacketID)
				}
			}
			for n := acked; n < next; n++ {
				if !seen[fmt.Sprint(n)] {
					t.Fatalf("round %d: %d did not come", round, n)
				}
			}
			acked = min(upTo, next)
			c.Disconnect(core.ConnectionLost)
			synctest.Wait()
		}
		if next < 100 {
			t.Error(next)
		}
	})
}

// A cursor does not go over what is still unread, in whatever order the client
// acknowledges.
func TestCursorWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, nil, nil)
		p := w.Connect("p", nil)
		w.subscriber("s", 1, "t").Disconnect(core.NormalDisconnect)
		for i := range 3 {
			p.Publish(pub("t", fmt.Sprint(i), 1, uint16(i+1)))
		}
		s := w.subscriber("s", 1, "t")
		ids := w.gets(s, "t=0 q1, t=1 q1, t=2 q1")
		p.Publish(pub("t", "live", 1, 4))
		ids = append(ids, w.gets(s, "t=live q1")...)
		acks := func() int { return strings.Count(w.did(), "on_message_acked s t") }
		w.ack(s, ids[3], ids[1])
		if n := acks(); n != 0 {
			t.Errorf("%d cursors moved", n)
		}
		w.ack(s, ids[0])
		if n := acks(); n != 1 {
			t.Errorf("%d cursors moved, want 1", n)
		}
		w.ack(s, ids[2])
		if n := acks(); n != 3 {
			t.Errorf("%d cursors moved, want 3", n)
		}
		s.Disconnect(core.NormalDisconnect)
		w.gets(w.subscriber("s", 1, "t"), "")
	})
}

// A client is fed at its own pace, in order, from pages.
func TestUnreadPaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, nil, func(o *rules.Options) { o.Config.Page = 10 })
		p := w.Connect("p", nil)
		w.subscriber("s", 1, "t").Disconnect(core.NormalDisconnect)
		for i := range 3000 {
			p.Publish(pub("t", fmt.Sprint(i), 1, uint16(i+1)))
		}
		s := w.Connect("s", func(r *core.ConnectRequest) { r.ReceiveMaximum = 10 })
		s.Subscribe(1, "t")
		synctest.Wait()
		got := 0
		for round := 0; got < 3000 && round < 10000; round++ {
			ds := s.Now()
			if len(ds) > 10 {
				t.Fatalf("%d under way", len(ds))
			}
			for _, d := range ds {
				if string(d.Msg.Payload) != fmt.Sprint(got) {
					t.Fatalf("%s came, want %d", d.Msg.Payload, got)
				}
				got++
				s.Ack(core.AckReceived1, d.PacketID)
			}
			synctest.Wait()
		}
		if got != 3000 {
			t.Errorf("%d of 3000 came", got)
		}
		if n := w.e.Stats()[3].Read; n != 3000 {
			t.Errorf("%d were read", n)
		}
	})
}

// A durable session that goes away while it is read for goes on when it is back.
func TestUnreadResumes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, nil, nil)
		p := w.Connect("p", nil)
		w.subscriber("s", 1, "t").Disconnect(core.NormalDisconnect)
		for i := range 1000 {
			p.Publish(pub("t", fmt.Sprint(i), 1, uint16(i+1)))
		}
		s := w.Connect("s", func(r *core.ConnectRequest) { durable(r); r.ReceiveMaximum = 20 })
		s.Subscribe(1, "t")
		seen := map[string]bool{}
		for round := 0; len(seen) < 1000 && round < 300; round++ {
			synctest.Wait()
			for i, d := range s.Now() {
				seen[string(d.Msg.Payload)] = true
				if i%7 != 6 || round%2 == 1 {
					s.Ack(core.AckReceived1, d.PacketID)
				}
			}
			if round%10 == 9 {
				s.Disconnect(core.ConnectionLost)
				time.Sleep(time.Minute)
				s = w.Connect("s", func(r *core.ConnectRequest) { durable(r); r.ReceiveMaximum = 20 })
			}
		}
		if len(seen) != 1000 {
			t.Errorf("%d of 1000 came", len(seen))
		}
	})
}

// While the database is away a subscription waits, and it ends with its session.
func TestUnreadAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, nil, nil)
		p := w.Connect("p", nil)
		w.subscriber("s", 1, "t").Disconnect(core.NormalDisconnect)
		p.Publish(pub("t", "kept", 1, 1))
		synctest.Wait()
		w.db.Away(errors.New("no"))
		s, gone := w.subscriber("s", 1, "t"), w.subscriber("gone", 1, "t")
		time.Sleep(time.Minute)
		gone.Disconnect(core.NormalDisconnect)
		w.gets(s, "")
		if n := w.log.of("is away"); n != 1 {
			t.Errorf("%d lines", n)
		}
		w.db.Away(nil)
		time.Sleep(20 * time.Second)
		w.gets(s, "t=kept q1")
	})
}

// What was queued before a subscription is written before it is read for.
func TestUnreadAfterWriting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, nil, nil)
		p := w.Connect("p", nil)
		w.subscriber("s", 1, "t").Disconnect(core.NormalDisconnect)
		w.db.Away(errors.New("no"))
		p.Publish(pub("t", "1", 1, 1))
		p.Publish(kept("r", "2", 2))
		s := w.Connect("s", nil)
		s.Subscribe(1, "t", "r")
		time.Sleep(time.Minute)
		w.db.Away(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := show(s.Now()); got != "t=1 q1, r=2 q1 retain" && got != "r=2 q1 retain, t=1 q1" {
			t.Error(got)
		}
	})
}

// Retained messages of the database are its own: core has none.
func TestRetainedOfDatabase(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, nil, nil)
		p := w.Connect("p", nil)
		for i := range 200 {
			p.Publish(kept(fmt.Sprintf("r/%03d", i), fmt.Sprint(i), uint16(i+1)))
		}
		p.Publish(kept("r/007", "", 300))
		s := w.Connect("s", nil)
		s.Subscribe(0, "r/+")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		var got []string
		for _, d := range s.Now() {
			if !d.Retain {
				t.Errorf("%s is not marked", d.Msg.Topic)
			}
			got = append(got, d.Msg.Topic)
		}
		if len(got) != 199 || got[6] != "r/006" || got[7] != "r/008" {
			t.Errorf("%d came: %v", len(got), got)
		}
		s.SubscribeWith(&core.SubscribeRequest{Filters: []core.FilterRequest{{Filter: "r/001", SubscribeOptions: core.SubscribeOptions{QoS: 1, RetainHandling: 2}}}})
		w.gets(s, "")
		s.Subscribe(1, "r/002")
		w.ack(s, w.gets(s, "r/002=2 q1 retain")...)
		if n := strings.Count(w.did(), "on_message_acked"); n != 0 {
			t.Errorf("%d cursors moved", n)
		}
	})
}

// What a client may not have is no obstacle for its cursor; what it has sent itself is
// left out where it does not want it.
func TestUnreadLeftOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, nil, nil)
		p := w.Connect("p", nil)
		w.subscriber("s", 1, "t").Disconnect(core.NormalDisconnect)
		p.Publish(pub("t", "1", 1, 1))
		own := w.Connect("s", nil)
		own.Publish(pub("t", "own", 1, 1))
		p.Publish(pub("t", "2", 1, 2))
		own.Disconnect(core.NormalDisconnect)
		subscribe := func() *coretest.Client {
			s := w.Connect("s", nil)
			s.SubscribeWith(&core.SubscribeRequest{Filters: []core.FilterRequest{{Filter: "t", SubscribeOptions: core.SubscribeOptions{QoS: 1, NoLocal: true}}}})
			return s
		}
		s := subscribe()
		w.ack(s, w.gets(s, "t=1 q1, t=2 q1")...)
		s.Disconnect(core.NormalDisconnect)
		w.gets(subscribe(), "")
	})
}

// In a queue a message is everybody's until one has acknowledged it.
func TestQueueFunctions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, []rules.Rule{
			{Hook: rules.MessagePublish, Topic: "queue/#", Function: rules.OnMessagePublish},
			{Hook: rules.SessionSubscribed, Topic: "queue/#", Function: rules.OnMessageFetchQueue},
			{Hook: rules.MessageAcked, Topic: "queue/#", Function: rules.OnMessageAckedQueue},
		}, nil)
		p := w.Connect("p", nil)
		p.Publish(pub("queue/1", "a", 1, 1))
		p.Publish(pub("queue/1", "b", 1, 2))
		s := w.subscriber("s", 1, "queue/1")
		ids := w.gets(s, "queue/1=a q1, queue/1=b q1")
		w.ack(s, ids[1])
		w.gets(w.subscriber("u", 1, "queue/+"), "queue/1=a q1")
		w.ack(s, ids[0])
		w.gets(w.subscriber("v", 1, "queue/+"), "")
		s.Unsubscribe("queue/1")
		p.Publish(pub("queue/1", "c", 1, 3))
	})
}

// Limits of a rule come to the database.
func TestUnreadLimits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		list := rules.SQLDefaults()
		list[3].MaxReturned, list[3].TimeRange = 2, time.Hour
		w := start(t, nil, list, nil)
		p := w.Connect("p", nil)
		w.subscriber("s", 1, "t").Disconnect(core.NormalDisconnect)
		for i := range 5 {
			p.Publish(pub("t", fmt.Sprint(i), 1, uint16(i+1)))
		}
		w.gets(w.subscriber("s", 1, "t"), "t=3 q1, t=4 q1")
		time.Sleep(2 * time.Hour)
		w.gets(w.subscriber("s", 1, "t"), "")
	})
}

// What is stored in a table is subscribed to without a word, and changed by commands.
func TestSourcesAndCommands(t *testing.T) {
	bubble(t, func(t *testing.T) {
		site := &rulestest.MemorySite{}
		db := site.Open(t).(*rulestest.Memory)
		site.Subscribe(t, "s", "cmd/%c", 1)
		w := start(t, db, nil, nil)
		s, p := w.Connect("s", nil), w.Connect("p", nil)
		p.Publish(pub("cmd/s", "hello", 1, 1))
		w.gets(s, "cmd/s=hello q1")
		for _, text := range []string{`{"type":"subscribe","topic":"more/+","clientid":"s","qos":"2"}`, `{"type":"subscribe","topic":"zero","clientid":"s"}`,
			`{"type":"unsubscribe","topic":"cmd/%c","clientid":"s"}`, `{"type":"subscribe","topic":"x","clientid":"nobody","qos":0}`} {
			if err := w.e.Command("pool1", []byte(text)); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		list, _ := w.Subscriptions("s", 10)
		var got []string
		for _, sub := range list {
			got = append(got, fmt.Sprintf("%s@%d of %s", sub.Filter, sub.QoS, sub.Origin))
		}
		if text := strings.Join(got, ", "); !strings.Contains(text, "more/+@2 of command of mem.pool1") || !strings.Contains(text, "zero@0") || len(got) != 2 {
			t.Error(text)
		}
		for text, want := range map[string]string{
			`subscribe`: "is no JSON object",
			`{"type":"unsubscribed","topic":"x","clientid":"s"}`:      "not subscribe or unsubscribe",
			`{"type":"subscribe","topic":"x"}`:                        "clientid is missing",
			`{"type":"subscribe","topic":"a#","clientid":"s"}`:        "is no topic filter",
			`{"type":"subscribe","topic":"x","clientid":"s","qos":3}`: "qos is 3",
		} {
			if err := w.e.Command("pool1", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", text, err)
			}
		}
	})
}

func FuzzCommand(f *testing.F) {
	f.Add([]byte(`{"type":"subscribe","topic":"more/+","clientid":"s","qos":"2"}`))
	f.Add([]byte(`{"type":"unsubscribe","topic":"$share/g/x","clientid":"s","qos":null}`))
	e, err := rules.New(rules.Options{Driver: rules.Driver{Name: "mem"}, Config: rules.DefaultConfig(), Pools: map[string]rules.Database{"p": rulestest.NewMemory()}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) { _ = e.Command("p", b) })
}

// read reads a retained message as c, and says how long it took.
func (w *world) read(c *coretest.Client, name string) (payload string, r core.Reason, took time.Duration) {
	w.t.Helper()
	begin := time.Now()
	w.T.Begin(begin)
	m, r, late := w.Gateway.Read(w.T, c.Result.Link, 1, name)
	w.T.End()
	if !late {
		w.t.Errorf("%s was not looked up", name)
		return "", r, 0
	}
	done := c.Completed(core.OpRead)
	if r = done.Reasons[0]; len(done.Messages) > 0 {
		m = done.Messages[0]
	}
	if m != nil {
		payload = string(m.Payload)
	}
	return payload, r, time.Since(begin)
}

// Who asks for a retained message is given what a subscriber is, also right after it was
// published; while the database is away nobody waits for long.
func TestRetainedAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, nil, nil)
		p := w.Connect("p", nil)
		for i := range 200 {
			p.Publish(kept(fmt.Sprintf("r/%03d", i), fmt.Sprint(i), uint16(i+1)))
		}
		if got, r, _ := w.read(p, "r/199"); got != "199" || r != core.Success {
			t.Errorf("%q, %s", got, r)
		}
		p.Publish(kept("r/199", "", 201))
		if got, r, _ := w.read(p, "r/199"); got != "" || r != core.Success {
			t.Errorf("deleted: %q, %s", got, r)
		}
		w.T.Begin(time.Now())
		w.Gateway.List(w.T, p.Result.Link, 2, "r/+", 150)
		w.T.End()
		if ms := p.Completed(core.OpRead).Messages; len(ms) != 150 || ms[149].Topic != "r/149" {
			t.Errorf("listed %d", len(ms))
		}
		seen := 0
		for after, more := "", true; more; more = after != "" {
			ms, next, err := w.e.ReadRetained(t.Context(), "r/+", after, 7)
			if err != nil || len(ms) > 7 || len(ms) > 0 && ms[0].Topic != fmt.Sprintf("r/%03d", seen) {
				t.Fatalf("after %q: %d, %v", after, len(ms), err)
			}
			seen, after = seen+len(ms), next
		}
		if seen != 199 {
			t.Errorf("%d on all pages", seen)
		}
		for _, after := range []string{"x", "-1.", "0"} {
			if _, _, err := w.e.ReadRetained(t.Context(), "r/+", after, 7); err == nil {
				t.Errorf("goes on at %q", after)
			}
		}
		w.db.Away(errors.New("unplugged"))
		for range 3 {
			if got, r, took := w.read(p, "r/1"); got != "" || r != core.ServerUnavailable || took > time.Second {
				t.Errorf("away: %q, %s after %v", got, r, took)
			}
		}
		p.Publish(kept("r/001", "later", 202))
		time.Sleep(time.Minute)
		if _, r, took := w.read(p, "r/001"); r != core.ServerUnavailable || took > 5*time.Second {
			t.Errorf("away, and something is to be written: %s after %v", r, took)
		}
		w.db.Away(nil)
		time.Sleep(time.Minute)
		if got, r, _ := w.read(p, "r/001"); got != "later" || r != core.Success {
			t.Errorf("back: %q, %s", got, r)
		}
	})
}

// Nothing is looked up where no rule does so.
func TestRetainedAskedForByRule(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, []rules.Rule{
			{Hook: rules.SessionSubscribed, Topic: "a/#", Function: rules.OnRetainLookup},
			{Hook: rules.MessagePublish, Topic: "a/#", Function: rules.OnMessageRetain},
		}, nil)
		for filter, want := range map[string]bool{"a/1": true, "a/#": true, "b": false, "#": false} {
			if got := w.e.LooksUp(filter); got != want {
				t.Errorf("%s: %v", filter, got)
			}
		}
	})
}
