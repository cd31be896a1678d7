package protocols

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// alarmTick is the resolution of Actions.Alarm.
const alarmTick = 20 * time.Millisecond

// port is one UDP socket and all connections of the peers that the kernel steers to
// it. Its goroutine reads batches of datagrams, hands them to machines, and sends
// what the turn touched. Everything here is that goroutine's, but for the fields
// behind mu and the atomics; of its connections others only touch the outgoing side.
type port struct {
	engine   *datagrams
	listener *Listener
	adapter  DatagramAdapter
	socket   datagramSocket
	guard    *dtlsGuard // nil for plain UDP
	voice    *port      // of a group's socket: by whose answers leave; nil for others
	beacon   *beaconer  // nil for none

	turn      *core.Turn
	box       *outbox // the turn's
	act       Actions
	info      ConnInfo // of Meet
	now       time.Time
	more      bool // work is left for the next turn
	round     uint16
	quit      bool
	accepting bool
	given     chan struct{} // of a socket that ServePacket brought: closed at the end

	peers  peerTable
	slots  []*dgramConn
	free   []uint32
	open   int
	swept  int
	timers wheel // by ticks of tickLength
	alarms wheel // by ticks of alarmTick
	dirty  []*dgramConn

	answers answerLimit
	hushed  hush

	aside sentAside

	mu       sync.Mutex
	posted   []func(*port)
	spare    []func(*port)
	sleeping bool
	ended    bool
	until    time.Time // deadline of the socket
}

func newPort(e *datagrams, ln *Listener, s datagramSocket) *port {
	return &port{engine: e, listener: ln, adapter: ln.adapter.(DatagramAdapter), socket: s, accepting: true, peers: newPeerTable()}
}

// past wakes whoever waits for a deadline.
func past() time.Time { return time.Unix(1, 0) }

// post has f run in the port; false once it has ended. Any goroutine; never blocks.
func (p *port) post(f func(*port)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	p.posted = append(p.posted, f)
	if p.sleeping {
		p.sleeping = false
		p.until = past()
		p.socket.deadline(p.until)
	}
	return true
}

// run is the port until quit.
func (p *port) run() {
	p.turn = p.engine.gateway.NewTurn()
	p.box = boxOf(p.turn)
	for !p.quit {
		in, err := p.wait()
		p.now = time.Now()
		p.turn.Begin(p.now)
		p.setClocks()
		p.intake(in)
		p.runPosted()
		p.fire()
		p.announce()
		p.settle()
		p.suffer(err)
	}
	p.abandon()
}

// wait gives what came, and sleeps while there is nothing to do.
func (p *port) wait() ([]inItem, error) {
	p.mu.Lock()
	if p.more || len(p.posted) > 0 {
		p.mu.Unlock()
		return p.socket.receive(false)
	}
	if until := p.due(); !until.Equal(p.until) {
		p.until = until
		p.socket.deadline(until)
	}
	p.sleeping = true
	p.mu.Unlock()
	in, err := p.socket.receive(true)
	p.mu.Lock()
	p.sleeping = false
	p.mu.Unlock()
	return in, err
}

// due is when the first timer may fire; zero for never.
func (p *port) due() time.Time {
	at := time.Time{}
	for _, w := range []struct {
		*wheel
		tick time.Duration
	}{{&p.timers, tickLength}, {&p.alarms, alarmTick}} {
		if ticks, ok := w.next(); ok {
			t := p.engine.born.Add(time.Duration(w.now+ticks-1) * w.tick)
			if at.IsZero() || t.Before(at) {
				at = t
			}
		}
	}
	if b := p.beacon; b != nil && !b.at.IsZero() && (at.IsZero() || b.at.Before(at)) {
		at = b.at
	}
	return at
}

func (p *port) setClocks() {
	since := p.now.Sub(p.engine.born)
	p.timers.clock = uint32(since/tickLength) + 1
	p.alarms.clock = uint32(since/alarmTick) + 1
}

