package spool

import (
	"bufio"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// writerEnv makes the test binary append to the directory that it names until it
// is killed.
const writerEnv = "FAIRLEAD_TEST_SPOOL"

func killOptions(dir string) Options {
	return Options{Dir: dir, MaxMemory: 256 << 10, Segment: 64 << 10}
}

// TestKilledWriter is the child of TestKill: it says every number that was
// confirmed to be safe.
func TestKilledWriter(t *testing.T) {
	dir := os.Getenv(writerEnv)
	if dir == "" {
		t.Skip("runs as a child of TestKill")
	}
	s := open(t, killOptions(dir))
	all := drainNow(t, s)
	next := uint64(0)
	if n := len(all); n > 0 {
		next = all[n-1] + 1
	}
	slots := make(chan struct{}, 64)
	for ; ; next++ {
		slots <- struct{}{}
		for s.Append(0, number(next, 300)) == 0 {
		}
		line := strconv.FormatUint(next, 10) + "\n"
		s.Flushed(func(err error) {
			if err == nil {
				os.Stdout.WriteString(line)
			}
			<-slots
		})
	}
}

// drainNow reads what is there, and gives it back.
func drainNow(t *testing.T, s *Spool) (all []uint64) {
	l := s.Lane(0)
	for l.waitingNow() {
		batch, err := l.Next(t.Context(), 1000, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range batch {
			all = append(all, numberOf(t, b))
		}
	}
	l.Retry()
	return all
}

// The process is killed while it writes, again and again: what was confirmed is
// there, once and in order.
func TestKill(t *testing.T) {
	dir, kills := t.TempDir(), 5
	if testing.Short() {
		kills = 2
	}
	confirmed := uint64(0)
	for range kills {
		child := exec.Command(os.Args[0], "-test.run=^TestKilledWriter$")
		child.Env = append(os.Environ(), writerEnv+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		stop := 1 + rand.IntN(400)
		lines := bufio.NewScanner(out)
		for i := 0; lines.Scan(); i++ {
			if i == stop {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			n, err := strconv.ParseUint(strings.TrimSpace(lines.Text()), 10, 64)
			if err != nil {
				t.Fatalf("the writer said %q", lines.Text())
			}
			confirmed = max(confirmed, n+1)
		}
		_ = child.Wait()
		s := open(t, killOptions(dir))
		if all := drainNow(t, s); uint64(len(all)) < confirmed || !slices.Equal(all, count(0, uint64(len(all)))) {
			t.Fatalf("%d records are there, %d were confirmed", len(all), confirmed)
		}
		if st := s.Stats(); st.Damaged != 0 {
			t.Errorf("%+v", st)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills, %d confirmed records, 0 lost", kills, confirmed)
}
