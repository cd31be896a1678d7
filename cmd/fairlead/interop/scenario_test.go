package interop

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// stage is what a scenario plays on: a library, a version, a transport, and a
// word that keeps its topics and client identifiers apart from all others.
type stage struct {
	driver  driver
	at      endpoint
	version int
	word    string
}

func (s stage) open(t *testing.T, who string, change ...func(*options)) client {
	t.Helper()
	o := options{clientID: s.word + "-" + who, version: s.version}
	for _, f := range change {
		f(&o)
	}
	return s.driver.open(t, s.at, o)
}

func resume(o *options) { o.resume = true }

func withWill(m message) func(*options) { return func(o *options) { o.will = &m } }

func (s stage) topic(levels ...string) string {
	return s.word + "/" + strings.Join(levels, "/")
}

// burst makes n numbered messages for one topic.
func burst(topic string, qos byte, n int) []message {
	all := make([]message, n)
	for i := range all {
		all[i] = message{Topic: topic, Payload: fmt.Appendf(nil, "q%d-%03d", qos, i), QoS: qos}
	}
	return all
}

type scenario struct {
	name string
	play func(*testing.T, stage)
}

func scenarios() []scenario {
	return []scenario{
		{"publish and subscribe", playPublish},
		{"granted QoS is the lower one", playGranted},
		{"large payload", playLarge},
		{"retained", playRetained},
		{"will", playWill},
		{"session resume", playResume},
		{"shared subscription", playShared},
	}
}

func playPublish(t *testing.T, s stage) {
	sub, pub := s.open(t, "sub"), s.open(t, "pub")
	if got := sub.subscribe(t, s.topic("+", "deep", "#"), 2); got != 2 {
		t.Fatalf("granted QoS %d, wanted 2", got)
	}
	var sent []message
	for qos := range byte(3) {
		sent = append(sent, burst(s.topic("a", "deep", fmt.Sprint("qos", qos)), qos, 20)...)
	}
	pub.publish(t, message{Topic: s.topic("a", "shallow"), Payload: []byte("not for us"), QoS: 1})
	pub.publish(t, sent...)
	sameTopicByTopic(t, sub.receive(t, len(sent)), sent)
	pub.disconnect(t)
	sub.disconnect(t)
}

func playGranted(t *testing.T, s stage) {
	sub, pub := s.open(t, "sub"), s.open(t, "pub")
	for qos := range byte(3) {
		if got := sub.subscribe(t, s.topic("max", fmt.Sprint(qos)), qos); got != qos {
			t.Errorf("granted QoS %d, wanted %d", got, qos)
		}
	}
	var want []message
	for qos := range byte(3) {
		m := message{Topic: s.topic("max", fmt.Sprint(qos)), Payload: []byte("x"), QoS: 2}
		pub.publish(t, m)
		m.QoS = qos
		want = append(want, m)
	}
	sameTopicByTopic(t, sub.receive(t, len(want)), want)
	pub.disconnect(t)
	sub.disconnect(t)
}

// playLarge sends payloads of several read buffers, WebSocket frames and TLS records.
func playLarge(t *testing.T, s stage) {
	sub, pub := s.open(t, "sub"), s.open(t, "pub")
	sub.subscribe(t, s.topic("large"), 1)
	var sent []message
	for i, size := range []int{0, 1, 127, 128, 16_384, 70_000, 300_000} {
		sent = append(sent, message{Topic: s.topic("large"), Payload: bytes.Repeat([]byte{'a' + byte(i)}, size), QoS: 1})
	}
	pub.publish(t, sent...)
	same(t, sub.receive(t, len(sent)), sent)
	pub.disconnect(t)
	sub.disconnect(t)
}

func playRetained(t *testing.T, s stage) {
	pub := s.open(t, "pub")
	kept := message{Topic: s.topic("kept", "a"), Payload: []byte("last known"), QoS: 1, Retain: true}
	gone := message{Topic: s.topic("kept", "b"), Payload: []byte("to be cleared"), QoS: 1, Retain: true}
	pub.publish(t, kept, gone)
	pub.publish(t, message{Topic: gone.Topic, QoS: 1, Retain: true})

	sub := s.open(t, "sub")
	sub.subscribe(t, s.topic("kept", "#"), 1)
	fence := message{Topic: s.topic("kept", "fence"), Payload: []byte("fence"), QoS: 1}
	pub.publish(t, fence)
	same(t, sub.receive(t, 2), []message{kept, fence})

	// To those who are subscribed already it comes without the flag. [MQTT-3.3.1-9]
	kept.Payload = []byte("newer")
	pub.publish(t, kept)
	live := kept
	live.Retain = false
	same(t, sub.receive(t, 1), []message{live})
	pub.publish(t, message{Topic: kept.Topic, QoS: 1, Retain: true})
	pub.disconnect(t)
	sub.disconnect(t)
}

