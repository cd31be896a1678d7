package fairlead

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/postgres"
	"github.com/fairlead-iot/fairlead/backends/redis"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// flow is one publisher on one topic, as far as it was acknowledged, and what its
// subscriber got.
type flow struct {
	acked, got []string
	refused    int
}

// flows are all of them, by topic.
type flows struct {
	s  *site
	wg sync.WaitGroup
	mu sync.Mutex
	by map[string]*flow

	again int // connections of the subscriber but the first
}

// publish sends numbers to a topic until ctx ends. What is not acknowledged may be there or
// not: the next number follows.
func (l *flows) publish(ctx context.Context, id string, qos byte) {
	topic := "load/" + id
	f := &flow{}
	l.by[topic] = f
	l.wg.Go(func() {
		var c *devices.Client
		for i := 0; ctx.Err() == nil; i++ {
			if c == nil {
				if c, _ = devices.Dial(ctx, "mqtt://"+l.s.Addresses()["mqtt"], devices.Options{ClientID: id}); c == nil {
					<-time.After(10 * time.Millisecond)
					continue
				}
			}
			payload := fmt.Sprintf("%06d", i)
			code, err := c.Publish(ctx, &devices.Message{Topic: topic, QoS: qos, Payload: []byte(payload)})
			l.mu.Lock()
			if err == nil && code < 0x80 {
				f.acked = append(f.acked, payload)
			} else {
				f.refused++
			}
			l.mu.Unlock()
			if err != nil {
				c.Close()
				c = nil
			}
		}
		if c != nil {
			c.Close()
		}
	})
}

// receive takes what the subscriber gets, over as many connections as it needs.
func (l *flows) receive(ctx context.Context, c *devices.Client, o devices.Options) {
	l.wg.Go(func() {
		for {
			over := context.AfterFunc(ctx, func() { c.Close() })
			for m := range c.Messages() {
				l.mu.Lock()
				f := l.by[m.Topic]
				f.got = append(f.got, string(m.Payload))
				l.mu.Unlock()
			}
			over()
			for c = nil; c == nil; {
				if ctx.Err() != nil {
					return
				}
				c, _ = devices.Dial(ctx, "mqtt://"+l.s.Addresses()["mqtt"], o)
			}
			l.again++
		}
	})
}

// counts are sums over all flows.
func (l *flows) counts() (acked, got, refused int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.by {
		acked, got, refused = acked+len(f.acked), got+len(f.got), refused+f.refused
	}
	return acked, got, refused
}

// more waits until n more are acknowledged and received.
func (l *flows) more(n int) {
	l.s.t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	acked, got, _ := l.counts()
	for late := time.After(time.Minute); ; {
		if a, g, _ := l.counts(); a >= acked+n && g >= got+n {
			return
		}
		select {
		case <-look.C:
		case <-late:
			a, g, r := l.counts()
			l.s.t.Fatalf("%d acknowledged, %d received, %d refused; want %d and %d", a, g, r, acked+n, got+n)
		}
	}
}

// missing says what of the acknowledged was not received, "" for nothing.
func (l *flows) missing() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for topic, f := range l.by {
		got := map[string]bool{}
		for _, p := range f.got {
			got[p] = true
		}
		for _, p := range f.acked {
			if !got[p] {
				return fmt.Sprintf("%s: %s was acknowledged, and did not come", topic, p)
			}
		}
	}
	return ""
}

// judge compares in the end.
func (l *flows) judge() (doubled int) {
	for topic, f := range l.by {
		var first []string
		seen := map[string]int{}
		for _, p := range f.got {
			if seen[p]++; seen[p] == 1 {
				first = append(first, p)
			}
			if seen[p] == 2 {
				doubled++
				if topic[len(topic)-1] == '2' {
					l.s.t.Errorf("%s: %s came twice at QoS 2", topic, p)
				}
			}
		}
		if !slices.IsSorted(first) {
			l.s.t.Errorf("%s: out of order", topic)
		}
	}
	return doubled
}

// The database that keeps the sessions is killed under load, several times: nothing that was acknowledged is lost, nothing of QoS 2 comes twice,
// everything in order.
func TestServiceStoreKilledUnderLoad(t *testing.T) {
	uses := map[string]func(c *Config, u *url.URL){
		"postgres": func(c *Config, u *url.URL) {
			pool := postgres.DefaultConfig()
			pool.URL = u.String()
			c.Backends.Postgres.Pools = map[string]*postgres.Config{"main": &pool}
		},
		"redis": func(c *Config, u *url.URL) {
			pool := redis.DefaultConfig()
			pool.Server = []string{u.Host}
			c.Backends.Redis.Pools = map[string]*redis.Config{"main": &pool}
		},
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := given(t, name)
			c := testConfig(t.TempDir())
			c.Store.Engine, c.Store.Namespace = name, "test-"+rand.Text()
			use(&c, u)
			if err := InitBackends(t.Context(), &c, true, func(_, _ string) {}); err != nil {
				t.Fatal(err)
			}
			killedUnderLoad(t, c, name)
		})
	}
}

func killedUnderLoad(t *testing.T, c Config, service string) {
	log := &lines{}
	s := &site{startLogged(t, c, slog.New(slog.NewTextHandler(log, nil))), t}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", strings.Join(log.from(0), ""))
		}
	})
	subscriber := devices.Options{ClientID: "sub", Resume: true, SessionExpiry: 3600, Session: devices.NewSession()}
	sub := s.dial(subscriber)
	if _, err := sub.Subscribe(t.Context(), 0, devices.Subscription{Filter: "load/#", QoS: 2}); err != nil {
		t.Fatal(err)
	}
	l := &flows{s: s, by: map[string]*flow{}}
	ctx, stop := context.WithCancel(t.Context())
	for i := range 4 {
		l.publish(ctx, fmt.Sprint("d", i, "q1"), 1)
		l.publish(ctx, fmt.Sprint("d", i, "q2"), 2)
	}
	receiving, leave := context.WithCancel(t.Context())
	l.receive(receiving, sub, subscriber)
	var away []time.Duration
	for range 4 {
		l.more(400)
		testservice.Kill(t, service)
		began := time.Now()
		testservice.Start(t, service)
		l.more(1)
		away = append(away, time.Since(began).Round(time.Millisecond))
	}
	l.more(400)
	stop()
	began := time.Now()
	for late := time.After(time.Minute); ; {
		problem := l.missing()
		if problem == "" {
			break
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-late:
			t.Fatal(problem)
		}
	}
	leave()
	l.wg.Wait()
	doubled := l.judge()
	acked, got, refused := l.counts()
	t.Logf("the database was killed 4 times: %d acknowledged, %d received, %d not acknowledged; %d doubled at QoS 1, where that is allowed; it went on %v after the kills, the subscriber connected again %d times; the last came %s after the end",
		acked, got, refused, doubled, away, l.again, time.Since(began).Round(time.Millisecond))
	s.stop()
}
