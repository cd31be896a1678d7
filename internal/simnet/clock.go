package simnet

import (
	"sync"
	"time"
)

// clock calls what is due, in order of time, then of asking. One timer serves the
// whole network, and none while nothing is on its way.
type clock struct {
	born time.Time

	mu      sync.Mutex
	heap    []event
	asked   uint64
	timer   *time.Timer // nil until first needed
	running bool
}

// event is a call at a time since the clock was born.
type event struct {
	at    time.Duration
	order uint64
	do    due
}

// due is what an event calls; an interface, so that streams need no closure.
type due interface{ due() }

// dueFunc is a function as due.
type dueFunc func()

func (f dueFunc) due() { f() }

func (k *clock) now() time.Duration { return time.Since(k.born) }

// at has do called once it is time.
func (k *clock) at(when time.Duration, do due) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	k.push(event{when, k.asked, do})
	if !k.running && k.heap[0].order == k.asked {
		k.arm()
	}
}

// arm sets the timer to the first event. mu is held.
func (k *clock) arm() {
	wait := max(k.heap[0].at-k.now(), 0)
	if k.timer == nil {
		k.timer = time.AfterFunc(wait, k.run)
		return
	}
	k.timer.Reset(wait)
}

// run is the timer's call.
func (k *clock) run() {
	k.mu.Lock()
	if k.running {
		k.mu.Unlock()
		return
	}
	k.running = true
	for len(k.heap) > 0 && k.heap[0].at <= k.now() {
		e := k.pop()
		k.mu.Unlock()
		e.do.due()
		k.mu.Lock()
	}
	k.running = false
	if len(k.heap) > 0 {
		k.arm()
	}
	k.mu.Unlock()
}

func (e *event) before(o *event) bool {
	return e.at < o.at || e.at == o.at && e.order < o.order
}

// push adds e to the heap. mu is held.
func (k *clock) push(e event) {
	k.heap = append(k.heap, e)
	for i := len(k.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !k.heap[i].before(&k.heap[up]) {
			break
		}
		k.heap[i], k.heap[up] = k.heap[up], k.heap[i]
		i = up
	}
}

// pop takes the first event. mu is held.
func (k *clock) pop() event {
	first := k.heap[0]
	last := len(k.heap) - 1
	k.heap[0] = k.heap[last]
	k.heap[last] = event{}
	k.heap = k.heap[:last]
	for i := 0; ; {
		low := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < last && k.heap[child].before(&k.heap[low]) {
				low = child
			}
		}
		if low == i {
			break
		}
		k.heap[i], k.heap[low] = k.heap[low], k.heap[i]
		i = low
	}
	if last == 0 {
		k.heap = nil // a burst leaves no memory behind
	}
	return first
}
