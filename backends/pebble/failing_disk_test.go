package pebble_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/fairlead-iot/fairlead/backends/pebble"
	"github.com/fairlead-iot/fairlead/core"
)

// failingDisk is a file system whose writing operations fail on demand.
type failingDisk struct {
	vfs.FS
	rule atomic.Pointer[rule]
	hits atomic.Int64
}

// rule says which operations fail, and how.
type rule struct {
	match func(op errorfs.Op) bool
	err   error
}

func newFailingDisk(fs vfs.FS) *failingDisk {
	d := &failingDisk{}
	d.FS = errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		r := d.rule.Load()
		if r == nil || op.Kind.ReadOrWrite() != errorfs.OpIsWrite || !r.match(op) {
			return nil
		}
		d.hits.Add(1)
		return r.err
	}))
	return d
}

func (d *failingDisk) fail(err error, match func(op errorfs.Op) bool) {
	d.rule.Store(&rule{match: match, err: err})
}

func (d *failingDisk) heal() { d.rule.Store(nil) }

func anyWrite(errorfs.Op) bool { return true }

func file(part string, kinds ...errorfs.OpKind) func(errorfs.Op) bool {
	return func(op errorfs.Op) bool {
		if !strings.Contains(op.Path, part) {
			return false
		}
		for _, k := range kinds {
			if op.Kind == k {
				return true
			}
		}
		return len(kinds) == 0
	}
}

func op(kind core.OpKind, id string, seq uint64, size int) core.Op {
	o := core.Op{Kind: kind, Session: id, Entry: core.QueuedMessage{Seq: seq, QoS: 1}}
	switch kind {
	case core.OpPutSession:
		o.Record = &core.SessionRecord{ClientID: id, Epoch: 1}
	case core.OpEnqueue:
		payload := make([]byte, size)
		rand.NewChaCha8([32]byte{byte(seq), byte(seq >> 8)}).Read(payload) // does not compress
		o.Entry.Msg = &core.Message{Topic: "t", ID: seq, QoS: 1, Payload: payload}
	}
	return o
}

// send commits and gives the channel that gets what done says.
func send(t *testing.T, s *pebble.Store, ops ...core.Op) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	if err := s.Commit(&core.Batch{Ops: ops}, func(err error) { done <- err }); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return done
}

func wait(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(time.Minute):
		t.Fatal("done was not called within a minute")
		return nil
	}
}

// until waits for something that other goroutines bring about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("within a minute not: %s", what)
		}
	}
}

func queued(t *testing.T, s *pebble.Store, id string) string {
	t.Helper()
	got, err := s.Fetch(t.Context(), id, 0, 1000, 1<<30, nil)
	if err != nil {
		t.Fatalf("Fetch: %v", err)
	}
	var out strings.Builder
	for i := range got {
		fmt.Fprintf(&out, "%d ", got[i].Seq)
	}
	return strings.TrimSpace(out.String())
}

// A failure of what pebble cannot live without: nothing is confirmed meanwhile,
// new batches are refused with the reason, reading goes on, and once the disk
// works again everything is confirmed and there.
func TestVitalFailure(t *testing.T) {
	tests := []struct {
		name  string
		err   error
		match func(errorfs.Op) bool
		full  bool
	}{
		{"log write without space", syscall.ENOSPC, file(".log", errorfs.OpFileWrite), true},
		{"log write with I/O error", syscall.EIO, file(".log", errorfs.OpFileWrite), false},
		{"log sync", syscall.EIO, file(".log", errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo), false},
		{"everything", syscall.EROFS, anyWrite, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			disk := newFailingDisk(vfs.NewMem())
			cfg := small("/data")
			cfg.FS = disk
			s := open(t, cfg)
			if err := wait(t, send(t, s, op(core.OpPutSession, "c", 0, 0), op(core.OpEnqueue, "c", 0, 10))); err != nil {
				t.Fatal(err)
			}
			disk.fail(tt.err, tt.match)
			caught := send(t, s, op(core.OpEnqueue, "c", 1, 10), op(core.OpAck, "c", 0, 0))
			until(t, "Health says why", func() bool { return s.Health() != nil })
			if err := s.Health(); !errors.Is(err, tt.err) || errors.Is(err, core.ErrStoreFull) != tt.full {
				t.Errorf("Health: %v", err)
			}
			if err := s.Commit(&core.Batch{Ops: []core.Op{op(core.OpEnqueue, "c", 2, 10)}}, nil); !errors.Is(err, tt.err) {
				t.Errorf("Commit while the disk fails: %v, want %v", err, tt.err)
			}
			if _, err := s.Fetch(t.Context(), "c", 0, 10, 1<<20, nil); err != nil {
				t.Errorf("Fetch while the disk fails: %v", err)
			}
			select {
			case err := <-caught:
				t.Fatalf("a batch whose fate is unknown was answered with %v", err)
			default:
			}
			disk.heal()
			if err := wait(t, caught); err != nil {
				t.Fatalf("after the disk works again: %v", err)
			}
			until(t, "Health is good", func() bool { return s.Health() == nil })
			if err := wait(t, send(t, s, op(core.OpEnqueue, "c", 3, 10))); err != nil {
				t.Fatal(err)
			}
			if got := queued(t, s, "c"); got != "1 3" {
				t.Errorf("the queue holds %s, want 1 3", got)
			}
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			s = open(t, cfg)
			defer s.Close()
			if got := queued(t, s, "c"); got != "1 3" {
				t.Errorf("after a start the queue holds %s, want 1 3", got)
			}
		})
	}
}

