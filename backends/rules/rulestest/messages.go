package rulestest

import (
	"bytes"
	"fmt"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

func messageCases() map[string]trial {
	return map[string]trial{
		"publish": {func(b *bench) { stored(b, rules.OnMessagePublish) }, needs(rules.OnMessagePublish)},
		"store":   {func(b *bench) { stored(b, rules.OnMessageStore) }, needs(rules.OnMessageStore)},
		"latest":  {latest, needs(rules.OnMessageStoreKeepLatest, rules.OnMessageAckedKeepLatest)},
		"batch":   {batch, needs(rules.OnClientConnected, rules.OnMessagePublish, rules.OnMessageRetain, rules.OnRetainDelete, rules.OnClientDisconnected)},
		"payload": {payloads, needs(rules.OnMessagePublish, rules.OnMessageRetain)},
	}
}

func stored(b *bench, f rules.Function) {
	m1, m2, other := b.message("t/1", "one"), b.message("t/1", "two"), b.message("t/2", "other")
	m2.QoS, m2.Sender, m2.Retain = 2, "", true
	if f == rules.OnMessageStore {
		m1.QoS = 0
	}
	for _, m := range []*rules.Message{m1, m2, other} {
		b.do(b.job(f, rules.MessagePublish, m.Sender, m))
	}
	b.wantMessages("of t/1", b.site.Messages(b.T, "t/1"), m1, m2)
	b.wantMessages("of t/2", b.site.Messages(b.T, "t/2"), other)
	b.wantMessages("of t", b.site.Messages(b.T, "t"))
}

func latest(b *bench) {
	m1, m2 := b.message("t/1", "one"), b.message("t/1", "two")
	for _, m := range []*rules.Message{m1, m2} {
		b.do(b.job(rules.OnMessageStoreKeepLatest, rules.MessagePublish, m.Sender, m))
		b.wantMessage("latest", b.site.Latest(b.T, "t/1"), m)
	}
	b.acked(rules.OnMessageAckedKeepLatest, "c", m1)
	b.wantMessage("an older one acknowledged", b.site.Latest(b.T, "t/1"), m2)
	b.acked(rules.OnMessageAckedKeepLatest, "c", m2)
	b.wantMessage("acknowledged", b.site.Latest(b.T, "t/1"), nil)
}

// A batch of everything is done in order, at once.
func batch(b *bench) {
	at := b.now
	jobs := []rules.Job{b.job(rules.OnClientConnected, rules.ClientConnected, "c", nil)}
	var want []*rules.Message
	for i := range 500 {
		m := b.message("t", fmt.Sprintf("number %d", i))
		want = append(want, m)
		jobs = append(jobs, b.job(rules.OnMessagePublish, rules.MessagePublish, "sender", m))
	}
	kept, gone := b.message("r/1", "kept"), b.message("r/2", "gone")
	empty := b.message("r/2", "")
	kept.Retain, gone.Retain, empty.Retain = true, true, true
	jobs = append(jobs, b.job(rules.OnMessageRetain, rules.MessagePublish, "sender", kept),
		b.job(rules.OnMessageRetain, rules.MessagePublish, "sender", gone),
		b.job(rules.OnRetainDelete, rules.MessagePublish, "sender", empty))
	b.now = b.now.Add(second)
	jobs = append(jobs, b.job(rules.OnClientDisconnected, rules.ClientDisconnected, "c", nil))
	b.do(jobs...)
	b.wantMessages("of t", b.site.Messages(b.T, "t"), want...)
	b.wantMessage("retained", b.site.Retained(b.T, "r/1"), kept)
	b.wantMessage("deleted", b.site.Retained(b.T, "r/2"), nil)
	b.wantClient("c", false, at, b.now)
	b.do(jobs...) // after a crash
	b.wantMessages("of t, done again", b.site.Messages(b.T, "t"), want...)
}

// Payloads are bytes.
func payloads(b *bench) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, p := range map[string][]byte{"empty": {}, "every byte": all, "64 KiB": bytes.Repeat(all, 256), "1 MiB": bytes.Repeat(all, 4096), "JSON": []byte(`{"a":1.0,"a":2}`)} {
		m := b.message("p/"+name, string(p))
		b.published(m)
		b.wantMessages(name, b.site.Messages(b.T, m.Topic), m)
		m.Retain = true
		if len(p) > 0 {
			b.do(b.job(rules.OnMessageRetain, rules.MessagePublish, "sender", m))
			b.wantMessage(name+", retained", b.site.Retained(b.T, m.Topic), m)
			b.wantMessages(name+", read", b.retained(rules.Query{Filter: m.Topic}), m)
		}
	}
}

