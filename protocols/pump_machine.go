package protocols

import (
	"errors"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// feed gives b to the machine and keeps what it does not take. input is held, as
// in all of this file but for what says otherwise.
func (c *pumpConn) feed(b []byte) {
	c.unfed = false
	if c.machine == nil || c.over() {
		return
	}
	c.act.Reset()
	before := c.allow()
	used := c.machine.Input(c.turn, b, &c.act)
	left := c.act.Messages
	c.in = c.engine.pools.helds.replace(c.in, b[used:])
	c.unfed = c.act.Again
	k := c.inlet.cost(before - left)
	c.apply()
	c.charge(&c.inlet, k, left)
	if c.in != nil && !c.over() && !c.paused && !c.unfed && len(c.in.b) > c.listener.heldLimit(c.accepted) {
		c.refuse(core.PacketTooLarge, errHeldTooMuch.Error())
	}
}

func (c *pumpConn) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase != phaseOpen
}

// apply does what the machine wants.
func (c *pumpConn) apply() {
	a := &c.act
	said := len(a.Out) > 0
	if said {
		c.say(a.Stream, a.Out)
		if cap(a.Out) > 4096 {
			a.Out = a.Out[:0:0]
		}
	}
	if a.Accepted && !c.accepted {
		c.welcome()
	}
	if a.SetTimer {
		c.timer = ticks(a.Timer)
		if c.accepted {
			c.engine.setTimer(c, c.timer)
		}
	}
	if a.Pause {
		c.paused = true
	}
	if a.Close {
		c.end(a.Reason, said)
	}
}

// welcome ends the limits before authentication. From here on Output may run:
// what the machine says of the acceptance is queued already, so it goes first.
func (c *pumpConn) welcome() {
	c.accepted = true
	c.listener.settle(c.peer)
	c.engine.setTimer(c, c.timer)
	c.mu.Lock()
	c.ready = true
	c.mu.Unlock()
	c.expectStreams()
}

// say queues what the machine answers by s.
func (c *pumpConn) say(s Stream, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.data.at(s); d != nil {
		d.stalled = d.outlet.say(&c.engine.pools.pendings, b) || d.stalled
		return
	}
	c.stalled = c.outlet.say(&c.engine.pools.pendings, b) || c.stalled
}

// complete gives the machine a late result, then goes on with its input.
func (c *pumpConn) complete(done core.Completion) {
	if c.machine == nil {
		return
	}
	c.act.Reset()
	if c.over() {
		if done.Op == core.OpConnect { // core has a session for a client that left
			c.machine.Complete(c.turn, done, &c.act)
		}
		return
	}
	c.paused = false
	c.machine.Complete(c.turn, done, &c.act)
	c.apply()
	c.proceed()
}

// proceed starts the reader again where it had ended.
func (c *pumpConn) proceed() {
	if !c.reading && !c.paused && !c.stalled && !c.throttled && !c.over() {
		if c.accepted {
			c.engine.touch(c)
		}
		if c.in != nil {
			c.feed(c.in.b)
		}
		if !c.paused && !c.stalled && !c.throttled {
			c.restart()
		}
	}
	c.data.proceed()
}

// restart runs the reader unless it runs.
func (c *pumpConn) restart() {
	if !c.reading {
		c.reading = true
		c.engine.wg.Go(c.read)
	}
}

// expire is the wheel's call.
func (c *pumpConn) expire() {
	switch {
	case c.over() || c.paused || c.throttled || c.machine == nil:
	case !c.accepted:
		c.tooLate()
	default:
		c.act.Reset()
		c.machine.Tick(c.turn, &c.act)
		c.apply()
	}
}

// tooLate ends a stranger that was not accepted in time.
func (c *pumpConn) tooLate() {
	c.refuse(core.ConnectTimeout, "nothing that the protocol accepts within "+c.listener.cfg.ConnectTimeout.String())
}

