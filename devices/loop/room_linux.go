package loop

import (
	"os"

	"golang.org/x/sys/unix"
)

// Room is how many more connections this process may hold, and why not more. Go
// raises the soft limit of descriptors to the hard one at the start; connections
// that end silently or linger count as well.
func Room() (descriptors int, why string) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, "the limit of descriptors cannot be read: " + err.Error()
	}
	open := 0
	if names, err := os.ReadDir("/proc/self/fd"); err == nil {
		open = len(names) - 1 // one of them was for reading them
	}
	return room(int(min(limit.Cur, 1<<30)), open)
}
