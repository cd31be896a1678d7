package protocols

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/fairlead-iot/fairlead/core"
)

// dgramConn is one peer's connection over datagrams. An idle one is this struct, its
// slot in the port's tables, and the machine.
type dgramConn struct {
	// The outgoing side, behind mu, from any goroutine. phase changes under mu and in
	// the port, so the port reads it without.
	mu     sync.Mutex
	out    *dgramQueue // datagrams that wait to be sent; nil for none
	budget uint32      // bytes that may still be sent before the peer is proven
	phase  uint8
	ready  bool // the client was accepted: Output may run
	proven bool // the peer is where its address says
	asked  bool // the port was asked to go on with the output

	// The port's own.
	accepted bool
	paused   bool // the machine waits for Complete
	dirty    bool // in port.dirty
	rung     bool // an alarm came while it was paused

	stopping atomic.Bool
	slot     uint32
	hash     uint32
	timer    uint32 // ticks asked for before the client was accepted
	round    uint16 // the last in which it was served
	dealt    uint8  // how many of its datagrams were in that
	machine  Machine
	port     *port
	local    *localAddr
	meter    *meter // its part in the listener's rates; nil where there are none
	in       *held  // datagrams that came while it was paused, each behind its length
	session  *dtlsSession
	node     string
	peer     netip.AddrPort
}

const (
	// heldDatagrams bounds the bytes that wait while a machine pauses; each counts its
	// length and two more.
	heldDatagrams = 8 << 10
	// heldUnproven bounds the bytes that wait until more may be sent to an address
	// that is not proven.
	heldUnproven = 2 << 10
)

var _ core.Conn = (*dgramConn)(nil)

// Peer implements core.Conn.
func (c *dgramConn) Peer() netip.AddrPort { return c.peer }

// Complete implements core.Conn.
func (c *dgramConn) Complete(done core.Completion) {
	c.port.post(func(p *port) { c.complete(p, done) })
}

// Close implements core.Conn.
func (c *dgramConn) Close(r core.Reason) {
	if c.stopping.CompareAndSwap(false, true) {
		c.port.post(func(p *port) { c.stop(p, r) })
	}
}

// receive takes one datagram, which had size bytes on its way.
func (c *dgramConn) receive(p *port, message []byte, size int) {
	if c.phase != phaseOpen {
		return
	}
	if !c.proven {
		c.mu.Lock()
		c.budget = min(c.budget+uint32(size)*AmplificationFactor, 1<<30)
		if c.out != nil {
			c.mark(p)
		}
		c.mu.Unlock()
	}
	if c.paused {
		c.hold(p, message)
		return
	}
	if c.accepted {
		p.timers.touch(c.slot)
	}
	c.feed(p, message)
}

// hold keeps a datagram until the machine goes on.
func (c *dgramConn) hold(p *port, message []byte) {
	have := 0
	if c.in != nil {
		have = len(c.in.b)
	}
	if have+2+len(message) > min(heldDatagrams, p.listener.heldLimit(c.accepted)) {
		p.refuse(core.InputOverflow, c.peer, "datagrams came while the gateway worked on an earlier one")
		return
	}
	var head [2]byte
	binary.BigEndian.PutUint16(head[:], uint16(len(message)))
	if c.in == nil {
		c.in = p.engine.pools.helds.room(2 + len(message))
	}
	c.in = p.engine.pools.helds.grow(c.in, 2+len(message))
	c.in.b = append(append(c.in.b, head[:]...), message...)
}

func (c *dgramConn) feed(p *port, message []byte) {
	p.act.Reset()
	may := c.allow(p)
	c.machine.Input(p.turn, message, &p.act)
	if c.meter != nil {
		p.listener.rates.take(c.meter, may-p.act.Messages, len(message))
	}
	c.apply(p)
}

// allow tells the machine how many messages it may take. Not to read would be of no use
// here: what one peer sends stands in the way of all others, and the network has no
// patience. So the machine refuses, in its protocol's words.
func (c *dgramConn) allow(p *port) (messages int) {
	r := p.listener.rates
	if r == nil {
		return 0
	}
	if c.meter == nil {
		c.meter = &meter{}
	}
	if r.judge(c.meter, p.now.UnixNano()) == mayRead {
		messages = r.messages(c.meter, true)
	}
	p.act.Limited, p.act.Messages = true, messages
	return messages
}

