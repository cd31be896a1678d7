package simnet

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// Conditions are how a network, a stream or a socket treats what passes. The zero
// value delivers everything at once.
type Conditions struct {
	Latency   time.Duration // one way
	Jitter    time.Duration // up to so much more, evenly distributed; order is kept
	Loss      float64       // 0 to 1; of streams: the segment comes one or more retransmission times late
	Duplicate float64       // 0 to 1; datagrams only
	Reorder   float64       // 0 to 1: later ones overtake it; datagrams only
	Bandwidth int           // bytes per second and direction; 0: no limit
	// Cut lets nothing pass. Streams keep what was sent until the cut ends;
	// datagrams are lost.
	Cut bool
	// HalfOpen keeps the end of a stream from the other side: a close or reset is not
	// told, as when a device loses its power. What the other side still writes fills
	// the window and then waits.
	HalfOpen bool
}

// instant tells whether everything passes at once and unharmed.
func (k *Conditions) instant() bool {
	return k.Latency <= 0 && k.Jitter <= 0 && k.Loss <= 0 && k.Duplicate <= 0 && k.Reorder <= 0 && k.Bandwidth <= 0 && !k.Cut
}

// Stats count what a network did to its traffic.
type Stats struct {
	Dials           uint64 // streams that were asked for
	Refused         uint64 // of them, where nobody listened
	BacklogOverflow uint64 // tries to connect that found the backlog full; they are repeated
	Resets          uint64 // ends of streams that were told of a reset
	Retransmitted   uint64 // segments of streams that came late by Loss
	Datagrams       uint64 // sent
	Lost            uint64 // of them, by Loss or Cut
	Duplicated      uint64
	Reordered       uint64
	QueueOverflow   uint64 // datagrams that found the receiver's queue full
	WireOverflow    uint64 // datagrams that found the sender's line full (Bandwidth, Latency)
	Unreachable     uint64 // datagrams to an address where nobody listens
}

// counters are the live form of Stats.
type counters struct {
	dials, refused, backlogOverflow, resets, retransmitted atomic.Uint64
	datagrams, lost, duplicated, reordered, queueOverflow  atomic.Uint64
	wireOverflow, unreachable                              atomic.Uint64
}

// Stats gives the counters.
func (n *Network) Stats() Stats {
	c := &n.counters
	return Stats{
		Dials: c.dials.Load(), Refused: c.refused.Load(), BacklogOverflow: c.backlogOverflow.Load(),
		Resets: c.resets.Load(), Retransmitted: c.retransmitted.Load(), Datagrams: c.datagrams.Load(),
		Lost: c.lost.Load(), Duplicated: c.duplicated.Load(), Reordered: c.reordered.Load(),
		QueueOverflow: c.queueOverflow.Load(), WireOverflow: c.wireOverflow.Load(), Unreachable: c.unreachable.Load(),
	}
}

// chance is a sequence of random numbers (splitmix64): eight bytes of state, as
// there is one for each stream.
type chance uint64

func (c *chance) next() uint64 {
	*c += 0x9e3779b97f4a7c15
	z := uint64(*c)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// hits is true with probability p.
func (c *chance) hits(p float64) bool {
	return p > 0 && float64(c.next()>>11)/(1<<53) < p
}

// upTo gives a duration from 0 to d.
func (c *chance) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(c.next() % uint64(d+1))
}

// chanceOf begins a sequence that depends on the seed, the addresses and the time,
// and not on what else happens in the network.
func (n *Network) chanceOf(from, to netip.AddrPort, direction uint64) chance {
	c := chance(n.seed + direction)
	mix := func(v uint64) { c = chance(c.next() ^ v) }
	for _, a := range []netip.AddrPort{from, to} {
		b := a.Addr().As16()
		for i := 0; i < 16; i += 8 {
			var v uint64
			for _, x := range b[i : i+8] {
				v = v<<8 | uint64(x)
			}
			mix(v)
		}
		mix(uint64(a.Port()))
	}
	mix(uint64(n.now()))
	return c
}

const (
	// segmentSize is how much of a stream is lost or delayed as one.
	segmentSize = 1460
	// leastRetransmit is how late a lost segment comes at least.
	leastRetransmit = 200 * time.Millisecond
	// mostRetransmits bounds how often one segment is lost.
	mostRetransmits = 8
	// leastOvertaking is how late a reordered datagram comes at least.
	leastOvertaking = time.Millisecond
)

// line is one direction of a stream or what a socket sends: when it is free, when
// the last came, and its chance.
type line struct {
	chance chance
	free   time.Duration // when the last byte of what was sent has left (Bandwidth)
	last   time.Duration // when the last one in order arrives
}

// departs gives when size bytes have left.
func (l *line) departs(now time.Duration, size int, k *Conditions) time.Duration {
	if k.Bandwidth <= 0 {
		return now
	}
	l.free = max(now, l.free) + time.Duration(float64(size)/float64(k.Bandwidth)*float64(time.Second))
	return l.free
}

// arrives gives when a segment of size bytes is there, behind all before it, and how
// often it was lost on the way.
func (l *line) arrives(now time.Duration, size int, k *Conditions) (at time.Duration, lost uint64) {
	at = l.departs(now, size, k) + max(k.Latency, 0) + l.chance.upTo(k.Jitter)
	again := max(leastRetransmit, 2*k.Latency)
	for lost < mostRetransmits && l.chance.hits(k.Loss) {
		at += again
		again *= 2
		lost++
	}
	l.last = max(l.last, at)
	return l.last, lost
}
