package spool

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// oracle is a spool as a child would write it: a list for each lane.
type oracle struct {
	lanes [][]uint64 // with those under way in front
	away  []int      // how many of each are with the consumer
}

// TestOracle compares a spool of generous bounds with the oracle: nothing is lost
// or refused, and every record comes in its turn, through spilling, flushing,
// retries and restarts.
func TestOracle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) { compare(t, rt) })
	})
}

func compare(t *testing.T, rt *rapid.T) {
	lanes := rapid.IntRange(1, 4).Draw(rt, "lanes")
	opts := Options{Dir: "d", Lanes: lanes, MaxMemory: 16 << 10, Segment: minSegment, MaxBytes: 1 << 30, FS: newDisk()}
	s, err := Open(opts)
	if err != nil {
		rt.Fatal(err)
	}
	defer func() { s.Close() }()
	o := oracle{lanes: make([][]uint64, lanes), away: make([]int, lanes)}
	next := uint64(0)
	lane := func(rt *rapid.T) int { return rapid.IntRange(0, lanes-1).Draw(rt, "lane") }
	rt.Repeat(map[string]func(*rapid.T){
		"append": func(rt *rapid.T) {
			i := lane(rt)
			for range rapid.IntRange(1, 20).Draw(rt, "records") {
				size := rapid.IntRange(8, 500).Draw(rt, "size")
				if s.Append(uint64(i), number(next, size)) != 1 {
					rt.Fatalf("refused: %+v, %v", s.Stats(), s.Health())
				}
				o.lanes[i] = append(o.lanes[i], next)
				next++
				synctest.Wait() // the disk keeps up
			}
		},
		"next": func(rt *rapid.T) {
			i, n, size := lane(rt), rapid.IntRange(1, 40).Draw(rt, "records"), rapid.IntRange(0, 5000).Draw(rt, "bytes")
			o.next(t, rt, s.Lane(i), n, size)
		},
		"commit": func(rt *rapid.T) {
			i := lane(rt)
			n := rapid.IntRange(0, o.away[i]).Draw(rt, "records")
			s.Lane(i).Commit(n)
			o.lanes[i], o.away[i] = o.lanes[i][n:], o.away[i]-n
		},
		"retry": func(rt *rapid.T) {
			i := lane(rt)
			s.Lane(i).Retry()
			o.away[i] = 0
		},
		"flush": func(rt *rapid.T) {
			var answers []error
			s.Flushed(func(err error) { answers = append(answers, err) })
			s.Flushed(func(err error) { answers = append(answers, err) })
			synctest.Wait()
			if !slices.Equal(answers, []error{nil, nil}) {
				rt.Fatalf("Flushed: %v", answers)
			}
		},
		"spill":  func(rt *rapid.T) { s.Spill(rapid.Bool().Draw(rt, "on")) },
		"second": func(rt *rapid.T) { time.Sleep(tick) },
		"restart": func(rt *rapid.T) {
			if err := s.Close(); err != nil {
				rt.Fatal(err)
			}
			if s, err = Open(opts); err != nil {
				rt.Fatal(err)
			}
			clear(o.away)
		},
		"": func(rt *rapid.T) { o.balance(rt, s, opts) },
	})
}

func (o *oracle) next(t *testing.T, rt *rapid.T, l *Lane, n, size int) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	batch, err := l.Next(ctx, n, size)
	left := o.lanes[l.id][o.away[l.id]:]
	if len(left) == 0 {
		if !errors.Is(err, context.DeadlineExceeded) {
			rt.Fatalf("an empty lane gave %d records, %v", len(batch), err)
		}
		return
	}
	if len(batch) == 0 || len(batch) > n {
		rt.Fatalf("%d records, %v; wanted 1 to %d", len(batch), err, n)
	}
	sum := 0
	for j, b := range batch {
		if got := numberOf(t, b); got != left[j] {
			rt.Fatalf("record %d is %d, want %d", j, got, left[j])
		}
		sum += len(b)
	}
	if sum > size && len(batch) > 1 {
		rt.Fatalf("%d bytes in %d records, allowed %d", sum, len(batch), size)
	}
	o.away[l.id] += len(batch)
}

// balance checks the ledger and the bounds.
func (o *oracle) balance(rt *rapid.T, s *Spool, opts Options) {
	synctest.Wait()
	waiting, away := uint64(0), 0
	for i := range o.lanes {
		waiting += uint64(len(o.lanes[i]))
		away += o.away[i]
	}
	checkLedger(rt, s, opts)
	if st := s.Stats(); st.Waiting != waiting || st.UnderWay != uint64(away) {
		rt.Fatalf("%d waiting, %d under way, but %+v", waiting, away, st)
	}
	if err := s.Health(); err != nil {
		rt.Fatal(err)
	}
}

