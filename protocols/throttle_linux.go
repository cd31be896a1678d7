package protocols

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// throttle is an event loop's part in the rates of listeners. It takes no memory until
// a client of a limited listener comes.
type throttle struct {
	meters []meter // by slot
	list   []*conn // that are not read from
	spare  []*conn // the other half of a double buffer
	next   int64   // when the first of the list is due
}

// meterOf gives the meter of a connection whose rates are limited, else nil.
func (l *loop) meterOf(c *conn) *meter {
	if c.listener.rates == nil {
		return nil
	}
	t := &l.throttle
	if int(c.slot) >= len(t.meters) {
		t.meters = append(t.meters, make([]meter, len(l.slots)-len(t.meters))...)
	}
	return &t.meters[c.slot]
}

// resetMeter makes a slot's meter that of a new connection.
func (l *loop) resetMeter(slot uint32) {
	if int(slot) < len(l.throttle.meters) {
		l.throttle.meters[slot] = meter{}
	}
}

// roomFor is how many bytes to read of c now; 0: none, it is put into the list.
func (l *loop) roomFor(c *conn) int {
	m := l.meterOf(c)
	if m == nil || !c.accepted { // what strangers send has bounds of its own
		return readSize
	}
	if v := c.listener.rates.judge(m, l.now.UnixNano()); v != mayRead {
		l.slow(c, m, v)
		return 0
	}
	return c.listener.rates.room(m)
}

// slow stops reading from c.
func (l *loop) slow(c *conn, m *meter, v verdict) {
	if c.throttled || c.phase != phaseOpen {
		return
	}
	c.throttled, c.why = true, v
	c.listener.rates.enter(v)
	if len(l.throttle.list) == 0 {
		l.throttle.next = math.MaxInt64
	}
	l.enlist(c, m, true)
	c.listener.note(l.gateway, l.turn, m, v, c.peer.String(), clientOf(c.machine))
}

// enlist puts c into the list; anew says that it has to wait from now on.
func (l *loop) enlist(c *conn, m *meter, anew bool) {
	t := &l.throttle
	if anew {
		tick := l.born.Add(time.Duration(l.tick) * tickLength).UnixNano()
		m.due = c.listener.rates.due(m, c.why, l.now.UnixNano(), tick)
	}
	t.list = append(t.list, c)
	t.next = min(t.next, m.due)
}

// charge counts what the machine took, and stops reading where that was all. left is
// how many messages it might still have taken.
func (l *loop) charge(c *conn, m *meter, messages, left, bytes int) {
	r := c.listener.rates
	r.take(m, messages, bytes)
	r.takeTime(m, l.turn.Took(), bytes)
	v := r.judge(m, l.now.UnixNano())
	if v == mayRead && left <= 0 {
		v = waitsForTurn // what is held has to be looked at again
	}
	if v != mayRead && c.accepted {
		l.slow(c, m, v)
	}
}

// owes tells whether somebody of the list is due.
func (l *loop) owes(now time.Time) bool {
	return len(l.throttle.list) > 0 && now.UnixNano() >= l.throttle.next
}

// resumeSlow goes on with those that may be read from again: each has a share, and who
// had one goes behind the others.
func (l *loop) resumeSlow() {
	if !l.owes(l.now) {
		return
	}
	t := &l.throttle
	list := t.list
	t.list, t.next = t.spare[:0], math.MaxInt64
	for i, c := range list {
		list[i] = nil
		if c.phase == phaseOpen { // else its end counts it out
			l.resume(c)
		}
	}
	t.spare = list[:0]
	if cap(list) > 1<<12 && len(t.list) == 0 {
		t.spare = nil
	}
}

// resume has c read from, or put into the list again.
func (l *loop) resume(c *conn) {
	r, m, now := c.listener.rates, l.meterOf(c), l.now.UnixNano()
	if m.due > now {
		l.enlist(c, m, false)
		return
	}
	if v := r.turn(m, now); v != mayRead {
		if v != c.why {
			r.leave(c.why)
			r.enter(v)
			c.why = v
		}
		l.enlist(c, m, true)
		return
	}
	c.throttled = false
	r.leave(c.why)
	if c.why == rests {
		l.comeLast(c)
		return
	}
	l.proceed(c)
	l.readShare(c)
}

// comeLast goes on with a client that has rested: behind the others, as with all that
// sent more than their share.
func (l *loop) comeLast(c *conn) {
	if c.paused || c.stalled {
		return // whoever ends that state goes on
	}
	l.wheel.touch(c.slot) // it was silent for us
	c.watchInput(true)
	if !c.again {
		c.greedy = false
		l.queueAgain(c)
	}
}

// forgetSlow counts out a connection that ends while it is not read from.
func (c *conn) forgetSlow() {
	if c.throttled {
		c.throttled = false
		c.listener.rates.leave(c.why)
	}
}

// readShare reads at once what c's turn allows: the next event would find others
// before it.
func (l *loop) readShare(c *conn) {
	if !c.throttled && !c.paused && !c.stalled && c.phase == phaseOpen {
		l.readable(c, unix.EPOLLIN)
	}
}

// untilResume is how long until the list is looked at; ok is false when it is empty.
func (l *loop) untilResume(now time.Time) (wait time.Duration, ok bool) {
	if len(l.throttle.list) == 0 {
		return 0, false
	}
	return max(time.Unix(0, l.throttle.next).Sub(now), time.Millisecond), true
}
