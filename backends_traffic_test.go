package fairlead

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// traffic is devices that publish through a gateway, which may end and come again.
type traffic struct {
	t     *testing.T
	every time.Duration // between two messages of a device
	all   []*sender
	wg    sync.WaitGroup
	stop  context.CancelFunc

	mu    sync.Mutex
	where string        // of the gateway
	moved chan struct{} // closed when that changes
}

func newTraffic(t *testing.T, every time.Duration) *traffic {
	return &traffic{t: t, every: every, moved: make(chan struct{})}
}

// move tells where the gateway is now; "": nowhere.
func (l *traffic) move(where string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.where = where
	close(l.moved)
	l.moved = make(chan struct{})
}

// sender is a device that publishes numbers to a topic of its own, one after the other:
// of MQTT 5 and 3.1.1 in turn, the latter with QoS 2 now and then.
type sender struct {
	l       *traffic
	id      string
	kind    string
	topic   string
	version packet.Version
	qos     uint8

	mu      sync.Mutex
	acked   []int
	refused int // of MQTT 5, which can be told so
	redials int
	why     string        // of the last one
	worst   time.Duration // that an acknowledgement took
}

// add makes n devices of a kind, which is the beginning of their topics.
func (l *traffic) add(kind string, n int) {
	for i := range n {
		s := &sender{l: l, id: fmt.Sprint(kind, i), kind: kind, topic: fmt.Sprintf("%s/%d", kind, i), version: packet.V5, qos: 1}
		if i%2 == 1 {
			s.version = packet.V311
		}
		if i%4 >= 2 {
			s.qos = 2
		}
		l.all = append(l.all, s)
	}
}

func (l *traffic) run() {
	ctx, stop := context.WithCancel(l.t.Context())
	l.stop = stop
	for i, s := range l.all {
		l.wg.Go(func() {
			select { // not all at once
			case <-time.After(l.every * time.Duration(i) / time.Duration(len(l.all))):
				s.run(ctx)
			case <-ctx.Done():
			}
		})
	}
}

// end stops the devices; what is under way is not acknowledged.
func (l *traffic) end() {
	l.stop()
	l.wg.Wait()
}

func (s *sender) run(ctx context.Context) {
	session := devices.NewSession()
	tick := time.NewTicker(s.l.every)
	defer tick.Stop()
	var c *devices.Client
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		m := &devices.Message{Topic: s.topic, QoS: s.qos, Payload: fmt.Appendf(nil, "%06d", n)}
		began := time.Now()
		var p *devices.Pending
		for p == nil || !s.settled(ctx, c, p, n, began) {
			if ctx.Err() != nil {
				return
			}
			if c == nil || c.Err() != nil {
				if c = s.dial(ctx, session, c); c == nil {
					return
				}
			} else { // the gateway has no such session any more: it is sent anew
				p = nil
			}
			if p == nil {
				p, _ = c.Send(ctx, m)
			}
		}
	}
}

// settled waits for the answer to message n. false: the connection, or ctx, has ended.
func (s *sender) settled(ctx context.Context, c *devices.Client, p *devices.Pending, n int, began time.Time) bool {
	_, err := c.Wait(ctx, p)
	var refused *devices.ReasonError
	if err != nil && !errors.As(err, &refused) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.worst = max(s.worst, time.Since(began))
	if refused != nil {
		s.refused++
	} else {
		s.acked = append(s.acked, n)
	}
	return true
}

// dial connects to wherever the gateway is, in place of last; nil: ctx has ended.
func (s *sender) dial(ctx context.Context, session *devices.Session, last *devices.Client) *devices.Client {
	if last != nil {
		s.mu.Lock()
		s.why = fmt.Sprint(s.id, ": ", last.Err())
		s.mu.Unlock()
	}
	for ctx.Err() == nil {
		s.l.mu.Lock()
		where, moved := s.l.where, s.l.moved
		s.l.mu.Unlock()
		o := devices.Options{ClientID: s.id, Version: s.version, Session: session, Resume: true, SessionExpiry: 3600, Timeout: 5 * time.Second}
		if where != "" {
			if c, err := devices.Dial(ctx, "mqtt://"+where, o); err == nil {
				s.mu.Lock()
				s.redials++
				s.mu.Unlock()
				return c
			}
		}
		select {
		case <-moved:
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return nil
}

// sum is the senders of a kind together.
type sum struct {
	acked, refused, redials int
	worst                   time.Duration
	why                     []string
}

// sum adds up, and begins anew with the worst time.
func (l *traffic) sum(kind string) (all sum) {
	for _, s := range l.all {
		if s.kind != kind && kind != "" {
			continue
		}
		s.mu.Lock()
		all.acked += len(s.acked)
		all.refused += s.refused
		all.redials += s.redials - 1 // the first is none
		all.worst = max(all.worst, s.worst)
		if s.worst = 0; s.why != "" {
			all.why = append(all.why, s.why)
		}
		s.mu.Unlock()
	}
	return all
}

// more waits until n more of a kind are acknowledged.
func (l *traffic) more(kind string, n int) {
	l.t.Helper()
	want := l.sum(kind).acked + n
	l.await("acknowledgements of "+kind, func() string {
		if got := l.sum(kind).acked; got < want {
			return fmt.Sprintf("%d, want %d", got, want)
		}
		return ""
	})
}

// await looks until there is no problem. What waited through a long outage may take its
// time.
func (l *traffic) await(what string, problem func() string) {
	l.t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for late := time.After(max(90*time.Second, 3**outage)); ; {
		text := problem()
		if text == "" {
			return
		}
		select {
		case <-look.C:
		case <-late:
			l.t.Fatalf("%s: %s", what, text)
		}
	}
}

// compare says what is missing, or out of order: a number may come again at once where
// its sender could not know that it was there, but not more than twice times.
func compare(acked, stored []int, twice int) string {
	var problems []string
	there, doubled, last := map[int]bool{}, 0, -1
	for _, n := range stored {
		if n < last {
			problems = append(problems, fmt.Sprintf("%d comes after %d", n, last))
		} else if n == last {
			doubled++
		}
		last, there[n] = n, true
	}
	for _, n := range acked {
		if !there[n] {
			problems = append(problems, fmt.Sprintf("%d is missing", n))
		}
	}
	if doubled > twice {
		problems = append(problems, fmt.Sprintf("%d are there twice, may be %d", doubled, twice))
	}
	if len(problems) == 0 {
		return ""
	}
	return fmt.Sprintf("of %d acknowledged, %d in the database: %d faults: %s", len(acked), len(stored), len(problems), strings.Join(problems[:min(len(problems), 9)], "; "))
}

// numbers reads payloads.
func numbers(t *testing.T, payloads []string) (ns []int) {
	t.Helper()
	for _, p := range payloads {
		n, err := strconv.Atoi(strings.TrimSpace(p))
		if err != nil {
			t.Fatalf("the payload %q is none of ours", p)
		}
		ns = append(ns, n)
	}
	return ns
}
