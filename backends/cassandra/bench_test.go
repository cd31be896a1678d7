package cassandra

import (
	"context"
	"errors"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
)

// The driver's own: an INSERT for each message, as many side by side as we have.
func BenchmarkStore(b *testing.B) {
	d, err := Open(bare(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	if _, err := d.Init(b.Context(), true); err != nil {
		b.Fatal(err)
	}
	s, err := d.connected(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Query(`CREATE TABLE plain (topic text, msgid text, sender text, qos int, retain int, payload blob, arrived timestamp, PRIMARY KEY (topic, msgid)) WITH CLUSTERING ORDER BY (msgid DESC)`).Exec(); err != nil {
		b.Fatal(err)
	}
	rulestest.Compare(b, d, func(ctx context.Context, batch []*rules.Message) error { return plainInserts(ctx, s, batch) })
}

func plainInserts(ctx context.Context, s *gocql.Session, batch []*rules.Message) error {
	free, errs := make(chan struct{}, atOnce), make(chan error, len(batch))
	for _, m := range batch {
		free <- struct{}{}
		go func() {
			errs <- s.Query(`INSERT INTO plain (topic, msgid, sender, qos, retain, payload, arrived) VALUES (?, ?, ?, ?, ?, ?, ?) USING TTL ?`,
				m.Topic, m.MsgID, m.Sender, int(m.QoS), 0, m.Payload, time.UnixMilli(m.Arrived), 3600).ExecContext(ctx)
			<-free
		}()
	}
	var all error
	for range batch {
		all = errors.Join(all, <-errs)
	}
	return all
}
