package protocols

import (
	"net"
	"net/netip"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// acceptNow and localAddress say what Go's own net says, for each family.
func TestAcceptNow(t *testing.T) {
	for _, at := range [][2]string{{"tcp4", "127.0.0.1:0"}, {"tcp6", "[::1]:0"}, {"tcp", "[::]:0"}, {"unix", filepath.Join(t.TempDir(), "s")}} {
		t.Run(at[0]+" "+at[1], func(t *testing.T) {
			ln, err := net.Listen(at[0], at[1])
			if err != nil {
				t.Skip("this machine does not listen there: ", err)
			}
			defer ln.Close()
			if tcp, ok := ln.Addr().(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
				tcp.IP = net.IPv4(127, 0, 0, 1) // by the dual socket
			}
			c, err := net.Dial(ln.Addr().Network(), ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			raw, err := ln.(syscall.Conn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			var peer, local netip.AddrPort
			var refused error
			if err := raw.Control(func(listening uintptr) {
				var fd int
				if fd, peer, refused = acceptNow(int(listening)); refused == nil {
					local = localAddress(fd)
					unix.Close(fd)
				}
			}); err != nil {
				t.Fatal(err)
			}
			if want := addrPort(c.LocalAddr()); refused != nil || peer != want {
				t.Errorf("peer %v, %v, want %v", peer, refused, want)
			}
			if want := addrPort(c.RemoteAddr()); local != want {
				t.Errorf("local %v, want %v", local, want)
			}
		})
	}
	if _, _, err := acceptNow(-1); err != unix.EBADF {
		t.Errorf("no socket: %v", err)
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := tcp.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
