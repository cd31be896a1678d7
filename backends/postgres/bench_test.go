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
// the driver alone, one INSERT for each message in one pgx.Batch.
func BenchmarkStore(b *testing.B) {
	fresh := func() *site {
		s := &site{server: server(b)}
		s.fresh(b)
		psql(b, s.url, "set client_min_messages = error;"+postgres.Schema)
		return s
	}
	compare(b, [2]*beside{{name: "rules", store: benchRules(b, fresh())}, {name: "driver", store: benchDriver(b, fresh())}})
}

// beside is one of the two that are compared, and what it has used.
type beside struct {
	name      string
	store     func([]*rules.Message) error
	wall, cpu time.Duration
}

// compare has both store the same messages, batch by batch in turns, so that whatever
// else the machine does meets both. A message is an op.
func compare(b *testing.B, both [2]*beside) {
	ms := make([]*rules.Message, 0, benchBatch)
	n := int64(0)
	for b.Loop() {
		n++
		m := message(n, fmt.Sprintf("fleet/7/vehicle/%d/position", n%1000), "")
		m.Payload = make([]byte, 100)
		if ms = append(ms, m); len(ms) < benchBatch {
			continue
		}
		for _, s := range both {
			start, cpu := time.Now(), cpuTime()
			if err := s.store(ms); err != nil {
				b.Fatal(err)
			}
			s.wall, s.cpu = s.wall+time.Since(start), s.cpu+cpuTime()-cpu
		}
		ms = ms[:0]
	}
	for _, s := range both {
		b.ReportMetric(float64(n)/s.wall.Seconds(), s.name+"-messages/s")
		b.ReportMetric(float64(s.cpu.Microseconds())/float64(n), s.name+"-µs-cpu/op")
	}
	b.ReportMetric(both[1].wall.Seconds()/both[0].wall.Seconds(), "of-driver")
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
