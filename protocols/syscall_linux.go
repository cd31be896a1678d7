package protocols

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// readNow and writeNow are read and write on a non-blocking socket without telling
// Go's scheduler: they return at once, so there is nobody to hand the processor to,
// and telling it costs about a tenth of a small packet's whole way. A sleeping call
// (epoll_wait) must not be made like this.
func readNow(fd int32, b []byte) (int, error) {
	return callNow(unix.SYS_READ, fd, b)
}

func writeNow(fd int32, b []byte) (int, error) {
	return callNow(unix.SYS_WRITE, fd, b)
}

func callNow(call uintptr, fd int32, b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
