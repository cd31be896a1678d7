package protocols

import "sync"

// held keeps the begin of a packet whose end has not arrived, between two reads.
// Its size follows what really came, never what the packet claims.
type held struct{ b []byte }

// heldClasses are the sizes that are pooled.
var heldClasses = [...]int{64, 256, 1024, 4096, 16 << 10, 64 << 10}

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

// room makes space for n more bytes behind what h holds. It grows by what is
// there, so a packet that claims much and sends little costs little.
func (h *held) room(n int) []byte {
	if cap(h.b)-len(h.b) < n {
		b := make([]byte, len(h.b), len(h.b)+max(n, len(h.b)/2))
		copy(b, h.b)
		h.b = b
	}
	return h.b[len(h.b):cap(h.b)]
}
