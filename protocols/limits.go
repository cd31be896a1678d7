package protocols

import (
	"net/netip"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/internal/turns"
)

// Accepting pauses for firstBackOff when no descriptors are left, twice as long
// each time up to longBackOff, and says so every repeatWarning.
const (
	firstBackOff  = 50 * time.Millisecond
	longBackOff   = time.Second
	repeatWarning = 10 * time.Second

	outOfDescriptors = "cannot accept connections: out of descriptors or memory; they wait in the backlog; raise the limit of open files (ulimit -n, LimitNOFILE=)"
)

// What connections hold of their first packets before they are accepted is bounded
// for all of a listener together: with max_unauthenticated of them each might
// otherwise hold max_connect_size, 1 GiB. The many share strangersBytes, but a
// CONNECT of strangerLeast, which is larger than all but a few, always fits.
const (
	strangersBytes = 16 << 20
	strangerLeast  = 4 << 10
)

// heldLimit is how many bytes may wait for the rest of their packet on one
// connection.
func (l *Listener) heldLimit(accepted bool) int {
	if accepted {
		return l.cfg.MaxPacketSize + packetSlack
	}
	share := max(strangerLeast, strangersBytes/max(1, int(l.fresh.Load())))
	return min(l.cfg.MaxPacketSize+packetSlack, l.cfg.MaxConnectSize+packetSlack, share)
}

// bucket is a token bucket: rate tokens a second, at most burst at once. A rate
// of 0 never runs empty. Safe for concurrent use.
type bucket struct {
	mu     sync.Mutex
	rate   float64
	burst  float64
	tokens float64
	last   time.Time
}

func newBucket(rate, burst int) *bucket {
	return &bucket{rate: float64(rate), burst: float64(max(burst, 1)), tokens: float64(max(burst, 1))}
}

// take takes a token, or says how long until there is one.
func (b *bucket) take(now time.Time) (wait time.Duration) {
	if b.rate == 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if passed := now.Sub(b.last).Seconds(); passed > 0 {
		b.tokens = min(b.burst, b.tokens+passed*b.rate)
		b.last = now
	}
	if b.tokens >= 1 {
		b.tokens--
		return 0
	}
	return time.Duration((1 - b.tokens) / b.rate * float64(time.Second))
}

// addresses counts the connections of each address. An address is in the table
// only while it has some, so the table is bounded by the connections.
type addresses struct {
	mu       sync.Mutex
	counts   map[netip.Addr]addressCount
	maxOpen  int // 0: open connections are not counted by address
	maxFresh int // 0: unauthenticated ones are not
}

type addressCount struct{ open, fresh uint32 }

func newAddresses(maxOpen, maxFresh int) *addresses {
	return &addresses{counts: map[netip.Addr]addressCount{}, maxOpen: maxOpen, maxFresh: maxFresh}
}

// enter counts a new connection of a, or refuses it with AddressLimit.
func (t *addresses) enter(a netip.Addr) core.Reason {
	if !a.IsValid() {
		return core.Success
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	a = turns.Block(a)
	c := t.counts[a]
	if t.maxOpen > 0 && int(c.open) >= t.maxOpen || t.maxFresh > 0 && int(c.fresh) >= t.maxFresh {
		return core.AddressLimit
	}
	c.fresh++
	if t.maxOpen > 0 {
		c.open++
	}
	t.counts[a] = c
	return core.Success
}

// accepted says that a connection of a is authenticated.
func (t *addresses) accepted(a netip.Addr) { t.change(a, 1, 0) }

// leave says that a connection of a is gone; fresh, that it never was accepted.
func (t *addresses) leave(a netip.Addr, fresh bool) {
	gone := addressCount{}
	if fresh {
		gone.fresh = 1
	}
	if t.maxOpen > 0 {
		gone.open = 1
	}
	t.change(a, gone.fresh, gone.open)
}

func (t *addresses) change(a netip.Addr, fresh, open uint32) {
	if !a.IsValid() || fresh == 0 && open == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	a = turns.Block(a)
	c := t.counts[a]
	c.fresh -= fresh
	c.open -= open
	if c == (addressCount{}) {
		delete(t.counts, a)
		return
	}
	t.counts[a] = c
}

// len is the number of addresses in the table.
func (t *addresses) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.counts)
}

// give puts back a token that was not used.
func (b *bucket) give() {
	if b.rate == 0 {
		return
	}
	b.mu.Lock()
	b.tokens = min(b.burst, b.tokens+1)
	b.mu.Unlock()
}

// tally counts the server's connections and says when the last one is gone.
type tally struct {
	mu   sync.Mutex
	open int
	idle chan struct{} // closed when open reaches 0; nil until somebody waits
}

func (t *tally) opened() {
	t.mu.Lock()
	t.open++
	t.mu.Unlock()
}

func (t *tally) closed() {
	t.mu.Lock()
	t.open--
	if t.open == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
	t.mu.Unlock()
}

func (t *tally) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open
}

// whenIdle gives a channel that is closed once no connection is open.
func (t *tally) whenIdle() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == 0 {
		done := make(chan struct{})
		close(done)
		return done
	}
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	return t.idle
}
