//go:build !linux

package protocols

import (
	"net/netip"
)

// sender: other systems send datagrams one by one.
type sender struct{}

// openSockets opens one socket: elsewhere the system does not steer peers.
func openSockets(ln *Listener, a netip.AddrPort, _ int) ([]datagramSocket, error) {
	return openPlain(ln, a)
}
