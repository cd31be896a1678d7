package fairlead

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/redis"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/devices"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// traffic publishes from some devices, each to a topic of its own, and counts what was
// acknowledged.
type traffic struct {
	s     *site
	wg    sync.WaitGroup
	mu    sync.Mutex
	acked map[string][]string // payloads of each topic
	last  time.Time
}

func (l *traffic) run(ctx context.Context, id string) {
	c := l.s.dial(devices.Options{ClientID: id})
	topic := "load/" + id
	l.wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			payload := fmt.Sprintf("%06d", i)
			if _, err := c.Publish(ctx, &devices.Message{Topic: topic, QoS: 1, Payload: []byte(payload)}); err != nil {
				continue // not acknowledged: it may be there or not
			}
			l.mu.Lock()
			l.acked[topic] = append(l.acked[topic], payload)
			l.last = time.Now()
			l.mu.Unlock()
		}
	})
}

func (l *traffic) count() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, list := range l.acked {
		n += len(list)
	}
	return n
}

// more waits until n more are acknowledged.
func (l *traffic) more(n int) {
	l.s.t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	want := l.count() + n
	for late := time.After(time.Minute); l.count() < want; {
		select {
		case <-look.C:
		case <-late:
			l.s.t.Fatalf("%d acknowledged, want %d", l.count(), want)
		}
	}
}

// stored gives the payloads of a topic in the order in which the database has them. One
// script looks, so that names and messages are those of one moment.
func (r *redisServer) stored(topic string) []string {
	script := `local names = redis.call('ZRANGE', KEYS[1], 0, -1)
local out = {#names}
for _, id in ipairs(names) do out[#out+1] = redis.call('HGET', 'mqtt:msg:' .. id, 'payload') end
return out`
	got := strings.Fields(r.cli("EVAL", script, "1", "mqtt:msg:"+topic))
	if got[0] != fmt.Sprint(len(got)-1) {
		r.t.Errorf("%s: %s names and %d messages", topic, got[0], len(got)-1)
	}
	return got[1:]
}

// The database is killed under load, several times. With ack = "sync" nothing that was
// acknowledged is missing in it; with the spool nothing is missing at all, and devices
// notice nothing; the order of each topic is kept, and the log is quiet.
func TestServiceDatabaseKilledUnderLoad(t *testing.T) {
	for _, ack := range []string{rules.AckSync, rules.AckSpool, rules.AckNone} {
		t.Run(ack, func(t *testing.T) {
			r := startRedis(t)
			c := testConfig(t.TempDir())
			pool := redis.DefaultConfig()
			pool.Server = []string{"127.0.0.1:" + r.port}
			c.Backends.Redis.Pools = map[string]*redis.Config{"main": &pool}
			c.Backends.Redis.Rules = []rules.Rule{{Hook: rules.MessagePublish, Topic: "load/#", Function: rules.OnMessagePublish, Ack: ack}}
			s := &site{start(t, c), t}
			ctx, stop := context.WithCancel(t.Context())
			l := &traffic{s: s, acked: map[string][]string{}}
			for i := range 4 {
				l.run(ctx, fmt.Sprint("d", i))
			}
			for range 3 {
				l.more(400)
				testservice.Kill(t, "redis")
				if ack != rules.AckSync {
					l.more(400) // the devices notice nothing
				}
				testservice.Start(t, "redis")
			}
			l.more(400)
			stop()
			l.wg.Wait()
			s.stop() // what waits is written, or kept
			s.again(c, r, l)
		})
	}
}

// again starts the gateway once more, for what it kept, and compares.
func (s *site) again(c Config, r *redisServer, l *traffic) {
	next := &site{start(s.t, c), s.t}
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for topic, acked := range l.acked {
		for late := time.After(20 * time.Second); ; {
			if problem := compare(acked, r.stored(topic)); problem == "" {
				break
			} else {
				select {
				case <-look.C:
					continue
				case <-late:
					s.t.Fatalf("%s: %s", topic, problem)
				}
			}
		}
	}
	s.t.Logf("%d acknowledged, all of them in the database, in order", l.count())
	next.stop()
}

// compare says what is missing or out of order.
func compare(acked, stored []string) string {
	at := map[string]int{}
	for i, payload := range stored {
		if _, twice := at[payload]; twice {
			return payload + " is there twice"
		}
		at[payload] = i
	}
	last := -1
	for _, payload := range acked {
		i, there := at[payload]
		if !there {
			return fmt.Sprintf("%s of %d is missing, %d are there", payload, len(acked), len(stored))
		}
		if i < last {
			return payload + " is out of order"
		}
		last = i
	}
	return ""
}
