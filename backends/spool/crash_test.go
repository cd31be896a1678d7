package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// number makes a record that says which it is, of some size.
func number(n uint64, size int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, n)
	for i := 8; i < size; i++ {
		b = append(b, byte(n)^byte(i))
	}
	return b
}

func numberOf(t *testing.T, b []byte) uint64 {
	t.Helper()
	if len(b) < 8 || string(b) != string(number(binary.LittleEndian.Uint64(b), len(b))) {
		t.Fatalf("a record of %d bytes was served that was never appended: %.40q", len(b), b)
	}
	return binary.LittleEndian.Uint64(b)
}

// model is what a spool must hold, and may.
type model struct {
	t    *testing.T
	d    *disk
	s    *Spool
	rng  *rand.Rand
	next uint64
	lane []modelLane

	holes uint64 // records that a crash left out between others, so far
}

// modelLane keeps numbers in the order of Append.
type modelLane struct {
	kept      []uint64 // not committed, or committed and perhaps to be seen again
	confirmed int      // of kept: Flushed said so
	committed int      // of kept
}

func crashOptions(d *disk) Options {
	return Options{Dir: "d", Lanes: 2, MaxMemory: 8 << 10, MaxBytes: 64 << 20, Segment: 4 << 10, FS: d}
}

func (m *model) open() bool {
	s, err := Open(crashOptions(m.d))
	if errors.Is(err, errDead) {
		return false
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.s = s
	return true
}

// step does one random thing, and waits until the writer is idle.
func (m *model) step() {
	i := m.rng.IntN(len(m.lane))
	l := &m.lane[i]
	switch m.rng.IntN(7) {
	case 0, 1, 2:
		for range 1 + m.rng.IntN(12) {
			if m.s.Append(uint64(i), number(m.next, 8+m.rng.IntN(400))) == 1 {
				l.kept = append(l.kept, m.next)
			}
			m.next++
		}
	case 3:
		ends := make([]int, len(m.lane))
		for j := range m.lane {
			ends[j] = len(m.lane[j].kept)
		}
		m.s.Flushed(func(err error) {
			for j := range m.lane {
				if err == nil {
					m.lane[j].confirmed = max(m.lane[j].confirmed, ends[j])
				}
			}
		})
	case 4, 5:
		m.consume(i)
	case 6:
		time.Sleep(time.Duration(m.rng.IntN(1500)) * time.Millisecond)
	}
	synctest.Wait()
}

// consume takes some, looks at them, and commits a part.
func (m *model) consume(i int) {
	l, lane := &m.lane[i], m.s.Lane(i)
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Millisecond)
	defer cancel()
	batch, err := lane.Next(ctx, 1+m.rng.IntN(20), 4000)
	if err != nil {
		return // empty, or the disk is dead
	}
	for j, b := range batch {
		if n, want := numberOf(m.t, b), l.kept[l.committed+j]; n != want {
			m.t.Fatalf("lane %d served %d, want %d", i, n, want)
		}
	}
	n := m.rng.IntN(len(batch) + 1)
	lane.Commit(n)
	lane.Retry()
	l.committed += n
}

// check drains the spool after a start: everything confirmed is there, in order.
func (m *model) check() {
	m.t.Helper()
	for i := range m.lane {
		l := &m.lane[i]
		got := drain(m.t, m.s.Lane(i))
		at := -1
		for _, n := range got {
			j := slices.Index(l.kept, n)
			if j <= at {
				m.t.Fatalf("lane %d: %d was served behind %d, or never appended", i, n, l.kept[max(at, 0)])
			}
			for k := at + 1; k < j; k++ {
				if k >= l.committed && k < l.confirmed {
					m.t.Fatalf("lane %d: %d is missing before %d", i, l.kept[k], n)
				}
				m.holes++ // blocks that were not synced reach the disk in any order
			}
			at = j
		}
		if low := max(l.confirmed, l.committed); at+1 < low && l.committed < low {
			m.t.Fatalf("lane %d: %d records up to %d were served, %d were confirmed, %d committed", i, len(got), at, l.confirmed, l.committed)
		}
		// What came back goes on; what was lost was never confirmed.
		l.kept, l.committed, l.confirmed = got, 0, len(got)
	}
	if st := m.s.Stats(); st.Damaged > m.holes {
		m.t.Fatalf("%d records are missing between others, but %+v", m.holes, st)
	}
}

// drain reads a lane to its end, and gives everything back.
func drain(t *testing.T, l *Lane) (got []uint64) {
	t.Helper()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		batch, err := l.Next(ctx, 1000, 1<<20)
		cancel()
		if err != nil {
			l.Retry()
			return got
		}
		for _, b := range batch {
			got = append(got, numberOf(t, b))
		}
	}
}

// run works until the disk dies or the work is done; false when it died.
func (m *model) run(steps int) bool {
	if !m.open() {
		return false
	}
	m.check()
	for range steps {
		m.step()
		m.d.mu.Lock()
		dead := m.d.dead
		m.d.mu.Unlock()
		if dead {
			m.s.Close()
			return false
		}
	}
	return m.s.Close() == nil
}

var crashes = flag.Int("crashes", 2, "work loads that TestCrashAtEveryStep crashes at each step")

// The power fails at each operation of the disk in turn, in a recovery too:
// nothing confirmed is lost, nothing comes out of order.
func TestCrashAtEveryStep(t *testing.T) {
	total := 0
	for seed := range uint64(*crashes) {
		for at := 1; ; at++ {
			ended := false
			synctest.Test(t, func(t *testing.T) { ended = crashAt(t, seed, at) })
			total++
			if ended || t.Failed() {
				break
			}
		}
	}
	t.Logf("%d crashes", total)
}

// crashAt gives true if the work ended before the operation came.
func crashAt(t *testing.T, seed uint64, at int) bool {
	d := newDisk()
	d.dieAt = at
	m := &model{t: t, d: d, rng: rand.New(rand.NewPCG(seed, 1)), lane: make([]modelLane, 2)}
	defer func() {
		if t.Failed() {
			t.Logf("seed %d, operation %d", seed, at)
		}
		if m.s != nil {
			m.s.Close()
		}
	}()
	ended := m.run(60)
	after := rand.New(rand.NewPCG(seed, uint64(at)))
	for range 3 { // crashes again soon after, the last time not
		m.d = m.d.crash(after)
		m.d.dieAt = 1 + after.IntN(12)
		m.run(10)
	}
	m.d = m.d.crash(after)
	if !m.open() {
		t.Fatal("the disk works, but the spool does not open")
	}
	m.check()
	if err := m.s.Close(); err != nil {
		t.Fatal(err)
	}
	return ended
}

// A clean stop loses nothing, whatever lay in memory or with a consumer.
func TestCloseKeepsAll(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			m := &model{t: t, d: newDisk(), rng: rand.New(rand.NewPCG(seed, 2)), lane: make([]modelLane, 2)}
			for range 4 {
				if !m.run(30) {
					t.Fatalf("seed %d: Close failed", seed)
				}
				for i := range m.lane {
					m.lane[i].confirmed = len(m.lane[i].kept)
				}
			}
			if !m.open() {
				t.Fatal("Open failed")
			}
			for i := range m.lane {
				l := &m.lane[i]
				if got := drain(t, m.s.Lane(i)); !slices.Equal(got, l.kept[l.committed:]) {
					t.Fatalf("seed %d, lane %d: %s", seed, i, fmt.Sprint(got, " want ", l.kept[l.committed:]))
				}
			}
			m.s.Close()
		})
	}
}
