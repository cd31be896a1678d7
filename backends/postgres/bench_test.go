package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/postgres"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The driver's own: one INSERT for each message, all in one pgx.Batch.
func BenchmarkStore(b *testing.B) {
	fresh := func() *site {
		s := &site{server: server(b)}
		s.fresh(b)
		psql(b, s.url, "set client_min_messages = error;"+postgres.Schema)
		return s
	}
	db := fresh().open(b)
	b.Cleanup(func() { db.Close() })
	pool, err := pgxpool.New(context.Background(), fresh().url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	rulestest.Compare(b, db, func(ctx context.Context, ms []*rules.Message) error {
		var batch pgx.Batch
		for _, m := range ms {
			batch.Queue("insert into mqtt_msg (msgid, sender, topic, qos, payload, arrived, retain) values ($1, $2, $3, $4, $5, $6, $7) on conflict (msgid) do nothing",
				m.MsgID, m.Sender, m.Topic, int32(m.QoS), m.Payload, time.UnixMilli(m.Arrived), 0)
		}
		return pool.SendBatch(ctx, &batch).Close()
	})
}
