package simnet

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	defaultWindow  = 64 << 10
	defaultBacklog = 4096
	defaultQueue   = 256
)

// Network is everything that can reach each other. Safe for concurrent use.
type Network struct {
	clock
	counters counters
	blocks   blocks
	seed     uint64
	sources  atomic.Uint32 // ports given to those who dial without one
	window   atomic.Int64
	rules    atomic.Pointer[Conditions]

	mu        sync.Mutex // what follows; taken before any other lock
	listeners map[netip.AddrPort]*Listener
	sockets   map[netip.AddrPort]*PacketConn
	names     map[string]netip.Addr
	lastPort  uint16

	heldMu sync.Mutex
	held   map[*stream]struct{} // wait for the end of the network's Cut
}

// New makes an empty network whose chance follows from seed.
func New(seed uint64) *Network {
	n := &Network{
		seed: seed, listeners: map[netip.AddrPort]*Listener{}, sockets: map[netip.AddrPort]*PacketConn{},
		names: map[string]netip.Addr{}, held: map[*stream]struct{}{},
	}
	n.born = time.Now()
	n.window.Store(defaultWindow)
	n.rules.Store(&Conditions{})
	return n
}

// SetConditions makes c hold for all that has no conditions of its own, from now on;
// a Cut also holds what is under way.
func (n *Network) SetConditions(c Conditions) {
	n.rules.Store(&c)
	if c.Cut {
		return
	}
	n.heldMu.Lock()
	held := n.held
	n.held = map[*stream]struct{}{}
	n.heldMu.Unlock()
	for s := range held {
		s.release()
	}
}

// SetWindow bounds what a stream made from now on holds in each direction, in bytes;
// 64 KiB unless told. Less than 1 is 1.
func (n *Network) SetWindow(bytes int) { n.window.Store(int64(max(bytes, 1))) }

// Sources that nobody named come from here: 28,000 ports of each address.
const (
	firstSource    = 10<<24 | 64<<16 | 1
	firstName      = 10<<24 | 128<<16 | 1
	sourcePorts    = 28_000
	firstEphemeral = 32_768
)

func ipv4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// source gives the address that a stream comes from.
func (n *Network) source(from string) (netip.AddrPort, error) {
	host, port := netip.Addr{}, uint16(0)
	if from != "" {
		a, err := n.parse(from, false)
		if err != nil {
			return a, err
		}
		host, port = a.Addr(), a.Port()
	}
	if port == 0 || !host.IsValid() {
		count := n.sources.Add(1) - 1
		if !host.IsValid() {
			host = ipv4(firstSource + count/sourcePorts)
		}
		if port == 0 {
			port = firstEphemeral + uint16(count%sourcePorts)
		}
	}
	return netip.AddrPortFrom(host, port), nil
}

// parse reads host:port. An empty host gives an address without family. A name that
// nobody knows is learnt where learn is set.
func (n *Network) parse(text string, learn bool) (netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(text)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return netip.AddrPort{}, &net.AddrError{Err: "the port is no number from 0 to 65535", Addr: text}
	}
	a, err := n.lookUp(host, learn)
	return netip.AddrPortFrom(a, uint16(port)), err
}

func (n *Network) lookUp(host string, learn bool) (netip.Addr, error) {
	switch host {
	case "":
		return netip.Addr{}, nil
	case "localhost":
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a = a.Unmap(); a.IsUnspecified() {
			a = netip.Addr{}
		}
		return a, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	a, ok := n.names[host]
	if !ok && !learn {
		return a, &net.DNSError{Err: "no such host: nobody listens under this name", Name: host, IsNotFound: true}
	}
	if !ok {
		a = ipv4(firstName + uint32(len(n.names)))
		n.names[host] = a
	}
	return a, nil
}

// freePort finds a port of host that taken does not know. mu is held.
func (n *Network) freePort(host netip.Addr, taken func(netip.AddrPort) bool) (netip.AddrPort, error) {
	const first, last = 1024, 32_767
	for range last - first {
		if n.lastPort < first || n.lastPort >= last {
			n.lastPort = first
		}
		n.lastPort++
		if a := netip.AddrPortFrom(host, n.lastPort); !taken(a) {
			return a, nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("no port of %s is free: %w", host, syscall.EADDRNOTAVAIL)
}

// loopback replaces an address without family where one must be reached.
func loopback(a netip.AddrPort) netip.AddrPort {
	if a.Addr().IsValid() {
		return a
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port())
}

// everywhere is the key of what listens on all addresses at a's port.
func everywhere(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.Addr{}, a.Port())
}
