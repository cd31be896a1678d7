package interop

import (
	"context"
	"errors"
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
	lanes    map[string]*lane // by topic
	behind   int              // how many messages of a topic may be on their way
	received int              // by all, doubles among them
	changed  signal           // something was delivered
}

// lane is one topic with all who receive it.
type lane struct {
	sent    int
	seen    map[string]*seen // by subscriber
	changed signal           // something of it was delivered
}

// signal wakes those who wait for a change. It costs nothing while nobody does.
type signal struct{ waiting chan struct{} }

func (s *signal) next() <-chan struct{} {
	if s.waiting == nil {
		s.waiting = make(chan struct{})
	}
	return s.waiting
}

func (s *signal) give() {
	if s.waiting != nil {
		close(s.waiting)
		s.waiting = nil
	}
}

// seen is what one subscriber has seen of one topic: a flow.
type seen struct {
	exactlyOnce bool // QoS 2 all the way
	next        int  // below it every number has come
	ahead       []int
	doubled     int
	swapped     int
}

// maxBehind bounds what may be on its way on all topics together, so that no
// queue of the gateway reaches the length from which it drops by right.
const maxBehind = 1600

func newLedger(topics []string, subscribers []*subscription) *ledger {
	l := &ledger{lanes: map[string]*lane{}, behind: max(4, maxBehind/len(topics))}
	for _, topic := range topics {
		n := &lane{seen: map[string]*seen{}}
		for _, s := range subscribers {
			n.seen[s.name] = &seen{exactlyOnce: s.exactlyOnce && strings.HasSuffix(topic, "q2")}
		}
		l.lanes[topic] = n
	}
	return l
}

// number gives the next message of a topic its number.
func (l *ledger) number(topic string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.lanes[topic]
	n.sent++
	return n.sent - 1
}

// note books what a subscriber received. False says that nobody sent it.
func (l *ledger) note(subscriber, topic string, number int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.lanes[topic]
	if n == nil || n.seen[subscriber] == nil || number >= n.sent {
		return false
	}
	n.seen[subscriber].take(number)
	l.received++
	n.changed.give()
	l.changed.give()
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

// awaitRoom waits until every subscriber has nearly caught up on the topic, or
// gone is closed: what is on its way may need a new connection first.
func (l *ledger) awaitRoom(ctx context.Context, topic string, gone <-chan struct{}) error {
	n := l.lanes[topic]
	return l.await(ctx, &n.changed, gone, func() bool {
		for _, s := range n.seen {
			if n.sent-s.next > l.behind {
				return false
			}
		}
		return true
	})
}

// awaitReceived waits until n deliveries were made in all.
func (l *ledger) awaitReceived(ctx context.Context, n int) error {
	return l.await(ctx, &l.changed, nil, func() bool { return l.received >= n })
}

// awaitAll waits until everything that was sent has arrived.
func (l *ledger) awaitAll(ctx context.Context) error {
	for _, n := range l.lanes {
		err := l.await(ctx, &n.changed, nil, func() bool {
			for _, s := range n.seen {
				if s.next < n.sent {
					return false
				}
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *ledger) await(ctx context.Context, changed *signal, gone <-chan struct{}, enough func() bool) error {
	for {
		l.mu.Lock()
		done, next := enough(), changed.next()
		l.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-next:
		case <-gone:
			return errors.New("the connection ended")
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
	for _, n := range l.lanes {
		t.sent += n.sent
		for _, s := range n.seen {
			t.lost += n.lost(s)
			t.swapped += s.swapped + len(s.ahead)
			if s.exactlyOnce {
				t.doubled2 += s.doubled
			} else {
				t.doubled1 += s.doubled
			}
		}
	}
	return t
}

// lost is how many messages a subscriber lacks.
func (n *lane) lost(s *seen) int { return n.sent - s.next - len(s.ahead) }

// faults names the flows that did not go as they must.
func (l *ledger) faults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for topic, n := range l.lanes {
		for name, s := range n.seen {
			lost := n.lost(s)
			if lost > 0 || s.swapped+len(s.ahead) > 0 || s.exactlyOnce && s.doubled > 0 {
				out = append(out, fmt.Sprintf("%s at %s: %d sent, %d lost (the first is number %d), %d out of order, %d doubled",
					topic, name, n.sent, lost, s.next, s.swapped+len(s.ahead), s.doubled))
			}
		}
	}
	slices.Sort(out)
	return out
}
