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
	queue turns.Queue[waiter]
}

// waiter is who waits for a permit.
type waiter interface {
	// given says that the permit is there. It does not block.
	given()
}

// ticket is a waiter whose goroutine waits, too.
type ticket chan struct{}

func (t ticket) given() { close(t) }

// newHandshakes makes permits for so many at once; for 0, half of the processors.
func newHandshakes(workers int) *handshakes {
	if workers == 0 {
		workers = max(1, runtime.GOMAXPROCS(0)/2)
	}
	return &handshakes{free: workers}
}

// turn is how a stranger of the pump comes to compute. It is its reader's.
type turn interface {
	// await gives the permit back, and waits until something came, then for a permit.
	await(s *socket) error
	// take waits for a permit only; in vain, once done is closed.
	take(done <-chan struct{})
	giveBack()
	// leave gives the permit back for good.
	leave()
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

// await implements turn: the goroutine waits for what comes, and leaves it in the kernel.
func (p *permit) await(s *socket) error {
	p.giveBack()
	if err := s.await(); err != nil {
		return err
	}
	p.take(nil)
	return nil
}

// leave implements turn.
func (p *permit) leave() { p.giveBack() }

// giveBack gives the permit to whose turn it is, if it is held.
func (p *permit) giveBack() {
	if p.held.CompareAndSwap(true, false) {
		p.of.give()
	}
}

// ask queues for a permit; the channel is closed when there is one.
func (h *handshakes) ask(from netip.Addr, begun bool) chan struct{} {
	t := make(ticket)
	h.line(from, t, begun)
	return t
}

// line has w wait in the line of its address; in front, if it was begun.
func (h *handshakes) line(from netip.Addr, w waiter, begun bool) {
	h.mu.Lock()
	if h.free == 0 {
		h.queue.Add(from, w, begun)
		h.mu.Unlock()
		return
	}
	h.free-- // and nobody waits
	h.mu.Unlock()
	w.given()
}

// give hands a permit on.
func (h *handshakes) give() {
	h.mu.Lock()
	next, ok := h.queue.Next()
	if !ok {
		h.free++
	}
	h.mu.Unlock()
	if ok {
		next.given()
	}
}

// withdraw leaves the line, or gives back what was given meanwhile.
func (h *handshakes) withdraw(from netip.Addr, given chan struct{}) {
	h.mu.Lock()
	left := h.queue.Remove(from, func(w waiter) bool { return w == ticket(given) })
	h.mu.Unlock()
	if !left {
		<-given // it was on its way
		h.give()
	}
}