// stop ends the connection for the gateway, in the protocol's own words.
func (c *pumpConn) stop(r core.Reason) {
	if c.machine == nil {
		c.socket.closeNow() // establish fails and ends it
		return
	}
	if c.over() {
		return
	}
	c.act.Reset()
	c.machine.Stop(c.turn, r, &c.act)
	c.act.Close, c.act.Reason = true, r
	c.apply()
}

// abandon ends the connection without goodbye. Any goroutine.
func (c *pumpConn) abandon() {
	c.stopping.Store(true)
	c.post(func(c *pumpConn) {
		if !c.over() && c.machine != nil {
			c.end(core.ServerShuttingDown, false)
		}
		c.socket.closeNow()
	})
}

// refuse ends what the edge itself does not let go on.
func (c *pumpConn) refuse(r core.Reason, detail string) {
	c.listener.refuse(c.engine.gateway, c.turn, r, c.peer, detail)
	c.end(r, c.layered())
}

// layered says that TLS or WebSocket, which have an end of their own, got that far.
func (c *pumpConn) layered() bool {
	return c.counted && (c.listener.secure() || c.listener.cfg.Transport == WebSocket)
}

// lost ends the connection for an error of the transport or of its set-up.
func (c *pumpConn) lost(err error) {
	if c.over() {
		return
	}
	var why *refusal
	switch {
	case errors.As(err, &why):
		c.listener.refuse(c.engine.gateway, c.turn, why.reason, c.peer, why.detail)
		// TLS and WebSocket have said why in their own words, where they got that far.
		c.end(why.reason, c.layered())
	case c.machine == nil:
		c.listener.refuse(c.engine.gateway, c.turn, lostReason(err), c.peer, err.Error())
		c.end(core.ConnectionLost, false)
	case !c.accepted && lostReason(err) == core.ConnectTimeout: // a guest, of which expire knows nothing
		c.tooLate()
	default:
		c.end(core.ConnectionLost, errors.Is(err, errWSClosed))
	}
}

func lostReason(err error) core.Reason {
	var late interface{ Timeout() bool }
	if errors.As(err, &late) && late.Timeout() {
		return core.ConnectTimeout
	}
	return core.ConnectionLost
}

// end takes the machine's leave. The reader, wherever it parks, comes back at
// once or when the goodbye had its time, and closes.
func (c *pumpConn) end(r core.Reason, goodbye bool) {
	c.mu.Lock()
	if c.phase != phaseOpen {
		c.mu.Unlock()
		return
	}
	c.phase, c.reason = phaseLinger, r
	c.by = time.Now()
	if goodbye {
		c.by = c.by.Add(lingerTime)
	}
	by := c.by
	c.mu.Unlock()
	c.engine.setTimer(c, 0)
	c.socket.setDeadlines(by)
	if c.machine != nil {
		c.machine.Closed(c.turn, r)
	}
	c.restart()
}

// linger reads what an ended connection still sends until its end, so that
// closing does not take the goodbye from the client; then closes. The reader's.
func (c *pumpConn) linger() {
	if c.stream == nil { // it never got as far: whoever refused it may have said why
		c.socket.finish(c.by)
	}
	for {
		c.socket.consume(len(c.socket.rest))
		if c.socket.fill() != nil {
			break
		}
	}
	c.release()
}

// release closes the socket and forgets the connection. The reader's.
func (c *pumpConn) release() {
	c.socket.Conn.Close()
	c.mu.Lock()
	c.phase, c.own, c.rest = phaseGone, nil, nil
	c.mu.Unlock()
	c.input.Lock()
	if c.in != nil {
		c.engine.pools.helds.put(c.in)
		c.in = nil
	}
	c.data.forget()
	c.forgetSlow()
	fresh, counted := !c.accepted, c.counted
	c.input.Unlock()
	c.tasks.Lock()
	c.gone = true
	c.tasks.Unlock()
	c.engine.forget(c)
	c.engine.count(core.ConnectionsClosed)
	c.listener.leave(c.peer, fresh, counted)
	c.socket.outOfTurn()
	c.engine.tally.closed()
}
