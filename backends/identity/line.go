package identity

import (
	"math"
	"slices"
	"sync"
	"time"
	"weak"
)

// line is the order in which access rules are read again. It holds nobody: those whose
// session is gone fall out at their turn.
type line struct {
	mu    sync.Mutex
	turn  []turn // the first is due first
	again []turn // those for whom there was no answer, likewise
}

type turn struct {
	who weak.Pointer[Access]
	due time.Time
}

// push sets a behind all others; due must not be before that of another.
func (l *line) push(a *Access, due time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.turn) == cap(l.turn) { // who logs in again and again must not fill the memory
		l.turn = slices.DeleteFunc(l.turn, func(t turn) bool { return t.who.Value() == nil })
	}
	l.turn = append(l.turn, turn{weak.Make(a), due})
}

// pushAgain sets a behind all others that are tried again sooner than in their turn.
func (l *line) pushAgain(a *Access, due time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.again = append(l.again, turn{weak.Make(a), due})
}

// pop gives who is due, or how long nobody is.
func (l *line) pop(now time.Time) (*Access, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait := time.Duration(math.MaxInt64)
	for _, list := range []*[]turn{&l.again, &l.turn} {
		for len(*list) > 0 {
			first := (*list)[0]
			a := first.who.Value()
			if left := first.due.Sub(now); a != nil && left > 0 {
				wait = min(wait, left)
				break
			}
			*list = (*list)[1:]
			if a != nil {
				return a, 0
			}
		}
	}
	return nil, wait
}
