//go:build unix

package fairlead

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/sessions"
	"github.com/fairlead-iot/fairlead/core"
)

// BenchmarkServiceStore commits to a store in each database: every committer enqueues a
// message of 64 bytes for a session of its own, waits for done, and acknowledges what it
// enqueued 50 before in the same batch. The same writes follow once more, by a plain loop
// over the table: bare-… is what they cost without the store.
func BenchmarkServiceStore(b *testing.B) {
	for name, pool := range storePools() {
		for _, committers := range []int{1, 256, 2048} {
			b.Run(fmt.Sprintf("%s/committers=%d", name, committers), func(b *testing.B) {
				t := &counted{Database: openTable(b, pool(b), "bench-"+rand.Text())}
				s := openSessions(b, t)
				defer s.Close()
				benchCommits(b, s, committers, t)
				replay(b, openTable(b, pool(b), "bench-"+rand.Text()), t.groups)
			})
		}
	}
}

// counted counts what a store asks of a table.
type counted struct {
	sessions.Database
	writes, changes atomic.Int64
	busy            atomic.Int64 // nanoseconds inside Write

	on     atomic.Bool
	groups [][]sessions.Write // since on, copied
}

// Write implements sessions.Table.
func (t *counted) Write(ctx context.Context, ws []sessions.Write) error {
	began := time.Now()
	defer func() { t.busy.Add(int64(time.Since(began))) }()
	t.writes.Add(1)
	t.changes.Add(int64(len(ws)))
	if t.on.Load() {
		group := slices.Clone(ws)
		for i := range group {
			group[i].Part, group[i].Key, group[i].Value = bytes.Clone(group[i].Part), bytes.Clone(group[i].Key), bytes.Clone(group[i].Value)
		}
		t.groups = append(t.groups, group)
	}
	return t.Database.Write(ctx, ws)
}

func benchCommits(b *testing.B, s core.Store, committers int, t *counted) {
	for i := range committers {
		<-commitOps(b, s, core.Op{Kind: core.OpPutSession, Session: fmt.Sprint("c", i), Record: &core.SessionRecord{Epoch: 1}})
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	writes, changes, busy, cpu := t.writes.Load(), t.changes.Load(), t.busy.Load(), processCPU()
	t.on.Store(true)
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range committers {
		wg.Go(func() {
			id := fmt.Sprint("c", i)
			for seq := uint64(0); left.Add(-1) >= 0; seq++ {
				ops := []core.Op{{Kind: core.OpEnqueue, Session: id, Entry: core.QueuedMessage{Seq: seq, QoS: 1,
					Msg: &core.Message{Topic: "plant/1/temperature", ID: seq, QoS: 1, Payload: make([]byte, 64)}}}}
				if seq >= 50 {
					ops = append(ops, core.Op{Kind: core.OpAck, Session: id, Entry: core.QueuedMessage{Seq: seq - 50}})
				}
				<-commitOps(b, s, ops...)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	n := float64(b.N)
	writes = max(1, t.writes.Load()-writes)
	b.ReportMetric(n/b.Elapsed().Seconds(), "batches/s")
	b.ReportMetric(float64(processCPU()-cpu)/n/1000, "µs-CPU/batch")
	b.ReportMetric(n/float64(writes), "batches/write")
	b.ReportMetric(float64(t.changes.Load()-changes)/n, "changes/batch")
	b.ReportMetric(float64(t.busy.Load()-busy)/float64(writes)/1e6, "ms/write")
}

// replay writes groups by a plain loop.
func replay(b *testing.B, t sessions.Database, groups [][]sessions.Write) {
	defer t.Close()
	if err := t.Claim(b.Context(), "replay"); err != nil {
		b.Fatal(err)
	}
	began, cpu := time.Now(), processCPU()
	for _, ws := range groups {
		if err := t.Write(b.Context(), ws); err != nil {
			b.Fatal(err)
		}
	}
	n := float64(b.N)
	b.ReportMetric(n/time.Since(began).Seconds(), "bare-batches/s")
	b.ReportMetric(float64(processCPU()-cpu)/n/1000, "bare-µs-CPU/batch")
}

func commitOps(b *testing.B, s core.Store, ops ...core.Op) <-chan struct{} {
	done := make(chan struct{})
	err := s.Commit(&core.Batch{Ops: ops}, func(err error) {
		if err != nil {
			b.Error(err)
		}
		close(done)
	})
	if err != nil {
		b.Error(err)
		close(done)
	}
	return done
}

func processCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
