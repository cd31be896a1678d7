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
	marks  [][segmentControl]byte
	counts []int // datagrams of each message
	n      int   // messages that are ready
	sent   int
	err    error
	call   func(fd uintptr)
}

func (k *sender) init() {
	k.msgs = make([]mmsghdr, sendBatch)
	k.iovecs = make([]unix.Iovec, sendBatch)
	k.names = make([]unix.RawSockaddrInet6, sendBatch)
	k.marks = make([][segmentControl]byte, sendBatch)
	k.counts = make([]int, sendBatch)
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
		k.n = 0
		for left := items; len(left) > 0 && k.n < sendBatch; k.n++ {
			k.counts[k.n] = alike(left, !s.single.Load())
			k.fill(k.n, s.v6, b.out.Buf, left)
			left = left[k.counts[k.n]:]
		}
		err := s.raw.Control(k.call)
		calls++
		if err != nil {
			return calls, sent, failed + len(items)
		}
		for _, n := range k.counts[:k.sent] {
			sent += items[n-1].end - items[0].low
			items = items[n:]
		}
		switch {
		case k.err == nil || k.err == unix.EINTR:
		case k.counts[0] > 1:
			s.single.Store(true) // nor will it divide the next ones
		default:
			failed++ // the first one that is left; others may fare better
			items = items[1:]
		}
	}
	return calls, sent, failed
}

const (
	// mostSegments is how many datagrams the kernel makes of one message at most.
	mostSegments = 64
	// segmentSize is the largest datagram that is sent so: it must fit into a packet of
	// whatever link.
	segmentSize = 1200
	// segmentControl has room for IPV6_PKTINFO and UDP_SEGMENT.
	segmentControl = 64
)

// alike tells how many of the first items can be one message: of one size, but for the
// last, to one peer, behind each other in the outbox.
func alike(items []outItem, divides bool) int {
	first := &items[0]
	size := first.end - first.low
	if !divides || size == 0 || size > segmentSize {
		return 1
	}
	n := 1
	for n < len(items) && n < mostSegments {
		it, before := &items[n], &items[n-1]
		if it.to != first.to || it.from != first.from || it.low != before.end || it.end-it.low > size || it.end == it.low || before.end-before.low < size {
			break
		}
		n++
	}
	return n
}

// fill makes the i-th message of the first counts[i] items.
func (k *sender) fill(i int, v6 bool, buf []byte, items []outItem) {
	it, end := &items[0], items[k.counts[i]-1].end
	h := &k.msgs[i].hdr
	k.iovecs[i].Base = unsafe.SliceData(buf[it.low:end])
	k.iovecs[i].SetLen(end - it.low)
	h.Namelen = putAddress(&k.names[i], v6, it.to)
	h.Control = nil
	h.SetControllen(0)
	if it.from != nil && len(it.from.control) > 0 {
		h.Control = &it.from.control[0]
		h.SetControllen(len(it.from.control))
	}
	if k.counts[i] > 1 {
		k.divide(i, it)
	}
}

// divide has the kernel make datagrams of the size of it of the i-th message.
func (k *sender) divide(i int, it *outItem) {
	b := k.marks[i][:]
	at := 0
	if it.from != nil {
		at = copy(b, it.from.control)
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(&b[at]))
	c.Level, c.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	c.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(b[at+unix.CmsgLen(0):], uint16(it.end-it.low))
	h := &k.msgs[i].hdr
	h.Control = &b[0]
	h.SetControllen(at + unix.CmsgSpace(2))
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
