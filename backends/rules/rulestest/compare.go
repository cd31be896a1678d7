package rulestest

import (
	"context"
	"fmt"
	"slices"
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
// and by driver, a plain loop that stores the same elsewhere; in turns, the first another
// each time, so that whatever else the machine does meets both. What a batch takes is the
// median. A message is an op.
func Compare(b *testing.B, db rules.Database, driver func(ctx context.Context, batch []*rules.Message) error) {
	both := [2]struct {
		name  string
		store func(context.Context, []*rules.Message) error
		wall  []time.Duration // by batch
		cpu   time.Duration
	}{{name: "rules", store: doing(db)}, {name: "driver", store: driver}}
	batch := make([]*rules.Message, 0, BenchBatch)
	n := int64(0)
	for b.Loop() {
		n++
		if batch = append(batch, benchMessage(n)); len(batch) < BenchBatch {
			continue
		}
		for i := range both {
			s := &both[(i+int(n/BenchBatch))%len(both)]
			start, cpu := time.Now(), cpuTime()
			if err := s.store(context.Background(), batch); err != nil {
				b.Fatalf("%s: %v", s.name, err)
			}
			s.wall, s.cpu = append(s.wall, time.Since(start)), s.cpu+cpuTime()-cpu
		}
		batch = batch[:0]
	}
	for _, s := range both {
		b.ReportMetric(BenchBatch/median(s.wall), s.name+"-messages/s")
		b.ReportMetric(float64(s.cpu.Microseconds())/float64(n), s.name+"-µs-cpu/op")
	}
	b.ReportMetric(median(both[1].wall)/median(both[0].wall), "of-driver")
}

// median is what a batch takes, in seconds; 1 where there was none.
func median(of []time.Duration) float64 {
	if len(of) == 0 {
		return 1
	}
	slices.Sort(of)
	return of[len(of)/2].Seconds()
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
