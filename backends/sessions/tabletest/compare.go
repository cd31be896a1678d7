package tabletest

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/sessions"
)

// What Compare writes.
const (
	benchGroup = 256
	benchParts = 64
	benchValue = 200
)

// Compare writes groups of 256 sets of 200 bytes, in 64 parts, by Table.Write and by
// driver, a plain loop that does the same in its own table or keys; in turns, so that
// whatever else the machine does meets both. A set is an op.
func Compare(b *testing.B, t sessions.Table, driver func(ctx context.Context, group []sessions.Write) error) {
	ctx := context.Background()
	if err := t.Claim(ctx, "benchmark"); err != nil {
		b.Fatal(err)
	}
	both := [2]struct {
		name  string
		write func(context.Context, []sessions.Write) error
		wall  time.Duration
	}{{name: "table", write: t.Write}, {name: "driver", write: driver}}
	value := []byte(noise(benchValue))
	group := make([]sessions.Write, 0, benchGroup)
	n := uint64(0)
	for b.Loop() {
		n++
		key := binary.BigEndian.AppendUint64(nil, n)
		group = append(group, sessions.Write{Part: []byte{'s', byte(n % benchParts)}, Key: key, Value: value})
		if len(group) < benchGroup {
			continue
		}
		for i := range both {
			start := time.Now()
			if err := both[i].write(ctx, group); err != nil {
				b.Fatalf("%s: %v", both[i].name, err)
			}
			both[i].wall += time.Since(start)
		}
		group = group[:0]
	}
	for _, s := range both {
		b.ReportMetric(float64(n)/s.wall.Seconds(), s.name+"-sets/s")
	}
	b.ReportMetric(both[1].wall.Seconds()/both[0].wall.Seconds(), "of-driver")
}
