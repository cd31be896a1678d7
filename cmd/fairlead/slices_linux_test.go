package main

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestShortSlices: every thread has them afterwards, and those that come, too. A kernel
// before Linux 6.12 tells of no slices.
func TestShortSlices(t *testing.T) {
	useShortSlices()
	looked := make(chan uint64)
	for range 4 {
		go func() {
			runtime.LockOSThread() // ends with its thread: the next one is new
			a, err := unix.SchedGetAttr(0, 0)
			if err != nil {
				t.Error(err)
				a = &unix.SchedAttr{}
			}
			looked <- a.Runtime
		}()
	}
	for range 4 {
		if got := <-looked; got > uint64(slice) {
			t.Errorf("a thread has slices of %d ns", got)
		}
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil || len(tasks) == 0 {
		t.Fatal(err)
	}
}
