package protocols

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// openSockets opens n sockets that share the address: the kernel steers each peer to
// one of them by a hash.
func openSockets(ln *Listener, a netip.AddrPort, n int) (out []datagramSocket, err error) {
	defer func() {
		if err != nil {
			for _, s := range out {
				s.close()
			}
			out = nil
		}
	}()
	for range n {
		s, err := openUDP(ln, a, len(out) == 0)
		if err != nil {
			return out, err
		}
		out = append(out, s)
		a = netip.AddrPortFrom(a.Addr(), netAddrPort(s.addr()).Port())
	}
	return out, nil
}

// udpSocket takes and sends datagrams in batches.
type udpSocket struct {
	conn  *net.UDPConn
	raw   syscall.RawConn
	v6    bool
	wild  bool // bound to all addresses: datagrams say where they were sent to
	limit int
	// single: the system does not divide messages (UDP_SEGMENT).
	single atomic.Bool

	memory  []byte // of buf, outside Go's heap: most of it is never touched
	items   []inItem
	msgs    [receiveBatch]mmsghdr
	iovecs  [receiveBatch]unix.Iovec
	names   [receiveBatch]unix.RawSockaddrInet6
	control [receiveBatch][controlSize]byte
	got     int
	err     error
	take    func(fd uintptr) bool // made once each: closures would be allocated a call
	try     func(fd uintptr)
	locals  map[netip.Addr]*localAddr
	zones   map[uint32]string
}

// mmsghdr is the kernel's.
type mmsghdr struct {
	hdr  unix.Msghdr
	size uint32
}

const (
	// controlSize has room for IP_PKTINFO beside IPV6_PKTINFO.
	controlSize = 128
	// mostLocals bounds the addresses of ours that are remembered; answers from others
	// leave from the address that the system chooses.
	mostLocals = 1024
)

// openUDP opens one socket of a group. The first one must find the port free: a second
// gateway on it must be told so.
func openUDP(ln *Listener, a netip.AddrPort, first bool) (*udpSocket, error) {
	network := "udp4"
	wild := a.Addr().IsUnspecified()
	switch {
	case a.Addr().Is6() && wild:
		network = "udp" // all interfaces means IPv4 too
	case a.Addr().Is6():
		network = "udp6"
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return withFD(c, func(fd int) error { return setUDP(fd, ln, a, !first) })
	}}
	pc, err := lc.ListenPacket(context.Background(), network, a.String())
	if err != nil {
		return nil, err
	}
	s := &udpSocket{conn: pc.(*net.UDPConn), v6: a.Addr().Is6(), wild: wild, limit: ln.datagramLimit(), locals: map[netip.Addr]*localAddr{}}
	if s.raw, err = s.conn.SyscallConn(); err == nil && first {
		err = withFD(s.raw, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}
	if err == nil {
		err = s.prepare()
	}
	if err != nil {
		s.conn.Close()
		return nil, err
	}
	return s, nil
}

func withFD(c syscall.RawConn, f func(fd int) error) (err error) {
	if e := c.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return e
	}
	return err
}

// setUDP sets what must be set before the socket is bound.
func setUDP(fd int, ln *Listener, a netip.AddrPort, share bool) error {
	tune := func(level, option, value int) {
		unix.SetsockoptInt(fd, level, option, value) // best effort: a tuning, not a promise
	}
	buffer := func(option, force, value int) {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, value) != nil {
			tune(unix.SOL_SOCKET, option, value)
		}
	}
	tune(unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	buffer(unix.SO_RCVBUF, unix.SO_RCVBUFFORCE, orDefault(ln.cfg.RecvBuffer, udpBuffer))
	buffer(unix.SO_SNDBUF, unix.SO_SNDBUFFORCE, orDefault(ln.cfg.SendBuffer, udpBuffer))
	// Groups that others of this machine joined are none of ours.
	tune(unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0)
	if a.Addr().Is6() {
		tune(unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0)
	}
	if share {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return fmt.Errorf("SO_REUSEPORT: %w", err)
		}
	}
	if !a.Addr().IsUnspecified() {
		return nil
	}
	// Answers must leave from the address that was asked.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1); err != nil {
		return fmt.Errorf("IP_PKTINFO: %w", err)
	}
	if a.Addr().Is6() {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1); err != nil {
			return fmt.Errorf("IPV6_RECVPKTINFO: %w", err)
		}
	}
	return nil
}

func orDefault(v, def int) int {
	if v > 0 {
		return v
	}
	return def
}

// prepare makes the buffers.
func (s *udpSocket) prepare() error {
	slot := (s.limit + 1 + 63) &^ 63
	memory, err := unix.Mmap(-1, 0, receiveBatch*slot, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("mmap of the datagram buffers: %w", err)
	}
	s.memory = memory
	s.items = make([]inItem, 0, receiveBatch)
	for i := range s.msgs {
		s.iovecs[i].Base = &memory[i*slot]
		s.iovecs[i].SetLen(s.limit + 1)
		h := &s.msgs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&s.names[i]))
		h.Iov = &s.iovecs[i]
		h.SetIovlen(1)
	}
	s.take = func(fd uintptr) bool {
		s.try(fd)
		return s.err != unix.EAGAIN
	}
	s.try = s.takeNow
	return nil
}

