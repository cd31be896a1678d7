package mysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/mysql"
	"github.com/fairlead-iot/fairlead/backends/rules"
	_ "github.com/go-sql-driver/mysql"
)

// benchBatch is how many messages go at once.
const benchBatch = 500

// BenchmarkStore stores messages of 100 bytes in batches: by Do, and, for comparison, by
// the driver alone, all rows of a batch in one prepared INSERT. A message is an op.
func BenchmarkStore(b *testing.B) {
	onEach(b, func(b *testing.B, s *site) {
		for _, who := range []string{"rules", "driver"} {
			b.Run(who, func(b *testing.B) { benchStore(b, s, who) })
		}
	})
}

func benchStore(b *testing.B, s *site, who string) {
	s.fresh(b)
	client(b, s.url, mysql.Schema)
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
	u := mustParse(b, s.url)
	pool, err := sql.Open("mysql", fmt.Sprintf("%s@tcp(%s)%s", u.User, u.Host, u.Path))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { pool.Close() })
	insert, err := pool.Prepare("insert into mqtt_msg (msgid, sender, topic, node, qos, payload, retain, arrived) values " +
		strings.Repeat("(?, ?, ?, ?, ?, ?, ?, from_unixtime(? / 1000)), ", benchBatch-1) + "(?, ?, ?, ?, ?, ?, ?, from_unixtime(? / 1000))" + " on duplicate key update qos = mqtt_msg.qos")
	if err != nil {
		b.Fatal(err)
	}
	return func(ms []*rules.Message) error {
		args := make([]any, 0, 8*benchBatch)
		for _, m := range ms {
			args = append(args, m.MsgID, m.Sender, m.Topic, m.Node, int64(m.QoS), m.Payload, int64(0), m.Arrived)
		}
		_, err := insert.ExecContext(context.Background(), args...)
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
