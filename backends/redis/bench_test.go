package redis

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// cpu is the processor time that the process has used.
func cpu() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkStore stores messages in batches of 500, by rules and by a plain loop over the
// driver that sends the same commands: what the rules add is the difference.
func BenchmarkStore(b *testing.B) {
	s := startServer(b)
	c := DefaultConfig()
	c.Server = []string{"127.0.0.1:" + s.port}
	d, err := Open(c)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	const batch = 500
	payload := make([]byte, 64)
	run := func(name string, store func(ctx context.Context, from int) error) {
		b.Run(name, func(b *testing.B) {
			ctx := context.Background()
			began := cpu()
			for i := 0; i < b.N; i += batch {
				if err := store(ctx, i); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpu()-began).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
		})
	}
	rule := &rules.Rule{Function: rules.OnMessagePublish, Expiry: time.Hour}
	jobs := make([]rules.Job, batch)
	messages := make([]rules.Message, batch)
	fill := func(from int) {
		for k := range jobs {
			n := from + k
			messages[k] = rules.Message{MsgID: id(n), Topic: fmt.Sprint("bench/", n%100), Payload: payload, QoS: 1, Sender: "p", Arrived: noon}
			jobs[k] = rules.Job{Rule: rule, Hook: rules.MessagePublish, Time: noon, ClientID: "p", Topic: messages[k].Topic, QoS: 1, Message: &messages[k]}
		}
	}
	run("plain", func(ctx context.Context, from int) error {
		fill(from)
		p := d.client.Pipeline()
		for k := range messages {
			m := &messages[k]
			p.HSet(ctx, "mqtt:msg:"+m.MsgID, "id", m.MsgID, "from", m.Sender, "qos", m.QoS, "topic", m.Topic, "payload", m.Payload, "ts", m.Arrived/1000, "retain", "false")
			p.PExpire(ctx, "mqtt:msg:"+m.MsgID, time.Hour)
			p.ZAdd(ctx, "mqtt:msg:"+m.Topic, redis.Z{Score: 1, Member: m.MsgID})
		}
		_, err := p.Exec(ctx)
		return err
	})
	run("rules", func(ctx context.Context, from int) error {
		fill(from)
		_, err := d.Do(ctx, jobs)
		return err
	})
}
