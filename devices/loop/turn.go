package loop

import "time"

// run is the loop until quit.
func (l *Loop) run() error {
	for !l.quit {
		l.kernel.collect(l.patience())
		l.sleeping.Store(false)
		l.now = l.opt.Clock.Now()
		l.counters.Turns++
		l.kernel.deliver()
		l.runNoted()
		l.runAgain()
		l.runPosted()
		l.startHandshakes()
		// Timers after input: what waited in the kernel while the loop was busy came
		// in time.
		l.fire()
		l.settle()
	}
	l.abandon()
	return nil
}

// patience is how long the loop may wait now, in nanoseconds: negative for ever.
// From here on a poster wakes the loop, so what was posted before is looked at last.
func (l *Loop) patience() int64 {
	if len(l.again)+len(l.dirty)+len(l.over) > 0 {
		return 0
	}
	l.sleeping.Store(true)
	l.mu.Lock()
	waiting := len(l.posted) + len(l.noted)
	l.mu.Unlock()
	if waiting > 0 {
		l.sleeping.Store(false)
		return 0
	}
	at, ok := l.timers.next()
	if !ok {
		return -1
	}
	return max(at-l.opt.Clock.Now(), 0)
}

func (l *Loop) runPosted() {
	l.mu.Lock()
	work := l.posted
	l.posted = l.spare[:0]
	l.mu.Unlock()
	for i, f := range work {
		work[i] = nil
		f()
	}
	if cap(work) > 4096 {
		work = nil
	}
	l.spare = work
}

// runAgain reads where more may be without an event.
func (l *Loop) runAgain() {
	work := l.again
	l.again = l.spareAgain[:0]
	for i, c := range work {
		work[i] = nil
		c.flags &^= flagAgain
		l.resume(c)
	}
	l.spareAgain = work
}

// fire calls the timers that are due. Those that fire sets for the same moment wait
// for the next turn, so that one that is always late starves nobody.
func (l *Loop) fire() {
	for range len(l.timers.heap) {
		t := l.timers.due(l.now)
		if t == nil {
			return
		}
		t.fire(l.now)
	}
}

// settle ends the turn: what it touched is written, what ended is told.
func (l *Loop) settle() {
	for i := 0; i < len(l.dirty); i++ {
		c := l.dirty[i]
		l.dirty[i] = nil
		c.flags &^= flagDirty
		l.flush(c)
	}
	l.dirty = l.dirty[:0]
	work := l.over
	l.over = l.spareOver[:0]
	for i, c := range work {
		work[i] = nil
		l.tell(c)
	}
	l.spareOver = work
}

// abandon ends everything; handlers are told, and whatever they begin is ended too.
func (l *Loop) abandon() {
	l.quit = true
	for again := true; again; {
		l.runPosted()
		for _, c := range l.slots {
			if c != nil {
				l.breakFor(c, ErrStopped)
			}
		}
		l.settle()
		l.mu.Lock()
		again = len(l.posted)+len(l.over) > 0
		l.ended = !again
		l.mu.Unlock()
	}
	l.guards.close()
	l.secured.Wait()
	l.hubs.close()
	l.kernel.close()
}

// markDirty has c written at the end of the turn.
func (c *Conn) markDirty() {
	if c.flags&flagDirty == 0 {
		c.flags |= flagDirty
		c.l.dirty = append(c.l.dirty, c)
	}
}

// markAgain has c read in the next turn.
func (c *Conn) markAgain() {
	if c.flags&flagAgain == 0 {
		c.flags |= flagAgain
		c.l.again = append(c.l.again, c)
	}
}

// millis is a wait for the kernel, rounded up; -1 for ever.
func millis(wait int64) int {
	if wait < 0 {
		return -1
	}
	const ms = int64(time.Millisecond)
	return int(min((wait+ms-1)/ms, 1<<30))
}