type failer interface {
	Helper()
	Fatalf(string, ...any)
}

func checkLedger(t failer, s *Spool, opts Options) {
	t.Helper()
	st := s.Stats()
	if st.Recovered+st.Appended != st.Committed+st.DroppedDisk+st.DroppedMemory+st.Damaged+st.Waiting {
		t.Fatalf("the ledger does not balance: %+v", st)
	}
	if st.MemoryBytes > opts.MaxMemory || st.MemoryBytes < 0 {
		t.Fatalf("%d bytes of memory, allowed %d", st.MemoryBytes, opts.MaxMemory)
	}
	if st.DiskBytes > opts.MaxBytes || st.DiskBytes < 0 {
		t.Fatalf("%d bytes on disk, allowed %d", st.DiskBytes, opts.MaxBytes)
	}
	if d, ok := opts.FS.(*disk); ok {
		sum := int64(0)
		for _, name := range d.files(segmentSuffix) {
			d.mu.Lock()
			sum += int64(len(d.now[name].data))
			d.mu.Unlock()
		}
		if sum != st.DiskBytes {
			t.Fatalf("%d bytes in files, %d counted", sum, st.DiskBytes)
		}
	}
}

// TestOverflow lets everything happen at once within tight bounds and a disk
// that fails now and then: order, ledger and bounds hold in both policies.
func TestOverflow(t *testing.T) {
	for _, policy := range []string{RefuseNewest, DropOldest} {
		t.Run(policy, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				synctest.Test(t, func(t *testing.T) { overflow(t, rt, policy) })
			})
		})
	}
}

func overflow(t *testing.T, rt *rapid.T, policy string) {
	d := newDisk()
	opts := Options{Dir: "d", Lanes: 2, MaxMemory: 4 << 10, Segment: minSegment, MaxBytes: 3 * minSegment, Overflow: policy, FS: d}
	s, err := Open(opts)
	if err != nil {
		rt.Fatal(err)
	}
	defer func() {
		d.setFail(nil)
		s.Close()
	}()
	next, last := uint64(1), make([]uint64, 2)
	refused := uint64(0)
	rt.Repeat(map[string]func(*rapid.T){
		"append": func(rt *rapid.T) {
			i := rapid.IntRange(0, 1).Draw(rt, "lane")
			wait := rapid.Bool().Draw(rt, "wait")
			for range rapid.IntRange(1, 30).Draw(rt, "records") {
				if s.Append(uint64(i), number(next, rapid.IntRange(8, 500).Draw(rt, "size"))) == 0 {
					refused++
				}
				next++
				if wait {
					synctest.Wait()
				}
			}
		},
		"consume": func(rt *rapid.T) {
			i := rapid.IntRange(0, 1).Draw(rt, "lane")
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			batch, err := s.Lane(i).Next(ctx, 30, 1<<20)
			if err != nil {
				return
			}
			n := rapid.IntRange(0, len(batch)).Draw(rt, "commit")
			for j, b := range batch {
				number := numberOf(t, b)
				if number <= last[i] {
					rt.Fatalf("lane %d served %d after %d was committed", i, number, last[i])
				}
				if j < n {
					last[i] = number
				}
			}
			s.Lane(i).Commit(n)
			s.Lane(i).Retry()
		},
		"break": func(rt *rapid.T) {
			bad := rapid.SampledFrom([]string{"write", "sync", "create", "syncdir", "remove", "rename", "read"}).Draw(rt, "operation")
			d.setFail(func(op, _ string) error {
				if op == bad {
					return errors.New("broken")
				}
				return nil
			})
		},
		"mend":   func(rt *rapid.T) { d.setFail(nil) },
		"flush":  func(rt *rapid.T) { s.Flushed(func(error) {}) },
		"second": func(rt *rapid.T) { time.Sleep(tick) },
		"": func(rt *rapid.T) {
			synctest.Wait()
			st := s.Stats()
			if st.MemoryBytes > opts.MaxMemory || st.DiskBytes > opts.MaxBytes {
				rt.Fatalf("beyond the bounds: %+v", st)
			}
			if got := st.RefusedBusy + st.RefusedFailing + st.RefusedFull; got != refused {
				rt.Fatalf("%d refused, %d counted", refused, got)
			}
			if st.Recovered+st.Appended != st.Committed+st.DroppedDisk+st.DroppedMemory+st.Damaged+st.Waiting {
				rt.Fatalf("the ledger does not balance: %+v", st)
			}
			if policy == RefuseNewest && st.DroppedDisk+st.DroppedMemory+st.Damaged > 0 {
				rt.Fatalf("dropped: %+v", st)
			}
		},
	})
}