func retainedCases() map[string]trial {
	return map[string]trial{
		"replace":   {retainedReplaced, needs(rules.OnMessageRetain, rules.OnRetainDelete)},
		"lookup":    {retainedLookup, needs(rules.OnMessageRetain, rules.OnRetainLookup)},
		"wildcards": {retainedWildcards, needs(rules.OnMessageRetain, rules.OnRetainLookup)},
	}
}

func (b *bench) retain(topic, payload string) *rules.Message {
	b.Helper()
	m := b.message(topic, payload)
	m.Retain = true
	b.do(b.job(rules.OnMessageRetain, rules.MessagePublish, "sender", m))
	return m
}

func retainedReplaced(b *bench) {
	b.retain("r", "one")
	m := b.retain("r", "two")
	b.wantMessage("replaced", b.site.Retained(b.T, "r"), m)
	empty := b.message("r", "")
	empty.Retain = true
	b.do(b.job(rules.OnRetainDelete, rules.MessagePublish, "sender", empty))
	b.wantMessage("deleted", b.site.Retained(b.T, "r"), nil)
	m = b.retain("r", "three")
	b.wantMessage("again", b.site.Retained(b.T, "r"), m)
}

func retainedLookup(b *bench) {
	m := b.retain("r/1", "one")
	m.QoS = 0
	b.do(b.job(rules.OnMessageRetain, rules.MessagePublish, "sender", m))
	b.retain("r/2", "two")
	got := b.retained(rules.Query{Filter: "r/1"})
	b.wantMessages("r/1", got, m)
	if len(got) == 1 && time.UnixMilli(got[0].Arrived).Sub(time.UnixMilli(m.Arrived)).Abs() > second {
		b.Errorf("arrived at %d, want %d", got[0].Arrived, m.Arrived)
	}
	b.wantMessages("r/3", b.retained(rules.Query{Filter: "r/3"}))
}

func retainedWildcards(b *bench) {
	for _, topic := range append(topics(), "$x_y/50%/x", "$xxy/50%/x") {
		b.retain(topic, "of "+topic)
	}
	for filter, want := range expansions() {
		for _, size := range []int{1, 3, 100} {
			got := map[string]int{}
			for _, m := range b.retained(rules.Query{Filter: filter, Max: size}) {
				got[m.Topic]++
				if string(m.Payload) != "of "+m.Topic || !m.Retain {
					b.Errorf("%s: %s", filter, text(&m))
				}
			}
			b.wantTopics(filter, got, want)
		}
	}
	got := map[string]int{}
	for _, m := range b.retained(rules.Query{Filter: "$x_y/50%/+"}) {
		got[m.Topic]++
	}
	b.wantTopics("$x_y/50%/+", got, []string{"$x_y/50%/x"})
}

// topics are those of cases with wildcards.
func topics() []string {
	return []string{"a", "a/b", "a/b/c", "a/x/c", "a//c", "A/b", "ab/c", "/a", "$SYS/a", "b/c"}
}

// expansions are filters and the topics that they match. [MQTT-4.7.1-2] [MQTT-4.7.2-1]
func expansions() map[string][]string {
	return map[string][]string{
		"a/#":     {"a", "a/b", "a/b/c", "a/x/c", "a//c"},
		"a/+":     {"a/b"},
		"a/+/c":   {"a/b/c", "a/x/c", "a//c"},
		"+/b":     {"a/b", "A/b"},
		"+":       {"a"},
		"$SYS/#":  {"$SYS/a"},
		"+/+/#":   {"a/b", "a/b/c", "a/x/c", "a//c", "A/b", "ab/c", "/a", "b/c"},
		"a/b/c/#": {"a/b/c"},
		"none/#":  nil,
	}
}

func (b *bench) wantTopics(what string, got map[string]int, want []string) {
	b.Helper()
	for _, topic := range want {
		if got[topic] != 1 {
			b.Errorf("%s: %d messages of %s, want 1", what, got[topic], topic)
		}
		delete(got, topic)
	}
	for topic, n := range got {
		b.Errorf("%s: %d messages of %s, want none", what, n, topic)
	}
}
