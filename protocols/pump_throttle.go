package protocols

import (
	"math"
	"time"
)

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
	p.meter.fill(&c.listener.rates.client, time.Now().UnixNano()) // before it is charged: a bucket holds no more than its burst
	c.act.Limited, c.act.Messages = true, c.listener.rates.messages(&p.meter, c.accepted)
	c.turn.Allot() // what is charged, whether or not the machine looks at its share
	return c.act.Messages
}

// cost is what a client is charged for.
type cost struct {
	messages, bytes int
	layer           time.Duration
}

// cost takes what is to be charged for messages from i. Before their answers are applied:
// they may end the connection, and from then on i is its reader's.
func (i *inlet) cost(messages int) cost {
	k := cost{messages, i.fresh, i.layer}
	i.fresh, i.layer = 0, 0
	return k
}

// charge counts what the machine took of in, and has reading stop where that was all.
// left is how many messages it might still have taken.
func (c *pumpConn) charge(in *inlet, k cost, left int) {
	p := c.pace
	if p == nil {
		return
	}
	r := c.listener.rates
	r.take(&p.meter, k.messages, k.bytes)
	r.takeTime(&p.meter, c.turn.Took()+k.layer, k.bytes)
	v := r.judge(&p.meter, time.Now().UnixNano())
	if v == mayRead && left <= 0 {
		v = waitsForTurn // what is held has to be looked at again
	}
	if !c.accepted || c.over() { // what strangers send has bounds of its own
		return
	}
	if v == mayRead {
		in.room = r.room(&p.meter)
		return
	}
	if c.throttled {
		return
	}
	c.throttled, p.why = true, v
	r.enter(v)
	c.engine.slowDown(c)
	c.listener.note(c.engine.gateway, c.turn, &p.meter, v, c.peer.String(), clientOf(c.machine))
}

// layerLook is from when on the stream's own work is charged though the machine got nothing.
const layerLook = 50 * time.Microsecond

// tired charges what the stream worked for nothing, such as empty messages, and tells
// whether the reader has ended for it. The reader's.
func (c *pumpConn) tired() bool {
	if !c.worked() {
		return false
	}
	c.enter()
	defer c.leave()
	c.socket.outOfTurn() // which a client may still have that was accepted late
	c.turn.Allot()
	c.charge(&c.inlet, c.inlet.cost(0), unlimited)
	c.reading = !c.throttled || c.over()
	return !c.reading
}

// tiredHere is tired in the turn that is under way, without a reader.
func (c *pumpConn) tiredHere() bool {
	if !c.worked() {
		return false
	}
	c.turn.Allot()
	c.charge(&c.inlet, c.inlet.cost(0), unlimited)
	return c.throttled
}

// worked tells whether the stream has worked for so much that it is to be charged.
func (c *pumpConn) worked() bool {
	if c.pace == nil || c.listener.rates.client.time == 0 {
		return false
	}
	c.layer += c.stream.worked()
	return c.layer >= layerLook
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

// slowPump is a connection that is not read from, and when it is asked for again, in
// nanoseconds since 1970.
type slowPump struct {
	*pumpConn
	due int64
}

// slowDown puts c into the list of those that are not read from. c's input is held.
func (p *pumps) slowDown(c *pumpConn) {
	now := time.Now().UnixNano()
	tick := p.born.Add(time.Duration(p.tick()) * tickLength).UnixNano()
	s := slowPump{c, c.listener.rates.due(&c.pace.meter, c.pace.why, now, tick)}
	p.mu.Lock()
	p.slow = append(p.slow, s)
	first := len(p.slow) == 1 || s.due < p.slowAt
	if first {
		p.slowAt = s.due
	}
	p.mu.Unlock()
	if first {
		p.wake()
	}
}

// takeSlow gives those that are due, and how long until the next is; 0 for nobody.
// mu is held.
func (p *pumps) takeSlow() (due []slowPump, wait time.Duration) {
	if len(p.slow) == 0 {
		return nil, 0
	}
	if now := time.Now().UnixNano(); now >= p.slowAt {
		all := p.slow
		p.slow, p.slowAt = nil, math.MaxInt64
		for _, s := range all {
			if s.due <= now {
				due = append(due, s)
				continue
			}
			p.slow = append(p.slow, s)
			p.slowAt = min(p.slowAt, s.due)
		}
		if len(p.slow) == 0 {
			return due, 0
		}
	}
	return due, max(time.Until(time.Unix(0, p.slowAt)), time.Millisecond)
}
