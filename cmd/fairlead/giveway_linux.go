package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// giveWay lets others go before this process; no right is needed for that. Linux knows
// niceness of threads only, and those that come inherit it.
func giveWay() {
	// Lists of processes show this name, and who ends the gateway by its name means the gateway.
	_ = os.WriteFile("/proc/self/comm", []byte("fairlead-hash"), 0)
	nice := func(tid int) int {
		given, err := unix.Getpriority(unix.PRIO_PROCESS, tid)
		if err != nil {
			return 19 // it has ended
		}
		return 20 - given // as the system call has it
	}
	least := min(nice(0)+niceness, 19)
	eachThread(func(tid int) bool {
		return nice(tid) < least && unix.Setpriority(unix.PRIO_PROCESS, tid, least) == nil
	})
	useShortSlices() // as the gateway's: a loop that wakes waits for one of them at most
}