// suffer deals with an error of receiving.
func (p *port) suffer(err error) {
	switch {
	case err == nil:
	case errors.Is(err, net.ErrClosed):
		p.quit = true
	default:
		// What ICMP says of somebody is no reason to leave the others; a socket that
		// only fails must not spin.
		if n := p.listener.faults.Add(1); n%receiveBatch == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

func (p *port) runPosted() {
	p.mu.Lock()
	work := p.posted
	p.posted = p.spare[:0]
	p.mu.Unlock()
	for i, f := range work {
		work[i] = nil
		f(p)
	}
	if cap(work) > 4096 {
		work = nil
	}
	p.spare = work
}

// fire calls whose timers are due. Timers come after input: what waited in the kernel
// while the port was busy is activity.
func (p *port) fire() {
	for _, slot := range p.timers.advance(p.timers.clock) {
		if c := p.slots[slot]; c != nil {
			c.quiet(p)
		}
	}
	for _, slot := range p.alarms.advance(p.alarms.clock) {
		p.alarms.set(slot, 0)
		if c := p.slots[slot]; c != nil {
			c.ring(p)
		}
	}
}

// settle ends the turn: what it touched is sent.
func (p *port) settle() {
	p.aside.moveTo(p.turn, p)
	p.more = p.turn.Flush(flushBatch)
	for i := 0; i < len(p.dirty); i++ {
		c := p.dirty[i]
		p.dirty[i] = nil
		c.dirty = false
		c.push(p.turn)
	}
	p.dirty = p.dirty[:0]
	p.box.Send(p.turn)
	if !p.more {
		// What was sent may have left something to commit.
		p.more = p.turn.Flush(flushBatch)
	}
}

// flushBatch is how many connections are woken before input is looked at again.
const flushBatch = 256

// intake hands what came to whom it is for.
func (p *port) intake(in []inItem) {
	if len(in) == 0 {
		return
	}
	size := 0
	for i := range in {
		size += in[i].size
	}
	if p.guard != nil {
		p.guard.records(p, in)
	} else {
		p.deal(in)
	}
	p.turn.Count(core.ReadCalls, 1)
	p.turn.Count(core.BytesReceived, uint64(size))
}

// datagram is one of plain UDP.
func (p *port) datagram(it *inItem) {
	node, message := p.adapter.Split(it.b)
	h := p.peers.hash(it.from, node)
	group := p.groups(it)
	if c := p.find(h, it.from, node); c != nil && !group {
		c.receive(p, message, len(it.b))
		return
	}
	p.meet(it, h, node, message, group)
}

func (p *port) find(h uint32, from netip.AddrPort, node []byte) *dgramConn {
	slot, ok := p.peers.find(h, func(slot uint32) bool {
		c := p.slots[slot]
		return c.peer == from && c.node == string(node)
	})
	if !ok {
		return nil
	}
	return p.slots[slot]
}

// meet lets the adapter decide about a peer without a connection. What was sent to a
// group never makes one.
func (p *port) meet(it *inItem, h uint32, node, message []byte, group bool) {
	if !p.accepting {
		return
	}
	p.info = ConnInfo{Listener: p.listener, Peer: it.from, Local: p.localOf(it.local), Node: string(node)}
	p.act.Reset()
	open := p.adapter.Meet(p.turn, &p.info, message, &p.act)
	if len(p.act.Out) > 0 {
		p.answer(it)
	}
	if !open || group {
		return
	}
	if c := p.admit(h, &p.info, it.local); c != nil {
		c.receive(p, message, len(it.b))
	}
}

// answer sends what Meet left, as far as the limits allow.
func (p *port) answer(it *inItem) {
	if !p.answers.take(&p.peers, it.from.Addr(), p.now, p.listener.cfg.UDP.AnswerRate) {
		p.refuse(core.MessageRateTooHigh, it.from, "more answers to one address than udp.answer_rate")
		return
	}
	left := AmplificationFactor * len(it.b)
	eachDatagram(p.act.Out, p.act.ends, func(d []byte) {
		if left -= len(d); left < 0 {
			p.refuse(core.AmplificationLimit, it.from, "an answer of more than three times the request")
			return
		}
		p.box.add(cmp.Or(p.voice, p), it.from, it.local, d)
	})
	if p.box.full() {
		p.box.Send(p.turn)
	}
}

// eachDatagram calls f with each of the datagrams that ends divides b into.
func eachDatagram(b []byte, ends []int, f func(d []byte)) {
	at := 0
	for _, end := range ends {
		if end > at {
			f(b[at:end])
			at = end
		}
	}
	if at < len(b) {
		f(b[at:])
	}
}

// localOf is the address of ours that a datagram came to.
func (p *port) localOf(l *localAddr) netip.AddrPort {
	own := netAddrPort(p.socket.addr())
	if l == nil {
		return own
	}
	return netip.AddrPortFrom(l.addr, own.Port())
}

// admit makes the connection of a peer, if the limits allow one more.
func (p *port) admit(h uint32, info *ConnInfo, local *localAddr) *dgramConn {
	if !p.mayEnter(info.Peer) {
		return nil
	}
	p.engine.tally.opened()
	c := &dgramConn{port: p, hash: h, peer: info.Peer, node: info.Node, local: local}
	p.enroll(c)
	keep := *info
	c.machine = p.adapter.NewMachine(&keep, c)
	return c
}

// mayEnter counts one more connection of peer, or refuses it.
func (p *port) mayEnter(peer netip.AddrPort) bool {
	ln := p.listener
	if ln.rate.take(p.now) > 0 {
		// There is no backlog: who gets no answer repeats.
		ln.delayed.Add(1)
		p.refuse(core.ConnectionRateExceeded, peer, "more new clients than accept_rate")
		return false
	}
	if r, detail := ln.admits(peer); r != core.Success {
		p.refuse(r, peer, detail)
		return false
	}
	if r := ln.perAddr.enter(peer.Addr()); r != core.Success {
		ln.leave(peer, true, false)
		p.refuse(r, peer, "too many connections of this address")
		return false
	}
	return true
}

// enroll gives c its slot in all tables.
func (p *port) enroll(c *dgramConn) {
	if n := len(p.free); n > 0 {
		c.slot = p.free[n-1]
		p.free = p.free[:n-1]
	} else {
		c.slot = uint32(len(p.slots))
		p.slots = append(p.slots, nil)
		p.timers.grow(len(p.slots))
		p.alarms.grow(len(p.slots))
	}
	p.slots[c.slot] = c
	p.open++
	if c.session == nil {
		p.peers.add(c.hash, c.slot)
	}
	p.timers.set(c.slot, ticks(p.listener.cfg.ConnectTimeout))
	p.turn.Count(core.ConnectionsAccepted, 1)
}

// forget takes c out of all tables.
func (p *port) forget(c *dgramConn) {
	p.timers.set(c.slot, 0)
	p.alarms.set(c.slot, 0)
	p.slots[c.slot] = nil
	p.free = append(p.free, c.slot)
	p.open--
	if c.session == nil {
		p.peers.remove(c.hash, c.slot)
	}
	p.turn.Count(core.ConnectionsClosed, 1)
	p.listener.leave(c.peer, !c.accepted, true)
	p.engine.tally.closed()
}

// refuse counts what the edge does not take, and explains some of it: floods must not
// cost a record each.
func (p *port) refuse(r core.Reason, peer netip.AddrPort, detail string) {
	if p.hushed.allows(p.now) {
		p.listener.refuse(p.engine.gateway, p.turn, r, peer, detail)
		return
	}
	p.listener.refused[r].Add(1)
	p.turn.CountReason(r, 1)
}

func (p *port) stopSome(n int, r core.Reason) (stopped int) {
	for ; p.swept < len(p.slots) && stopped < n; p.swept++ {
		if c := p.slots[p.swept]; c != nil {
			c.stop(p, r)
			stopped++
		}
	}
	return stopped
}

// abandon closes everything without goodbye.
func (p *port) abandon() {
	for again := true; again; {
		p.runPosted()
		p.mu.Lock()
		again = len(p.posted) > 0
		p.ended = !again
		p.mu.Unlock()
	}
	for _, c := range p.slots {
		if c != nil {
			c.end(p, core.ServerShuttingDown)
		}
	}
	p.settle()
	if p.guard != nil {
		for _, s := range p.guard.byID {
			s.lose(p)
		}
	}
	p.turn.End()
	p.turn.Close()
	p.socket.close()
	if p.given != nil {
		p.engine.ended(p)
	}
}
