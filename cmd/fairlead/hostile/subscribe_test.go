package hostile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// TestSubscribing are the attacks by subscriptions.
func TestSubscribing(t *testing.T) {
	run(t, []attack{
		{name: "subscription flood", does: "subscribes to ever new filters", holds: "0x97, subscription_limit", settings: []string{"core.max_subscriptions=5000"}, wage: subscriptionFlood, reasons: []string{"subscription_limit"}},
		{name: "long filters", does: "subscribes to filters of 60 KiB and of 30,000 levels", holds: "0x8F, topic_filter_invalid", wage: longFilters, reasons: []string{"topic_filter_invalid"}},
		{name: "filters in one packet", does: "sends 2,000 filters in one SUBSCRIBE", holds: "0x97, quota_exceeded", wage: manyFilters, reasons: []string{"quota_exceeded"}},
		{name: "identifiers in SUBSCRIBE", does: "gives two Subscription Identifiers, and the identifier 0", holds: "0x82, protocol_error", wage: twoIdentifiers, reasons: []string{"protocol_error"}},
		{name: "overlapping wildcards", does: "subscribes to every mix of a and + in 13 levels and publishes to a/a/…", holds: "match_work_limit; one publish a turn", wage: overlapping, reasons: []string{"match_work_limit"}},
		{name: "deep wildcards", does: "subscribes to + in 1 to 128 levels, with and without #, and publishes to 128 levels", holds: "one delivery each", wage: deepWildcards},
		{name: "subscription churn", does: "subscribes and unsubscribes 200 filters without end", holds: "nothing is left of it", wage: churn},
		{name: "shared group churn", does: "joins and leaves ever new shared groups", holds: "nothing is left of them", wage: groupChurn},
		{name: "repeated subscriptions", does: "holds 20,000 subscriptions and repeats the first thousand without end", holds: "the innocent are served", wage: repeated},
		{name: "one shared group twice", does: "enters a shared group with and without $local/ and $fastlane/, leaves it one by one, and breaks off", holds: "nothing is left of it", wage: groupTwice, after: noSubscriptions},
	})
}

// filters makes n filters of the attacker's.
func filters(from, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("hostile/%d/x", from+i))
	}
	return all
}

func subscriptionFlood(t *testing.T, at *arena) {
	p := connect(t, at.mqtt, "attacker")
	for i := range 10 {
		codes := p.subscribed(t, subscribe(1, 1, filters(i*1000, 1000)...))
		want := packet.ReasonCode(1)
		if i >= 5 {
			want = packet.ReasonQuotaExceeded
		}
		for _, c := range codes {
			if c != want {
				t.Fatalf("subscription %d: code %#x, wanted %#x", i*1000, byte(c), byte(want))
			}
		}
	}
}

func longFilters(t *testing.T, at *arena) {
	p := connect(t, at.mqtt, "attacker")
	for i := range size(3000, 20_000) {
		one := fmt.Sprintf("%060000d", i)
		if i%2 == 0 {
			one = fmt.Sprint(i) + strings.Repeat("/", 30_000)
		}
		wantCode(t, "SUBACK", p.subscribed(t, subscribe(1, 0, one))[0], packet.ReasonTopicFilterInvalid)
	}
}

func manyFilters(t *testing.T, at *arena) {
	refused(t, at, size(10, 100), packet.ReasonQuotaExceeded, func(int) []byte { return bytesOf(subscribe(1, 0, filters(0, 2000)...)) })
}

func twoIdentifiers(t *testing.T, at *arena) {
	with := func(ids string) []byte {
		body := "\x00\x01" + string(rune(len(ids))) + ids + "\x00\x01a\x00"
		return []byte("\x82" + string(rune(len(body))) + body)
	}
	refused(t, at, 5, packet.ReasonProtocolError, func(int) []byte { return with("\x0b\x01\x0b\x02") })
	refused(t, at, 5, packet.ReasonProtocolError, func(int) []byte { return with("\x0b\x00") })
}

