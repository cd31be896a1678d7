package rules_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
	"github.com/fairlead-iot/fairlead/backends/spool"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

// world is a gateway with a backend on a database in memory.
type world struct {
	*coretest.Gateway
	t    *testing.T
	db   *rulestest.Memory
	e    *rules.Engine
	log  *logged
	stop func()
}

// logged keeps what was logged.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(b))
	return len(b), nil
}

// of counts the lines with text.
func (l *logged) of(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// bubble runs f in a bubble whose goroutines end with it.
func bubble(t *testing.T, f func(*testing.T)) { t.Helper(); synctest.Test(t, f) }

func start(t *testing.T, db *rulestest.Memory, list []rules.Rule, change func(*rules.Options)) *world {
	t.Helper()
	return startOn(t, nil, db, list, change)
}

// startOn goes on with the sessions of a store, nil for none.
func startOn(t *testing.T, store *coretest.MemStore, db *rulestest.Memory, list []rules.Rule, change func(*rules.Options)) *world {
	t.Helper()
	if db == nil {
		db = rulestest.NewMemory()
	}
	w := &world{t: t, db: db, log: &logged{}}
	o := rules.Options{Driver: rules.Driver{Name: "mem", Functions: rules.RedisFunctions(), Defaults: rules.SQLDefaults()}, Config: rules.DefaultConfig(),
		Pools: map[string]rules.Database{"pool1": db}, Rules: list, Node: "n1", Log: slog.New(slog.NewTextHandler(w.log, nil))}
	if change != nil {
		change(&o)
	}
	var err error
	if w.e, err = rules.New(o); err != nil {
		t.Fatal(err)
	}
	w.Gateway = coretest.Start(t, store, func(o *core.Options) {
		o.Sinks, o.Subscriptions, o.Retained = w.e.Sinks(), w.e.Sources(), w.e
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.e.Run(ctx, w.Gateway.Gateway, 5*time.Second)
	}()
	w.stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(w.stop)
	synctest.Wait()
	return w
}

// did gives the jobs done as text, one a line, those of the database's own order.
func (w *world) did() string {
	synctest.Wait()
	var out []string
	for _, j := range w.db.Did() {
		text := string(j.Rule.Function) + " " + j.ClientID
		if j.Topic != "" {
			text += " " + j.Topic
		}
		if m := j.Message; m != nil && len(m.Payload) > 0 {
			text += "=" + string(m.Payload)
		}
		out = append(out, text)
	}
	return strings.Join(out, "\n")
}

func (w *world) want(text string) {
	w.t.Helper()
	lines := strings.Split(strings.ReplaceAll(strings.TrimSpace(text), "\t", ""), "\n")
	got := strings.Split(w.did(), "\n")
	slices.Sort(lines) // lanes are done side by side
	slices.Sort(got)
	if !slices.Equal(got, lines) {
		w.t.Errorf("done:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}

func pub(topic, payload string, qos uint8, id uint16) core.Publish {
	return core.Publish{Topic: topic, Payload: []byte(payload), QoS: qos, PacketID: id}
}

func kept(topic, payload string, id uint16) core.Publish {
	p := pub(topic, payload, 1, id)
	p.Retain = true
	return p
}

func durable(r *core.ConnectRequest) { r.CleanStart, r.Expiry = false, 3600 }

func show(ds []core.Delivery) string {
	var out []string
	for _, d := range ds {
		switch d.Kind {
		case core.DeliverMessage:
			text := fmt.Sprintf("%s=%s q%d", d.Msg.Topic, d.Msg.Payload, d.QoS)
			if d.Retain {
				text += " retain"
			}
			out = append(out, text)
		case core.DeliverAck, core.DeliverReceived:
			text := fmt.Sprintf("ack %d", d.PacketID)
			if d.Reason != core.Success && d.Reason != core.NoMatchingSubscribers {
				text += " " + d.Reason.String()
			}
			out = append(out, text)
		}
	}
	return strings.Join(out, ", ")
}

func (w *world) gets(c *coretest.Client, want string) (ids []uint16) {
	w.t.Helper()
	synctest.Wait()
	ds := c.Now()
	if got := show(ds); got != want {
		w.t.Errorf("the client gets %q, want %q", got, want)
	}
	for _, d := range ds {
		if d.Kind == core.DeliverMessage && d.QoS > 0 {
			ids = append(ids, d.PacketID)
		}
	}
	return ids
}

func (w *world) ack(c *coretest.Client, ids ...uint16) {
	for _, id := range ids {
		c.Ack(core.AckReceived1, id)
	}
	synctest.Wait()
}

// Each hook comes to what its function is about.
func TestHooks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, nil, nil)
		s := w.Connect("s", nil)
		s.Subscribe(1, "t/+")
		p := w.Connect("p", nil)
		p.Publish(pub("t/0", "zero", 0, 0)) // on_message_publish has QoS 1 and 2
		p.Publish(pub("t/1", "one", 1, 1))
		p.Publish(kept("r", "kept", 2))
		p.Publish(kept("r", "", 3))
		w.ack(s, w.gets(s, "t/0=zero q0, t/1=one q1")...)
		s.Unsubscribe("t/+")
		s.Disconnect(core.NormalDisconnect)
		w.want(`on_client_connected s
			on_client_connected p
			on_message_publish p t/1=one
			on_message_publish p r=kept
			on_message_retain p r=kept
			on_message_publish p r
			on_retain_delete p r
			on_message_acked s t/1
			on_acked_delete s t/+
			on_client_disconnected s`)
		w.gets(p, "ack 1, ack 2, ack 3")
		for _, j := range w.db.Did() {
			if j.Node != "n1" || j.Time == 0 || j.Protocol != "mqtt" && j.Hook != rules.MessagePublish || j.Hook == rules.ClientConnected && j.Peer != "127.0.0.1" {
				t.Errorf("%+v", j)
			}
			if m := j.Message; m != nil && (!rules.IsMessageID(m.MsgID) || m.Sender != "p" || m.Node != "n1" || m.Arrived == 0) {
				t.Errorf("%+v", m)
			}
		}
	})
}

// A database that is away is named once; what waits is done in order when it is back.
func TestAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, []rules.Rule{{Hook: rules.MessagePublish, Function: rules.OnMessageStore}}, nil)
		w.db.Away(errors.New("connection refused"))
		p := w.Connect("p", nil)
		for i := range 300 {
			p.Publish(pub(fmt.Sprintf("t/%d", i%3), fmt.Sprint(i), 1, uint16(i+1)))
		}
		time.Sleep(time.Minute)
		if n := w.log.of("is away"); n != 1 {
			t.Errorf("%d lines say so", n)
		}
		st := w.e.Stats()[0]
		if st.Done != 0 || st.Waiting != 300 || st.Failed == 0 || st.AwayForSeconds < 50 {
			t.Errorf("away: %+v", st)
		}
		w.db.Away(nil)
		time.Sleep(10 * time.Second)
		if n := w.log.of("is back"); n != 1 {
			t.Errorf("%d lines say that it is back", n)
		}
		next := map[string]int{}
		for _, j := range w.db.Did() {
			at := 0
			fmt.Sscan(string(j.Message.Payload), &at)
			if want := next[j.Topic]*3 + int(j.Topic[2]-'0'); at != want {
				t.Fatalf("%s: %d came, want %d", j.Topic, at, want)
			}
			next[j.Topic]++
		}
		if st = w.e.Stats()[0]; st.Done != 300 || st.Waiting != 0 || st.Dropped != 0 || st.Retried == 0 || st.AwayForSeconds != 0 {
			t.Errorf("back: %+v", st)
		}
	})
}

