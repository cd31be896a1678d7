package pebble_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fairlead-iot/fairlead/backends/pebble"
	"github.com/fairlead-iot/fairlead/core"
)

// smallDisk mounts a file system of size bytes and puts a ballast on it.
func smallDisk(t *testing.T, size string, ballast int) (dir, ballastPath string) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting a small file system is not allowed here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	ballastPath = filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballastPath, make([]byte, ballast), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, ballastPath
}

// fill enqueues until the store refuses, by Commit or by done. It gives how many
// batches were taken, those that done refused not counted.
func fill(t *testing.T, s *pebble.Store, size int) (taken uint64, refusal error) {
	t.Helper()
	results := make(chan error, 1)
	for seq := uint64(0); ; {
		err := s.Commit(&core.Batch{Ops: []core.Op{op(core.OpEnqueue, "c", seq, size)}}, func(err error) { results <- err })
		if err != nil {
			return seq, err
		}
		select {
		case err = <-results:
		case <-time.After(2 * time.Second):
			return seq + 1, s.Health() // held: its fate is unknown
		}
		if err != nil {
			return seq, err
		}
		seq++
	}
}

// The disk is filled to its last byte under the store, then freed.
func TestDiskFull(t *testing.T) {
	dir, ballast := smallDisk(t, "24m", 12<<20)
	cfg := small(filepath.Join(dir, "data"))
	s := open(t, cfg)
	defer func() { s.Close() }()
	if err := wait(t, send(t, s, op(core.OpPutSession, "c", 0, 0))); err != nil {
		t.Fatal(err)
	}
	taken, refusal := fill(t, s, 64<<10)
	t.Logf("full after %d messages of 64 KiB: %v", taken, refusal)
	until(t, "Health says that the disk is full", func() bool { return errors.Is(s.Health(), core.ErrStoreFull) })
	if got, err := s.Fetch(t.Context(), "c", 0, 10, 1<<30, nil); err != nil || len(got) != 10 {
		t.Errorf("Fetch on a full disk: %d entries, %v", len(got), err)
	}
	start := time.Now()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	until(t, "the store recovers by itself", func() bool { return s.Health() == nil })
	if err := wait(t, send(t, s, op(core.OpEnqueue, "c", taken, 10))); err != nil {
		t.Fatal(err)
	}
	t.Logf("writing again %s after space was freed", time.Since(start).Round(time.Millisecond))
	check := func() {
		t.Helper()
		got, err := s.Fetch(t.Context(), "c", 0, 1<<30, 1<<30, nil)
		if err != nil || uint64(len(got)) != taken+1 {
			t.Fatalf("%d entries, want %d (%v)", len(got), taken+1, err)
		}
	}
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, cfg)
	check()
}

// With room kept free the store refuses in words, before anything breaks, and
// still takes what makes room.
func TestMinFree(t *testing.T) {
	dir, ballast := smallDisk(t, "48m", 8<<20)
	cfg := small(filepath.Join(dir, "data"))
	cfg.MinFreeBytes = 16 << 20
	s := open(t, cfg)
	defer s.Close()
	if err := wait(t, send(t, s, op(core.OpPutSession, "c", 0, 0))); err != nil {
		t.Fatal(err)
	}
	taken, refusal := fill(t, s, 64<<10)
	t.Logf("after %d messages of 64 KiB: %v", taken, refusal)
	if !errors.Is(refusal, core.ErrStoreFull) || !errors.Is(s.Health(), core.ErrStoreFull) {
		t.Fatalf("done: %v, Health: %v; want ErrStoreFull", refusal, s.Health())
	}
	for seq := range taken {
		if err := wait(t, send(t, s, op(core.OpAck, "c", seq, 0))); err != nil {
			t.Fatalf("an acknowledgement was refused: %v", err)
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	until(t, "the store takes messages again", func() bool {
		return wait(t, send(t, s, op(core.OpEnqueue, "c", taken+1, 10))) == nil
	})
	if err := s.Health(); err != nil {
		t.Errorf("Health: %v", err)
	}
}

// A store that cannot be made for want of space says so and leaves the directory
// fit for the next attempt.
func TestOpenFullDisk(t *testing.T) {
	dir, ballast := smallDisk(t, "8m", 0)
	junk, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = junk.Write(make([]byte, 4096))
	}
	junk.Close()
	cfg := small(filepath.Join(dir, "data"))
	_, err = pebble.Open(cfg, nil)
	if !errors.Is(err, core.ErrStoreFull) {
		t.Fatalf("Open: %v", err)
	}
	t.Log(err)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	s := open(t, cfg)
	if err := wait(t, send(t, s, op(core.OpPutSession, "c", 0, 0))); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
