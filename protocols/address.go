package protocols

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// keepAliveIdle is the seconds of silence after which the kernel probes a peer,
// so that clients without a keep-alive of their own do not stay for ever.
const keepAliveIdle = 300

// eachAddress calls open for every address that a listener's host:port means.
// localhost means both loopback addresses on one port, of which one may be
// missing on the machine; an empty host means all interfaces. open gives the
// address that it really got; undo closes what it opened so far.
func eachAddress(address string, open func(netip.AddrPort) (netip.AddrPort, error), undo func()) error {
	host, port, err := splitAddress(address)
	if err != nil {
		return err
	}
	switch host {
	case "localhost":
		return bothLoopbacks(port, open, undo)
	case "", "*":
		_, err := open(netip.AddrPortFrom(netip.IPv6Unspecified(), port))
		if err != nil && missingFamily(err) {
			_, err = open(netip.AddrPortFrom(netip.IPv4Unspecified(), port))
		}
		return err
	}
	a, err := resolve(host)
	if err != nil {
		return err
	}
	_, err = open(netip.AddrPortFrom(a, port))
	return err
}

// portTries is how often another free port is looked for where the first one was
// free on one loopback address only.
const portTries = 20

func bothLoopbacks(port uint16, open func(netip.AddrPort) (netip.AddrPort, error), undo func()) error {
	v4, v6 := netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	for try := 1; ; try++ {
		got, err := open(netip.AddrPortFrom(v4, port))
		if err != nil {
			return err
		}
		_, err = open(netip.AddrPortFrom(v6, got.Port()))
		if err == nil || missingFamily(err) {
			return nil
		}
		undo()
		if port != 0 || !errors.Is(err, syscall.EADDRINUSE) || try == portTries {
			return fmt.Errorf("[::1]:%d: %w", got.Port(), err)
		}
	}
}

// resolve turns a host name into the first of its addresses.
func resolve(host string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return a, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("look up host %q: %w", host, err)
	}
	return found[0].Unmap(), nil
}

// clearUnix removes a socket file that nobody serves any more.
func clearUnix(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%q exists and is no socket; choose another path or remove it", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("another process serves %q: %w", path, syscall.EADDRINUSE)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%q: cannot tell whether it is in use: %w", path, err)
	}
	return os.Remove(path)
}

// netAddrPort is the address of a TCP or UDP end; zero for any other kind.
func netAddrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return netip.AddrPort{}
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// missingFamily tells whether the machine has no such kind of address.
func missingFamily(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}
