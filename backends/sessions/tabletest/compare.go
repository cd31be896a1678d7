package tabletest

import (
	"context"
	"encoding/binary"
	"slices"
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
// driver, a plain loop that does the same in its own table or keys; in turns, the first
// another each time, so that whatever else the machine does meets both. What a group
// takes is the median. A set is an op. bare, if there is one, is a loop that promises
// less.
func Compare(b *testing.B, t sessions.Table, driver func(ctx context.Context, group []sessions.Write) error, bare ...func(ctx context.Context, group []sessions.Write) error) {
	ctx := context.Background()
	if err := t.Claim(ctx, "benchmark"); err != nil {
		b.Fatal(err)
	}
	all := []*contender{{name: "table", write: t.Write}, {name: "driver", write: driver}}
	for _, write := range bare {
		all = append(all, &contender{name: "bare", write: write})
	}
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
		for i := range all {
			all[(i+int(n/benchGroup))%len(all)].run(b, group)
		}
		group = group[:0]
	}
	for _, c := range all {
		b.ReportMetric(benchGroup/c.median(), c.name+"-sets/s")
	}
	for _, c := range all[1:] {
		b.ReportMetric(c.median()/all[0].median(), "of-"+c.name)
	}
}

// contender is one of those that are compared.
type contender struct {
	name  string
	write func(context.Context, []sessions.Write) error
	took  []float64 // seconds, by group
}

func (c *contender) run(b *testing.B, group []sessions.Write) {
	start := time.Now()
	if err := c.write(context.Background(), group); err != nil {
		b.Fatalf("%s: %v", c.name, err)
	}
	c.took = append(c.took, time.Since(start).Seconds())
}

// median is what a group takes; 1 s where there was none.
func (c *contender) median() float64 {
	if len(c.took) == 0 {
		return 1
	}
	slices.Sort(c.took)
	return c.took[len(c.took)/2]
}