// apply does what the machine wants, as p.act says.
func (c *dgramConn) apply(p *port) {
	a := &p.act
	if a.Proven && !c.proven {
		c.mu.Lock()
		c.proven = true
		c.mu.Unlock()
		c.mark(p)
	}
	if len(a.Out) > 0 {
		c.queue(p, a)
	}
	if a.Accepted && !c.accepted {
		c.welcome(p)
	}
	if a.SetTimer {
		c.timer = ticks(a.Timer)
		if c.accepted {
			p.timers.set(c.slot, c.timer)
		}
	}
	if a.SetAlarm {
		p.alarms.set(c.slot, alarmTicks(a.Alarm))
	}
	if a.Pause {
		c.paused = true
	}
	if a.Close {
		c.end(p, a.Reason)
	}
}

// queue puts the machine's replies in front of what Output gives later.
func (c *dgramConn) queue(p *port, a *Actions) {
	dropped := 0
	c.mu.Lock()
	if c.out == nil {
		c.out = p.engine.queues.get()
	}
	eachDatagram(a.Out, a.ends, func(d []byte) {
		if !c.proven && len(c.out.b)+len(d) > max(heldUnproven, int(c.budget)) {
			dropped++
			return
		}
		c.out.add(d)
	})
	c.mu.Unlock()
	for range dropped {
		p.refuse(core.AmplificationLimit, c.peer, "more replies than may wait until the address is proven")
	}
	if cap(a.Out) > readSize {
		a.Out = nil
	}
	c.mark(p)
}

// mark has c's output sent at the turn's end.
func (c *dgramConn) mark(p *port) {
	if !c.dirty {
		c.dirty = true
		p.dirty = append(p.dirty, c)
	}
}

// welcome ends the limits before authentication. From here on Output may run: what the
// machine says of the acceptance is queued already, so it goes first.
func (c *dgramConn) welcome(p *port) {
	c.accepted = true
	p.listener.settle(c.peer)
	p.timers.set(c.slot, c.timer)
	c.mu.Lock()
	c.ready = true
	c.mu.Unlock()
	c.mark(p)
}

// complete gives the machine a late result, then goes on with its input.
func (c *dgramConn) complete(p *port, done core.Completion) {
	p.act.Reset()
	if c.phase != phaseOpen {
		if done.Op == core.OpConnect { // core has a session for a client that left
			c.machine.Complete(p.turn, done, &p.act)
			p.more = true
		}
		return
	}
	c.paused = false
	c.machine.Complete(p.turn, done, &p.act)
	c.apply(p)
	c.proceed(p)
}

// proceed feeds what came while c was paused.
func (c *dgramConn) proceed(p *port) {
	if c.phase != phaseOpen || c.paused {
		return
	}
	if c.accepted {
		p.timers.touch(c.slot)
	}
	if c.rung {
		c.rung = false
		c.tick(p)
	}
	h := c.in
	c.in = nil
	if h == nil {
		return
	}
	for b := h.b; len(b) > 0; {
		n := 2 + int(binary.BigEndian.Uint16(b))
		c.receive(p, b[2:n], 0) // paused again: it is held again, in its order
		b = b[n:]
	}
	p.engine.pools.helds.put(h)
}

// quiet is the lazy timer's call.
func (c *dgramConn) quiet(p *port) {
	switch {
	case c.paused:
		// The client waits for us: its silence is not its fault.
	case !c.accepted:
		p.refuse(core.ConnectTimeout, c.peer, "nothing that the protocol accepts within connect_timeout")
		c.end(p, core.ConnectTimeout)
	default:
		c.tick(p)
	}
}

// ring is the alarm's call.
func (c *dgramConn) ring(p *port) {
	if c.paused {
		c.rung = true
		return
	}
	c.tick(p)
}

func (c *dgramConn) tick(p *port) {
	if c.phase != phaseOpen {
		return
	}
	p.act.Reset()
	c.machine.Tick(p.turn, &p.act)
	c.apply(p)
}

// stop ends the connection for the gateway, in the protocol's own words.
func (c *dgramConn) stop(p *port, r core.Reason) {
	if c.phase != phaseOpen {
		return
	}
	p.act.Reset()
	c.machine.Stop(p.turn, r, &p.act)
	p.act.Close, p.act.Reason = true, r
	c.apply(p)
}

// end takes the machine's leave. What was queued still goes out at the turn's end; to
// the peer's next datagram it is a stranger.
func (c *dgramConn) end(p *port, r core.Reason) {
	if c.phase != phaseOpen {
		return
	}
	c.mu.Lock()
	c.phase = phaseLinger
	c.mu.Unlock()
	if c.in != nil {
		p.engine.pools.helds.put(c.in)
		c.in = nil
	}
	p.forget(c)
	c.mark(p)
	c.machine.Closed(p.turn, r)
	p.more = true // its end may have touched others: a Will, a shared group
}
