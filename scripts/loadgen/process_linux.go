package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of the CPU times in /proc: USER_HZ is 100 on every Linux that Go runs on. [proc(5)]
const tick = 10 * time.Millisecond

// usage is the CPU time that a process has used.
type usage struct {
	user, system time.Duration
}

func (u usage) minus(v usage) usage  { return usage{u.user - v.user, u.system - v.system} }
func (u usage) total() time.Duration { return u.user + u.system }

// ownUsage is our own.
func ownUsage() usage {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return usage{}
	}
	return usage{time.Duration(r.Utime.Nano()), time.Duration(r.Stime.Nano())}
}

// usageOf reads another process's; all of its threads count.
func usageOf(pid int) (usage, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) {
		return usage{}, fmt.Errorf("there is no process %d (any more)", pid)
	}
	if err != nil {
		return usage{}, err
	}
	return parseStat(text)
}

// parseStat finds utime and stime, fields 14 and 15. The command's name, field 2, stands in parentheses and may hold
// anything, so the count begins behind the last one.
func parseStat(text []byte) (usage, error) {
	end := bytes.LastIndexByte(text, ')')
	fields := strings.Fields(string(text[end+1:]))
	if end < 0 || len(fields) < 13 {
		return usage{}, fmt.Errorf("/proc/PID/stat reads %q", text)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return usage{time.Duration(user) * tick, time.Duration(system) * tick}, errors.Join(err1, err2)
}

// residentOf reads how many bytes of a process are in memory: exactly from smaps_rollup, else from status, which
// the kernel keeps less exactly.
func residentOf(pid int) (int64, error) {
	for _, source := range []struct{ file, key string }{{"smaps_rollup", "Rss:"}, {"status", "VmRSS:"}} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, source.file))
		if err != nil {
			continue
		}
		if n, ok := parseKilobytes(string(text), source.key); ok {
			return n, nil
		}
	}
	return 0, fmt.Errorf("the memory of process %d cannot be read", pid)
}

// parseKilobytes finds a row like "Rss:  1234 kB".
func parseKilobytes(text, key string) (int64, bool) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == key && fields[2] == "kB" {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			return n << 10, err == nil
		}
	}
	return 0, false
}
