package protocols

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// groupClient is a device that sends to groups over the loopback interface.
func groupClient(t *testing.T, v6 bool) *net.UDPConn {
	t.Helper()
	network, ip := "udp4", net.IPv4(127, 0, 0, 1)
	if v6 {
		network, ip = "udp6", net.IPv6loopback
	}
	c, err := net.ListenUDP(network, &net.UDPAddr{IP: ip})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip(err)
	}
	raw, err := c.SyscallConn()
	if err == nil {
		err = withFD(raw, func(fd int) error {
			if v6 {
				return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, lo.Index)
			}
			return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(lo.Index)})
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func TestGroupsAreAnswered(t *testing.T) {
	for _, group := range []string{"239.1.2.3", "ff02::fd"} {
		t.Run(group, func(t *testing.T) {
			e := startEcho(t, true, &ListenerConfig{Address: "localhost:0", UDP: UDPConfig{Groups: []netip.Addr{netip.MustParseAddr(group)}, Interfaces: []string{"lo"}}})
			a := netip.MustParseAddr(group)
			port := netAddrPort(e.server.Addresses()["l"]).Port()
			c := groupClient(t, a.Is6())
			to := netip.AddrPortFrom(a, port)
			for _, s := range []string{"hello", "who"} {
				if _, err := c.WriteToUDPAddrPort([]byte(s), to); err != nil {
					t.Skipf("this machine sends nothing to groups: %v", err)
				}
			}
			b := make([]byte, 100)
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil || string(b[:n]) != "me" || from.Port() != port || !from.Addr().Unmap().IsLoopback() {
				t.Fatalf("%q from %s, %v", b[:n], from, err)
			}
			if len(e.peers.made) != 0 {
				t.Fatal("a group's datagram made a connection")
			}
		})
	}
}

func TestGroupsOfAnotherFamilyAreRefused(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Listeners["l"] = &ListenerConfig{Protocol: "line", Transport: UDP, Address: "127.0.0.1:0", UDP: UDPConfig{Groups: []netip.Addr{netip.MustParseAddr("ff02::fd")}}}
	s, err := NewServer(cfg, newFakeGateway().Gateway, []Adapter{newGramAdapter()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(); err == nil || !strings.Contains(err.Error(), "another kind") {
		t.Fatal(err)
	}
}

func TestAnnouncementsLeaveByTheirInterface(t *testing.T) {
	ear, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer ear.Close()
	startEcho(t, true, &ListenerConfig{UDP: UDPConfig{Announce: []netip.AddrPort{netAddrPort(ear.LocalAddr())}, Interfaces: []string{"lo"}}})
	b := make([]byte, 100)
	ear.SetDeadline(time.Now().Add(patience))
	if n, _, err := ear.ReadFromUDP(b); err != nil || string(b[:n]) != "here is l" {
		t.Fatalf("%q, %v", b[:n], err)
	}
}
