package protocols

import "sync"

// held keeps the begin of a packet whose end has not arrived, between two reads.
// Its size follows what really came, never what the packet claims.
type held struct{ b []byte }

// heldClasses are the sizes that are pooled. Those above 64 KiB are what a buffer grows to,
// half as large again each time.
var heldClasses = [...]int{64, 256, 1024, 4096, 16 << 10, 64 << 10,
	128 << 10, 192 << 10, 288 << 10, 432 << 10, 648 << 10, 972 << 10, 1458 << 10}

// helds is a pool of them by size.
type helds struct{ pools [len(heldClasses)]sync.Pool }

// keep gives a held with a copy of b.
func (p *helds) keep(b []byte) *held {
	h := p.room(len(b))
	h.b = append(h.b, b...)
	return h
}

// room gives an empty held for n bytes.
func (p *helds) room(n int) *held {
	for i, size := range heldClasses {
		if n > size {
			continue
		}
		if h, ok := p.pools[i].Get().(*held); ok {
			h.b = h.b[:0]
			return h
		}
		return &held{b: make([]byte, 0, size)}
	}
	return &held{b: make([]byte, 0, n+n/4)}
}

// put gives h back.
func (p *helds) put(h *held) {
	for i, size := range heldClasses {
		if cap(h.b) == size {
			p.pools[i].Put(h)
			return
		}
	}
}

// replace makes h hold rest, which may be part of h itself, and gives the holder
// to use from now on: nil for nothing.
func (p *helds) replace(h *held, rest []byte) *held {
	switch {
	case h == nil && len(rest) == 0:
		return nil
	case h == nil:
		return p.keep(rest)
	case len(rest) == 0:
		p.put(h)
		return nil
	}
	// A buffer much too large goes back, one that fits is used on.
	if len(rest) <= cap(h.b) && len(rest) > cap(h.b)/8 {
		h.b = h.b[:copy(h.b[:len(rest)], rest)]
		return h
	}
	n := p.keep(rest)
	p.put(h)
	return n
}

// grow makes space for n more bytes behind what h holds, and gives the holder to use from
// now on. It grows by what is there, so a packet that claims much and sends little costs
// little; what it grows out of is another's at once.
func (p *helds) grow(h *held, n int) *held {
	if cap(h.b)-len(h.b) >= n {
		return h
	}
	next := p.room(len(h.b) + max(n, len(h.b)/2))
	next.b = append(next.b, h.b...)
	p.put(h)
	return next
}

// rest is the space behind what h holds.
func (h *held) rest() []byte { return h.b[len(h.b):cap(h.b)] }
