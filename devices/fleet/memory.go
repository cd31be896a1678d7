package fleet

import (
	"net"
	"net/netip"

	"github.com/fairlead-iot/fairlead/devices/loop"
	"github.com/fairlead-iot/fairlead/internal/simnet"
)

// Memory opens mem:// URLs on a network in memory; what stands behind mem:// is the
// address of a listener there: mem://10.0.0.1:1883.
func Memory(n *simnet.Network) func(name string) (loop.Stream, error) {
	return func(name string) (loop.Stream, error) {
		c, err := n.Connect("", name)
		if err != nil {
			return nil, err
		}
		return memory{c}, nil
	}
}

// MemoryPackets opens sockets for datagrams on a network in memory, each with an address
// of its own; what stands behind mem:// is the gateway's.
func MemoryPackets(n *simnet.Network) func(name string) (net.PacketConn, net.Addr, error) {
	return func(name string) (net.PacketConn, net.Addr, error) {
		c, err := n.ListenPacket("127.0.0.1:0")
		if err != nil {
			return nil, nil, err
		}
		to, err := netip.ParseAddrPort(name)
		return c, net.UDPAddrFromAddrPort(to), err
	}
}

// memory is a simulated connection as a loop wants it.
type memory struct{ *simnet.Conn }

// Abort implements loop.Stream.
func (m memory) Abort() error { return m.Reset() }
