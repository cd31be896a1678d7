package route

import (
	"fmt"
	"hash/maphash"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// BenchmarkRoutes measures the table at a small scale, BenchmarkRoutes11M at
// the scale it is made for; that one takes minutes and two gigabytes and runs with
// FAIRLEAD_BIG=1 only:
//
//	FAIRLEAD_BIG=1 go test -run '^$' -bench Routes11M -benchtime 1000000x -timeout 30m ./core/route
func BenchmarkRoutes(b *testing.B) { benchRoutes(b, fleet{exact: 100_000, wild: 10_000}) }

func BenchmarkRoutes11M(b *testing.B) {
	if os.Getenv("FAIRLEAD_BIG") == "" {
		b.Skip("FAIRLEAD_BIG=1 runs it")
	}
	benchRoutes(b, fleet{exact: 10_000_000, wild: 1_000_000})
}

func benchRoutes(b *testing.B, f fleet) {
	table, report := build(f)
	b.Run("build", func(b *testing.B) {
		report(b)
		reportGC(b)
	})
	for _, kind := range []string{"hit", "telemetry", "HA", "miss", "hot"} {
		b.Run("cold/"+kind, func(b *testing.B) {
			benchMatch(b, table.NewReader(), f.topics(kind, topicCount(f, kind)))
		})
	}
	table.cacheEntries = DefaultCacheEntries
	for _, kind := range []string{"hot", "hit"} {
		b.Run("cache/"+kind, func(b *testing.B) {
			benchMatch(b, table.NewReader(), f.topics(kind, topicCount(f, kind)))
		})
	}
}

// topicCount returns how many different topics a benchmark publishes to.
func topicCount(f fleet, kind string) int {
	if kind == "hot" {
		return 512
	}
	return min(f.exact, 1<<19)
}

// insertions times every single Add, in time of the thread.
type insertions struct {
	count int
	total time.Duration
	slow  map[int]time.Duration // by their number
}

const slowAdd = 100 * time.Microsecond

func (s *insertions) each(add func()) {
	begin := threadTime()
	add()
	took := threadTime() - begin
	s.total += took
	if took > slowAdd {
		s.slow[s.count] = took
	}
	s.count++
}

// worst returns the longest insertion of all, and of those that were slow in
// both of two runs with the same seed: what the table does is the same in both,
// what the machine does meanwhile is not. Below slowAdd they are not told apart.
func (s *insertions) worst(other *insertions) (once, twice time.Duration) {
	once, twice = slowAdd, slowAdd
	for i, took := range s.slow {
		once, twice = max(once, took), max(twice, min(took, other.slow[i]))
	}
	return once, twice
}

// build fills a table without a cache; report tells its memory and its
// insertions.
func build(f fleet) (t *Table, report func(b *testing.B)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	seed := maphash.MakeSeed()
	var runs [2]insertions
	var bytes, heap [3]float64 // before, with exact filters, with all
	for k := range runs {
		runs[k].slow = map[int]time.Duration{}
		t = New(Options{CacheEntries: -1, Seed: seed})
		bytes[0], heap[0] = float64(t.Stats().Bytes), heapBytes()
		f.add(t, f.exactFilter, 0, f.exact, runs[k].each)
		bytes[1], heap[1] = float64(t.Stats().Bytes), heapBytes()
		f.add(t, f.wildFilter, 0, f.wild, runs[k].each)
		bytes[2], heap[2] = float64(t.Stats().Bytes), heapBytes()
	}
	clock := clockCost()
	return t, func(b *testing.B) {
		exact, wild := float64(f.exact), float64(f.wild)
		b.ReportMetric((bytes[1]-bytes[0])/exact, "B/exact")
		b.ReportMetric((bytes[2]-bytes[1])/wild, "B/wildcard")
		b.ReportMetric((heap[1]-heap[0])/exact, "heapB/exact")
		b.ReportMetric((heap[2]-heap[1])/wild, "heapB/wildcard")
		once, twice := runs[0].worst(&runs[1])
		b.ReportMetric(float64(once.Nanoseconds()), "ns/worst-add-once")
		b.ReportMetric(float64(twice.Nanoseconds()), "ns/worst-add")
		b.ReportMetric((float64(runs[1].total.Nanoseconds()))/(exact+wild)-clock, "ns/add")
	}
}

// clockCost returns what reading the clock around an insertion adds to it.
func clockCost() float64 {
	const n = 10_000
	s := insertions{slow: map[int]time.Duration{}}
	for range n {
		s.each(func() {})
	}
	return float64(s.total.Nanoseconds()) / n
}

// heapBytes returns what the garbage collector finds alive.
func heapBytes() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// reportGC reports what one cycle of garbage collection costs now.
func reportGC(b *testing.B) {
	cpu := []metrics.Sample{{Name: "/cpu/classes/gc/mark/dedicated:cpu-seconds"}, {Name: "/cpu/classes/gc/mark/assist:cpu-seconds"}, {Name: "/cpu/classes/gc/pause:cpu-seconds"}}
	sum := func() (s float64) {
		metrics.Read(cpu)
		for _, c := range cpu {
			s += c.Value.Float64()
		}
		return s
	}
	runtime.GC()
	before, begin := sum(), time.Now()
	runtime.GC()
	b.ReportMetric(float64(time.Since(begin).Microseconds()), "µs/GC")
	b.ReportMetric((sum()-before)*1e6, "µs-CPU/GC")
	var st debug.GCStats
	debug.ReadGCStats(&st)
	b.ReportMetric(float64(st.Pause[0].Microseconds()), "µs-pause/GC")
}

// benchMatch matches topics in turn. Time is the thread's, and before each
// piece the topics' texts are copied to one place, where a loop has just read
// them: what is cold is the table, not the message.
func benchMatch(b *testing.B, r *Reader, topics []string) {
	defer r.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const piece = 64
	var warm [piece]string
	var took time.Duration
	var room [piece * 64]byte
	found := 0
	count := func(m *Matches) { found += m.Entries() }
	b.ReportAllocs()
	b.ResetTimer() // without what drew the topics
	for i := 0; i < b.N; i += piece {
		text := room[:0]
		for k := range warm {
			topic := topics[(i+k)%len(topics)]
			if warm[k] = topic; len(r.cache) == 0 { // a cache would keep the text
				from := len(text)
				text = append(text, topic...)
				warm[k] = unsafe.String(&text[from], len(topic))
			}
		}
		begin := threadTime()
		for k := range warm {
			r.Match(warm[k], count)
		}
		took += threadTime() - begin
	}
	pieces := (b.N + piece - 1) / piece
	b.ReportMetric(float64(took.Nanoseconds())/float64(pieces*piece), "cpu-ns/match")
	b.ReportMetric(float64(found)/float64(pieces*piece), "matches/op")
}

// TestMatchAllocatesNothing: in steady state, cached or not.
func TestMatchAllocatesNothing(t *testing.T) {
	f := fleet{exact: 400, wild: 400}
	for name, cache := range map[string]int{"cached": 0, "uncached": -1} {
		table := New(Options{CacheEntries: cache})
		f.add(table, f.exactFilter, 0, f.exact, func(add func()) { add() })
		f.add(table, f.wildFilter, 0, f.wild, func(add func()) { add() })
		r := table.NewReader()
		topic, raw := f.topics("hit", 1)[0], []byte(f.topics("telemetry", 1)[0])
		var sum uint32
		each := func(m *Matches) {
			for i := range m.Entries() {
				var it Iter
				m.Values(i, &it)
				for vs, ok := it.Next(); ok; vs, ok = it.Next() {
					sum += vs[0]
				}
			}
		}
		r.MatchBytes(raw, each)
		if n := testing.AllocsPerRun(100, func() { r.Match(topic, each) }); n != 0 {
			t.Errorf("%s: Match allocates %v times", name, n)
		}
		if cache < 0 {
			continue
		}
		if n := testing.AllocsPerRun(100, func() { r.MatchBytes(raw, each); r.Intern(raw) }); n != 0 {
			t.Errorf("%s: MatchBytes and Intern allocate %v times", name, n)
		}
	}
}

// BenchmarkPublish does what a loop does for a message on a busy topic: it finds
// the topic's string, then the filters.
func BenchmarkPublish(b *testing.B) {
	f := fleet{exact: 1000, wild: 1000}
	table := New(Options{})
	f.add(table, f.exactFilter, 0, f.exact, func(add func()) { add() })
	var topics [64][]byte
	r := table.NewReader()
	for i, topic := range f.topics("hot", len(topics)) {
		topics[i] = []byte(topic)
		r.Match(topic, func(*Matches) {})
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	found, begin := 0, threadTime()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		topic, _ := r.Intern(topics[i%len(topics)])
		r.Match(topic, func(m *Matches) { found += m.Entries() })
	}
	b.ReportMetric(float64((threadTime()-begin).Nanoseconds())/float64(b.N), "cpu-ns/op")
	if found != b.N {
		b.Errorf("%d matches of %d", found, b.N)
	}
}

// BenchmarkReadersAndWriter matches on two loops while a writer changes filters
// in batches of 64.
func BenchmarkReadersAndWriter(b *testing.B) {
	f := fleet{exact: 100_000, wild: 10_000}
	table := New(Options{})
	f.add(table, f.exactFilter, 0, f.exact, func(add func()) { add() })
	f.add(table, f.wildFilter, 0, f.wild, func(add func()) { add() })
	topics := f.topics("telemetry", 1<<16)
	var stop atomic.Bool
	var readers, writer sync.WaitGroup
	changes := 0
	writer.Go(func() {
		for ; !stop.Load(); changes += 128 {
			table.Update(func(tx *Tx) { churn(tx, changes) })
			runtime.Gosched()
		}
	})
	b.ResetTimer()
	for k := range 2 {
		r := table.NewReader()
		readers.Go(func() {
			for i := range b.N {
				r.Match(topics[(i+k*1000)%len(topics)], func(*Matches) {})
			}
		})
	}
	readers.Wait()
	b.StopTimer()
	stop.Store(true)
	writer.Wait()
	b.ReportMetric(float64(changes)/float64(b.N), "changes/match")
}

// churn adds and removes 64 filters.
func churn(tx *Tx, from int) {
	for i := range 64 {
		filter := fmt.Sprintf("fleet/tenant-%d/new-%d/+", i, from)
		tx.Add(filter, 1)
		e, _ := tx.Find(filter)
		tx.Remove(e, 1)
	}
}

// BenchmarkFanOut iterates the values of one filter.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 4, 16, 1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			t := New(Options{})
			t.Update(func(tx *Tx) {
				for v := range n {
					tx.Add("news/today", uint32(v)*7)
				}
			})
			before := New(Options{}).Stats().Bytes
			b.ReportMetric(float64(t.Stats().Bytes-before)/float64(n), "B/value")
			r := t.NewReader()
			defer r.Close()
			var sum uint64
			b.ReportAllocs()
			for b.Loop() {
				r.Match("news/today", func(m *Matches) {
					var it Iter
					m.Values(0, &it)
					for vs, ok := it.Next(); ok; vs, ok = it.Next() {
						for _, v := range vs {
							sum += uint64(v)
						}
					}
				})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/value")
		})
	}
}

// BenchmarkAdversary matches what is made to cost much: 1,024 filters with '+'
// in every combination, 100 nested '#', and deep topics that nothing matches.
func BenchmarkAdversary(b *testing.B) {
	t := New(Options{CacheEntries: -1})
	deep := ""
	t.Update(func(tx *Tx) {
		for bits := range 1024 {
			filter := "x"
			for l := range 10 {
				filter += map[bool]string{true: "/+", false: "/a"}[bits>>l&1 != 0]
			}
			tx.Add(filter, uint32(bits))
		}
		for i := range 100 {
			deep += "n/"
			tx.Add(deep+"#", uint32(i))
		}
	})
	for name, topic := range map[string]string{
		"plus combinations": "x/a/a/a/a/a/a/a/a/a/a", "nested #": deep + "x", "deep miss": "m" + deep,
	} {
		b.Run(name, func(b *testing.B) { benchMatch(b, t.NewReader(), []string{topic}) })
	}
}
