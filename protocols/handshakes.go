package protocols

import (
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/fairlead-iot/fairlead/internal/turns"
)

// handshakes gives permits to compute what strangers ask for where that is much: the
// handshakes of TLS and DTLS, the upgrade to WebSocket. Few are computed at once, so that
// processors are left for who is in already, and the addresses that wait have their turns
// one after the other: who asks for many waits behind itself. In the line of one address,
// those that were begun go before new ones: what was computed for them is lost when their
// time is over. What waits is bounded by the unauthenticated connections.
type handshakes struct {
	mu    sync.Mutex
	free  int
	queue turns.Queue[chan struct{}]
}

// newHandshakes makes permits for so many at once; for 0, half of the processors.
func newHandshakes(workers int) *handshakes {
	if workers == 0 {
		workers = max(1, runtime.GOMAXPROCS(0)/2)
	}
	return &handshakes{free: workers}
}

// permit is what one connection needs to compute. It belongs to the connection's reader;
// giveBack is for any goroutine.
type permit struct {
	of    *handshakes
	from  netip.Addr
	begun bool // it had a turn before
	held  atomic.Bool
}

func (h *handshakes) permitFor(peer netip.Addr) *permit {
	return &permit{of: h, from: peer}
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
	h.queue.Add(from, given, begun)
	return given
}

// give hands a permit on.
func (h *handshakes) give() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if next, ok := h.queue.Next(); ok {
		close(next)
	} else {
		h.free++
	}
}

// withdraw leaves the line, or gives back what was given meanwhile.
func (h *handshakes) withdraw(from netip.Addr, given chan struct{}) {
	h.mu.Lock()
	h.queue.Remove(from, func(o chan struct{}) bool { return o == given })
	h.mu.Unlock()
	select {
	case <-given:
		h.give()
	default:
	}
}
