package spool

import (
	"runtime"
	"sync"
	"testing"
)

// consume commits batches until n records are gone.
func consume(b *testing.B, l *Lane, n int) {
	ctx := b.Context()
	for n > 0 {
		batch, err := l.Next(ctx, 256, 1<<20)
		if err != nil {
			b.Error(err)
			return
		}
		n -= len(batch)
		l.Commit(len(batch))
	}
}

func benchmark(b *testing.B, opts Options, work func(s *Spool, record []byte)) {
	opts.Dir = b.TempDir()
	s := open(b, opts)
	record := number(1, 200)
	b.ReportAllocs()
	b.SetBytes(int64(len(record)))
	b.ResetTimer()
	work(s, record)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// insist appends although memory may be full.
func insist(s *Spool, key uint64, record []byte) {
	for s.Append(key, record) == 0 {
		runtime.Gosched()
	}
}

// One goroutine appends 100 records and takes them out again.
func BenchmarkMemory(b *testing.B) {
	benchmark(b, Options{}, func(s *Spool, record []byte) {
		for i := range b.N {
			s.Append(0, record)
			if i%100 == 99 || i == b.N-1 {
				consume(b, s.Lane(0), i%100+1)
			}
		}
	})
}

// Two producers and two lanes with a consumer each, side by side.
func BenchmarkMemoryParallel(b *testing.B) {
	benchmark(b, Options{Lanes: 2, MaxMemory: 64 << 20}, func(s *Spool, record []byte) {
		var all sync.WaitGroup
		for key := range uint64(2) {
			n := b.N/2 + b.N%2*int(key)
			all.Go(func() {
				for range n {
					insist(s, key, record)
				}
			})
			all.Go(func() { consume(b, s.Lane(int(key)), n) })
		}
		all.Wait()
	})
}

// Everything goes to disk first and comes from there.
func BenchmarkSpill(b *testing.B) {
	for _, sync := range []string{SyncAlways, SyncNever} {
		b.Run(sync, func(b *testing.B) {
			benchmark(b, Options{Sync: sync, MaxBytes: 32 << 30}, func(s *Spool, record []byte) {
				for range b.N {
					insist(s, 0, record)
				}
				s.Spill(true)
				if err := flushed(s); err != nil {
					b.Fatal(err)
				}
				consume(b, s.Lane(0), b.N)
			})
		})
	}
}

// 256 publishers wait for the disk (ack = "spool") while a consumer follows.
func BenchmarkFlushed(b *testing.B) {
	benchmark(b, Options{}, func(s *Spool, record []byte) {
		slots := make(chan struct{}, 256)
		done := func(err error) {
			if err != nil {
				b.Error(err)
			}
			<-slots
		}
		var all sync.WaitGroup
		all.Go(func() { consume(b, s.Lane(0), b.N) })
		for range b.N {
			slots <- struct{}{}
			insist(s, 0, record)
			s.Flushed(done)
		}
		all.Wait()
	})
}
