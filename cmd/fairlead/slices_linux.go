package main

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// slice is how long one of our threads runs before another of the process may: the
// least that Linux takes. It is 3 ms or so otherwise, and a loop that is woken waits for
// as long behind the store or the collector of garbage. What a thread gets of the
// processor in all does not depend on it.
const slice = 100 * time.Microsecond

// useShortSlices asks the kernel (Linux 6.12, which needs no right for it; others take
// no notice) for short slices for all threads that there are. Those that come inherit them.
func useShortSlices() { eachThread(shorten) }

// eachThread has change do something to all threads, and to those that one begins before
// its turn. change tells whether it did: where it does not at once, this does not end.
func eachThread(change func(tid int) bool) {
	for changed := true; changed; {
		changed = false
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return
		}
		for _, task := range tasks {
			if tid, err := strconv.Atoi(task.Name()); err == nil && change(tid) {
				changed = true
			}
		}
	}
}

// shorten gives a thread short slices, and tells whether that changed something.
func shorten(tid int) bool {
	a, err := unix.SchedGetAttr(tid, 0)
	// Whoever gave the process another policy had reasons.
	if err != nil || a.Policy != unix.SCHED_NORMAL || a.Runtime <= uint64(slice) {
		return false
	}
	a.Runtime = uint64(slice)
	return unix.SchedSetAttr(tid, a, 0) == nil
}
