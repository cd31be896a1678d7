package protocols

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// boundSocket is one listening socket of the event loops: one of the queues of its
// address, see queues_linux.go.
type boundSocket struct {
	listener *Listener
	fd       int
	addr     net.Addr
	path     string // of a unix socket, to be removed
}

// bindSockets opens the listening sockets of one listener.
func bindSockets(ln *Listener, log *slog.Logger) ([]*boundSocket, error) {
	if ln.cfg.Transport == Unix {
		ln.queues.Store(1)
		s, err := bindUnix(ln)
		if err != nil {
			return nil, err
		}
		return []*boundSocket{s}, nil
	}
	var sockets []*boundSocket
	err := eachAddress(ln.cfg.Address, func(a netip.AddrPort) (netip.AddrPort, error) {
		group, err := bindTCP(ln, a, log)
		if err != nil {
			return a, err
		}
		sockets = append(sockets, group...)
		return group[0].addr.(*net.TCPAddr).AddrPort(), nil
	}, func() {
		for _, s := range sockets {
			unix.Close(s.fd)
		}
		sockets = nil
	})
	return sockets, err
}

// bindTCP opens the queues of one address.
func bindTCP(ln *Listener, a netip.AddrPort, log *slog.Logger) ([]*boundSocket, error) {
	first, err := openTCP(ln, a, false)
	if err != nil {
		return nil, err
	}
	a = first.addr.(*net.TCPAddr).AddrPort()
	group, err := queues(first,
		func() (*boundSocket, error) { return openTCP(ln, a, true) },
		func(s *boundSocket, f func(int) error) error { return f(s.fd) },
		(*boundSocket).close)
	ln.divided(log, len(group), err)
	return group, nil
}

// openTCP opens one listening socket; shared, one of a group that is there already.
func openTCP(ln *Listener, a netip.AddrPort, shared bool) (*boundSocket, error) {
	family := unix.AF_INET
	if a.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if shared {
		err = share(fd)
	}
	if err == nil {
		err = configureTCP(fd, ln, a, family)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &boundSocket{listener: ln, fd: fd, addr: net.TCPAddrFromAddrPort(localAddress(fd))}, nil
}

// configureTCP sets what the accepted sockets inherit, binds and listens.
func configureTCP(fd int, ln *Listener, a netip.AddrPort, family int) error {
	c := &ln.cfg
	set := func(level, option, value int) {
		unix.SetsockoptInt(fd, level, option, value) // best effort: a tuning, not a promise
	}
	set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	set(unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	set(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	set(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepAliveIdle)
	if c.SendBuffer > 0 {
		set(unix.SOL_SOCKET, unix.SO_SNDBUF, c.SendBuffer)
	}
	if c.RecvBuffer > 0 {
		set(unix.SOL_SOCKET, unix.SO_RCVBUF, c.RecvBuffer)
	}
	var sa unix.Sockaddr = &unix.SockaddrInet4{Port: int(a.Port()), Addr: as4(a.Addr())}
	if family == unix.AF_INET6 {
		both := 1
		if a.Addr().IsUnspecified() {
			both = 0 // all interfaces means IPv4 too
		}
		set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, both)
		sa = &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: zoneID(a.Addr().Zone())}
	}
	if err := unix.Bind(fd, sa); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(fd, c.Backlog); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

func as4(a netip.Addr) (b [4]byte) {
	if a.Is4() {
		b = a.As4()
	}
	return b
}

func zoneID(zone string) uint32 {
	if zone == "" {
		return 0
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0
	}
	return uint32(i.Index)
}

// bindUnix opens a unix socket. A socket file that nobody serves any more is
// removed first; one that is served is an address in use.
func bindUnix(ln *Listener) (*boundSocket, error) {
	path := ln.cfg.Address
	mode, err := parseMode(ln.cfg.Mode)
	if err != nil {
		return nil, err
	}
	if err := clearUnix(path); err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	fail := func(err error) (*boundSocket, error) {
		unix.Close(fd)
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return fail(fmt.Errorf("bind: %w", err))
	}
	// Nobody can connect before listen, so the mode holds from the first moment.
	if err := os.Chmod(path, os.FileMode(mode)); err != nil {
		return fail(fmt.Errorf("chmod: %w", err))
	}
	if err := unix.Listen(fd, ln.cfg.Backlog); err != nil {
		return fail(fmt.Errorf("listen: %w", err))
	}
	return &boundSocket{listener: ln, fd: fd, addr: &net.UnixAddr{Name: path, Net: "unix"}, path: path}, nil
}

func (s *boundSocket) close() {
	if s.fd >= 0 {
		unix.Close(s.fd)
		s.fd = -1
	}
	if s.path != "" {
		os.Remove(s.path)
	}
}
