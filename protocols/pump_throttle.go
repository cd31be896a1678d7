package protocols

import "time"

// pace is a connection's part in the rates of its listener; nil where there are none.
// Behind input.
type pace struct {
	meter meter
	why   verdict // while throttled
}

// allow tells the machine how many messages it may take, and gives their number.
func (c *pumpConn) allow() (messages int) {
	p := c.pace
	if p == nil {
		return 0
	}
	if !c.accepted {
		c.listener.rates.judge(&p.meter, time.Now().UnixNano()) // it may be the first
	}
	c.act.Limited, c.act.Messages = true, c.listener.rates.messages(&p.meter, c.accepted)
	return c.act.Messages
}

// charge counts what the machine took of in, and has reading stop where that was all.
// left is how many messages it might still have taken.
func (c *pumpConn) charge(in *inlet, messages, left int) {
	fresh := in.fresh
	in.fresh = 0
	p := c.pace
	if p == nil {
		return
	}
	r := c.listener.rates
	r.take(&p.meter, messages, fresh)
	v := r.judge(&p.meter, time.Now().UnixNano())
	if v == mayRead && left <= 0 {
		v = waitsForTurn // what is held has to be looked at again
	}
	if !c.accepted { // what strangers send has bounds of its own
		return
	}
	if v == mayRead {
		in.room = r.room(&p.meter)
		return
	}
	if c.throttled || c.over() {
		return
	}
	c.throttled, p.why = true, v
	r.enter(v)
	c.listener.note(c.engine.gateway, c.turn, &p.meter, v, c.peer.String(), clientOf(c.machine))
	c.engine.slowDown(c)
}

// resumeSlow goes on with a connection whose turn may have come. input is held.
func (c *pumpConn) resumeSlow() {
	if !c.throttled || c.over() {
		return // its end counts it out
	}
	r, p := c.listener.rates, c.pace
	if v := r.turn(&p.meter, time.Now().UnixNano()); v != mayRead {
		if v != p.why {
			r.leave(p.why)
			r.enter(v)
			p.why = v
		}
		c.engine.slowDown(c)
		return
	}
	c.throttled = false
	r.leave(p.why)
	if !c.reading { // else it is the reader's
		c.room = r.room(&p.meter)
	}
	c.proceed()
}

// forgetSlow counts out a connection that ends while it is not read from.
func (c *pumpConn) forgetSlow() {
	if c.throttled {
		c.throttled = false
		c.listener.rates.leave(c.pace.why)
	}
}

// slowDown puts c into the list of those that the next tick looks at.
func (p *pumps) slowDown(c *pumpConn) {
	p.mu.Lock()
	p.slow = append(p.slow, c)
	first := len(p.slow) == 1
	if first {
		p.slowAt = p.tick() + 1
	}
	p.mu.Unlock()
	if first {
		p.wake()
	}
}

// takeSlow gives those whose tick has come, and how long until it comes; 0 for nobody.
// mu is held.
func (p *pumps) takeSlow() (due []*pumpConn, wait time.Duration) {
	if len(p.slow) == 0 {
		return nil, 0
	}
	if p.tick() >= p.slowAt {
		due, p.slow = p.slow, nil
		return due, 0
	}
	return nil, max(time.Until(p.born.Add(time.Duration(p.slowAt-1)*tickLength)), time.Millisecond)
}
