package protocols

import "time"

// enroll gives c a slot in the registry and the wheel; false once none may come in any more.
func (p *pumps) enroll(c *pumpConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	if n := len(p.free); n > 0 {
		c.slot = p.free[n-1]
		p.free = p.free[:n-1]
		p.slots[c.slot] = c
	} else {
		c.slot = uint32(len(p.slots))
		p.slots = append(p.slots, c)
		p.wheel.grow(len(p.slots))
	}
	c.enrolled = true
	return true
}

// forget takes c out of both.
func (p *pumps) forget(c *pumpConn) {
	p.mu.Lock()
	if c.enrolled {
		p.wheel.set(c.slot, 0)
		p.slots[c.slot] = nil
		p.free = append(p.free, c.slot)
		c.enrolled = false
	}
	quit := p.quit
	p.mu.Unlock()
	if quit {
		p.wake()
	}
}

// setTimer makes c's timer fire after so many ticks without input; 0 stops it.
func (p *pumps) setTimer(c *pumpConn, period uint32) {
	p.mu.Lock()
	p.wheel.clock = p.tick()
	if c.enrolled {
		p.wheel.set(c.slot, period)
	}
	sooner := period > 0 && (p.due == 0 || p.wheel.clock+period < p.due)
	p.mu.Unlock()
	if sooner {
		p.wake()
	}
}

// touch notes input of c.
func (p *pumps) touch(c *pumpConn) {
	p.mu.Lock()
	p.wheel.clock = p.tick()
	if c.enrolled {
		p.wheel.touch(c.slot)
	}
	p.mu.Unlock()
}

func (p *pumps) tick() uint32 { return uint32(time.Since(p.born)/tickLength) + 1 }

func (p *pumps) wake() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// keepTime is the timer goroutine. It sleeps until something is due and stays
// until the last connection is forgotten.
func (p *pumps) keepTime() {
	for {
		fired, slow, wait, done := p.advance()
		for _, c := range fired {
			if g := c.socket.guest; g != nil && !g.left.Load() {
				g.end()
				continue
			}
			c.post(func(c *pumpConn) { c.expire() })
		}
		for _, c := range slow {
			c.post((*pumpConn).resumeSlow)
		}
		if done {
			if p.door != nil {
				p.door.close()
			}
			return
		}
		var timer <-chan time.Time
		if wait > 0 {
			timer = time.After(wait)
		}
		select {
		case <-timer:
		case <-p.kick:
		}
	}
}

// advance moves the wheel and tells how long nothing is due; 0 for ever.
func (p *pumps) advance() (fired []*pumpConn, slow []slowPump, wait time.Duration, done bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, slot := range p.wheel.advance(p.tick()) {
		if c := p.slots[slot]; c != nil {
			fired = append(fired, c)
		}
	}
	p.due = 0
	if ticks, ok := p.wheel.next(); ok {
		p.due = p.wheel.now + ticks
		wait = max(time.Until(p.born.Add(time.Duration(p.due-1)*tickLength)), time.Millisecond)
	}
	slow, soon := p.takeSlow()
	if soon > 0 && (wait == 0 || soon < wait) {
		wait = soon
	}
	return fired, slow, wait, p.quit && len(p.free) == len(p.slots)
}
