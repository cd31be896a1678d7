package simnet

import (
	"net/netip"
	"sync"
	"time"
)

// stream is both ends of one connection and what lies between them. One allocation:
// idle, it is all there is.
type stream struct {
	net    *Network
	mu     sync.Mutex
	own    *Conditions // nil: the network's hold
	wires  *wires      // nil until something had to wait
	window int
	ends   [2]Conn // who dialled, who listened
}

// wires are the two directions of a stream, by the end that sends.
type wires struct{ from [2]wire }

// wire is what one end sent and the other has not got.
type wire struct {
	line
	s        *stream
	segments []segment // in the order of their arrival
	bytes    int
	waits    bool // the clock will call
	held     bool // by a Cut
}

// kind is what a segment says.
type kind uint8

const (
	data kind = iota
	finish
	reset
	accept // the stream is there: what the listener's side says first
	refuse
)

type segment struct {
	at   time.Duration
	kind kind
	b    []byte
}

// calls are the functions of Notify to be called once no lock is held. An event is
// noted once for each end and for each of reading and writing, so four are enough.
type calls struct {
	f [4]func()
	n int
}

func (k *calls) add(f func()) {
	k.f[k.n] = f
	k.n++
}

func (k *calls) do() {
	for _, f := range k.f[:k.n] {
		f()
	}
}

func (s *stream) conditions() *Conditions {
	if s.own != nil {
		return s.own
	}
	return s.net.rules.Load()
}

// side is 0 for the end that dialled, 1 for the other.
func (s *stream) side(c *Conn) int {
	if c == &s.ends[1] {
		return 1
	}
	return 0
}

func (c *Conn) peer() *Conn { return &c.s.ends[1-c.s.side(c)] }

// room is how many bytes c may send. mu is held.
func (c *Conn) room() int {
	used := c.peer().in.len()
	if c.s.wires != nil {
		used += c.s.wires.from[c.s.side(c)].bytes
	}
	return max(c.s.window-used, 0)
}

// send brings what c says on its way: to the other end at once if nothing delays it.
// mu is held.
func (s *stream) send(c *Conn, k kind, b []byte, out *calls) {
	rules := s.conditions()
	if rules.HalfOpen && (k == finish || k == reset) {
		return
	}
	var w *wire
	if s.wires != nil {
		w = &s.wires.from[s.side(c)]
	}
	if rules.instant() && (w == nil || len(w.segments) == 0) {
		s.arrive(c.peer(), k, b, out)
		return
	}
	if w == nil {
		w = s.makeWires(s.side(c))
	}
	if k == reset {
		w.segments, w.bytes = nil, 0
	}
	for {
		size := min(len(b), segmentSize)
		w.put(k, b[:size], rules)
		if b = b[size:]; len(b) == 0 {
			break
		}
	}
	w.plan(rules)
}

func (s *stream) makeWires(side int) *wire {
	s.wires = &wires{}
	for i := range s.wires.from {
		w := &s.wires.from[i]
		w.s = s
		w.chance = s.net.chanceOf(s.ends[0].seedAddr(), s.ends[1].addr, uint64(i))
	}
	return &s.wires.from[side]
}

// put queues one segment.
func (w *wire) put(k kind, b []byte, rules *Conditions) {
	at, lost := w.arrives(w.s.net.now(), len(b), rules)
	w.s.net.counters.retransmitted.Add(lost)
	w.bytes += len(b)
	if n := len(w.segments); n > 0 && k == data {
		last := &w.segments[n-1]
		if last.kind == data && last.at == at && len(last.b)+len(b) <= segmentSize {
			last.b = append(last.b, b...)
			return
		}
	}
	w.segments = append(w.segments, segment{at, k, append([]byte(nil), b...)})
}

// plan has the clock call for the first segment, unless a Cut holds it.
func (w *wire) plan(rules *Conditions) {
	switch {
	case w.waits || len(w.segments) == 0:
	case rules.Cut:
		w.hold()
	default:
		w.waits = true
		w.s.net.at(w.segments[0].at, w)
	}
}

// hold keeps what is under way until release.
func (w *wire) hold() {
	n := w.s.net
	w.held = true
	if w.s.own != nil {
		return
	}
	n.heldMu.Lock()
	defer n.heldMu.Unlock()
	n.held[w.s] = struct{}{}
	if !n.rules.Load().Cut { // it has just ended, and release has missed this one
		n.at(n.now(), dueFunc(w.s.release))
	}
}

// due is the clock's call: what has arrived is handed over.
func (w *wire) due() {
	s := w.s
	var out calls
	s.mu.Lock()
	w.waits = false
	rules := s.conditions()
	if rules.Cut {
		w.hold()
		s.mu.Unlock()
		return
	}
	to := &s.ends[0]
	if w == &s.wires.from[0] {
		to = &s.ends[1]
	}
	for now := s.net.now(); len(w.segments) > 0 && w.segments[0].at <= now; {
		first := w.segments[0]
		w.segments[0] = segment{}
		w.segments = w.segments[1:]
		w.bytes -= len(first.b)
		s.arrive(to, first.kind, first.b, &out)
	}
	if len(w.segments) == 0 {
		w.segments = nil
	}
	w.plan(rules)
	s.mu.Unlock()
	out.do()
}

// release sends on what a Cut had held: it arrives one retransmission later.
func (s *stream) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	rules := s.conditions()
	if s.wires == nil || rules.Cut {
		return
	}
	for i := range s.wires.from {
		w := &s.wires.from[i]
		if !w.held {
			continue
		}
		w.held = false
		late := s.net.now() + leastRetransmit + max(rules.Latency, 0)
		for j := range w.segments {
			w.segments[j].at = max(w.segments[j].at, late)
		}
		w.last = max(w.last, late)
		w.plan(rules)
	}
}

// arrive hands over to c what the other end said. mu is held.
func (s *stream) arrive(c *Conn, k kind, b []byte, out *calls) {
	switch k {
	case data:
		if c.fail != noFailure {
			return
		}
		if c.has(closed) && !s.conditions().HalfOpen {
			s.send(c, reset, nil, out) // nobody reads this any more
			return
		}
		c.in = s.net.blocks.add(c.in, b)
	case finish:
		c.flags |= ended
	case accept:
		if c.has(closed) {
			s.send(c, reset, nil, out)
			return
		}
		c.flags &^= connecting
		c.wakeWriter(out)
	case reset:
		s.net.counters.resets.Add(1)
		c.breaks(wasReset, out)
		return
	case refuse:
		s.net.counters.refused.Add(1)
		c.breaks(wasRefused, out)
		return
	}
	c.wakeReader(out)
}

// breaks ends what c can do. mu is held.
func (c *Conn) breaks(f failure, out *calls) {
	if c.fail != noFailure {
		return
	}
	c.fail = f
	c.flags &^= connecting
	c.drop()
	c.wakeReader(out)
	c.wakeWriter(out)
	c.peer().wakeWriter(out) // whoever waited for room learns that there is nobody
}

// drop forgets what arrived. mu is held.
func (c *Conn) drop() {
	c.s.net.blocks.put(c.in)
	c.in = nil
}

// seedAddr is what c's chance depends on: not on a port that was made up.
func (c *Conn) seedAddr() netip.AddrPort {
	if c.has(madeUpPort) {
		return netip.AddrPortFrom(c.addr.Addr(), 0)
	}
	return c.addr
}
