//go:build unix

package pebble_test

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-iot/fairlead/backends/pebble"
	"github.com/fairlead-iot/fairlead/core"
)

// benchStore opens a store with the default settings on the disk below the
// repository's temporary directory.
func benchStore(b *testing.B, change func(*pebble.Config)) *pebble.Store {
	b.Helper()
	cfg := pebble.DefaultConfig()
	cfg.Path = b.TempDir()
	if change != nil {
		change(&cfg)
	}
	s, err := pebble.Open(cfg, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// processCPU is the CPU time that the process has used.
func processCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// written is how many bytes the process has sent towards the disk.
func written() int64 {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	var n, wchar int64
	for _, line := range splitLines(string(text)) {
		if c, _ := fmt.Sscanf(line, "wchar: %d", &n); c == 1 {
			wchar = n
		}
	}
	return wchar
}

func splitLines(text string) []string {
	var lines []string
	for start, i := 0, 0; i < len(text); i++ {
		if text[i] == '\n' {
			lines = append(lines, text[start:i])
			start = i + 1
		}
	}
	return lines
}

// meter reports what an operation costs beyond time.
type meter struct {
	b     *testing.B
	cpu   time.Duration
	bytes int64
	stats core.StoreStats
	s     *pebble.Store
}

func start(b *testing.B, s *pebble.Store) *meter {
	runtime.GC()
	m := &meter{b: b, s: s, cpu: processCPU(), bytes: written(), stats: s.Stats()}
	b.ReportAllocs()
	b.ResetTimer()
	return m
}

func (m *meter) stop() {
	m.b.StopTimer()
	n := float64(m.b.N)
	st := m.s.Stats()
	m.b.ReportMetric(n/m.b.Elapsed().Seconds(), "batches/s")
	m.b.ReportMetric(float64((processCPU()-m.cpu).Nanoseconds())/n/1000, "µs-CPU/batch")
	m.b.ReportMetric(float64(written()-m.bytes)/n, "B-written/batch")
	if groups := st.Commits - m.stats.Commits; groups > 0 {
		m.b.ReportMetric(float64(st.Batches-m.stats.Batches)/float64(groups), "batches/group")
	}
}

// Each committer enqueues a message of 64 bytes for a session of its own, waits
// for done, and acknowledges what it enqueued 50 before in the same batch.
func BenchmarkCommit(b *testing.B) {
	for _, committers := range []int{1, 16, 256, 2048} {
		b.Run(fmt.Sprintf("committers=%d", committers), func(b *testing.B) {
			s := benchStore(b, nil)
			for i := range committers {
				commitNow(b, s, op(core.OpPutSession, fmt.Sprint("c", i), 0, 0))
			}
			var left atomic.Int64
			left.Store(int64(b.N))
			m := start(b, s)
			var wg sync.WaitGroup
			for i := range committers {
				wg.Go(func() { committer(b, s, fmt.Sprint("c", i), &left) })
			}
			wg.Wait()
			m.stop()
		})
	}
}

func committer(b *testing.B, s *pebble.Store, id string, left *atomic.Int64) {
	finished := make(chan error, 1)
	done := func(err error) { finished <- err }
	payload := make([]byte, 64)
	for seq := uint64(0); left.Add(-1) >= 0; seq++ {
		batch := &core.Batch{Ops: make([]core.Op, 1, 2)}
		batch.Ops[0] = core.Op{Kind: core.OpEnqueue, Session: id, Entry: core.QueuedMessage{
			Seq: seq, QoS: 1, Msg: &core.Message{Topic: "plant/7/line/3/temperature", Publisher: "sensor-1234", Payload: payload, ID: seq, QoS: 1, Published: 1_700_000_000_000},
		}}
		if seq >= 50 {
			batch.Ops = append(batch.Ops, core.Op{Kind: core.OpAck, Session: id, Entry: core.QueuedMessage{Seq: seq - 50}})
		}
		err := s.Commit(batch, done)
		if err == nil {
			err = <-finished
		}
		if err != nil {
			b.Error(err)
			return
		}
	}
}

func commitNow(b *testing.B, s *pebble.Store, ops ...core.Op) {
	b.Helper()
	done := make(chan error, 1)
	if err := s.Commit(&core.Batch{Ops: ops}, func(err error) { done <- err }); err != nil {
		b.Fatal(err)
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// An open loop, as the gateway's: batches come without waiting for the one
// before, up to the store's bound.
func BenchmarkCommitStream(b *testing.B) {
	for _, size := range []int{64, 1024, 60_000} {
		b.Run(fmt.Sprintf("payload=%d", size), func(b *testing.B) {
			s := benchStore(b, nil)
			commitNow(b, s, op(core.OpPutSession, "c", 0, 0))
			payload := make([]byte, size)
			slots := make(chan *core.Batch, min(4096, 16<<20/size))
			for range cap(slots) {
				slots <- &core.Batch{Ops: make([]core.Op, 2)}
			}
			m := start(b, s)
			for seq := range uint64(b.N) {
				batch := <-slots
				batch.Ops[0] = core.Op{Kind: core.OpEnqueue, Session: "c", Entry: core.QueuedMessage{
					Seq: seq, QoS: 1, Msg: &core.Message{Topic: "plant/7/line/3/temperature", Publisher: "sensor-1234", Payload: payload, ID: seq, QoS: 1, Published: 1_700_000_000_000},
				}}
				batch.Ops[1] = core.Op{Kind: core.OpAck, Session: "c", Entry: core.QueuedMessage{Seq: seq - min(seq, 1000)}}
				if err := s.Commit(batch, func(err error) { slots <- batch }); err != nil {
					b.Fatal(err)
				}
			}
			for range cap(slots) {
				<-slots
			}
			m.stop()
		})
	}
}

// One message for a thousand sessions, in one batch.
func BenchmarkFanOut(b *testing.B) {
	s := benchStore(b, nil)
	const sessions = 1000
	ids := make([]string, sessions)
	for i := range ids {
		ids[i] = fmt.Sprint("c", i)
		commitNow(b, s, op(core.OpPutSession, ids[i], 0, 0))
	}
	m := start(b, s)
	for seq := range uint64(b.N) {
		msg := &core.Message{Topic: "alarm", Payload: make([]byte, 200), ID: seq, QoS: 1}
		ops := make([]core.Op, 0, 2*sessions)
		for _, id := range ids {
			ops = append(ops, core.Op{Kind: core.OpEnqueue, Session: id, Entry: core.QueuedMessage{Seq: seq, QoS: 1, Msg: msg}})
		}
		if seq > 0 {
			for _, id := range ids {
				ops = append(ops, core.Op{Kind: core.OpAck, Session: id, Entry: core.QueuedMessage{Seq: seq - 1}})
			}
		}
		commitNow(b, s, ops...)
	}
	m.stop()
}

// Reading a queue of messages of 64 bytes, 100 at a time.
func BenchmarkFetch(b *testing.B) {
	s := benchStore(b, nil)
	commitNow(b, s, op(core.OpPutSession, "c", 0, 0))
	const entries = 10_000
	for seq := uint64(0); seq < entries; seq += 100 {
		ops := make([]core.Op, 100)
		for i := range ops {
			ops[i] = op(core.OpEnqueue, "c", seq+uint64(i), 64)
		}
		commitNow(b, s, ops...)
	}
	b.ReportAllocs()
	dst := make([]core.QueuedMessage, 0, 100)
	from := uint64(0)
	for b.Loop() {
		got, err := s.Fetch(b.Context(), "c", from, 100, 1<<20, dst[:0])
		if err != nil || len(got) != 100 {
			b.Fatalf("%d entries, %v", len(got), err)
		}
		from = (from + 100) % entries
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/message")
}

// What a start costs: a hundred thousand entries of ten thousand sessions.
func BenchmarkLoad(b *testing.B) {
	cfg := pebble.DefaultConfig()
	cfg.Path = b.TempDir()
	s, err := pebble.Open(cfg, nil)
	if err != nil {
		b.Fatal(err)
	}
	const sessions, entries = 10_000, 10
	for i := range sessions {
		id := fmt.Sprint("client-", i)
		ops := []core.Op{op(core.OpPutSession, id, 0, 0), {Kind: core.OpPutSubscription, Session: id, Subscription: &core.SubscriptionRecord{Filter: "a/+/" + id}}}
		for seq := range uint64(entries) {
			ops = append(ops, op(core.OpEnqueue, id, seq, 100))
		}
		if err := s.Commit(&core.Batch{Ops: ops}, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for b.Loop() {
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		if s, err = pebble.Open(cfg, nil); err != nil {
			b.Fatal(err)
		}
		if err := s.Load(b.Context(), &counter{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/sessions, "ns/session")
	before := heap()
	s.Close()
	b.ReportMetric(float64(before-heap())/sessions, "B-heap/session")
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// counter is a loader that keeps nothing.
type counter struct{ sessions, subs int }

func (c *counter) Session(core.SessionRecord) error                   { c.sessions++; return nil }
func (c *counter) Subscription(string, core.SubscriptionRecord) error { c.subs++; return nil }
func (c *counter) Retained(*core.Message) error                       { return nil }
func (c *counter) Delayed(core.DelayedRecord) error                   { return nil }

// Sessions come and go while another one's queue is read.
func BenchmarkFetchBesideChurn(b *testing.B) {
	for _, churn := range []int{0, 1000, 10_000} {
		b.Run(fmt.Sprintf("deleted=%d", churn), func(b *testing.B) {
			s := benchStore(b, nil)
			ops := []core.Op{op(core.OpPutSession, "reader", 0, 0)}
			for seq := range uint64(100) {
				ops = append(ops, op(core.OpEnqueue, "reader", seq, 64))
			}
			commitNow(b, s, ops...)
			for i := 0; i < churn; i += 100 {
				var put, remove []core.Op
				for j := range 100 {
					id := fmt.Sprint("gone", i+j)
					put = append(put, op(core.OpPutSession, id, 0, 0), op(core.OpEnqueue, id, 0, 64))
					remove = append(remove, op(core.OpDeleteSession, id, 0, 0))
				}
				commitNow(b, s, put...)
				commitNow(b, s, remove...)
			}
			b.ReportAllocs()
			next := 0
			dst := make([]core.QueuedMessage, 0, 100)
			for b.Loop() {
				if churn > 0 {
					id := fmt.Sprint("more", next)
					next++
					commitNow(b, s, op(core.OpPutSession, id, 0, 0))
					commitNow(b, s, op(core.OpDeleteSession, id, 0, 0))
				}
				got, err := s.Fetch(b.Context(), "reader", 0, 100, 1<<20, dst[:0])
				if err != nil || len(got) != 100 {
					b.Fatalf("%d entries, %v", len(got), err)
				}
			}
		})
	}
}
