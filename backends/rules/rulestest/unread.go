package rulestest

import (
	"fmt"
	"math/rand/v2"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

func unreadCases() map[string]trial {
	cases := map[string]trial{"deleted": {cursorDeleted, needs(rules.OnMessagePublish, rules.OnAckedDelete)}}
	for name, try := range map[string]func(*bench){
		"begin":     unreadBegins,
		"rest":      unreadRest,
		"pages":     unreadPages,
		"limits":    unreadLimits,
		"before":    unreadBefore,
		"monotonic": cursorMonotonic,
		"wildcards": unreadWildcards,
		"filters":   unreadFilters,
	} {
		cases[name] = trial{try, needs(rules.OnMessagePublish)}
	}
	return cases
}

// pubsub are the functions of readers with a cursor of their own, as the driver calls
// them.
func (b *bench) pubsub() (fetch, acked rules.Function) {
	return b.firstOf(rules.OnMessageFetchPubsub, rules.OnMessageFetch), b.firstOf(rules.OnMessageAckedPubsub, rules.OnMessageAcked)
}

// begin makes cursors for the client.
func (b *bench) begin(f rules.Function, clientID, filter string) {
	b.Helper()
	q := rules.Query{ClientID: clientID, Filter: filter, Before: rules.MessageIDAfter(b.next)}
	b.wantMessages("at first", b.unread(f, q))
}

// The first subscription of all begins behind the newest message.
func unreadBegins(b *bench) {
	fetch, _ := b.pubsub()
	old := b.message("t", "old")
	b.published(old)
	b.begin(fetch, "c", "t")
	b.begin(fetch, "c", "empty")
	b.begin(fetch, "c", "t") // once more, nothing came
	m, n := b.message("t", "new"), b.message("empty", "new")
	b.published(m, n)
	b.wantMessages("of t", b.unread(fetch, rules.Query{ClientID: "c", Filter: "t"}), m)
	b.wantMessages("of empty", b.unread(fetch, rules.Query{ClientID: "c", Filter: "empty"}), n)
	b.begin(fetch, "d", "t") // another client begins for itself
	live := b.message("t", "stored before the cursor of e was made, and e has subscribed before")
	b.published(live)
	for _, filter := range []string{"t", "t/#"} {
		q := rules.Query{ClientID: "e", Filter: filter, Before: live.MsgID}
		b.wantMessages("at first", b.unread(fetch, q))
		q.Before = ""
		b.wantMessages("later", b.unread(fetch, q), live)
	}
}

// What was not acknowledged comes again, to each client.
func unreadRest(b *bench) {
	fetch, acked := b.pubsub()
	b.begin(fetch, "c", "t")
	b.begin(fetch, "d", "t")
	m1, m2, m3 := b.message("t", "1"), b.message("t", "2"), b.message("t", "3")
	m2.QoS, m2.Sender = 2, ""
	b.published(m1, m2, m3)
	q := rules.Query{ClientID: "c", Filter: "t"}
	b.wantMessages("all", b.unread(fetch, q), m1, m2, m3)
	b.acked(acked, "c", m1)
	if at := b.site.Acked(b.T, "c", "t"); at != m1.MsgID {
		b.Errorf("the cursor is at %q, want %q", at, m1.MsgID)
	}
	b.wantMessages("one read", b.unread(fetch, q), m2, m3)
	b.acked(acked, "c", m2, m3)
	b.wantMessages("all read", b.unread(fetch, q))
	q.ClientID = "d"
	b.wantMessages("of another", b.unread(fetch, q), m1, m2, m3)
}

func unreadPages(b *bench) {
	fetch, acked := b.pubsub()
	b.begin(fetch, "c", "t")
	var ms []*rules.Message
	for i := range 25 {
		ms = append(ms, b.message("t", fmt.Sprint(i)))
	}
	b.published(ms...)
	b.acked(acked, "c", ms[2])
	for _, size := range []int{1, 7, 22, 23} {
		b.wantMessages(fmt.Sprintf("%d at a time", size), b.unread(fetch, rules.Query{ClientID: "c", Filter: "t", Max: size}), ms[3:]...)
	}
}

// The newest within the time, the oldest of them first.
func unreadLimits(b *bench) {
	fetch, _ := b.pubsub()
	b.begin(fetch, "c", "t")
	var ms []*rules.Message
	for range 10 {
		b.next += 10_000_000 << 8 // ten seconds
		ms = append(ms, b.message("t", fmt.Sprint(len(ms))))
	}
	b.published(ms...)
	at := func(i int) int64 { return ms[i].Arrived - 5000 }
	for _, size := range []int{2, 100} {
		q := rules.Query{ClientID: "c", Filter: "t", Max: size}
		read := func(newest int, since int64) []rules.Message {
			q.Newest, q.Since = newest, since
			return b.unread(fetch, q)
		}
		b.wantMessages("newest 3", read(3, 0), ms[7:]...)
		b.wantMessages("newest 100", read(100, 0), ms...)
		b.wantMessages("since the fifth", read(0, at(5)), ms[5:]...)
		b.wantMessages("newest 2 since the fifth", read(2, at(5)), ms[8:]...)
		b.wantMessages("newest 7 since the fifth", read(7, at(5)), ms[5:]...)
	}
}

// What comes by the subscription itself is left out, and does not count.
func unreadBefore(b *bench) {
	fetch, _ := b.pubsub()
	b.begin(fetch, "c", "t")
	m1, m2, m3 := b.message("t", "1"), b.message("t", "2"), b.message("t", "3")
	b.published(m1, m2, m3)
	q := rules.Query{ClientID: "c", Filter: "t", Before: m3.MsgID}
	b.wantMessages("before the third", b.unread(fetch, q), m1, m2)
	q.Newest = 1
	b.wantMessages("the newest before the third", b.unread(fetch, q), m2)
	q.Before = m1.MsgID
	b.wantMessages("before all", b.unread(fetch, q))
}

// A cursor moves forward only, in whatever order acknowledgements come.
func cursorMonotonic(b *bench) {
	fetch, acked := b.pubsub()
	b.begin(fetch, "c", "t")
	var ms []*rules.Message
	for i := range 20 {
		ms = append(ms, b.message("t", fmt.Sprint(i)))
	}
	b.published(ms...)
	random, top := rand.New(rand.NewPCG(1, 2)), -1
	for range 40 {
		i := random.IntN(len(ms) - 1)
		top = max(top, i)
		b.acked(acked, "c", ms[i])
		if at := b.site.Acked(b.T, "c", "t"); at != ms[top].MsgID {
			b.Fatalf("after %d the cursor is at %s, want %s", i, at, ms[top].MsgID)
		}
	}
	b.wantMessages("the rest", b.unread(fetch, rules.Query{ClientID: "c", Filter: "t"}), ms[top+1:]...)
	never := b.message("t", "never stored, of QoS 0")
	b.acked(acked, "c", never) // need not move it, must do no harm
	b.published(b.message("t", "later"))
}

// The end of a subscription is the end of its cursors.
func cursorDeleted(b *bench) {
	fetch, acked := b.pubsub()
	for _, filter := range []string{"t", "t/+"} {
		b.begin(fetch, "c", filter)
		b.begin(fetch, "d", filter)
	}
	m, n := b.message("t", "1"), b.message("t/1", "1")
	b.published(m, n)
	for _, id := range []string{"c", "d"} {
		b.acked(acked, id, m, n)
	}
	for _, filter := range []string{"t", "t/+"} {
		j := b.job(rules.OnAckedDelete, rules.SessionUnsubscribed, "c", nil)
		j.Topic = filter
		b.do(j)
	}
	for _, topic := range []string{"t", "t/1"} {
		if at := b.site.Acked(b.T, "c", topic); at != "" {
			b.Errorf("%s: the cursor is at %q, want none", topic, at)
		}
		if at := b.site.Acked(b.T, "d", topic); at == "" {
			b.Errorf("%s: another's cursor is gone", topic)
		}
	}
	b.published(b.message("t", "2"), b.message("t/1", "2"))
	b.begin(fetch, "c", "t")
	b.begin(fetch, "c", "t/+")
}

func unreadWildcards(b *bench) {
	fetch, acked := b.pubsub()
	b.published(b.message("a/1", "old"))
	b.begin(fetch, "c", "a/#")
	m1, m2, m3 := b.message("a/1", "1"), b.message("a/2", "2"), b.message("a/1", "3")
	other := b.message("b", "other")
	b.published(m1, m2, m3, other)
	for _, size := range []int{1, 2, 100} {
		q := rules.Query{ClientID: "c", Filter: "a/#", Max: size}
		b.wantMessages("all", b.unread(fetch, q), m1, m2, m3)
	}
	b.acked(acked, "c", m3) // of a/1, and so m1
	b.wantMessages("a/1 read", b.unread(fetch, rules.Query{ClientID: "c", Filter: "a/#"}), m2)
	b.acked(acked, "c", m2)
	b.wantMessages("all read", b.unread(fetch, rules.Query{ClientID: "c", Filter: "a/#"}))
	m4 := b.message("a/new", "4")
	b.published(m4)
	q := rules.Query{ClientID: "c", Filter: "a/#"}
	b.wantMessages("a new topic", b.unread(fetch, q), m4)
	m5, m6 := b.message("a/2", "5"), b.message("a/1", "6")
	b.published(m5, m6)
	q.Newest = 2
	b.wantMessages("the newest two", b.unread(fetch, q), m5, m6)
}

func unreadFilters(b *bench) {
	fetch, _ := b.pubsub()
	for filter := range expansions() {
		b.begin(fetch, "c "+filter, filter)
	}
	for _, topic := range topics() {
		b.published(b.message(topic, "of "+topic))
	}
	for filter, want := range expansions() {
		got := map[string]int{}
		for _, m := range b.unread(fetch, rules.Query{ClientID: "c " + filter, Filter: filter, Max: 3}) {
			got[m.Topic]++
		}
		b.wantTopics(filter, got, want)
	}
}

func queueCases() map[string]trial {
	return map[string]trial{"queue": {queued, needs(rules.OnMessagePublish, rules.OnMessageFetchQueue, rules.OnMessageAckedQueue)}}
}

// A message of a queue is everybody's until one has acknowledged it.
func queued(b *bench) {
	m1, m2, m3 := b.message("q/1", "1"), b.message("q/1", "2"), b.message("q/2", "3")
	b.published(m1, m2, m3)
	read := func(id, filter string) []rules.Message {
		return b.unread(rules.OnMessageFetchQueue, rules.Query{ClientID: id, Filter: filter, Max: 2})
	}
	b.wantMessages("c", read("c", "q/1"), m1, m2)
	b.acked(rules.OnMessageAckedQueue, "c", m1)
	b.wantMessages("d", read("d", "q/#"), m2, m3)
	b.wantMessages("of q/1", b.site.Messages(b.T, "q/1"), m2)
	b.acked(rules.OnMessageAckedQueue, "d", m3)
	b.wantMessages("c", read("c", "q/+"), m2)
}
