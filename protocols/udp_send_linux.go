package protocols

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sendBatch is how many datagrams one system call sends.
const sendBatch = 64

// sender is what an outbox needs to send through the kernel; made at first use.
type sender struct {
	msgs   []mmsghdr
	iovecs []unix.Iovec
	names  []unix.RawSockaddrInet6
	n      int // messages that are ready
	sent   int
	err    error
	call   func(fd uintptr)
}

func (k *sender) init() {
	k.msgs = make([]mmsghdr, sendBatch)
	k.iovecs = make([]unix.Iovec, sendBatch)
	k.names = make([]unix.RawSockaddrInet6, sendBatch)
	for i := range k.msgs {
		h := &k.msgs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&k.names[i]))
		h.Iov = &k.iovecs[i]
		h.SetIovlen(1)
	}
	k.call = k.sendNow
}

// send implements datagramSocket. Any number of goroutines may send at the same time:
// the kernel takes datagrams one by one.
func (s *udpSocket) send(b *outbox, items []outItem) (calls, sent, failed int) {
	k := &b.send
	if k.msgs == nil {
		k.init()
	}
	for len(items) > 0 {
		k.n = min(len(items), sendBatch)
		for i := range items[:k.n] {
			k.fill(i, s.v6, b.out.Buf, &items[i])
		}
		err := s.raw.Control(k.call)
		calls++
		if err != nil {
			return calls, sent, failed + len(items)
		}
		for i := range items[:k.sent] {
			sent += items[i].end - items[i].low
		}
		items = items[k.sent:]
		if k.err != nil && k.err != unix.EINTR {
			failed++ // the first one that is left; others may fare better
			items = items[1:]
		}
	}
	return calls, sent, failed
}

// fill makes the i-th message.
func (k *sender) fill(i int, v6 bool, buf []byte, it *outItem) {
	h := &k.msgs[i].hdr
	k.iovecs[i].Base = unsafe.SliceData(buf[it.low:it.end])
	k.iovecs[i].SetLen(it.end - it.low)
	h.Namelen = putAddress(&k.names[i], v6, it.to)
	h.Control = nil
	h.SetControllen(0)
	if it.from != nil && len(it.from.control) > 0 {
		h.Control = &it.from.control[0]
		h.SetControllen(len(it.from.control))
	}
}

// sendNow hands the messages to the kernel.
func (k *sender) sendNow(fd uintptr) {
	k.sent, k.err = 0, nil
	n, _, e := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&k.msgs[0])), uintptr(k.n), unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		k.err = e
		return
	}
	k.sent = int(n)
}

// putAddress writes a as the kernel's address, and gives its size.
func putAddress(n *unix.RawSockaddrInet6, v6 bool, a netip.AddrPort) uint32 {
	var port [2]byte
	binary.BigEndian.PutUint16(port[:], a.Port())
	if !v6 {
		n4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(n))
		*n4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: binary.NativeEndian.Uint16(port[:]), Addr: a.Addr().Unmap().As4()}
		return uint32(unsafe.Sizeof(*n4))
	}
	*n = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: binary.NativeEndian.Uint16(port[:]), Addr: a.Addr().As16()}
	if zone := a.Addr().Zone(); zone != "" {
		id, err := strconv.ParseUint(zone, 10, 32)
		if err != nil {
			id = uint64(zoneID(zone))
		}
		n.Scope_id = uint32(id)
	}
	return uint32(unsafe.Sizeof(*n))
}
