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

// strangerEvents are what epoll is asked about a stranger: it says once that something
// came, and from then on the loop knows. Asked as for clients, it would tell again of
// each that waits for its turn, and a few thousand of them would keep it from telling of
// clients.
const strangerEvents = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET

// hear handles n events of clients, and has strangers and listening sockets wait for the
// end of the turn. While they are what there is to tell it looks further: the clients'
// may be behind theirs.
func (l *loop) hear(n int) {
	most := len(l.slots)/len(l.events) + 1 // of looks: then epoll has told of everyone
	for look, clients := 1, 0; ; look++ {
		for i := range n {
			if ev := &l.events[i]; !l.later(ev) {
				l.event(ev)
				clients++
			}
		}
		if n < len(l.events) || clients >= len(l.events)/2 || look >= most {
			return
		}
		n = l.pollNow()
	}
}

// later tells whether an event waits for the end of the turn, and sees to it.
func (l *loop) later(ev *unix.EpollEvent) bool {
	switch {
	case ev.Fd <= tagAccept && ev.Fd != tagGuest:
		l.accepts[tagAccept-ev.Fd].ready = true
		l.knocking = true
		return true
	case ev.Fd >= 0:
		c := l.slots[ev.Fd]
		if c == nil || c.accepted || c.gen != uint32(ev.Pad) {
			return false
		}
		l.call(c, ev.Events)
		return true
	}
	return false
}

// call puts a stranger that epoll told of behind those from its address and from others
// in the same line, if it is not there already.
func (l *loop) call(c *conn, events uint32) {
	if c.told == 0 {
		l.callers[l.steering.lineOf(c.peer.Addr())].push(c)
		l.calling++
	}
	c.told |= told(events)
}

// told is events in a byte, eventsOf what they were. Not 0.
func told(events uint32) uint8 {
	t := uint8(events&(unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP)) | 1<<7
	if events&unix.EPOLLRDHUP != 0 {
		t |= 1 << 6
	}
	return t
}

func eventsOf(t uint8) uint32 {
	events := uint32(t &^ (1<<7 | 1<<6))
	if t&(1<<6) != 0 {
		events |= unix.EPOLLRDHUP
	}
	return events
}

// serveLast serves who comes last, and tells whether there was something to do.
func (l *loop) serveLast() (did bool) {
	did = l.knocking || l.calling > 0 || l.greedy > 0 || len(l.due) > 0 || len(l.arrived) > 0
	var b budget
	l.adoptSome(&b)
	b = budget{}
	l.serveStrangers(&b)
	b = budget{}
	l.feedAgain(&b)
	b = budget{}
	l.expire(&b)
	for _, g := range l.guests {
		did = g.serveLast() || did
	}
	return did
}

// serveStrangers hears those that said something and takes new ones.
func (l *loop) serveStrangers(b *budget) {
	for (l.knocking || l.calling > 0) && b.left() && l.serveNext() {
	}
	for _, a := range l.accepts {
		a.ready = false // of what was left epoll tells again
	}
	l.knocking = false
}

// serveNext serves one from the next line or listening socket in which somebody waits, and
// tells whether there was one. Each has its turn: who fills one of them keeps nobody
// waiting in another.
func (l *loop) serveNext() bool {
	all := len(l.callers) + len(l.accepts)
	for range all {
		i := l.nextTurn % all
		l.nextTurn = i + 1
		if l.waitsIn(i) {
			l.serveIn(i)
			return true
		}
	}
	return false
}

// waitsIn tells whether somebody waits in the i-th line or, behind the lines, socket.
func (l *loop) waitsIn(i int) bool {
	if i < len(l.callers) {
		return l.callers[i].len() > 0
	}
	return l.accepts[i-len(l.callers)].ready
}

// serveIn serves the first of them.
func (l *loop) serveIn(i int) {
	if i >= len(l.callers) {
		a := l.accepts[i-len(l.callers)]
		a.ready = l.accept(a)
		l.dismiss()
		return
	}
	l.calling--
	c := l.callers[i].pop()
	events := eventsOf(c.told)
	if c.told = 0; c.phase != phaseGone {
		l.connEvent(c, events)
		l.dismiss()
	}
}

// line is connections one behind the other.
type line struct {
	all  []*conn
	head int // of those before it none is left
}

func (q *line) len() int { return len(q.all) - q.head }

func (q *line) push(c *conn) {
	if q.head > 64 && q.head > len(q.all)/2 {
		n := copy(q.all, q.all[q.head:])
		clear(q.all[n:])
		q.all, q.head = q.all[:n], 0
	}
	q.all = append(q.all, c)
}

func (q *line) pop() *conn {
	c := q.all[q.head]
	q.all[q.head] = nil
	if q.head++; q.head == len(q.all) {
		q.all, q.head = q.all[:0], 0
		if cap(q.all) > 1<<10 {
			q.all = nil
		}
	}
	return c
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
		case c.phase != phaseOpen || c.paused || c.stalled || c.throttled: // whoever ends that state goes on
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
