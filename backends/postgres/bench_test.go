package postgres_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/postgres"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// benchBatch is how many messages go at once.
const benchBatch = 500

// BenchmarkStore stores messages of 100 bytes in batches: by Do, and, for comparison, by
// the driver alone, one INSERT for each message in one pgx.Batch. A message is an op.
func BenchmarkStore(b *testing.B) {
	for _, who := range []string{"rules", "driver"} {
		b.Run(who, func(b *testing.B) {
			s := &site{server: server(b)}
			s.fresh(b)
			psql(b, s.url, "set client_min_messages = error;"+postgres.Schema)
			var store func([]*rules.Message) error
			if who == "rules" {
				store = benchRules(b, s)
			} else {
				store = benchDriver(b, s)
			}
			ms := make([]*rules.Message, 0, benchBatch)
			cpu := cpuTime()
			n := int64(0)
			for b.Loop() {
				n++
				m := message(n, fmt.Sprintf("fleet/7/vehicle/%d/position", n%1000), "")
				m.Payload = make([]byte, 100)
				if ms = append(ms, m); len(ms) == benchBatch {
					if err := store(ms); err != nil {
						b.Fatal(err)
					}
					ms = ms[:0]
				}
			}
			b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/float64(n)/1000, "µs-cpu/op")
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

func benchRules(b *testing.B, s *site) func([]*rules.Message) error {
	db := s.open(b)
	b.Cleanup(func() { db.Close() })
	rule := &rules.Rule{Function: rules.OnMessagePublish}
	jobs := make([]rules.Job, benchBatch)
	return func(ms []*rules.Message) error {
		for i, m := range ms {
			jobs[i] = rules.Job{Rule: rule, Topic: m.Topic, ClientID: m.Sender, Message: m}
		}
		_, err := db.Do(context.Background(), jobs[:len(ms)])
		return err
	}
}

func benchDriver(b *testing.B, s *site) func([]*rules.Message) error {
	pool, err := pgxpool.New(context.Background(), s.url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return func(ms []*rules.Message) error {
		var batch pgx.Batch
		for _, m := range ms {
			batch.Queue("insert into mqtt_msg (msgid, sender, topic, qos, payload, arrived, retain) values ($1, $2, $3, $4, $5, $6, $7) on conflict (msgid) do nothing",
				m.MsgID, m.Sender, m.Topic, int32(m.QoS), m.Payload, time.UnixMilli(m.Arrived), 0)
		}
		return pool.SendBatch(context.Background(), &batch).Close()
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
