package fairlead

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/devices"
)

// A gateway is killed while messages of its database are on their way to a receiver of
// QoS 2: what that acknowledges afterwards is read for it no more, in any database.
func TestServiceOfferedKilled(t *testing.T) {
	for _, of := range stores() {
		t.Run(of.name, func(t *testing.T) {
			t.Parallel()
			use, _ := of.open(t)
			c := testConfig("")
			use(&c, offeringRules(of.name))
			r := &offeredRun{process: newProcess(t, c.Backends)}
			r.ctx, r.cancel = context.WithTimeout(t.Context(), time.Minute)
			defer r.cancel()
			r.start()
			r.play()
			r.stop()
		})
	}
}

const offeredTopic = "pubsub/killed"

func offeringRules(database string) []rules.Rule {
	fetch, acked := rules.OnMessageFetch, rules.OnMessageAcked
	if database == "redis" {
		fetch, acked = rules.OnMessageFetchPubsub, rules.OnMessageAckedPubsub
	}
	return []rules.Rule{
		{Hook: rules.MessagePublish, Topic: "pubsub/#", Function: rules.OnMessagePublish, Ack: rules.AckSync},
		{Hook: rules.SessionSubscribed, Topic: "pubsub/+", Function: fetch},
		{Hook: rules.MessageAcked, Topic: offeredTopic, Function: acked},
	}
}

type offeredRun struct {
	*process
	ctx    context.Context
	cancel context.CancelFunc
}

func (r *offeredRun) play() {
	const count = 10
	s := r.dial(devices.Options{ClientID: "s"})
	r.subscribe(s)
	r.publish("begin", 1)
	r.take(s, "begin 0")
	r.moved(1) // so where it begins is settled, too
	s.Close()
	r.publish("kept", count)
	o := devices.Options{ClientID: "s", Resume: true, SessionExpiry: 3600, Session: devices.NewSession(), ManualAck: true}
	s = r.dial(o)
	r.subscribe(s)
	for i := range count {
		m := r.take(s, fmt.Sprint("kept ", i))
		if i < 3 {
			m.Ack()
		}
	}
	r.moved(4)
	r.kill()
	r.start()
	s = r.dial(o)
	for i := 3; i < count; i++ {
		r.take(s, fmt.Sprint("kept ", i)).Ack()
	}
	r.moved(count - 3)
	s.Close()
	s = r.dial(devices.Options{ClientID: "s"})
	r.subscribe(s)
	r.publish("end", 1)
	r.take(s, "end 0")
	if n := r.figures("fairlead_rule_read_total")["pubsub/+"]; n != 0 {
		r.t.Errorf("%v messages were read again", n)
	}
}

func (r *offeredRun) dial(o devices.Options) *devices.Client {
	r.t.Helper()
	c, err := devices.Dial(r.ctx, "mqtt://"+r.mqtt, o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

func (r *offeredRun) subscribe(c *devices.Client) {
	r.t.Helper()
	if codes, err := c.Subscribe(r.ctx, 0, devices.Subscription{Filter: offeredTopic, QoS: 2}); err != nil || codes[0] != 2 {
		r.t.Fatalf("subscribe: %v, %v", codes, err)
	}
}

// publish has the database keep n messages.
func (r *offeredRun) publish(name string, n int) {
	r.t.Helper()
	p := r.dial(devices.Options{ClientID: "p"})
	defer p.Close()
	for i := range n {
		m := &devices.Message{Topic: offeredTopic, Payload: fmt.Append(nil, name, " ", i), QoS: 2}
		if code, err := p.Publish(r.ctx, m); err != nil || code >= 0x80 {
			r.t.Fatalf("publish: %v, %v", code, err)
		}
	}
}

func (r *offeredRun) take(c *devices.Client, want string) *devices.Message {
	r.t.Helper()
	select {
	case m, ok := <-c.Messages():
		if !ok {
			r.t.Fatalf("the connection ended: %v", c.Err())
		}
		if string(m.Payload) != want {
			r.t.Fatalf("%q came, want %q", m.Payload, want)
		}
		return m
	case <-r.ctx.Done():
		r.t.Fatalf("%q did not come", want)
	}
	return nil
}

// moved waits until n cursors were moved since the gateway began.
func (r *offeredRun) moved(n float64) {
	r.t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		got := r.figures("fairlead_rule_done_total")[offeredTopic]
		if got >= n {
			return
		}
		select {
		case <-look.C:
		case <-r.ctx.Done():
			r.t.Fatalf("%v cursors were moved, want %v\n%s", got, n, r.log())
		}
	}
}
