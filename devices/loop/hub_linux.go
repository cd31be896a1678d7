package loop

import (
	"errors"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// hubs are the sockets that the ports of a loop share.
type hubs struct {
	list []*hub
}

// hub is a socket for many ports: bound to all addresses, it sends from the one that a
// packet's IP_PKTINFO names, and is told to which one an answer came. A port is known by
// its source address; a further hub is another port number for all of them.
type hub struct {
	l     *Loop
	conn  *net.UDPConn
	to    netip.AddrPort
	ports map[netip.Addr]*Port
	full  int // ports that the sources have addresses for

	mu      sync.Mutex
	arrived []arrival
	spare   []arrival
	lost    uint64 // what came while too many waited
}

// arrival is a datagram that waits for the loop.
type arrival struct {
	at netip.Addr
	b  []byte
}

const (
	// maxArrived bounds the datagrams that wait for the loop, of one hub.
	maxArrived = 1 << 16
	// hubBuffer is what a hub's socket holds in the kernel in each direction, in bytes.
	hubBuffer = 8 << 20
	// maxPerHub bounds the ports of one hub, so that its kernel buffer is not that of all.
	maxPerHub = 4096
)

// hubFor gives p a source address, and the hub that sends from it.
func (l *Loop) hubFor(p *Port) (way, error) {
	to := p.e.addrs[0]
	for _, h := range l.hubs.list {
		if h.to == to && h.join(p) {
			return h, nil
		}
	}
	h, err := l.openHub(to)
	if err != nil {
		return nil, err
	}
	l.hubs.list = append(l.hubs.list, h)
	h.join(p)
	return h, nil
}

// join gives p one of the hub's free addresses; false: there is none.
func (h *hub) join(p *Port) bool {
	if len(h.ports) >= h.full {
		return false
	}
	for range h.l.opt.Sources.Len() {
		a := h.l.opt.Sources.pick(h.to.Addr())
		if h.ports[a] == nil {
			h.ports[a], p.source = p, a
			return true
		}
	}
	return false
}

func (h *hub) leave(p *Port) { delete(h.ports, p.source) }

// openHub makes a socket, and the goroutine that reads it.
func (l *Loop) openHub(to netip.AddrPort) (*hub, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		err = errors.Join(raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
			// More than the system allows is cut to that.
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, hubBuffer)
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, hubBuffer)
		}), err)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	h := &hub{l: l, conn: conn, to: to, ports: map[netip.Addr]*Port{}, full: min(maxPerHub, max(l.opt.Sources.Len()*3/4, 1))}
	go h.read()
	return h, nil
}

// read hands on what comes until the socket is closed; one posted function takes all that
// came before it runs.
func (h *hub) read() {
	buf, control := make([]byte, maxDatagram), make([]byte, unix.CmsgSpace(unix.SizeofInet4Pktinfo))
	for {
		n, cn, _, from, err := h.conn.ReadMsgUDPAddrPort(buf, control)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		at, ok := arrivedAt(control[:cn])
		if err != nil || !ok || from != h.to {
			continue
		}
		h.mu.Lock()
		first := len(h.arrived) == 0
		if len(h.arrived) < maxArrived {
			h.arrived = append(h.arrived, arrival{at, append([]byte(nil), buf[:n]...)})
		} else {
			h.lost++
		}
		h.mu.Unlock()
		if first && !h.l.Post(h.take) {
			h.mu.Lock()
			h.arrived = h.arrived[:0] // the loop has ended, or has no time at all
			h.mu.Unlock()
		}
	}
}

// take gives the ports what came.
func (h *hub) take() {
	h.mu.Lock()
	work := h.arrived
	h.arrived = h.spare[:0]
	h.mu.Unlock()
	for i := range work {
		if p := h.ports[work[i].at]; p != nil {
			p.arrive(work[i].b)
		}
		work[i] = arrival{}
	}
	h.mu.Lock()
	h.spare = work
	h.mu.Unlock()
}

// arrivedAt is the address that a packet was sent to.
func arrivedAt(control []byte) (netip.Addr, bool) {
	head, data, _, err := unix.ParseOneSocketControlMessage(control)
	if err != nil || head.Level != unix.IPPROTO_IP || head.Type != unix.IP_PKTINFO || len(data) < unix.SizeofInet4Pktinfo {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(data[8:12])), true // ipi_addr of struct in_pktinfo
}

func (h *hub) send(p *Port, b []byte) {
	info := unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: p.source.As4()})
	_, _, _ = h.conn.WriteMsgUDPAddrPort(b, info, h.to)
}

func (h *hubs) close() {
	for _, h := range h.list {
		h.conn.Close()
	}
}
