package rulestest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/coretest"
)

const (
	killWriters = 4
	killBatch   = 50
	killBatches = 120 // of each writer
	killTimes   = 3

	killedAt = 1_790_000_000_000 // when the messages came, Unix milliseconds

	engineMessages = 20_000 // of all writers
	engineWindow   = 400    // that wait for their acknowledgement, of each writer
)

// killRun is a service that dies under load: each writer stores its numbers below a topic
// of its own.
type killRun struct {
	site   Mortal
	db     rules.Database
	failed atomic.Int64 // batches
}

// RunKilled has the service die in the middle of batches, and again, and then behind the
// engine: what was said to be done stands there, once, in the order of its topic.
func RunKilled(t *testing.T, s Mortal, d rules.Driver) {
	t.Run("under load", func(t *testing.T) {
		db := s.Open(t)
		defer db.Close()
		(&killRun{site: s, db: db}).underLoad(t)
	})
	for _, ack := range []string{rules.AckSync, rules.AckNone} { // whatever acknowledgements wait for
		t.Run("behind the engine/ack="+ack, func(t *testing.T) {
			(&killRun{site: s, db: s.Open(t)}).behindTheEngine(t, d, ack)
		})
	}
}

func (k *killRun) underLoad(t *testing.T) {
	var stored atomic.Int64
	var writers sync.WaitGroup
	for w := range killWriters {
		writers.Go(func() {
			for b := range killBatches {
				k.write(t, w, b)
				stored.Add(killBatch)
			}
		})
	}
	for i := range int64(killTimes) {
		for stored.Load() < (i+1)*killWriters*killBatch*killBatches/(killTimes+1) && !t.Failed() {
			<-time.After(time.Millisecond)
		}
		k.site.Outage(t)()
	}
	writers.Wait()
	if k.failed.Load() == 0 {
		t.Error("no batch met the death of the server: it tests nothing")
	}
	t.Logf("%d messages, %d batches failed and came again", stored.Load(), k.failed.Load())
	k.wantNumbers(t, killBatch*killBatches)
}

// write tries one batch as the engine does: nothing overtakes it.
func (k *killRun) write(t *testing.T, writer, batch int) {
	rule := &rules.Rule{Function: rules.OnMessagePublish}
	jobs := make([]rules.Job, killBatch)
	for i := range jobs {
		n := batch*killBatch + i
		m := &rules.Message{MsgID: rules.MessageIDAt(killedAt + int64(writer*killBatch*killBatches+n)), Topic: fmt.Sprintf("w/%d", writer),
			Payload: fmt.Append(nil, n), QoS: 1, Sender: "sender", Node: "n1", Arrived: killedAt + int64(n)}
		jobs[i] = rules.Job{Rule: rule, Time: m.Arrived, Node: "n1", ClientID: m.Sender, Topic: m.Topic, Message: m}
	}
	for len(jobs) > 0 && !t.Failed() {
		done, err := k.db.Do(t.Context(), jobs)
		if rules.IsPermanent(err) {
			t.Errorf("for good: %v", err)
		}
		if err != nil {
			k.failed.Add(1)
			<-time.After(10 * time.Millisecond)
		}
		jobs = jobs[done:]
	}
}

// wantNumbers looks for the first n numbers, in order, below each writer's topic.
func (k *killRun) wantNumbers(t *testing.T, n int) {
	t.Helper()
	for w := range killWriters {
		ms := k.site.Messages(t, fmt.Sprintf("w/%d", w))
		if len(ms) != n {
			t.Errorf("topic of writer %d: %d rows, want %d", w, len(ms), n)
		}
		for i := range ms {
			if string(ms[i].Payload) != fmt.Sprint(i) {
				t.Errorf("topic of writer %d: %s at place %d", w, ms[i].Payload, i)
				break
			}
		}
	}
}

func (k *killRun) behindTheEngine(t *testing.T, d rules.Driver, ack string) {
	e, err := rules.New(rules.Options{Driver: d, Config: rules.DefaultConfig(), Node: "n1",
		Pools: map[string]rules.Database{"main": k.db},
		Rules: []rules.Rule{{Hook: rules.MessagePublish, Topic: "w/#", Function: rules.OnMessagePublish, Ack: ack}}})
	if err != nil {
		t.Fatal(err)
	}
	g := coretest.Start(t, nil, func(o *core.Options) { o.Sinks, o.Subscriptions, o.Retained = e.Sinks(), e.Sources(), e })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); e.Run(ctx, g.Gateway, time.Minute) }()

	var clients [killWriters]*coretest.Client
	for c := range clients {
		clients[c] = g.Connect(fmt.Sprint("client", c), nil)
	}
	quarter, published := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(published)
		for n := range engineMessages {
			if n == engineMessages/4 {
				close(quarter)
			}
			c, id := clients[n%killWriters], n/killWriters
			c.Publish(core.Publish{Topic: fmt.Sprintf("w/%d", n%killWriters), Payload: fmt.Append(nil, id), QoS: 1, PacketID: uint16(id%engineWindow + 1)})
			if (id+1)%engineWindow == 0 {
				acknowledged(t, c, engineWindow)
			}
		}
	}()
	<-quarter
	k.site.Outage(t)()
	<-published
	stop()
	<-ended
	k.wantNumbers(t, engineMessages/killWriters)
	for _, r := range e.Stats() {
		t.Logf("done %d, failed %d, dropped %d", r.Done, r.Failed, r.Dropped)
	}
}

// acknowledged takes the acknowledgements of n messages, all of them good ones.
func acknowledged(t *testing.T, c *coretest.Client, n int) {
	t.Helper()
	for acks := 0; acks < n; {
		for _, d := range c.Take(1) {
			if d.Kind != core.DeliverAck {
				continue
			}
			if d.Reason != core.Success && d.Reason != core.NoMatchingSubscribers {
				t.Errorf("message %d: %s", d.PacketID, d.Reason)
			}
			acks++
		}
	}
}