func overlapping(t *testing.T, at *arena) {
	const levels = 14
	p := connect(t, at.mqtt, "attacker")
	var all []string
	for mix := range 1 << levels {
		var b strings.Builder
		b.WriteString("h")
		for i := range levels {
			b.WriteString([]string{"/a", "/+"}[mix>>i&1])
		}
		if all = append(all, b.String()); len(all) == 1024 {
			p.subscribed(t, subscribe(1, 0, all...))
			all = nil
		}
	}
	go p.drain()
	q := connect(t, at.mqtt, "attacker-2")
	one := bytesOf(publish("h"+strings.Repeat("/a", levels), 0, 0, []byte("x")))
	q.flood(time.Now().Add(span()), func(int) []byte { return one })
}

func deepWildcards(t *testing.T, at *arena) {
	p := connect(t, at.mqtt, "attacker")
	for n := 1; n <= 127; n++ {
		plus := "h" + strings.Repeat("/+", n)
		if n < 127 {
			p.subscribed(t, subscribe(1, 0, plus, plus+"/#"))
		} else {
			p.subscribed(t, subscribe(1, 0, plus))
		}
	}
	p.send(t, publish("h"+strings.Repeat("/x", 127), 0, 0, []byte("x")))
	var got packet.Publish
	p.expect(t, packet.TypePublish, &got)
	at.settled(t, p) // and no second one
	one := bytesOf(publish("h"+strings.Repeat("/x", 127), 0, 0, []byte("x")))
	go p.drain()
	connect(t, at.mqtt, "attacker-2").flood(time.Now().Add(span()), func(int) []byte { return one })
}

func churn(t *testing.T, at *arena) {
	before := at.metrics(t)["fairlead_subscriptions"]
	p := connect(t, at.mqtt, "attacker")
	for stop := time.Now().Add(span()); time.Now().Before(stop); {
		all := filters(0, 200)
		p.subscribed(t, subscribe(1, 1, all...))
		p.unsubscribed(t, all)
	}
	eventually(t, "as many subscriptions as before the churn", func() bool { return at.metrics(t)["fairlead_subscriptions"] == before })
}

func (p *peer) unsubscribed(t *testing.T, all []string) {
	t.Helper()
	u := &packet.Unsubscribe{PacketID: 2}
	for _, f := range all {
		u.Filters = append(u.Filters, []byte(f))
	}
	p.send(t, u)
	p.expect(t, packet.TypeUnsuback, &packet.Unsuback{})
}

func groupChurn(t *testing.T, at *arena) {
	before := at.metrics(t)["fairlead_subscriptions"]
	p := connect(t, at.mqtt, "attacker")
	turn := 0
	for stop := time.Now().Add(span()); time.Now().Before(stop); turn++ {
		var all []string
		for i := range 200 {
			all = append(all, fmt.Sprintf("$share/g%d-%d/innocent/none", turn, i))
		}
		p.subscribed(t, subscribe(1, 1, all...))
		p.unsubscribed(t, all)
	}
	eventually(t, "as many subscriptions as before the churn", func() bool { return at.metrics(t)["fairlead_subscriptions"] == before })
}

// groupTwice leaves a group that stays a member's by another prefix.
func groupTwice(t *testing.T, at *arena) {
	all := []string{"$share/g/hostile/x", "$local/$share/g/hostile/x", "$fastlane/$share/g/hostile/x"}
	for i := range all {
		p := connect(t, at.mqtt, fmt.Sprint("attacker-", i))
		p.subscribed(t, subscribe(1, 0, all...))
		p.unsubscribed(t, all[i:i+1])
		p.unsubscribed(t, all[i:i+1])
		p.Close()
	}
}

// noSubscriptions: the innocent have left.
func noSubscriptions(t *testing.T, at *arena) {
	eventually(t, "the end of the subscriptions", func() bool { return at.metrics(t)["fairlead_subscriptions"] == 0 })
}

func repeated(t *testing.T, at *arena) {
	p := connect(t, at.mqtt, "attacker")
	for i := range size(20, 100) {
		p.subscribed(t, subscribe(1, 1, filters(i*1000, 1000)...))
	}
	at.innocents.mark(t) // only the repeating counts
	again := subscribe(1, 1, filters(0, 1000)...)
	turns := 0
	for stop := time.Now().Add(span()); time.Now().Before(stop); turns++ {
		p.subscribed(t, again)
	}
	t.Logf("%d times a thousand subscriptions repeated", turns)
}
