package spool

import (
	"context"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// What comes after records were dropped is not taken for those: the chunk that was last
// before them is last again, and its numbers end below the next one's.
func TestRecordsAfterDroppedOnes(t *testing.T) {
	for _, committed := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			d := newDisk()
			s := open(t, Options{Dir: "d", Lanes: 2, MaxMemory: 4 << 10, Overflow: DropOldest, FS: d})
			d.setFail(failOn("", segmentSuffix, syscall.EIO))
			fill(t, s, 0, 1, 1, 8)
			if batch, err := s.Lane(0).Next(t.Context(), 1, 1<<20); len(batch) != 1 || err != nil {
				t.Fatalf("%d served: %v", len(batch), err)
			}
			if committed {
				s.Lane(0).Commit(1)
			}
			fill(t, s, 0, 2, 1, s.chunkSize+1)
			fill(t, s, 1, 0, 100, s.chunkSize) // the other lane takes the room that is left
			if n := s.Append(0, number(3, s.maxRecord)); n != 0 || s.Stats().DroppedMemory == 0 {
				t.Fatalf("%d taken, %+v", n, s.Stats())
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if batch, err := s.Lane(0).Next(ctx, 1, 1<<20); err == nil {
				t.Fatalf("%d of those that were dropped are served", len(batch))
			}
			fill(t, s, 0, 4, 1, 8)
			if !committed {
				s.Lane(0).Commit(1)
			}
			if got := drain(t, s.Lane(0)); !slices.Equal(got, []uint64{4}) {
				t.Errorf("served: %v", got)
			}
			if st := s.Stats(); st.Appended != st.Committed+st.DroppedMemory+st.Waiting {
				t.Errorf("the ledger does not balance: %+v", st)
			}
		})
	}
}

// A segment that nothing was written to hides none behind it.
func TestEmptySegmentHidesNothing(t *testing.T) {
	l := &Lane{segs: []*segment{{head: head{base: 4}, end: 4}, {head: head{base: 5}, end: 9}}, read: 2, tail: 9}
	if job := l.diskJob(10, 1<<20); job == nil || job.from != 5 || job.to != 9 {
		t.Errorf("%+v", job)
	}
}
