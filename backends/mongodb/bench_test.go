package mongodb

import (
	"context"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
	"github.com/fairlead-iot/fairlead/internal/testservice"
)

// The driver's own: the same documents by one InsertMany, into a collection with the same
// indexes.
func BenchmarkStore(b *testing.B) {
	ours, plain := benchPool(b, "fairlead_bench"), benchPool(b, "fairlead_bench_plain")
	first := int64(0)
	rulestest.Compare(b, ours, func(ctx context.Context, batch []*rules.Message) error {
		docs := make([]bson.D, len(batch))
		for i, m := range batch {
			first++
			docs[i] = bson.D{{Key: "_id", Value: first}, {Key: "topic", Value: m.Topic}, {Key: "msgid", Value: m.MsgID}, {Key: "sender", Value: m.Sender},
				{Key: "qos", Value: int32(m.QoS)}, {Key: "retain", Value: m.Retain}, {Key: "payload", Value: string(m.Payload)}, {Key: "arrived", Value: m.Arrived / 1000},
				{Key: "expires_at", Value: time.UnixMilli(m.Arrived).Add(time.Hour)}}
		}
		_, err := plain.db.Collection(messages).InsertMany(ctx, docs)
		return err
	})
}

// benchPool is an empty database with all indexes, which is dropped afterwards.
func benchPool(b *testing.B, database string) *Database {
	d := pool(b, testservice.URL(b, "mongodb"), database)
	b.Cleanup(func() {
		if err := d.db.Drop(context.Background()); err != nil {
			b.Errorf("cleaning up: %v", err)
		}
		d.Close()
	})
	if err := d.db.Drop(b.Context()); err != nil {
		b.Fatal(err)
	}
	if _, err := d.Init(b.Context(), true); err != nil {
		b.Fatal(err)
	}
	return d
}
