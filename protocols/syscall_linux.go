package protocols

import (
	"net/netip"
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

// giveWay lets other threads have the processor: one that was woken for somebody else's
// sake may otherwise wait for the kernel's next tick, which is some milliseconds, behind a
// reader that finds ever more to do. It costs half a microsecond where nobody waits.
func giveWay() { unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// acceptNow takes a connection from a listening socket, with its peer's address; zero
// for unix sockets. unix.Accept4 would ask for the new socket's protocol, and make
// garbage of the answer: both cost where thousands come in a second.
func acceptNow(fd int) (int, netip.AddrPort, error) {
	var from unix.RawSockaddrInet6
	size := uint32(unsafe.Sizeof(from))
	n, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&from)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, netip.AddrPort{}, errno
	}
	return int(n), rawAddress(&from), nil
}

// localAddress is the address of a socket on our side; zero for unix sockets.
func localAddress(fd int) netip.AddrPort {
	var local unix.RawSockaddrInet6
	size := uint32(unsafe.Sizeof(local))
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&local)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return netip.AddrPort{}
	}
	return rawAddress(&local)
}

// rawAddress reads what the system wrote; zero for other families.
func rawAddress(n *unix.RawSockaddrInet6) netip.AddrPort {
	switch n.Family {
	case unix.AF_INET:
		n4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(n))
		return netip.AddrPortFrom(netip.AddrFrom4(n4.Addr), swapped(n4.Port))
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(n.Addr).Unmap(), swapped(n.Port))
	}
	return netip.AddrPort{}
}
