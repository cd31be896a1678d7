package fleet

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// clockTick is the unit of the times in /proc/PID/stat: a hundredth of a second on
// every Linux that Go runs on.
const clockTick = 100

// processUsage is the processor time of a process in seconds and its resident memory in
// bytes; 0 where it is gone.
func processUsage(pid int) (cpu float64, rss uint64) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	// The name in parentheses may hold anything: count from its end.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	const user, system, resident = 11, 12, 21
	if len(fields) <= resident {
		return 0, 0
	}
	at := func(i int) float64 { v, _ := strconv.ParseFloat(string(fields[i]), 64); return v }
	return (at(user) + at(system)) / clockTick, uint64(at(resident)) * uint64(os.Getpagesize())
}
