package protocols

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"

	"golang.org/x/sys/unix"
)

// acceptQueues is how many listening sockets share an address, a power of two. In the
// kernel's one queue for an address whoever connects waits behind all who came before,
// thousands if somebody means harm. So there are several, and which one a connection
// waits in is said by where it comes from: who floods fills its own, and is alone when
// that runs over. A /64 of IPv6 is one address, as it is for the limits.
const (
	acceptQueues = 1 << acceptBits
	acceptBits   = 4
)

// strangerLines is how many lines strangers wait in that were accepted and said something:
// more, as they cost nothing.
const (
	strangerLines = 1 << lineBits
	lineBits      = 6
)

// steering is how addresses are spread over the queues. Its numbers are drawn anew by
// each process, so that nobody knows whose queue is whose.
type steering struct{ seed, first, second uint32 }

func newSteering() steering {
	return steering{rand.Uint32(), rand.Uint32() | 1, rand.Uint32() | 1}
}

// lineOf is the line of an address; of the queues the program computes the same, with
// fewer bits.
func (s steering) lineOf(from netip.Addr) int { return int(s.hash(from) >> (32 - lineBits)) }

func (s steering) hash(from netip.Addr) uint32 {
	var x uint32
	if from = from.Unmap(); from.Is4() {
		b := from.As4()
		x = binary.BigEndian.Uint32(b[:])
	} else {
		b := from.As16()
		x = binary.BigEndian.Uint32(b[:])*s.second ^ binary.BigEndian.Uint32(b[4:])
	}
	x = (x ^ s.seed) * s.first
	return (x ^ x>>15) * s.second
}

// Where the network header begins, for a program of the kernel's classic filter, and
// where in it the source address is.
const (
	ofHeader = 0xFFF00000 // SKF_NET_OFF
	sourceV4 = ofHeader + 12
	sourceV6 = ofHeader + 8
)

// program chooses the queue. It needs no privilege.
func (s steering) program() []unix.SockFilter {
	stmt := func(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }
	const (
		load     = unix.BPF_LD | unix.BPF_ABS
		multiply = unix.BPF_ALU | unix.BPF_MUL | unix.BPF_K
		xor      = unix.BPF_ALU | unix.BPF_XOR | unix.BPF_K
		xorX     = unix.BPF_ALU | unix.BPF_XOR | unix.BPF_X
		shift    = unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K
		toX      = unix.BPF_MISC | unix.BPF_TAX
	)
	return []unix.SockFilter{
		stmt(load|unix.BPF_B, ofHeader),
		stmt(shift, 4),
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 6, Jt: 2},
		stmt(load|unix.BPF_W, sourceV4),
		stmt(unix.BPF_JMP|unix.BPF_JA, 5),
		stmt(load|unix.BPF_W, sourceV6),
		stmt(multiply, s.second),
		stmt(toX, 0),
		stmt(load|unix.BPF_W, sourceV6+4),
		stmt(xorX, 0),
		stmt(xor, s.seed),
		stmt(multiply, s.first),
		stmt(unix.BPF_ST, 0),
		stmt(shift, 15),
		stmt(toX, 0),
		stmt(unix.BPF_LD|unix.BPF_MEM, 0),
		stmt(xorX, 0),
		stmt(multiply, s.second),
		stmt(shift, 32-acceptBits),
		stmt(unix.BPF_RET|unix.BPF_A, 0),
	}
}

// attach has the kernel run the program for the group of sockets to which fd belongs.
func (s steering) attach(fd int) error {
	p := s.program()
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]})
	if err != nil {
		return fmt.Errorf("SO_ATTACH_REUSEPORT_CBPF: %w", err)
	}
	return nil
}

// share lets sockets that are opened from now on share the port of fd. It is said once
// fd listens, and so the port was free: a second gateway on it must be told so.
func share(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return fmt.Errorf("SO_REUSEPORT: %w", err)
	}
	return nil
}

// steers tells whether the kernel knows all that, by trying it on a socket that nobody
// can connect to.
func steers() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	if err := share(fd); err != nil {
		return err
	}
	return newSteering().attach(fd)
}

// queues opens the others of a group of which first listens already. On an error first
// goes on alone.
func queues[S any](first S, open func() (S, error), do func(S, func(fd int) error) error, closing func(S)) (all []S, err error) {
	all = []S{first}
	if err := steers(); err != nil {
		return all, err
	}
	defer func() {
		if err != nil {
			for _, s := range all[1:] {
				closing(s)
			}
			all = all[:1]
		}
	}()
	if err := do(first, share); err != nil {
		return all, err
	}
	for len(all) < acceptQueues {
		s, err := open()
		if err != nil {
			return all, err
		}
		all = append(all, s)
	}
	return all, do(first, newSteering().attach)
}

// divided notes in how many queues the connections of an address wait, and says so if
// it is one for all.
func (l *Listener) divided(log *slog.Logger, n int, err error) {
	l.queues.Store(int64(n))
	if err != nil {
		log.Info("connections from everywhere wait in one queue until they are accepted: who floods the port delays all others; a Linux kernel from 4.6 on keeps them apart by address",
			"listener", l.name, "error", err)
	}
}
