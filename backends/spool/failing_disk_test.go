package spool

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// failOn fails the operation on files whose name ends so.
func failOn(op, suffix string, err error) func(string, string) error {
	return func(o, name string) error {
		if (op == "" || o == op) && strings.HasSuffix(name, suffix) {
			return &fs.PathError{Op: o, Path: name, Err: err}
		}
		return nil
	}
}

// A disk that fails is named once, whatever comes in meanwhile; memory keeps to
// its bound; nothing that was taken is lost; all goes on when the disk works.
func TestFailingDisk(t *testing.T) {
	tests := []struct {
		name   string
		fail   func(op, name string) error
		cause  error
		advice string
	}{
		{"no space", failOn("write", segmentSuffix, syscall.ENOSPC), syscall.ENOSPC, "free space"},
		{"fsync", failOn("sync", segmentSuffix, syscall.EIO), syscall.EIO, "disk errors"},
		{"read-only", failOn("create", segmentSuffix, syscall.EROFS), syscall.EROFS, "mount it"},
		{"no right", failOn("create", segmentSuffix, syscall.EACCES), syscall.EACCES, "right to write"},
		{"fsync of the directory", failOn("syncdir", "", syscall.EIO), syscall.EIO, "disk errors"},
		{"everything", failOn("", "", syscall.EIO), syscall.EIO, "disk errors"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { failAndMend(t, tt.fail, tt.cause, tt.advice) })
		})
	}
}

func failAndMend(t *testing.T, fail func(op, name string) error, cause error, advice string) {
	d := newDisk()
	log, logger := newLogged()
	opts := Options{Dir: "d", MaxMemory: 16 << 10, Segment: minSegment, FS: d, Log: logger}
	s := open(t, opts)
	d.setFail(fail)
	taken := uint64(0)
	for i := range uint64(500) {
		if s.Append(0, number(taken, 100)) == 1 {
			taken++
		}
		if i%50 == 0 {
			time.Sleep(time.Second)
		}
	}
	var failed *DiskError
	if err := flushed(s); !errors.As(err, &failed) || !errors.Is(err, cause) || !strings.Contains(err.Error(), advice) {
		t.Errorf("Flushed: %v", err)
	}
	if err := s.Health(); !errors.Is(err, cause) {
		t.Errorf("Health: %v", err)
	}
	if n := log.with("ERROR"); n != 1 {
		t.Errorf("%d errors logged: %q", n, log.lines)
	}
	st := s.Stats()
	if st.RefusedFailing == 0 || st.RefusedFailing != 500-taken || st.MemoryBytes > opts.MaxMemory {
		t.Errorf("%d taken, %+v", taken, st)
	}
	d.setFail(nil)
	time.Sleep(lastRetry)
	synctest.Wait()
	if err := flushed(s); err != nil || s.Health() != nil {
		t.Errorf("after the disk works: %v, %v", err, s.Health())
	}
	fill(t, s, 0, taken, 100, 100)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s = open(t, opts)
	if got := drain(t, s.Lane(0)); !slices.Equal(got, count(0, taken+100)) {
		t.Errorf("served: %v", got)
	}
	if st := s.Stats(); st.Damaged != 0 || log.with("works again") != 1 {
		t.Errorf("%+v, %q", st, log.lines)
	}
}

// Close says what it could not write.
func TestCloseWhileFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		s := open(t, Options{Dir: "d", FS: d})
		fill(t, s, 0, 0, 7, 100)
		var answer error
		d.setFail(failOn("", segmentSuffix, syscall.ENOSPC))
		s.Flushed(func(err error) { answer = err })
		err := s.Close()
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "7 records") || !errors.Is(answer, syscall.ENOSPC) {
			t.Errorf("Close: %v; done: %v", err, answer)
		}
		if again := s.Close(); again != err {
			t.Errorf("a second Close: %v", again)
		}
	})
}

// A lane that cannot be read stands still, loses nothing, and is named once; a
// file that somebody took away is counted and passed.
func TestFailingRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		log, logger := newLogged()
		s := open(t, Options{Dir: "d", MaxMemory: 8 << 10, Segment: minSegment, FS: d, Log: logger})
		fill(t, s, 0, 0, 200, 200)
		segments := d.files(segmentSuffix)
		d.setFail(failOn("read", segmentSuffix, syscall.EIO))
		got := make(chan []uint64)
		go func() {
			batch, err := s.Lane(0).Next(t.Context(), 10, 1<<20)
			var all []uint64
			for _, b := range batch {
				all = append(all, numberOf(t, b))
			}
			if err != nil {
				t.Error(err)
			}
			got <- all
		}()
		time.Sleep(10 * time.Second)
		if err := s.Health(); !errors.Is(err, syscall.EIO) || log.with("cannot be read") != 1 {
			t.Errorf("%v, %q", err, log.lines)
		}
		d.setFail(nil)
		if all := <-got; !slices.Equal(all, count(0, 10)) || s.Health() != nil {
			t.Errorf("%v, %v", all, s.Health())
		}
		s.Lane(0).Retry()
		d.mu.Lock()
		delete(d.now, segments[1])
		d.mu.Unlock()
		all := drain(t, s.Lane(0))
		if lost := s.Stats().Damaged; lost == 0 || uint64(len(all))+lost != 200 || log.with("the file is gone") != 1 {
			t.Errorf("%d served, %+v, %q", len(all), s.Stats(), log.lines)
		}
	})
}

