package protocols

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Few loops are cheapest while there is little to do: with several, each message
// is a wake-up of its own and nothing shares a write. So a loop that is mostly
// idle lends itself to the first one, which watches its epoll set and does its
// work in its own turns, until there is enough for both. Connections stay where
// they are. Only with wait = "auto".
const (
	lendBelow = 25 // percent: a loop less busy lends itself …
	takeBelow = 40 // … to a first loop less busy than this,
	giveAbove = 75 // which gives it back when it is busier than this
)

// balance looks once a window at how busy the loop is, and lends or gives back.
func (l *loop) balance() {
	for _, g := range l.guests {
		if g.quit {
			l.giveBack()
			break
		}
	}
	w := &l.waiting
	if w.window.IsZero() { // the first turn
		w.window, w.idle = l.now, 0
	}
	passed := l.now.Sub(w.window)
	if passed < autoWindow {
		return
	}
	busy := int32(100 - min(w.idle*100/passed, 100))
	w.window, w.idle = l.now, 0
	l.busy.Store(busy)
	l.procs.Store(int32(runtime.GOMAXPROCS(0))) // it may be changed at any time
	w.decide(l.epfd, busy)
	first := l.all[0]
	switch {
	case w.mode != "auto" || l.quit:
	case busy > giveAbove:
		l.giveBack()
	case l != first && busy < lendBelow && first.busy.Load() < takeBelow:
		l.lend(first)
	}
}

// lend hands the loop to another and returns when it is given back.
func (l *loop) lend(to *loop) {
	l.waiting.block()
	l.turn.End() // nothing may be left in the turn that rests meanwhile
	if !to.post(func(h *loop) { h.take(l) }) {
		return
	}
	l.active.Add(-1)
	<-l.back
	l.active.Add(1)
	l.turn = l.own
	l.now = time.Now()
	l.waiting.window, l.waiting.idle, l.waiting.misses = l.now, 0, 0
}

// take makes g a guest of l, which may have become busy meanwhile.
func (l *loop) take(g *loop) {
	if l.quit || l.busy.Load() > giveAbove || l.watch(g.epfd, unix.EPOLLIN, tagGuest, uint32(len(l.guests))) != nil {
		g.back <- struct{}{}
		return
	}
	g.turn, g.ready = l.turn, true
	l.guests = append(l.guests, g)
}

// giveBack returns all guests. Their work in this turn is done and written.
func (l *loop) giveBack() {
	for i, g := range l.guests {
		l.guests[i] = nil
		unix.EpollCtl(l.epfd, unix.EPOLL_CTL_DEL, g.epfd, nil)
		g.more = l.more || g.waits()
		g.back <- struct{}{}
	}
	l.guests = l.guests[:0]
}

// intakeGuests does the guests' work of this turn: for those with events or
// posted work, and for all whenever a tick has passed.
func (l *loop) intakeGuests() {
	for _, g := range l.guests {
		if !g.ready && g.tick == l.tick && !g.waits() && !g.owes(l.now) && !g.hasPosted() {
			continue
		}
		n := 0
		if g.ready {
			n = g.pollNow()
			g.ready = false
		}
		g.intake(l.now, n)
	}
}

func (l *loop) anyPosted() bool {
	for _, g := range l.guests {
		if g.hasPosted() {
			return true
		}
	}
	return l.hasPosted()
}

// setSleeping tells posters whether a wake-up is needed.
func (l *loop) setSleeping(on bool) {
	l.sleeping.Store(on)
	for _, g := range l.guests {
		g.sleeping.Store(on)
	}
}