// Close does not wait for a disk that does not come back; what it cannot confirm
// it says.
func TestCloseWhileFailing(t *testing.T) {
	disk := newFailingDisk(vfs.NewMem())
	cfg := small("/data")
	cfg.FS = disk
	s := open(t, cfg)
	if err := wait(t, send(t, s, op(core.OpPutSession, "c", 0, 0))); err != nil {
		t.Fatal(err)
	}
	disk.fail(syscall.EIO, anyWrite)
	caught := send(t, s, op(core.OpEnqueue, "c", 0, 10))
	until(t, "Health says why", func() bool { return s.Health() != nil })
	_ = s.Close() // may say that the disk failed
	if err := wait(t, caught); !errors.Is(err, core.ErrStoreClosed) || !errors.Is(err, syscall.EIO) {
		t.Errorf("the batch under way got %v", err)
	}
	disk.heal()
	s = open(t, cfg)
	defer s.Close()
	if got := queued(t, s, "c"); got != "" && got != "0" {
		t.Errorf("the queue holds %s", got)
	}
}

// chaos commits numbered entries while the disk fails at random.
type chaos struct {
	t       *testing.T
	rng     *rand.Rand
	disk    *failingDisk
	s       *pebble.Store
	next    uint64 // to enqueue
	settled uint64 // confirmed
	results chan result
}

type result struct {
	seq uint64
	err error
}

// round lets the disk fail in one way for a while.
func (c *chaos) round() {
	kinds := []string{"", "", ".log", ".sst", "MANIFEST", "marker", "/store"}
	part, errs := kinds[c.rng.IntN(len(kinds))], []error{syscall.ENOSPC, syscall.EIO}
	every, salt := 1+c.rng.Uint64N(10), c.rng.Uint64()
	var n atomic.Uint64
	c.disk.fail(errs[c.rng.IntN(2)], func(op errorfs.Op) bool {
		return strings.Contains(op.Path, part) && (n.Add(1)+salt)%every == 0
	})
	for range 30 {
		for range c.rng.IntN(12) {
			c.commit()
		}
		<-time.After(time.Millisecond)
	}
	if c.rng.IntN(2) == 0 {
		c.disk.heal()
		c.settle()
	}
}

func (c *chaos) commit() {
	seq := c.next
	o := op(core.OpEnqueue, "c", seq, c.rng.IntN(6000))
	if err := c.s.Commit(&core.Batch{Ops: []core.Op{o}}, func(err error) { c.results <- result{seq, err} }); err == nil {
		c.next++
	}
}

// settle waits until everything that was taken is confirmed, in order.
func (c *chaos) settle() {
	c.t.Helper()
	for ; c.settled < c.next; c.settled++ {
		select {
		case r := <-c.results:
			if r.seq != c.settled || r.err != nil {
				c.t.Fatalf("done of batch %d (%v), want that of %d", r.seq, r.err, c.settled)
			}
		case <-time.After(time.Minute):
			c.t.Fatalf("batch %d of %d was not answered within a minute; Health: %v", c.settled, c.next, c.s.Health())
		}
	}
}

// check reads the whole queue.
func (c *chaos) check() {
	c.t.Helper()
	got, err := c.s.Fetch(c.t.Context(), "c", 0, 1<<30, 1<<30, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if uint64(len(got)) != c.next {
		c.t.Fatalf("%d entries, want %d", len(got), c.next)
	}
	for i := range got {
		if got[i].Seq != uint64(i) || got[i].Msg.ID != uint64(i) {
			c.t.Fatalf("entry %d is %d", i, got[i].Seq)
		}
	}
}

// Writes fail at random, over and over, while batches are committed: each is
// confirmed once and in order, and the content is right in the end.
func TestRandomFailures(t *testing.T) {
	rounds := 6
	if testing.Short() {
		rounds = 5
	}
	seed := rand.Uint64()
	t.Logf("seed %#x", seed)
	cfg := small("/data")
	cfg.MemtableSize = 256 << 10
	disk := newFailingDisk(vfs.NewMem())
	cfg.FS = disk
	c := &chaos{t: t, rng: rand.New(rand.NewPCG(seed, 3)), disk: disk, s: open(t, cfg), results: make(chan result, 1<<16)}
	if err := wait(t, send(t, c.s, op(core.OpPutSession, "c", 0, 0))); err != nil {
		t.Fatal(err)
	}
	for range rounds {
		c.round()
	}
	disk.heal()
	c.settle()
	t.Logf("%d batches, %d failed operations of the disk", c.next, disk.hits.Load())
	c.check()
	if err := c.s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	c.s = open(t, cfg)
	defer c.s.Close()
	c.check()
	if n, names := c.s.Faults(); n != 0 {
		t.Errorf("%d damaged records: %v", n, names)
	}
}