// At the bound of the disk each policy does what its name says, and says so.
func TestBoundOfDisk(t *testing.T) {
	const each, size = 400, 200
	for _, policy := range []string{RefuseNewest, DropOldest} {
		t.Run(policy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := Options{Dir: "d", MaxMemory: 8 << 10, Segment: minSegment, MaxBytes: 5 * minSegment, Overflow: policy, FS: newDisk()}
				s := open(t, opts)
				taken := fill(t, s, 0, 0, each, size)
				checkLedger(t, s, opts)
				st, err := s.Stats(), flushed(s)
				got := drain(t, s.Lane(0))
				if policy == RefuseNewest {
					if !errors.Is(err, ErrFull) || !errors.Is(s.Health(), ErrFull) || st.RefusedFull != each-taken || st.RefusedFull == 0 || !slices.Equal(got, count(0, taken)) {
						t.Errorf("%v, %v, %+v, %v", err, s.Health(), st, got)
					}
					return
				}
				dropped := st.DroppedDisk + st.DroppedMemory
				if err != nil || taken != each || st.DroppedDisk == 0 || !slices.Equal(got, count(dropped, each-dropped)) {
					t.Errorf("%v, %+v, %v", err, st, got)
				}
			})
		})
	}
}

// A full spool goes on at once when its consumer makes room.
func TestFullThenConsumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{Dir: "d", MaxMemory: 8 << 10, Segment: minSegment, MaxBytes: 3 * minSegment, FS: newDisk()})
		taken := fill(t, s, 0, 0, 300, 200)
		for next := uint64(0); next < taken; {
			batch, err := s.Lane(0).Next(t.Context(), 20, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			for i, b := range batch {
				if n := numberOf(t, b); n != next+uint64(i) {
					t.Fatalf("%d, want %d", n, next)
				}
			}
			next += uint64(len(batch))
			s.Lane(0).Commit(len(batch))
			synctest.Wait()
			taken += fill(t, s, 0, taken, 5, 200)
			if taken > 1000 {
				break
			}
		}
		if taken <= 1000 {
			t.Errorf("only %d were taken: %+v, %v", taken, s.Stats(), s.Health())
		}
	})
}

// Records given up in memory, before the disk had them, are not said to be safe.
func TestFlushedSaysDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		s := open(t, Options{Dir: "d", MaxMemory: 8 << 10, Overflow: DropOldest, FS: d})
		d.setFail(failOn("write", segmentSuffix, syscall.EIO))
		if taken := fill(t, s, 0, 0, 100, 200); taken != 100 || s.Stats().DroppedMemory == 0 {
			t.Fatalf("%d taken, %+v", taken, s.Stats())
		}
		d.setFail(nil)
		if err := flushed(s); !errors.Is(err, ErrDropped) {
			t.Errorf("Flushed: %v", err)
		}
		if err := flushed(s); err != nil {
			t.Errorf("the next Flushed: %v", err)
		}
		dropped := s.Stats().DroppedMemory
		if got := drain(t, s.Lane(0)); !slices.Equal(got, count(dropped, 100-dropped)) {
			t.Errorf("%d dropped, served %v", dropped, got)
		}
	})
}

func TestTooLarge(t *testing.T) {
	s := open(t, Options{Dir: "d", MaxMemory: 16 << 10, FS: newDisk()})
	if n := s.Append(0, []byte("a"), make([]byte, s.MaxRecord()+1), []byte("b")); n != 1 || s.Stats().RefusedLarge != 1 {
		t.Errorf("%d taken, %+v", n, s.Stats())
	}
	if n := s.Append(0, make([]byte, s.MaxRecord())); n != 1 {
		t.Errorf("a record of the largest size is refused: %+v", s.Stats())
	}
	if err := flushed(s); err != nil {
		t.Error(err)
	}
}

// Memory fills up while an fsync runs, which then fails: what was written and is
// not safe yet must not have left the memory.
func TestMemoryFullDuringFailingSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		s := open(t, Options{Dir: "d", MaxMemory: 8 << 10, FS: d})
		taken := uint64(0)
		d.setFail(func(op, name string) error {
			if op != "sync" || !strings.HasSuffix(name, segmentSuffix) {
				return nil
			}
			for range 100 {
				taken += uint64(s.Append(0, number(taken, 200)))
			}
			return syscall.EIO
		})
		for range 10 {
			taken += uint64(s.Append(0, number(taken, 200)))
		}
		if err := flushed(s); !errors.Is(err, syscall.EIO) {
			t.Fatalf("Flushed: %v", err)
		}
		d.setFail(nil)
		time.Sleep(lastRetry)
		if err := flushed(s); err != nil || s.Stats().RefusedBusy == 0 {
			t.Fatalf("%v, %+v", err, s.Stats())
		}
		if got := drain(t, s.Lane(0)); !slices.Equal(got, count(0, taken)) {
			t.Errorf("%d taken, served %v", taken, got)
		}
	})
}