// takeNow asks the kernel for a batch. The call does not wait, so Go's scheduler need
// not know.
func (s *udpSocket) takeNow(fd uintptr) {
	for i := range s.msgs {
		h := &s.msgs[i].hdr
		h.Namelen = uint32(unsafe.Sizeof(s.names[i]))
		if s.wild {
			h.Control = &s.control[i][0]
			h.SetControllen(controlSize)
		}
	}
	s.got, s.err = 0, nil
	n, _, e := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&s.msgs[0])), receiveBatch, unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		s.err = e
		return
	}
	s.got = int(n)
}

func (s *udpSocket) receive(wait bool) ([]inItem, error) {
	var err error
	if wait {
		err = s.raw.Read(s.take)
	} else {
		err = s.raw.Control(s.try)
	}
	if err != nil {
		return nil, unlessLate(err)
	}
	if s.err != nil {
		if s.err == unix.EAGAIN || s.err == unix.EINTR {
			return nil, nil
		}
		return nil, s.err
	}
	s.items = s.items[:s.got]
	for i := range s.items {
		s.read(i)
	}
	return s.items, nil
}

// read fills in the i-th datagram.
func (s *udpSocket) read(i int) {
	it, m := &s.items[i], &s.msgs[i]
	size := int(m.size)
	it.tooLong = size > s.limit
	it.size = size
	it.b = unsafe.Slice(s.iovecs[i].Base, min(size, s.limit))
	it.from = s.addressIn(&s.names[i])
	it.local = nil
	if s.wild {
		it.local = s.localIn(s.control[i][:m.hdr.Controllen])
	}
}

// addressIn is the address of a datagram's sender.
func (s *udpSocket) addressIn(n *unix.RawSockaddrInet6) netip.AddrPort {
	a := rawAddress(n)
	if n.Family == unix.AF_INET6 && n.Scope_id != 0 && a.Addr().Is6() {
		a = netip.AddrPortFrom(a.Addr().WithZone(s.zone(n.Scope_id)), a.Port())
	}
	return a
}

// swapped turns the network's order of a port into ours and back.
func swapped(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}

// zone is the name of an interface's number, which there are few of.
func (s *udpSocket) zone(id uint32) string {
	if z, ok := s.zones[id]; ok {
		return z
	}
	if s.zones == nil {
		s.zones = map[uint32]string{}
	}
	z := strconv.FormatUint(uint64(id), 10)
	s.zones[id] = z
	return z
}

// localIn is where a datagram was sent to.
func (s *udpSocket) localIn(control []byte) *localAddr {
	var to, from netip.Addr // as the header says; to answer from
	for len(control) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		size := int(h.Len)
		if size < unix.SizeofCmsghdr || size > len(control) {
			break
		}
		data := control[unix.CmsgLen(0):size]
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			p := (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
			to, from = netip.AddrFrom4(p.Addr), netip.AddrFrom4(p.Spec_dst)
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			p := (*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0]))
			if a := netip.AddrFrom16(p.Addr); !a.Is4In6() {
				to, from = a, a
			}
		}
		control = control[min(unix.CmsgSpace(size-unix.CmsgLen(0)), len(control)):]
	}
	if !to.IsValid() {
		return nil
	}
	if l := s.locals[to]; l != nil {
		return l
	}
	l := &localAddr{addr: to}
	if to == from && !to.IsMulticast() {
		l.control = pktinfo(to, 0)
	}
	if len(s.locals) < mostLocals {
		s.locals[to] = l
	}
	return l
}

// pktinfo is the control message that makes a datagram leave from a, and by the
// interface of that number; an unspecified a or 0 leave it to the system.
func pktinfo(a netip.Addr, index int) []byte {
	level, kind, size := int32(unix.IPPROTO_IP), int32(unix.IP_PKTINFO), unix.SizeofInet4Pktinfo
	if a.Is6() {
		level, kind, size = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo
	}
	b := make([]byte, unix.CmsgSpace(size))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(size))
	data := unsafe.Pointer(&b[unix.CmsgLen(0)])
	if a.Is6() {
		*(*unix.Inet6Pktinfo)(data) = unix.Inet6Pktinfo{Addr: a.As16(), Ifindex: uint32(index)}
	} else {
		*(*unix.Inet4Pktinfo)(data) = unix.Inet4Pktinfo{Spec_dst: a.As4(), Ifindex: int32(index)}
	}
	return b
}

func (s *udpSocket) deadline(until time.Time) { s.conn.SetReadDeadline(until) }

func (s *udpSocket) addr() net.Addr { return s.conn.LocalAddr() }

func (s *udpSocket) close() error {
	err := s.conn.Close()
	if s.memory != nil {
		unix.Munmap(s.memory)
		s.memory, s.items = nil, nil
	}
	return err
}
