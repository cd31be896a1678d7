package protocols

import (
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// handshakes gives permits to compute what strangers ask for where that is much: the
// handshakes of TLS and DTLS, the upgrade to WebSocket. Few are computed at once, so that
// processors are left for who is in already, and the addresses that wait have their turns
// one after the other: who asks for many waits behind itself. An address is in the table
// only while it waits, so the table is bounded by the unauthenticated connections.
type handshakes struct {
	mu    sync.Mutex
	free  int
	lines map[netip.Addr]*shakers
	turns []*shakers // the same, in the order of their turns
}

// shakers are the handshakes of one address that wait, the oldest first. Those that were
// begun go before new ones: what was computed for them is lost when their time is over.
type shakers struct {
	from       netip.Addr
	begun, new []chan struct{}
}

// newHandshakes makes permits for so many at once; for 0, half of the processors.
func newHandshakes(workers int) *handshakes {
	if workers == 0 {
		workers = max(1, runtime.GOMAXPROCS(0)/2)
	}
	return &handshakes{free: workers, lines: map[netip.Addr]*shakers{}}
}

// permit is what one connection needs to compute. It belongs to the connection's reader;
// giveBack is for any goroutine.
type permit struct {
	of    *handshakes
	from  netip.Addr // as blockOf has it
	begun bool       // it had a turn before
	held  atomic.Bool
}

func (h *handshakes) permitFor(peer netip.Addr) *permit {
	return &permit{of: h, from: blockOf(peer)}
}

// take waits for the connection's turn; in vain, once done is closed.
func (p *permit) take(done <-chan struct{}) {
	given := p.of.ask(p.from, p.begun)
	p.begun = true
	select {
	case <-given:
		p.held.Store(true)
	case <-done:
		p.of.withdraw(p.from, given)
	}
}

// giveBack gives the permit to whose turn it is, if it is held.
func (p *permit) giveBack() {
	if p.held.CompareAndSwap(true, false) {
		p.of.give()
	}
}

// ask queues for a permit; the channel is closed when there is one.
func (h *handshakes) ask(from netip.Addr, begun bool) chan struct{} {
	given := make(chan struct{})
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.free > 0 { // then nobody waits
		h.free--
		close(given)
		return given
	}
	l := h.lines[from]
	if l == nil {
		l = &shakers{from: from}
		h.lines[from] = l
		h.turns = append(h.turns, l)
	}
	if begun {
		l.begun = append(l.begun, given)
	} else {
		l.new = append(l.new, given)
	}
	return given
}

// give hands a permit on.
func (h *handshakes) give() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.turns) > 0 {
		l := h.turns[0]
		h.turns[0] = nil
		h.turns = h.turns[1:]
		next := l.next()
		if len(l.begun)+len(l.new) > 0 {
			h.turns = append(h.turns, l)
		} else {
			delete(h.lines, l.from)
		}
		if next != nil {
			close(next)
			return
		}
	}
	h.free++
}

// next takes whose turn it is out of the line; nil for nobody.
func (l *shakers) next() (given chan struct{}) {
	for _, line := range []*[]chan struct{}{&l.begun, &l.new} {
		if q := *line; len(q) > 0 {
			given, q[0] = q[0], nil
			*line = q[1:]
			return given
		}
	}
	return nil
}

// withdraw leaves the line, or gives back what was given meanwhile.
func (h *handshakes) withdraw(from netip.Addr, given chan struct{}) {
	h.mu.Lock()
	if l := h.lines[from]; l != nil {
		same := func(o chan struct{}) bool { return o == given }
		l.begun, l.new = slices.DeleteFunc(l.begun, same), slices.DeleteFunc(l.new, same)
	}
	h.mu.Unlock()
	select {
	case <-given:
		h.give()
	default:
	}
}
