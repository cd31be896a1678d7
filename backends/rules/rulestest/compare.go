package rulestest

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// BenchBatch is how many messages Compare stores at once.
const BenchBatch = 500

// benchArrival is when the first of them came.
const benchArrival = 1_790_000_000_000

// Compare stores messages of 100 bytes in batches of BenchBatch by OnMessagePublish of db
// and by driver, a plain loop that stores the same elsewhere; in turns, so that whatever
// else the machine does meets both. A message is an op.
func Compare(b *testing.B, db rules.Database, driver func(ctx context.Context, batch []*rules.Message) error) {
	both := [2]struct {
		name      string
		store     func(context.Context, []*rules.Message) error
		wall, cpu time.Duration
	}{{name: "rules", store: doing(db)}, {name: "driver", store: driver}}
	batch := make([]*rules.Message, 0, BenchBatch)
	n := int64(0)
	for b.Loop() {
		n++
		if batch = append(batch, benchMessage(n)); len(batch) < BenchBatch {
			continue
		}
		for i := range both {
			start, cpu := time.Now(), cpuTime()
			if err := both[i].store(context.Background(), batch); err != nil {
				b.Fatalf("%s: %v", both[i].name, err)
			}
			both[i].wall, both[i].cpu = both[i].wall+time.Since(start), both[i].cpu+cpuTime()-cpu
		}
		batch = batch[:0]
	}
	for _, s := range both {
		b.ReportMetric(float64(n)/s.wall.Seconds(), s.name+"-messages/s")
		b.ReportMetric(float64(s.cpu.Microseconds())/float64(n), s.name+"-µs-cpu/op")
	}
	b.ReportMetric(both[1].wall.Seconds()/both[0].wall.Seconds(), "of-driver")
}

func benchMessage(n int64) *rules.Message {
	return &rules.Message{MsgID: rules.MessageIDAt(benchArrival + n), Topic: fmt.Sprintf("fleet/7/vehicle/%d/position", n%1000),
		Payload: make([]byte, 100), QoS: 1, Sender: "sender", Node: "n1", Arrived: benchArrival + n}
}

// doing stores by the rule that stores in every database.
func doing(db rules.Database) func(context.Context, []*rules.Message) error {
	rule := &rules.Rule{Function: rules.OnMessagePublish, Expiry: time.Hour}
	jobs := make([]rules.Job, BenchBatch)
	return func(ctx context.Context, batch []*rules.Message) error {
		for i, m := range batch {
			jobs[i] = rules.Job{Rule: rule, Hook: rules.MessagePublish, Time: m.Arrived, Node: m.Node, ClientID: m.Sender, Topic: m.Topic, QoS: m.QoS, Message: m}
		}
		_, err := db.Do(ctx, jobs[:len(batch)])
		return err
	}
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
