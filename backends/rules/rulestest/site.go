package rulestest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// Site is a service under test. What looks must use the service's own client, never the
// driver's code.
type Site interface {
	// Functions are those that the driver has.
	Functions() []rules.Function
	// Open gives a database with empty tables (Init with create has run), or skips t.
	// The suite closes it.
	Open(t *testing.T) rules.Database

	// Client is what stands about a client; nil for nothing.
	Client(t *testing.T, id string) *Client
	// Messages are those stored of a topic, in the order in which they would be read.
	// Arrived, Node, Expires and Cursor are not compared.
	Messages(t *testing.T, topic string) []rules.Message
	// Latest is the one kept by on_message_store_keep_latest; nil for none.
	Latest(t *testing.T, topic string) *rules.Message
	// Retained is the retained message of a topic; nil for none.
	Retained(t *testing.T, topic string) *rules.Message
	// Acked is the MsgID that the cursor of a client and topic stands at (where the
	// database has a number of its own there, that of the message with it); "" where
	// there is no cursor, or it stands before every message.
	Acked(t *testing.T, clientID, topic string) string
	// Subscribe writes a row of subscriptions as the user's programs do.
	Subscribe(t *testing.T, clientID, filter string, qos uint8)

	// Custom gives statements, which work in the database that Open gave, and what they
	// wrote: the value of each variable named, in a place found by the MsgID; nil for
	// nothing there. The suite has ${msgid}, ${clientid}, ${username}, ${topic} and
	// ${payload} bound and calls read afterwards.
	Custom(t *testing.T) (statements []string, read func(t *testing.T, msgID string) map[rules.Variable]string)
	// Broken is a statement that parses, and that the database refuses for good.
	Broken() string
}

// Mortal is a Site whose service the suite may end.
type Mortal interface {
	Site
	// Outage ends the service without warning, and gives what starts it again with all
	// it had kept.
	Outage(t *testing.T) (restart func())
}

// Client is what stands about a client.
type Client struct {
	Online    bool
	Node      string // "" where the database has none for a client that is away
	OnlineAt  time.Time
	OfflineAt time.Time // zero for none
}

// trial is a case, and what a driver must have for it: there is none where it has not.
type trial struct {
	try   func(*bench)
	needs []rules.Function
}

func needs(fs ...rules.Function) []rules.Function { return fs }

// applies tells whether the site's driver has what t needs.
func (t trial) applies(s Site) bool {
	return !slices.ContainsFunc(t.needs, func(f rules.Function) bool { return !slices.Contains(s.Functions(), f) })
}

// Run tests a driver, and a Mortal also for what it does when its service dies.
func Run(t *testing.T, s Site) {
	outages := map[string]trial{}
	if m, mortal := s.(Mortal); mortal {
		outages = outageCases(m)
	}
	for _, group := range []struct {
		name  string
		cases map[string]trial
	}{
		{"clients", clientCases()},
		{"messages", messageCases()},
		{"retained", retainedCases()},
		{"unread", unreadCases()},
		{"queue", queueCases()},
		{"statements", statementCases()},
		{"injection", injectionCases()},
		{"outage", outages},
	} {
		maps.DeleteFunc(group.cases, func(_ string, c trial) bool { return !c.applies(s) })
		if len(group.cases) == 0 {
			continue
		}
		t.Run(group.name, func(t *testing.T) {
			for _, name := range sorted(group.cases) {
				t.Run(name, func(t *testing.T) { group.cases[name].try(newBench(t, s)) })
			}
		})
	}
}

func sorted[T any](m map[string]T) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// bench is one case at work.
type bench struct {
	*testing.T
	site Site
	db   rules.Database
	now  time.Time // of the next job
	next uint64    // ID of the next message
}

// second is the unit of time of the coarsest database.
const second = time.Second

// limit is how long a case may take: one starts its service again.
const limit = 2 * time.Minute

func newBench(t *testing.T, s Site) *bench {
	testservice.Limit(t, limit)
	db := s.Open(t)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	now := time.Now().Truncate(second)
	return &bench{T: t, site: s, db: db, now: now, next: uint64(now.UnixMicro()) << 8}
}

// firstOf is the first of fs that the driver has: each has one of them.
func (b *bench) firstOf(fs ...rules.Function) rules.Function {
	b.Helper()
	for _, f := range fs {
		if slices.Contains(b.site.Functions(), f) {
			return f
		}
	}
	b.Fatalf("the database has none of %v", fs)
	return ""
}

func (b *bench) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	b.Cleanup(cancel)
	return ctx
}