func playWill(t *testing.T, s stage) {
	watch := s.open(t, "watch")
	watch.subscribe(t, s.topic("will", "#"), 2)
	polite := s.open(t, "polite", withWill(message{Topic: s.topic("will", "polite"), Payload: []byte("never sent"), QoS: 1}))
	polite.disconnect(t)
	for qos := range byte(3) {
		will := message{Topic: s.topic("will", fmt.Sprint(qos)), Payload: []byte("gone without a word"), QoS: qos, Retain: qos == 1}
		s.open(t, fmt.Sprint("dying", qos), withWill(will)).drop(t)
		retained := will.Retain
		will.Retain = false
		same(t, watch.receive(t, 1), []message{will})
		if retained {
			s.expectRetained(t, message{Topic: will.Topic, Payload: will.Payload, QoS: qos, Retain: true})
			same(t, watch.receive(t, 1), []message{{Topic: will.Topic, QoS: qos}}) // what cleared it
		}
	}
	watch.disconnect(t)
}

// expectRetained looks for a retained message and clears it.
func (s stage) expectRetained(t *testing.T, want message) {
	t.Helper()
	c := s.open(t, "late")
	c.subscribe(t, want.Topic, 2)
	same(t, c.receive(t, 1), []message{want})
	c.publish(t, message{Topic: want.Topic, QoS: 1, Retain: true})
	c.disconnect(t)
}

func playResume(t *testing.T, s stage) {
	away := s.open(t, "away", resume)
	if away.sessionPresent() {
		t.Error("Session Present for a client that was never here")
	}
	away.subscribe(t, s.topic("queue", "#"), 2)
	away.disconnect(t)

	pub := s.open(t, "pub")
	var sent []message
	for i := range 30 {
		qos := byte(1 + i%2)
		m := burst(s.topic("queue", fmt.Sprint("qos", qos)), qos, i+1)[i]
		sent = append(sent, m)
		pub.publish(t, m)
	}
	back := s.open(t, "away", resume)
	if s.version > 3 && !back.sessionPresent() { // MQTT 3.1 cannot say so
		t.Error("no Session Present for a client with a session")
	}
	sameTopicByTopic(t, back.receive(t, len(sent)), sent)
	fence := message{Topic: s.topic("queue", "fence"), Payload: []byte("fence"), QoS: 1}
	pub.publish(t, fence)
	same(t, back.receive(t, 1), []message{fence})
	back.disconnect(t)

	fresh := s.open(t, "away")
	if fresh.sessionPresent() {
		t.Error("Session Present although a clean start was asked for")
	}
	fresh.disconnect(t)
	pub.disconnect(t)
}

// playShared lets three members share 90 messages: each message to exactly one.
func playShared(t *testing.T, s stage) {
	const members, count = 3, 90
	got := make(chan message, inboxSize)
	quit := make(chan struct{})
	counts := make(chan int, members)
	for i := range members {
		c := s.open(t, fmt.Sprint("member", i))
		if granted := c.subscribe(t, "$share/workers/"+s.topic("jobs", "#"), 1); granted != 1 {
			t.Fatalf("granted QoS %d for a shared subscription, wanted 1", granted)
		}
		c.subscribe(t, s.topic("fence"), 1)
		go func() {
			n := 0
			for {
				m, ok := c.next(t, quit)
				if !ok || m.Topic == s.topic("fence") {
					break
				}
				n++
				got <- m
			}
			counts <- n
		}()
	}
	pub := s.open(t, "pub")
	sent := burst(s.topic("jobs", "a"), 1, count)
	pub.publish(t, sent...)
	pub.publish(t, message{Topic: s.topic("fence"), Payload: []byte("fence"), QoS: 1})
	busy, total := 0, 0
	for range members {
		n := await(t, s.word, "fence", counts)
		total += n
		if n > 0 {
			busy++
		}
	}
	close(quit)
	close(got)
	if total != count || busy < 2 {
		t.Errorf("%d messages at %d of %d members, wanted %d at more than one", total, busy, members, count)
	}
	var all []message
	for m := range got {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b message) int { return bytes.Compare(a.Payload, b.Payload) })
	same(t, all, sent)
	pub.disconnect(t)
}

// same compares what arrived with what was sent, in order and exactly once.
func same(t *testing.T, got, want []message) {
	t.Helper()
	if slices.EqualFunc(got, want, func(a, b message) bool {
		return a.Topic == b.Topic && bytes.Equal(a.Payload, b.Payload) && a.QoS == b.QoS && a.Retain == b.Retain
	}) {
		return
	}
	t.Fatalf("arrived:\n%v\nwanted:\n%v", lines(got), lines(want))
}

// sameTopicByTopic is same, with the order kept within each topic only, which
// is all that is promised across QoS levels. [MQTT-4.6.0-6]
func sameTopicByTopic(t *testing.T, got, want []message) {
	t.Helper()
	byTopic := func(all []message) []message {
		sorted := slices.Clone(all)
		slices.SortStableFunc(sorted, func(a, b message) int { return strings.Compare(a.Topic, b.Topic) })
		return sorted
	}
	same(t, byTopic(got), byTopic(want))
}

func lines(all []message) string {
	var b strings.Builder
	for _, m := range all {
		fmt.Fprintln(&b, "  ", m)
	}
	return b.String()
}
