package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func open(t testing.TB, opts Options) *Spool {
	t.Helper()
	s, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// fill appends numbers of a size, from first on, and lets the writer follow.
func fill(t *testing.T, s *Spool, key, first, n uint64, size int) (taken uint64) {
	t.Helper()
	for i := first; i < first+n; i++ {
		taken += uint64(s.Append(key, number(i, size)))
		synctest.Wait()
	}
	return taken
}

func flushed(s *Spool) error {
	done := make(chan error, 1)
	s.Flushed(func(err error) { done <- err })
	return <-done
}

func count(first, n uint64) (all []uint64) {
	for i := first; i < first+n; i++ {
		all = append(all, i)
	}
	return all
}

func TestEqualKeysShareALane(t *testing.T) {
	s := open(t, Options{Dir: "d", Lanes: 7, FS: newDisk()})
	if s.Lanes() != 7 {
		t.Fatalf("%d lanes", s.Lanes())
	}
	for i := range uint64(100) {
		s.Append(Hash(fmt.Sprint("key", i%10)), number(i, 8))
	}
	seen := map[uint64]int{}
	for lane := range 7 {
		last := map[uint64]uint64{}
		for s.Lane(lane).waitingNow() {
			batch, err := s.Lane(lane).Next(t.Context(), 1000, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range batch {
				n := numberOf(t, b)
				if other, ok := seen[n%10]; ok && other != lane {
					t.Errorf("key %d is in lanes %d and %d", n%10, other, lane)
				}
				if n < last[n%10] {
					t.Errorf("key %d: %d after %d", n%10, n, last[n%10])
				}
				seen[n%10], last[n%10] = lane, n
			}
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d keys came, want 10", len(seen))
	}
	if got := Hash("sensor-1"); got != 0xa0931a0666720f29 {
		t.Errorf("Hash changed: %#x; keys would change their lanes over an update", got)
	}
}

func (l *Lane) waitingNow() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.read < l.tail
}

// The caller's bytes are copied, and a batch stays as it is while others come.
func TestBytesAreCopied(t *testing.T) {
	s := open(t, Options{Dir: "d", FS: newDisk()})
	b := number(1, 20)
	s.Append(0, b, nil, []byte{})
	clear(b)
	batch, err := s.Lane(0).Next(t.Context(), 10, 1<<20)
	if err != nil || len(batch) != 3 || numberOf(t, batch[0]) != 1 || len(batch[1])+len(batch[2]) != 0 {
		t.Fatalf("%q, %v", batch, err)
	}
	for i := range uint64(10000) {
		s.Append(0, number(i, 100))
	}
	numberOf(t, batch[0])
}

func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{Dir: "d", FS: newDisk()})
		got := make(chan string, 1)
		next := func() {
			batch, err := s.Lane(0).Next(t.Context(), 10, 1<<20)
			s.Lane(0).Commit(len(batch))
			got <- fmt.Sprintf("%q %v", batch, err)
		}
		for _, tt := range []struct {
			name string
			do   func()
			want string
		}{
			{"a record", func() { s.Append(0, []byte("a")) }, `["a"] <nil>`},
			{"Close", func() { s.Close() }, `[] spool: closed`},
			{"after Close", func() {}, `[] spool: closed`},
		} {
			go next()
			synctest.Wait()
			if len(got) > 0 && tt.name != "after Close" {
				t.Fatalf("Next did not wait for %s: %s", tt.name, <-got)
			}
			tt.do()
			if answer := <-got; answer != tt.want {
				t.Errorf("%s: Next gave %s, want %s", tt.name, answer, tt.want)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Lane(0).Next(ctx, 1, 1); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if n := s.Append(0, []byte("late")); n != 0 || s.Stats().RefusedClosed != 1 {
			t.Errorf("after Close %d taken, %+v", n, s.Stats())
		}
	})
}

// Done comes in order, at once where nothing is waiting, and after Close.
func TestFlushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		s := open(t, Options{Dir: "d", Lanes: 2, FS: d})
		if err := flushed(s); err != nil || len(d.files(segmentSuffix)) != 0 {
			t.Fatalf("an empty spool: %v, files %v", err, d.files(segmentSuffix))
		}
		var order []int
		for i := range 50 {
			s.Append(uint64(i), number(uint64(i), 100))
			s.Flushed(func(err error) {
				if err != nil {
					t.Error(err)
				}
				order = append(order, i)
			})
		}
		synctest.Wait()
		if len(order) != 50 || !slices.IsSorted(order) {
			t.Errorf("done came in the order %v", order)
		}
		// All of it survives a loss of power that forgets everything not synced.
		after := &disk{now: d.synced, synced: d.synced, locked: map[string]bool{}}
		for _, node := range after.now {
			node.data = node.synced
		}
		other := open(t, Options{Dir: "d", Lanes: 2, FS: after})
		if st := other.Stats(); st.Recovered != 50 {
			t.Errorf("%+v", st)
		}
		s.Close()
		if err := flushed(s); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// What is consumed in time never costs a byte of disk, and its memory is used again.
func TestMemoryOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		opts := Options{Dir: "d", MaxMemory: 64 << 10, FS: d}
		s := open(t, opts)
		for i := range uint64(5000) {
			fill(t, s, 0, i, 1, 100)
			if i%50 == 49 {
				batch, _ := s.Lane(0).Next(t.Context(), 50, 1<<20)
				s.Lane(0).Commit(len(batch))
			}
		}
		if st := s.Stats(); st.Committed != 5000 || st.Spilled != 0 || len(d.files(segmentSuffix)) != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// A spool that was drained leaves no segment, and an idle one does nothing.
func TestDrainedLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		s := open(t, Options{Dir: "d", MaxMemory: 8 << 10, Segment: minSegment, FS: d})
		fill(t, s, 0, 0, 300, 200)
		if len(d.files(segmentSuffix)) < 5 {
			t.Fatalf("segments: %v", d.files(segmentSuffix))
		}
		if got := drain(t, s.Lane(0)); !slices.Equal(got, count(0, 300)) {
			t.Fatal(got)
		}
		for {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			batch, err := s.Lane(0).Next(ctx, 1000, 1<<20)
			cancel()
			if err != nil {
				break
			}
			s.Lane(0).Commit(len(batch))
		}
		time.Sleep(2 * tick)
		synctest.Wait()
		if left := d.files(segmentSuffix); len(left) != 0 || s.Stats().DiskBytes != 0 {
			t.Errorf("left: %v, %+v", left, s.Stats())
		}
		before := d.ops
		time.Sleep(time.Hour)
		if d.ops != before {
			t.Errorf("an idle spool did %d operations in an hour", d.ops-before)
		}
	})
}

func TestSystemFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "spool")
	opts := Options{Dir: dir, Lanes: 2, MaxMemory: 64 << 10, Segment: 16 << 10}
	s := open(t, opts)
	if _, err := Open(opts); !errors.Is(err, ErrLocked) {
		t.Errorf("a second Open: %v", err)
	}
	for i := range uint64(2000) {
		s.Append(i, number(i, 100))
		if i%100 == 0 {
			if err := flushed(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	modes(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, opts)
	for i := range 2 {
		for n := uint64(i); n < 2000; n += 2 {
			batch, err := s.Lane(i).Next(t.Context(), 1, 1)
			if err != nil || numberOf(t, batch[0]) != n {
				t.Fatalf("lane %d: %d, %v, want %d", i, numberOf(t, batch[0]), err, n)
			}
			s.Lane(i).Commit(1)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix)); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func modes(t *testing.T, dir string) {
	t.Helper()
	if os.PathSeparator != '/' {
		return
	}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, _ error) error {
		info, err := e.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = 0o700 | fs.ModeDir
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Many goroutines at once, on a real disk, with tight memory: for the race
// detector, and each lane in order.
func TestConcurrent(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s := open(t, Options{Dir: t.TempDir(), Lanes: 4, MaxMemory: 256 << 10, Segment: 64 << 10, Sync: SyncNever})
	const each = 5000
	var work sync.WaitGroup
	for lane := range uint64(4) {
		work.Go(func() {
			for n := uint64(0); n < each; {
				n += uint64(s.Append(lane, number(n, 100)))
				if n%500 == 0 {
					_ = flushed(s)
					_ = s.Stats()
				}
			}
		})
		work.Go(func() {
			l := s.Lane(int(lane))
			for n := uint64(0); n < each; {
				batch, err := l.Next(t.Context(), 64, 4096)
				if err != nil {
					t.Error(err)
					return
				}
				for i, b := range batch {
					if got := numberOf(t, b); got != n+uint64(i) {
						t.Errorf("lane %d: %d, want %d", lane, got, n)
						return
					}
				}
				if n%3 == 0 {
					half := (len(batch) + 1) / 2 // one at least: what was given back comes alone
					l.Commit(half)
					l.Retry()
					n += uint64(half)
					continue
				}
				l.Commit(len(batch))
				n += uint64(len(batch))
			}
		})
	}
	work.Wait()
	if st := s.Stats(); st.Committed != 4*each || st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// The way of a record through memory allocates nothing.
func TestNoAllocation(t *testing.T) {
	s := open(t, Options{Dir: "d", FS: newDisk()})
	b, l, ctx := number(1, 100), s.Lane(0), t.Context()
	step := func() {
		for range 100 {
			s.Append(0, b)
		}
		for n := 0; n < 100; {
			batch, err := l.Next(ctx, 64, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			n += len(batch)
			l.Commit(len(batch))
		}
	}
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations for 100 records", n)
	}
}

// logged collects what a spool logs, at least of the level.
type logged struct {
	slog.Handler
	mu    sync.Mutex
	lines []string
}

func newLogged() (*logged, *slog.Logger) {
	l := &logged{Handler: slog.DiscardHandler}
	return l, slog.New(l)
}

func (l *logged) Enabled(context.Context, slog.Level) bool { return true }

func (l *logged) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	l.mu.Lock()
	l.lines = append(l.lines, line)
	l.mu.Unlock()
	return nil
}

// with counts the lines that hold a text.
func (l *logged) with(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}
