package protocols

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// tableSize is for how many descriptors the kernel's table has room.
func tableSize(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "FDSize:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(rest))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Skip("this kernel does not tell FDSize")
	return 0
}

// TestDescriptorsAhead: the kernel's table grows before it is full, and not while
// somebody waits.
func TestDescriptorsAhead(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	h := start(t, "block", &ListenerConfig{Address: "127.0.0.1:0", Transport: TCP})
	c := h.dial()
	c.say("hello\n")
	c.hears("welcome\n")
	size := tableSize(t)
	if want := min(firstDescriptors, int(limit.Cur)); size < want {
		t.Fatalf("the table has room for %d descriptors once the server is there, %d were due", size, want)
	}
	h.stop()

	if uint64(size) >= limit.Cur {
		t.Logf("the table has room for %d descriptors, which is all that this process may have", size)
		return
	}
	var d descriptors
	var wg sync.WaitGroup
	d.room.Store(int64(size))
	d.took(size/2-1, wg.Go)
	wg.Wait()
	if got := tableSize(t); got != size {
		t.Fatalf("the table grew to %d while less than half of %d was used", got, size)
	}
	d.took(size/2, wg.Go)
	wg.Wait()
	if got, want := tableSize(t), min(2*size, int(limit.Cur)); got < want {
		t.Errorf("half of the table was used: it has room for %d, %d were due", got, want)
	}
	if d.room.Load() < int64(min(2*size, int(limit.Cur))) {
		t.Errorf("it counts with %d", d.room.Load())
	}
}

// TestDescriptorsAtTheLimit: beyond what the process may have nothing is asked for again.
func TestDescriptorsAtTheLimit(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = 512
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	var d descriptors
	d.room.Store(512)
	asked := 0
	for range 3 {
		d.took(511, func(f func()) { asked++; f() })
	}
	if asked != 1 || d.growing.Load() {
		t.Errorf("asked %d times, under way: %v", asked, d.growing.Load())
	}
}
