package loop

import (
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
)

// perSource is how many connections one source address holds to one port before
// connect becomes slow: Linux looks through half of its ephemeral ports first, and
// from there on through all of them for each connection.
const perSource = 10_000

// maxSources bounds what a list of source addresses may hold.
const maxSources = 1 << 16

// Sources are the loopback addresses that connections to a loopback server come
// from in turn: a single one runs out of ports. Any goroutine may use it.
type Sources struct {
	list []netip.Addr
	next atomic.Uint32
}

// DefaultSources is the list for those who choose none: 127.1.0.1 to 127.1.3.255,
// without .0.
func DefaultSources() string { return "127.1.0.0/22" }

// ParseSources reads addresses and CIDR blocks, separated by commas: "127.1.0.0/22,
// 127.9.0.1". All have to lie in 127.0.0.0/8. The numbers .0 and .255 of blocks are
// left out. offset says with which to begin, so that the processes of one machine
// spread.
func ParseSources(text string, offset uint64) (*Sources, error) {
	s := &Sources{}
	for _, part := range strings.Split(text, ",") {
		if err := s.add(strings.TrimSpace(part)); err != nil {
			return nil, err
		}
	}
	s.next.Store(uint32(offset % uint64(len(s.list))))
	return s, nil
}

func (s *Sources) add(part string) error {
	p, err := netip.ParsePrefix(part)
	if err != nil {
		a, err := netip.ParseAddr(part)
		if err != nil {
			return fmt.Errorf("source address %q: write an address like 127.1.0.1 or a block like 127.1.0.0/22", part)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if !p.Addr().Is4() || p.Addr().As4()[0] != 127 || p.Bits() < 8 {
		return fmt.Errorf("source address %q is not in 127.0.0.0/8: only loopback servers are dialled from many addresses", part)
	}
	for a := p.Masked().Addr(); p.Contains(a); a = a.Next() {
		last := a.As4()[3]
		if !p.IsSingleIP() && (last == 0 || last == 255) {
			continue
		}
		if len(s.list) == maxSources {
			return fmt.Errorf("source addresses %q: more than %d; use a smaller block", part, maxSources)
		}
		s.list = append(s.list, a)
	}
	if len(s.list) == 0 {
		return fmt.Errorf("source address %q holds no address that can be used", part)
	}
	return nil
}

// pick is the next address for a connection to dst; invalid where the system chooses.
func (s *Sources) pick(dst netip.Addr) netip.Addr {
	if s == nil || !dst.Is4() || !dst.IsLoopback() {
		return netip.Addr{}
	}
	i := s.next.Add(1) - 1
	return s.list[i%uint32(len(s.list))]
}

// Len is how many addresses there are.
func (s *Sources) Len() int { return len(s.list) }

// Room is how many connections they hold to one port before connect becomes slow.
func (s *Sources) Room() int { return len(s.list) * perSource }
