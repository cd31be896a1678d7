//go:build unix && !linux

package main

import "golang.org/x/sys/unix"

// giveWay lets others go before this process; no right is needed for that.
func giveWay() {
	if nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, min(nice+niceness, 19))
	}
}
