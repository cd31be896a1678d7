package hostile

import (
	"errors"
	"net"
	"syscall"
)

// gust is a socket of a storm: bare, as all that Go's own would do takes longer than the
// kernel's part.
type gust int

func blow(to *net.TCPAddr) (gust, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())})
	if err != nil && !errors.Is(err, syscall.EINPROGRESS) {
		syscall.Close(fd)
		return -1, err
	}
	return gust(fd), nil
}

// say writes what the kernel takes at once.
func (g gust) say(b []byte) { syscall.Write(int(g), b) }

func (g gust) reset() { syscall.Close(int(g)) }
