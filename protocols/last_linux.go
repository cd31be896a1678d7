package protocols

import (
	"time"

	"golang.org/x/sys/unix"
)

// Who comes last: strangers, connections that end in numbers, and those that had their
// share of an earlier turn. What they want is looked at once everything else of the turn
// is written, and only for lastTime each; the rest goes to the next turn. So a client
// that is served as usual waits for one of them at most, and for what they were given
// of one turn.
const lastTime = 100 * time.Microsecond

// budget is what is left of lastTime. The first that asks always gets.
type budget struct {
	end time.Time
}

// left tells whether there is some.
func (b *budget) left() bool {
	now := time.Now()
	if b.end.IsZero() {
		b.end = now.Add(lastTime)
	}
	return now.Before(b.end)
}

// postpone keeps an event of a stranger or of a listening socket for the end of the
// turn, in the places of events that were looked at. It tells whether it did.
func (l *loop) postpone(ev *unix.EpollEvent) bool {
	switch {
	case ev.Fd <= tagAccept && ev.Fd != tagGuest:
	case ev.Fd >= 0:
		c := l.slots[ev.Fd]
		if c == nil || c.accepted || c.gen != uint32(ev.Pad) {
			return false
		}
	default:
		return false
	}
	l.events[l.postponed] = *ev
	l.postponed++
	return true
}

// serveLast serves them, and tells whether there was something to do. Of events that
// are left epoll tells again, behind those of others.
func (l *loop) serveLast() (did bool) {
	did = l.postponed > 0 || l.greedy > 0 || len(l.due) > 0 || len(l.arrived) > 0
	l.serveStrangers()
	var b budget
	l.feedAgain(&b)
	b = budget{}
	l.expire(&b)
	for _, g := range l.guests {
		did = g.serveLast() || did
	}
	return did
}

// serveStrangers reads what they sent, then takes new ones.
func (l *loop) serveStrangers() {
	var b budget
	for i := range l.postponed {
		ev := &l.events[i]
		if ev.Fd >= 0 && !b.left() {
			continue
		}
		l.event(ev)
		l.dismiss()
	}
	l.postponed = 0
	b = budget{}
	l.adoptSome(&b)
	l.acceptSome(&b)
}

// putOff has a connection that sent more than its share last time come last, if it is
// one. It is read from there.
func (l *loop) putOff(c *conn) bool {
	if !c.greedy {
		return false
	}
	c.greedy = false
	l.queueAgain(c)
	return true
}

func (l *loop) queueAgain(c *conn) {
	c.again = true
	l.again = append(l.again, c)
}

// feedAgain goes on with connections that have had their share: the ones of an earlier
// turn.
func (l *loop) feedAgain(b *budget) {
	n := 0
	for ; n < l.greedy && b.left(); n++ {
		c := l.again[n]
		c.again = false
		switch {
		case c.phase != phaseOpen || c.paused || c.stalled: // whoever ends that state goes on
		case c.in == nil:
			l.readable(c, unix.EPOLLIN)
		default:
			if c.accepted {
				l.wheel.touch(c.slot)
			}
			l.feed(c, c.in.b, 0)
		}
	}
	l.greedy = 0
	rest := copy(l.again, l.again[n:])
	clear(l.again[rest:])
	l.again = l.again[:rest]
}
