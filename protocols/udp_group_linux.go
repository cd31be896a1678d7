package protocols

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// openEar opens a socket that hears what is sent to a group on these interfaces.
// Others of this machine may hear the group on the same port.
func openEar(ln *Listener, group netip.AddrPort, interfaces []net.Interface) (datagramSocket, error) {
	conn, err := bindGroup(ln, group, interfaces)
	if err != nil {
		return nil, err
	}
	s := &udpSocket{conn: conn, v6: group.Addr().Is6(), limit: ln.datagramLimit()}
	if s.raw, err = conn.SyscallConn(); err == nil {
		err = s.prepare()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

// bindGroup binds a socket to the group's own address, so that it gets nothing else.
// Package net would bind it to all addresses.
func bindGroup(ln *Listener, group netip.AddrPort, interfaces []net.Interface) (*net.UDPConn, error) {
	family := unix.AF_INET
	var sa unix.Sockaddr = &unix.SockaddrInet4{Port: int(group.Port()), Addr: as4(group.Addr())}
	if group.Addr().Is6() {
		family = unix.AF_INET6
		sa = &unix.SockaddrInet6{Port: int(group.Port()), Addr: group.Addr().As16(), ZoneId: zoneOf(group.Addr(), interfaces)}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "group")
	defer f.Close() // FilePacketConn has a copy
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := setUDP(fd, ln, group, true); err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, sa); err != nil {
		return nil, fmt.Errorf("bind: %w", err)
	}
	if err := joinGroup(fd, group.Addr(), interfaces); err != nil {
		return nil, err
	}
	pc, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	return pc.(*net.UDPConn), nil
}

// zoneOf is the interface of a link's own group, which the kernel asks for to bind it.
func zoneOf(group netip.Addr, interfaces []net.Interface) uint32 {
	if group.Zone() != "" {
		return zoneID(group.Zone())
	}
	if len(interfaces) == 0 || !group.IsLinkLocalMulticast() {
		return 0
	}
	return uint32(interfaces[0].Index)
}

// joinGroup joins the group wherever it can; nowhere is an error.
func joinGroup(fd int, group netip.Addr, interfaces []net.Interface) error {
	var errs []error
	for _, i := range interfaces {
		var err error
		if group.Is6() {
			err = unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(i.Index)})
		} else {
			err = unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(i.Index)})
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("join on %s: %w", i.Name, err))
		}
	}
	if len(interfaces) == 0 {
		return errors.New("no interface is up that knows groups")
	}
	if len(errs) == len(interfaces) {
		return errors.Join(errs...)
	}
	return nil
}

// leaving makes datagrams leave by an interface.
func leaving(v6 bool, index int) *localAddr {
	a := netip.IPv4Unspecified()
	if v6 {
		a = netip.IPv6Unspecified()
	}
	return &localAddr{addr: a, control: pktinfo(a, index)}
}
