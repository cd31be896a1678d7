//go:build !linux

package protocols

import (
	"errors"
	"net"
	"net/netip"
)

// sender: other systems send datagrams one by one.
type sender struct{}

// openSockets opens one socket: elsewhere the system does not steer peers.
func openSockets(ln *Listener, a netip.AddrPort, _ int) ([]datagramSocket, error) {
	return openPlain(ln, a)
}

func openEar(*Listener, netip.AddrPort, []net.Interface) (datagramSocket, error) {
	return nil, errors.New("udp.groups works on Linux only")
}

// leaving: elsewhere the system chooses.
func leaving(bool, int) *localAddr { return nil }
