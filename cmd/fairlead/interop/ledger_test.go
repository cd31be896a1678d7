package interop

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// ledger judges the kill test: what was sent on each topic, and what came of it
// at each subscriber. Messages are numbered from 0 within their topic, and one
// publisher sends to a topic, so that a receiver's first sight of each must
// come in the order of the numbers. [MQTT-4.6.0-6]
type ledger struct {
	mu       sync.Mutex
	changed  chan struct{}  // closed and replaced whenever something was delivered
	sent     map[string]int // by topic
	streams  map[stream]*seen
	received int // by all, doubles among them
}

// stream is one topic as one subscriber sees it.
type stream struct {
	subscriber, topic string
}

// seen is what a stream has brought.
type seen struct {
	exactlyOnce bool // QoS 2 all the way
	next        int  // below it every number has come
	ahead       []int
	doubled     int
	swapped     int
}

func newLedger(topics []string, subscribers []*subscription) *ledger {
	l := &ledger{changed: make(chan struct{}), sent: map[string]int{}, streams: map[stream]*seen{}}
	for _, topic := range topics {
		for _, s := range subscribers {
			l.streams[stream{s.name, topic}] = &seen{exactlyOnce: s.exactlyOnce && strings.HasSuffix(topic, "q2")}
		}
	}
	return l
}

// number gives the next message of a topic its number.
func (l *ledger) number(topic string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.sent[topic]
	l.sent[topic]++
	return n
}

// note books what a subscriber received. False says that nobody sent it.
func (l *ledger) note(subscriber, topic string, number int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.streams[stream{subscriber, topic}]
	if s == nil || number >= l.sent[topic] {
		return false
	}
	s.take(number)
	l.received++
	close(l.changed)
	l.changed = make(chan struct{})
	return true
}

func (s *seen) take(number int) {
	switch {
	case number < s.next || slices.Contains(s.ahead, number):
		s.doubled++
		return
	case number > s.next:
		s.ahead = append(s.ahead, number)
		return
	}
	s.next++
	for { // what had come ahead of this one came in the wrong order
		i := slices.Index(s.ahead, s.next)
		if i < 0 {
			return
		}
		s.ahead = slices.Delete(s.ahead, i, i+1)
		s.swapped++
		s.next++
	}
}

// maxBehind bounds what may be on its way on one topic, so that no queue of the
// gateway reaches the length from which it drops by right.
const maxBehind = 200

// awaitRoom waits until every subscriber has nearly caught up on the topic.
func (l *ledger) awaitRoom(ctx context.Context, topic string) error {
	return l.await(ctx, func() bool {
		for at, s := range l.streams {
			if at.topic == topic && l.sent[topic]-s.next > maxBehind {
				return false
			}
		}
		return true
	})
}

// awaitReceived waits until n deliveries were made in all.
func (l *ledger) awaitReceived(ctx context.Context, n int) error {
	return l.await(ctx, func() bool { return l.received >= n })
}

// awaitAll waits until everything that was sent has arrived.
func (l *ledger) awaitAll(ctx context.Context) error {
	return l.await(ctx, func() bool {
		for at, s := range l.streams {
			if s.next < l.sent[at.topic] {
				return false
			}
		}
		return true
	})
}

func (l *ledger) await(ctx context.Context, enough func() bool) error {
	for {
		l.mu.Lock()
		done, changed := enough(), l.changed
		l.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// totals are the figures of a run.
type totals struct {
	sent, received     int
	lost, swapped      int
	doubled1, doubled2 int // at QoS 1, where it is allowed, and at QoS 2
}

func (l *ledger) totals() totals {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := totals{received: l.received}
	for _, n := range l.sent {
		t.sent += n
	}
	for at, s := range l.streams {
		t.lost += l.sent[at.topic] - s.next - len(s.ahead)
		t.swapped += s.swapped + len(s.ahead)
		if s.exactlyOnce {
			t.doubled2 += s.doubled
		} else {
			t.doubled1 += s.doubled
		}
	}
	return t
}

// faults names the streams that did not go as they must.
func (l *ledger) faults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for at, s := range l.streams {
		lost := l.sent[at.topic] - s.next - len(s.ahead)
		if lost > 0 || s.swapped+len(s.ahead) > 0 || s.exactlyOnce && s.doubled > 0 {
			out = append(out, fmt.Sprintf("%s at %s: %d sent, %d lost (the first is number %d), %d out of order, %d doubled",
				at.topic, at.subscriber, l.sent[at.topic], lost, s.next, s.swapped+len(s.ahead), s.doubled))
		}
	}
	slices.Sort(out)
	return out
}