func sync1(ack string) []rules.Rule {
	return []rules.Rule{
		{Hook: rules.MessagePublish, Topic: "t/#", Function: rules.OnMessagePublish, Ack: ack},
		{Hook: rules.MessagePublish, Topic: "refused", Statements: []string{rulestest.RefusedStatement}, Ack: ack},
		{Hook: rules.ClientConnected, Function: rules.OnClientConnected},
	}
}

// With ack = "sync" an acknowledgement says that the database has the message; it comes
// in time or not at all.
func TestSync(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, sync1(rules.AckSync), nil)
		p := w.Connect("p", nil)
		p.Publish(pub("t/1", "one", 1, 1))
		w.gets(p, "ack 1")
		w.db.Away(errors.New("no"))
		p.Publish(pub("t/1", "two", 1, 2))
		p.Publish(pub("other", "three", 1, 3))
		time.Sleep(5 * time.Second)
		w.gets(p, "")
		w.db.Away(nil)
		time.Sleep(6 * time.Second)
		w.gets(p, "ack 2, ack 3")
		w.want("on_client_connected p\non_message_publish p t/1=one\non_message_publish p t/1=two")
		w.db.Away(errors.New("no"))
		p.Publish(pub("t/1", "four", 1, 4))
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if got := show(p.Now()); got == "ack 4" || !p.Ended() && got == "" {
			t.Errorf("the database is away, the publisher gets %q", got)
		}
		w.db.Away(nil)
		time.Sleep(10 * time.Second)
		if !strings.Contains(w.did(), "t/1=four") {
			t.Error("the message did not stay in the queue")
		}
	})
}

