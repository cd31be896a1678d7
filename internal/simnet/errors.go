package simnet

import (
	"net"
	"net/netip"
	"os"
	"syscall"
)

// ErrWouldBlock says that TryRead has nothing, or TryWrite no room, at present. For
// errors.Is it is syscall.EAGAIN, too.
var ErrWouldBlock error = wouldBlock{}

type wouldBlock struct{}

// Error implements error.
func (wouldBlock) Error() string { return "simnet: nothing to do at present" }

// Is makes it the system's word for the same.
func (wouldBlock) Is(target error) bool { return target == syscall.EAGAIN }

// Timeout and Temporary say that trying again may work: crypto/tls would keep any
// other error for good.
func (wouldBlock) Timeout() bool { return false }

// Temporary is part of net.Error.
func (wouldBlock) Temporary() bool { return true }

// failure is why a stream works no more.
type failure uint8

const (
	noFailure failure = iota
	wasReset
	wasRefused
	timedOut
)

// error gives the system's error, as of the call op.
func (f failure) error(op string) error {
	switch f {
	case wasRefused:
		return os.NewSyscallError("connect", syscall.ECONNREFUSED)
	case timedOut:
		return os.NewSyscallError("connect", syscall.ETIMEDOUT)
	}
	return os.NewSyscallError(op, syscall.ECONNRESET)
}

// tcpAddr is a as an address of net; an address of no family listens everywhere.
func tcpAddr(a netip.AddrPort) *net.TCPAddr {
	return net.TCPAddrFromAddrPort(shown(a))
}

func udpAddr(a netip.AddrPort) *net.UDPAddr {
	return net.UDPAddrFromAddrPort(shown(a))
}

func shown(a netip.AddrPort) netip.AddrPort {
	if !a.Addr().IsValid() {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), a.Port())
	}
	return a
}
