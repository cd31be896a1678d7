package protocols

import "time"

// A stranger whose first packet comes in crumbs costs a system call for each, and
// thousands of them would take a processor. While there are many strangers, one that
// sent a part of its packet is looked at again only in the next tick: a client that
// sends its CONNECT in one piece, as they all do, never notices.
const (
	dozeAbove = 256 // strangers of a listener
	dozeBatch = 64  // of those to be looked at again, before others have a turn
)

// dozer is a stranger that is not read before the tick after tick.
type dozer struct {
	c    *conn
	tick uint32
}

// doze lets c sleep if it is a stranger among many and sent a part of a packet.
func (l *loop) doze(c *conn) {
	if c.accepted || c.in == nil || c.paused || c.again || c.phase != phaseOpen || c.listener.fresh.Load() <= dozeAbove {
		return
	}
	c.watchInput(false)
	l.dozers = append(l.dozers, dozer{c, l.tick})
}

// rouse reads on from some of those that slept.
func (l *loop) rouse() {
	n := 0
	for n < min(len(l.dozers), dozeBatch) && l.dozers[n].tick != l.tick {
		if c := l.dozers[n].c; c.phase == phaseOpen && !c.paused {
			c.watchInput(true)
		}
		l.dozers[n].c = nil
		n++
	}
	if l.dozers = l.dozers[n:]; len(l.dozers) == 0 {
		l.dozers = nil
	}
}

// drowsy tells whether somebody is to be roused in this tick.
func (l *loop) drowsy() bool { return len(l.dozers) > 0 && l.dozers[0].tick != l.tick }

// untilRouse is the time until the next tick if anybody sleeps, else -1.
func (l *loop) untilRouse(now time.Time) time.Duration {
	if len(l.dozers) == 0 {
		return -1
	}
	return max(l.born.Add(time.Duration(l.tick)*tickLength).Sub(now), time.Millisecond)
}
