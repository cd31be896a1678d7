package rules

import (
	"math/bits"
	"sync"
)

// progress numbers entries, which are done in any order, and knows up to which all are.
type progress struct {
	mu   sync.Mutex
	last uint64   // the latest number
	base uint64   // all numbers up to it are done, and words begin behind it
	done []uint64 // a bit each
}

// next gives a number to an entry.
func (p *progress) next() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	return p.last
}

func (p *progress) latest() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// finish notes numbers as done.
func (p *progress) finish(seqs ...uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, seq := range seqs {
		if seq <= p.base {
			continue
		}
		at := seq - p.base - 1
		for uint64(len(p.done)) <= at/64 {
			p.done = append(p.done, 0)
		}
		p.done[at/64] |= 1 << (at % 64)
	}
	for len(p.done) > 0 && p.done[0] == ^uint64(0) {
		p.base += 64
		if p.done = p.done[1:]; len(p.done) == 0 {
			p.done = nil
		}
	}
}

// reached says up to which number all are done.
func (p *progress) reached() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.done) == 0 {
		return p.base
	}
	return p.base + uint64(bits.TrailingZeros64(^p.done[0]))
}
