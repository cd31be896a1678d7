package loop

// Timer is one appointment; a field of what waits for it. The zero value is
// ready. It belongs to one loop.
type Timer struct {
	fire func(now int64)
	pos  int32 // in the heap, from 1; 0: not set
}

// Set tells whether the timer waits.
func (t *Timer) Set() bool { return t.pos != 0 }

// appointment is a timer in the heap; its time lies beside it, so that sifting
// touches few timers.
type appointment struct {
	at int64
	t  *Timer
}

// timers is a heap of four children, the earliest first: 40 bytes a timer with
// its own struct. Times are nanoseconds of the loop's clock.
type timers struct {
	heap []appointment
}

// set makes t fire at at; an earlier appointment of it is moved.
func (h *timers) set(t *Timer, at int64) {
	if t.pos == 0 {
		h.heap = append(h.heap, appointment{at, t})
		t.pos = int32(len(h.heap))
		h.up(len(h.heap) - 1)
		return
	}
	i := int(t.pos) - 1
	before := h.heap[i].at
	h.heap[i].at = at
	if at < before {
		h.up(i)
	} else {
		h.down(i)
	}
}

// stop takes t out, if it is in; it tells whether it was.
func (h *timers) stop(t *Timer) bool {
	if t.pos == 0 {
		return false
	}
	i, last := int(t.pos)-1, len(h.heap)-1
	t.pos = 0
	moved := h.heap[last]
	h.heap[last] = appointment{}
	h.heap = h.heap[:last]
	if i == last {
		return true
	}
	h.heap[i] = moved
	moved.t.pos = int32(i + 1)
	h.up(i)
	h.down(int(moved.t.pos) - 1)
	return true
}

// due takes out the earliest timer if its time has come.
func (h *timers) due(now int64) *Timer {
	if len(h.heap) == 0 || h.heap[0].at > now {
		return nil
	}
	t := h.heap[0].t
	h.stop(t)
	return t
}

// next is the earliest time, and whether there is one.
func (h *timers) next() (int64, bool) {
	if len(h.heap) == 0 {
		return 0, false
	}
	return h.heap[0].at, true
}

func (h *timers) up(i int) {
	a := h.heap[i]
	for i > 0 {
		parent := (i - 1) / 4
		if h.heap[parent].at <= a.at {
			break
		}
		h.place(i, h.heap[parent])
		i = parent
	}
	h.place(i, a)
}

func (h *timers) down(i int) {
	a := h.heap[i]
	for {
		first := 4*i + 1
		if first >= len(h.heap) {
			break
		}
		least := first
		for j := first + 1; j < min(first+4, len(h.heap)); j++ {
			if h.heap[j].at < h.heap[least].at {
				least = j
			}
		}
		if h.heap[least].at >= a.at {
			break
		}
		h.place(i, h.heap[least])
		i = least
	}
	h.place(i, a)
}

func (h *timers) place(i int, a appointment) {
	h.heap[i] = a
	a.t.pos = int32(i + 1)
}