// A publisher that could be told of a failure only by the end of its connection waits as
// long as the database is away.
func TestSyncIsPatient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, sync1(rules.AckSync), nil)
		w.db.Away(errors.New("no"))
		old, modern := w.Connect("old", func(r *core.ConnectRequest) { r.Version = 4 }), w.Connect("modern", nil)
		old.Publish(pub("t/1", "one", 1, 1))
		modern.Publish(pub("t/2", "two", 1, 1))
		time.Sleep(5 * time.Minute)
		w.gets(old, "")
		w.gets(modern, "ack 1 store_unavailable")
		w.db.Away(nil)
		time.Sleep(10 * time.Second)
		w.gets(old, "ack 1")
		w.gets(modern, "")
		w.db.Away(errors.New("no"))
		old.Publish(pub("t/1", "three", 1, 2))
		synctest.Wait()
		w.stop()
		synctest.Wait()
		if got := show(old.Now()); !strings.Contains(got, "store_unavailable") && !old.Ended() {
			t.Errorf("at the end of the gateway the publisher gets %q", got)
		}
	})
}

// What the database refuses is its publisher's matter alone, however much came with it.
func TestRefusedAmongOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, sync1(rules.AckSync), nil)
		var all []coretest.Publication
		bad := w.Connect("bad", nil)
		var good []*coretest.Client
		for i := range 20 {
			c := w.Connect(fmt.Sprint("good", i), nil)
			good = append(good, c)
			all = append(all, coretest.Publication{Client: c, Message: pub(fmt.Sprint("t/", i), "x", 1, 1)})
		}
		all = slices.Insert(all, 10, coretest.Publication{Client: bad, Message: pub("refused", "x", 1, 1)})
		w.PublishTogether(all...)
		w.gets(bad, "ack 1 store_unavailable")
		for _, c := range good {
			w.gets(c, "ack 1")
		}
	})
}

// What the database refuses for good is dropped by name, and not acknowledged.
func TestRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, sync1(rules.AckSync), nil)
		p, q := w.Connect("p", nil), w.Connect("q", nil)
		p.Publish(pub("refused", "x", 1, 1))
		synctest.Wait()
		if got := show(p.Now()); got == "ack 1" || !p.Ended() && got == "" {
			t.Errorf("refused, the publisher gets %q", got)
		}
		q.Publish(pub("t/1", "later", 1, 1))
		w.gets(q, "ack 1")
		rs := w.Explain(10, func(r *core.Record) bool { return strings.Contains(r.Detail, "refused for good") })
		if len(rs) != 1 || w.log.of("refuses") != 1 {
			t.Errorf("%d records and %d lines tell", len(rs), w.log.of("refuses"))
		}
		if st := w.e.Stats()[1]; st.Dropped != 1 || st.Waiting != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// A queue is bounded; what has no room is dropped by name and not acknowledged.
func TestQueueFull(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, ack := range []string{rules.AckNone, rules.AckSync} {
			w := start(t, nil, sync1(ack), func(o *rules.Options) { o.Config.Queue = 1 << 16 })
			w.db.Away(errors.New("no"))
			p := w.Connect("p", nil)
			n := uint16(0)
			for range 100 {
				n++
				p.Publish(pub("t/1", strings.Repeat("x", 1000), 1, n))
			}
			synctest.Wait()
			if st := w.e.Stats()[0]; st.Dropped < 30 || st.Dropped+st.Waiting != 100 {
				t.Errorf("ack %s: %+v", ack, st)
			}
			acked := strings.Count(show(p.Now()), "ack ")
			if rs := w.Explain(1, func(r *core.Record) bool { return strings.Contains(r.Detail, "mem.pool1 is full") }); len(rs) != 1 {
				t.Errorf("ack %s: nothing explains it", ack)
			}
			if ack == rules.AckNone && acked != 100 {
				t.Errorf("%d of 100 are acknowledged", acked)
			}
			w.stop()
			w.Stop()
		}
	})
}

// What a queue kept of another run is done, unless its rule is no more.
func TestQueueOfAnotherRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		db := rulestest.NewMemory()
		db.Away(errors.New("no"))
		q := rules.NewMemoryQueue(8, 1<<20)
		with := func(list ...rules.Rule) *world {
			return start(t, db, list, func(o *rules.Options) { o.Queue = func(string, int) (rules.Queue, error) { return q, nil } })
		}
		store := rules.Rule{Hook: rules.MessagePublish, Topic: "t/#", Function: rules.OnMessageStore}
		gone := rules.Rule{Hook: rules.MessagePublish, Topic: "u/#", Function: rules.OnMessageStore}
		w := with(gone, store)
		p := w.Connect("p", nil)
		p.Publish(pub("t/1", "one", 0, 0))
		p.Publish(pub("u/1", "two", 0, 0))
		p.Publish(pub("t/2", "three", 0, 0))
		synctest.Wait()
		w.stop()
		w.Stop()
		db.Away(nil)
		for _, l := range q.Lanes() { // as a restart does
			l.(interface{ Retry() }).Retry()
		}
		store.Ack = rules.AckSync // what a rule waits for may change
		w = with(rules.Rule{Hook: rules.ClientConnected, Function: rules.OnClientConnected}, store)
		w.want("on_message_store p t/1=one\non_message_store p t/2=three")
		if rs := w.Explain(10, func(r *core.Record) bool { return strings.Contains(r.Detail, "is no more") }); len(rs) != 1 {
			t.Errorf("%d records tell of the entry without a rule", len(rs))
		}
		if st := w.e.Stats()[1]; st.Done != 2 || st.Waiting != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// At the end what waits is written, as far as the time allows.
func TestEndWritesWhatWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, sync1(rules.AckNone), nil)
		w.db.Away(errors.New("no"))
		p := w.Connect("p", nil)
		for i := range 50 {
			p.Publish(pub(fmt.Sprintf("t/%d", i), "x", 1, uint16(i+1)))
		}
		synctest.Wait()
		w.db.Away(nil)
		w.stop()
		if n := strings.Count(w.did(), "on_message_publish"); n != 50 {
			t.Errorf("%d of 50 are written", n)
		}
	})
}

// newSpool opens a queue on disk.
func newSpool(t *testing.T, dir string) func(string, int) (rules.Queue, error) {
	return func(_ string, lanes int) (rules.Queue, error) {
		s, err := spool.Open(spool.Options{Dir: dir, Lanes: lanes, MaxMemory: 1 << 20, MaxBytes: 64 << 20})
		if err != nil {
			return nil, err
		}
		return rules.NewSpool(s), nil
	}
}

// With ack = "spool" an acknowledgement says that the message is on disk: it comes while
// the database is away, and a later run writes it, in order.
func TestSpool(t *testing.T) {
	dir, db := t.TempDir(), rulestest.NewMemory()
	db.Away(errors.New("no"))
	const n = 5000
	bubble(t, func(t *testing.T) {
		w := start(t, db, sync1(rules.AckSpool), func(o *rules.Options) { o.Queue = newSpool(t, dir) })
		p := w.Connect("p", nil)
		for i := range n {
			p.Publish(pub(fmt.Sprintf("t/%d", i%5), strings.Repeat("x", 500)+fmt.Sprint(i), 1, uint16(i+1)))
			if i%100 == 99 {
				if ds := p.Take(100); len(ds) != 100 || ds[99].Reason != core.Success && ds[99].Reason != core.NoMatchingSubscribers {
					t.Fatalf("after %d: %s", i, show(ds))
				}
			}
		}
		w.stop()
	})
	bubble(t, func(t *testing.T) {
		db.Away(nil)
		w := start(t, db, sync1(rules.AckSpool), func(o *rules.Options) { o.Queue = newSpool(t, dir) })
		for w.e.Stats()[0].Done < n {
			time.Sleep(time.Second)
		}
		next := [5]int{0, 1, 2, 3, 4}
		for _, j := range db.Did() {
			if j.Message == nil {
				continue
			}
			at, lane := 0, int(j.Topic[2]-'0')
			fmt.Sscan(strings.TrimLeft(string(j.Message.Payload), "x"), &at)
			if at != next[lane] {
				t.Fatalf("%s: %d came, want %d", j.Topic, at, next[lane])
			}
			next[lane] += 5
		}
		w.stop()
	})
}

// Without a disk ack = "spool" promises nothing, and says so.
func TestNoSpool(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, nil, sync1(rules.AckSpool), nil)
		p := w.Connect("p", nil)
		p.Publish(pub("t/1", "x", 1, 1))
		w.gets(p, "ack 1 store_unavailable")
	})
}

// choosy is a database that cannot do more than a few jobs at once.
type choosy struct{ *rulestest.Memory }

func (d choosy) Do(ctx context.Context, jobs []rules.Job) (int, error) {
	if len(jobs) > 3 {
		return 0, errors.New("too much at once")
	}
	return d.Memory.Do(ctx, jobs)
}

// What fails at once is tried in smaller pieces.
func TestBatchesShrink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		db := rulestest.NewMemory()
		w := start(t, db, sync1(rules.AckNone), func(o *rules.Options) { o.Pools["pool1"] = choosy{db} })
		p := w.Connect("p", nil)
		db.Away(errors.New("no"))
		for i := range 100 {
			p.Publish(pub("t/1", fmt.Sprint(i), 1, uint16(i+1)))
		}
		time.Sleep(time.Second)
		db.Away(nil)
		time.Sleep(5 * time.Minute)
		if n := strings.Count(w.did(), "on_message_publish"); n != 100 {
			t.Errorf("%d of 100 are written", n)
		}
		if n := w.log.of("is away"); n > 10 {
			t.Errorf("%d lines say that it is away", n)
		}
	})
}

// minute lets a minute pass.
func (w *world) minute() {
	time.Sleep(time.Minute)
	synctest.Wait()
}
