package protocols

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// Listener is one listener of the configuration while it is open: its settings,
// its protocol's adapter and its counters. Safe for concurrent use.
type Listener struct {
	name       string
	cfg        ListenerConfig // with defaults filled in
	adapter    Adapter
	rate       *bucket
	perAddr    *addresses
	rates      *rates // nil: none is limited
	handshakes *handshakes
	headers    *handshakes // permits to read PROXY headers: whose turns the handshakes are is not known before
	tls        atomic.Pointer[tls.Config]
	psk        atomic.Pointer[pskTable]

	open     atomic.Int64
	fresh    atomic.Int64 // open and not yet accepted by the protocol
	accepted atomic.Uint64
	closed   atomic.Uint64
	delayed  atomic.Uint64
	faults   atomic.Uint64
	queues   atomic.Int64
	refused  [core.ReasonCount]atomic.Uint64
}

func newListener(name string, cfg *ListenerConfig, adapter Adapter) *Listener {
	c := cfg.WithDefaults()
	return &Listener{
		name: name, cfg: c, adapter: adapter,
		rate:       newBucket(c.AcceptRate, c.AcceptBurst),
		rates:      newRates(&c),
		handshakes: newHandshakes(c.HandshakeWorkers),
		headers:    newHandshakes(c.HandshakeWorkers),
		perAddr:    newAddresses(c.MaxConnectionsPerAddress, c.MaxUnauthenticatedPerAddress),
	}
}

// Name is the listener's name in the configuration.
func (l *Listener) Name() string { return l.name }

// Config is the listener's settings with all defaults filled in. Read only.
func (l *Listener) Config() *ListenerConfig { return &l.cfg }

// Adapter is the protocol that is spoken here.
func (l *Listener) Adapter() Adapter { return l.adapter }

// ListenerStats are the counters of one listener.
type ListenerStats struct {
	Open            int64  // connections now
	Unauthenticated int64  // of them, not yet accepted by their protocol
	Accepted        uint64 // connections taken from the kernel
	Closed          uint64
	Delayed         uint64        // times that accepting paused: accept_rate, or no descriptors left
	Throttled       int64         // connections that are not read from now, as they send too fast
	Throttles       uint64        // times that reading from one stopped for that
	Rests           uint64        // of them, those for processor time
	Rested          time.Duration // what those came to
	Faults          uint64        // errors of receiving datagrams: ICMP and the like, which end nothing
	Queues          int64         // in which the kernel keeps connections of one address of ours until they are accepted; 0 where it keeps none
	// Refused counts by core.Reason what the edge itself ended.
	Refused [core.ReasonCount]uint64
}

// Stats gives the counters.
func (l *Listener) Stats() ListenerStats {
	s := ListenerStats{
		Open: l.open.Load(), Unauthenticated: l.fresh.Load(),
		Queues:   l.queues.Load(),
		Accepted: l.accepted.Load(), Closed: l.closed.Load(), Delayed: l.delayed.Load(), Faults: l.faults.Load(),
	}
	if l.rates != nil {
		s.Throttled, s.Throttles = l.rates.throttled.Load(), l.rates.times.Load()
		s.Rests, s.Rested = l.rates.rests.Load(), time.Duration(l.rates.rested.Load())
	}
	for i := range l.refused {
		s.Refused[i] = l.refused[i].Load()
	}
	return s
}

// enter counts a connection that was just accepted, or says why it must go. The
// address is counted by enterAddress, once it is known behind a proxy.
func (l *Listener) enter() core.Reason {
	l.accepted.Add(1)
	if l.open.Add(1) > int64(l.cfg.MaxConnections) {
		l.open.Add(-1)
		return core.ConnectionLimit
	}
	if l.fresh.Add(1) > int64(l.cfg.MaxUnauthenticated) {
		l.fresh.Add(-1)
		l.open.Add(-1)
		return core.ConnectionLimit
	}
	return core.Success
}

// leave takes back enter; fresh says that the protocol never accepted it,
// counted that its address was counted.
func (l *Listener) leave(peer netip.AddrPort, fresh, counted bool) {
	l.closed.Add(1)
	l.open.Add(-1)
	if fresh {
		l.fresh.Add(-1)
	}
	if counted {
		l.perAddr.leave(peer.Addr(), fresh)
	}
}

// settle ends the limits before authentication for one connection.
func (l *Listener) settle(peer netip.AddrPort) {
	l.fresh.Add(-1)
	l.perAddr.accepted(peer.Addr())
}

// refuse counts and explains what the edge ends by itself.
func (l *Listener) refuse(g gateway, t *core.Turn, r core.Reason, peer netip.AddrPort, detail string) {
	l.refused[r].Add(1)
	text := l.cfg.Address
	if peer.IsValid() {
		text = peer.String()
	}
	g.Refuse(t, core.Refusal{Reason: r, Listener: l.name, Peer: text, Detail: detail})
}

// gateway is what the edge needs of core.Gateway.
type gateway interface {
	NewTurn() *core.Turn
	Refuse(t *core.Turn, r core.Refusal)
}

// packetSlack is what held input may be above max_packet_size: a packet's header,
// and what one read brought of the next.
const packetSlack = readSize + 16

// errHeldTooMuch is a machine that leaves more input than a packet may have, or a
// stranger that holds more than its share.
var errHeldTooMuch = errors.New("more input waits than a packet may have, or than one of so many unauthenticated connections may hold")

// admits checks the limits for a connection that was just accepted, and counts it
// if it may stay.
func (l *Listener) admits(peer netip.AddrPort) (core.Reason, string) {
	if r := l.enter(); r != core.Success {
		return r, "too many connections"
	}
	if !l.trusts(peer) {
		l.leave(peer, true, false)
		return core.NotAuthorized, "a PROXY header is required and the address is not in proxy_trusted"
	}
	return core.Success, ""
}
