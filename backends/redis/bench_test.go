package redis

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
)

// The driver's own: the same three commands for each message, all in one pipeline.
func BenchmarkStore(b *testing.B) {
	d := startServer(b).open(nil)
	rulestest.Compare(b, d, func(ctx context.Context, batch []*rules.Message) error {
		p := d.client.Pipeline()
		for _, m := range batch {
			p.HSet(ctx, "plain:msg:"+m.MsgID, "id", m.MsgID, "from", m.Sender, "qos", m.QoS, "topic", m.Topic, "payload", m.Payload, "ts", m.Arrived/1000, "retain", "false")
			p.PExpire(ctx, "plain:msg:"+m.MsgID, time.Hour)
			p.ZAdd(ctx, "plain:msg:"+m.Topic, redis.Z{Score: 1, Member: m.MsgID})
		}
		_, err := p.Exec(ctx)
		return err
	})
}
