package main

import (
	"os"
	"runtime"
)

// spareProcessors is how many more goroutines may run at once than there are processors.
const spareProcessors = 2

// useSpareProcessors lets them, as far as GOMAXPROCS leaves that to us. The event loops
// sleep in the kernel, and there who wakes goes before those that have been busy. Go's
// own scheduler has a loop wait up to ten milliseconds for a goroutine that writes to the
// store, collects garbage or answers the administration. What is made in the number of
// processors (event loops, ports, workers) is made before.
func useSpareProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + spareProcessors)
	}
}