// do does jobs, and does the last one again: a job may come twice.
func (b *bench) do(jobs ...rules.Job) {
	b.Helper()
	for _, again := range [][]rules.Job{jobs, jobs[len(jobs)-1:]} {
		if done, err := b.db.Do(b.context(), again); err != nil || done != len(again) {
			b.Fatalf("done %d of %d: %v", done, len(again), err)
		}
	}
}

// message makes a message, later than all before.
func (b *bench) message(topic, payload string) *rules.Message {
	b.next += 1000 << 8 // a millisecond
	at := int64(b.next >> 8 / 1000)
	return &rules.Message{MsgID: rules.MessageIDAfter(b.next - 1), Topic: topic, Payload: []byte(payload), QoS: 1, Sender: "sender", Node: "n1", Arrived: at}
}

// job makes a job of a function about a message.
func (b *bench) job(f rules.Function, h rules.Hook, clientID string, m *rules.Message) rules.Job {
	j := rules.Job{Rule: &rules.Rule{Hook: h, Function: f}, Hook: h, Time: b.now.UnixMilli(), Node: "n1", ClientID: clientID,
		Username: "user", Protocol: "mqtt", Peer: "192.0.2.1"}
	if m != nil {
		j.Topic, j.QoS, j.Message = m.Topic, m.QoS, m
	}
	return j
}

// published stores messages.
func (b *bench) published(ms ...*rules.Message) {
	b.Helper()
	var jobs []rules.Job
	for _, m := range ms {
		jobs = append(jobs, b.job(rules.OnMessagePublish, rules.MessagePublish, m.Sender, m))
	}
	b.do(jobs...)
}

func (b *bench) acked(f rules.Function, clientID string, ms ...*rules.Message) {
	b.Helper()
	for _, m := range ms {
		b.do(b.job(f, rules.MessageAcked, clientID, m))
	}
}

// unread reads all pages of q with f.
func (b *bench) unread(f rules.Function, q rules.Query) (ms []rules.Message) {
	b.Helper()
	if q.Max == 0 {
		q.Max = 100
	}
	q.QoS = 1
	rule := &rules.Rule{Hook: rules.SessionSubscribed, Topic: "#", Function: f}
	return b.pages(q, func(q *rules.Query) ([]rules.Message, error) { return b.db.Unread(b.context(), rule, q) })
}

func (b *bench) retained(q rules.Query) (ms []rules.Message) {
	b.Helper()
	if q.Max == 0 {
		q.Max = 100
	}
	rule := &rules.Rule{Hook: rules.SessionSubscribed, Function: rules.OnRetainLookup}
	return b.pages(q, func(q *rules.Query) ([]rules.Message, error) { return b.db.Retained(b.context(), rule, q) })
}

// pages reads until an answer is empty, as the engine does.
func (b *bench) pages(q rules.Query, read func(*rules.Query) ([]rules.Message, error)) (ms []rules.Message) {
	b.Helper()
	for range 1000 {
		page, err := read(&q)
		if err != nil {
			b.Fatalf("%+v: %v", q, err)
		}
		if len(page) > q.Max {
			b.Errorf("an answer has %d messages, at most %d were asked for", len(page), q.Max)
		}
		if len(page) == 0 {
			return ms
		}
		ms = append(ms, page...)
		if after := page[len(page)-1].Cursor; after == "" || after == q.After {
			b.Fatalf("the cursor is %q after %q", after, q.After)
		} else {
			q.After = after
		}
	}
	b.Fatal("the pages have no end")
	return nil
}

// wantMessages compares what must be kept of messages.
func (b *bench) wantMessages(what string, got []rules.Message, want ...*rules.Message) {
	b.Helper()
	texts := func(n int, at func(int) *rules.Message) string {
		var out []string
		for i := range n {
			out = append(out, text(at(i)))
		}
		return strings.Join(out, "\n")
	}
	g, w := texts(len(got), func(i int) *rules.Message { return &got[i] }), texts(len(want), func(i int) *rules.Message { return want[i] })
	if g != w {
		b.Errorf("%s:\n%s\nwant:\n%s", what, short(g), short(w))
	}
}

func (b *bench) wantMessage(what string, got *rules.Message, want *rules.Message) {
	b.Helper()
	if text(got) != text(want) {
		b.Errorf("%s:\n%s\nwant:\n%s", what, short(text(got)), short(text(want)))
	}
}

func text(m *rules.Message) string {
	if m == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s %q=%q qos %d retain %v of %q", m.MsgID, m.Topic, m.Payload, m.QoS, m.Retain, m.Sender)
}

// short cuts what nobody wants to read.
func short(s string) string {
	if len(s) > 2000 {
		return s[:1000] + " … " + s[len(s)-1000:]
	}
	return s
}
