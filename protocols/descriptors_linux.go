package protocols

import (
	"math"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// firstDescriptors is for how many the kernel's table has room from the start: 64 KiB
// of its memory.
const firstDescriptors = 8 << 10

// descriptors keeps the kernel's table of our descriptors ahead of the connections. It
// doubles when it is full, and whoever asked for the descriptor that did not fit waits
// until no processor looks at the old table any more: 5 to 16 ms, in which an event loop
// serves nobody. So a goroutine that nobody waits for has it doubled when half of it is
// in use.
type descriptors struct {
	room    atomic.Int64
	growing atomic.Bool
}

// took notes a descriptor that the kernel gave, the least that was free. grow is run
// elsewhere.
func (d *descriptors) took(fd int, elsewhere func(func())) {
	if int64(fd) >= d.room.Load()/2 && d.growing.CompareAndSwap(false, true) {
		elsewhere(func() {
			d.grow(2 * d.room.Load())
			d.growing.Store(false)
		})
	}
}

// grow makes room for n, as far as this process may have so many. Nothing depends on it:
// where it fails, who needs the room will wait for it.
func (d *descriptors) grow(n int64) {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil && uint64(n) >= limit.Cur {
		n = int64(min(limit.Cur, math.MaxInt32))
		defer d.room.Store(math.MaxInt64) // there is nothing beyond
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if last, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, int(n)-1); err == nil {
		unix.Close(last)
	}
	d.room.Store(n)
}
