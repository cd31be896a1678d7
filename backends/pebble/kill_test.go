package pebble_test

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fairlead-iot/fairlead/backends/pebble"
	"github.com/fairlead-iot/fairlead/core"
)

// writerEnv makes the test binary write to the directory that it names until it
// is killed.
const writerEnv = "FAIRLEAD_TEST_WRITE"

// TestKilledWriter is the child of TestKill: it says every number whose message
// was confirmed.
func TestKilledWriter(t *testing.T) {
	dir := os.Getenv(writerEnv)
	if dir == "" {
		t.Skip("runs as a child of TestKill")
	}
	s := open(t, small(dir))
	c := load(t, s)
	seq := c.sessions["c"].QueueEnd
	if _, ok := c.sessions["c"]; !ok {
		if err := wait(t, send(t, s, op(core.OpPutSession, "c", 0, 0))); err != nil {
			t.Fatal(err)
		}
	}
	slots := make(chan struct{}, 64)
	for ; ; seq++ {
		slots <- struct{}{}
		number := strconv.FormatUint(seq, 10) + "\n"
		if err := s.Commit(&core.Batch{Ops: []core.Op{op(core.OpEnqueue, "c", seq, 500)}}, func(err error) {
			if err == nil {
				os.Stdout.WriteString(number)
			}
			<-slots
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// The process is killed while it writes, again and again: what it confirmed is
// there.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	kills := 6
	if testing.Short() {
		kills = 2
	}
	confirmed := map[uint64]bool{}
	for range kills {
		writeAndKill(t, dir, 1+rand.IntN(400), confirmed)
		s := open(t, small(dir))
		got, err := s.Fetch(t.Context(), "c", 0, 1<<30, math.MaxInt, nil)
		if err != nil {
			t.Fatal(err)
		}
		there := map[uint64]bool{}
		for i := range got {
			there[got[i].Seq] = true
		}
		for seq := range confirmed {
			if !there[seq] {
				t.Errorf("message %d was confirmed and is lost", seq)
			}
		}
		if n, names := s.Faults(); n != 0 {
			t.Errorf("%d damaged records: %q", n, names)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills, %d confirmed messages, 0 lost", kills, len(confirmed))
}

// writeAndKill runs a writer until it confirmed n messages.
func writeAndKill(t *testing.T, dir string, n int, confirmed map[uint64]bool) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestKilledWriter$")
	child.Env = append(os.Environ(), writerEnv+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i := 0; lines.Scan(); i++ {
		if i == n {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		seq, err := strconv.ParseUint(strings.TrimSpace(lines.Text()), 10, 64)
		if err != nil {
			t.Fatalf("the writer said %q", lines.Text())
		}
		confirmed[seq] = true
	}
	_ = child.Wait()
}

// Nothing is left behind by a store that was closed: neither after good days nor
// after the disk failed.
func TestNoGoroutineLeft(t *testing.T) {
	before := goleak.IgnoreCurrent()
	disk := newFailingDisk(vfs.NewMem())
	cfg := small("/data")
	cfg.FS = disk
	s := open(t, cfg)
	if err := wait(t, send(t, s, op(core.OpPutSession, "c", 0, 0))); err != nil {
		t.Fatal(err)
	}
	disk.fail(os.ErrInvalid, file(".log"))
	caught := send(t, s, op(core.OpEnqueue, "c", 0, 10))
	until(t, "Health says why", func() bool { return s.Health() != nil })
	disk.heal()
	if err := wait(t, caught); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// A session is put and kept.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "fairlead")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	cfg := pebble.DefaultConfig()
	cfg.Path = dir
	s, err := pebble.Open(cfg, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	done := make(chan error)
	record := &core.SessionRecord{ClientID: "sensor-1", Epoch: 1}
	batch := &core.Batch{Ops: []core.Op{{Kind: core.OpPutSession, Session: "sensor-1", Record: record}}}
	if err := s.Commit(batch, func(err error) { done <- err }); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("kept:", <-done == nil)
	fmt.Println("closed:", s.Close() == nil)
	// Output:
	// kept: true
	// closed: true
}
