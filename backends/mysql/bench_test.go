package mysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead/backends/mysql"
	"github.com/fairlead-iot/fairlead/backends/rules"
	"github.com/fairlead-iot/fairlead/backends/rules/rulestest"
	_ "github.com/go-sql-driver/mysql"
)

// The driver's own: all rows of a batch in one prepared INSERT.
func BenchmarkStore(b *testing.B) {
	onEach(b, func(b *testing.B, s *site) {
		fresh := func() *site {
			own := &site{server: s.server}
			own.fresh(b)
			client(b, own.url, mysql.Schema)
			return own
		}
		db := fresh().open(b)
		b.Cleanup(func() { db.Close() })
		rulestest.Compare(b, db, benchDriver(b, fresh()))
	})
}

func benchDriver(b *testing.B, s *site) func(context.Context, []*rules.Message) error {
	u := mustParse(b, s.url)
	pool, err := sql.Open("mysql", fmt.Sprintf("%s@tcp(%s)%s", u.User, u.Host, u.Path))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { pool.Close() })
	insert, err := pool.Prepare("insert into mqtt_msg (msgid, sender, topic, node, qos, payload, retain, arrived) values " +
		strings.Repeat("(?, ?, ?, ?, ?, ?, ?, from_unixtime(? / 1000)), ", rulestest.BenchBatch-1) + "(?, ?, ?, ?, ?, ?, ?, from_unixtime(? / 1000))" + " on duplicate key update qos = mqtt_msg.qos")
	if err != nil {
		b.Fatal(err)
	}
	return func(ctx context.Context, batch []*rules.Message) error {
		args := make([]any, 0, 8*rulestest.BenchBatch)
		for _, m := range batch {
			args = append(args, m.MsgID, m.Sender, m.Topic, m.Node, int64(m.QoS), m.Payload, int64(0), m.Arrived)
		}
		_, err := insert.ExecContext(ctx, args...)
		return err
	}
}
