package simnet

import "sync"

// block holds bytes that arrived and were not read. A stream has one while there
// are some, and none while idle.
type block struct {
	b  []byte
	at int // of b, read so far
}

// blockSizes are the capacities that are pooled.
var blockSizes = [...]int{64, 256, 1024, 4096, 16 << 10, 64 << 10}

// blocks is a pool of them by size.
type blocks struct{ pools [len(blockSizes)]sync.Pool }

// room gives an empty block for n bytes.
func (p *blocks) room(n int) *block {
	for i, size := range blockSizes {
		if n > size {
			continue
		}
		if k, ok := p.pools[i].Get().(*block); ok {
			k.b, k.at = k.b[:0], 0
			return k
		}
		return &block{b: make([]byte, 0, size)}
	}
	return &block{b: make([]byte, 0, n)}
}

func (p *blocks) put(k *block) {
	if k == nil {
		return
	}
	for i, size := range blockSizes {
		if cap(k.b) == size {
			p.pools[i].Put(k)
			return // it may be somebody else's already
		}
	}
}

func (k *block) len() int {
	if k == nil {
		return 0
	}
	return len(k.b) - k.at
}

// add puts b behind what k (nil for nothing) holds, and gives the holder.
func (p *blocks) add(k *block, b []byte) *block {
	switch {
	case k == nil:
		k = p.room(len(b))
	case len(k.b)+len(b) <= cap(k.b):
	case k.len()+len(b) <= cap(k.b):
		k.b = k.b[:copy(k.b, k.b[k.at:])]
		k.at = 0
	default:
		more := p.room(k.len() + len(b))
		more.b = append(more.b, k.b[k.at:]...)
		p.put(k)
		k = more
	}
	k.b = append(k.b, b...)
	return k
}

// take moves bytes of k into b, and gives the holder of the rest: nil for nothing.
func (p *blocks) take(k *block, b []byte) (*block, int) {
	n := copy(b, k.b[k.at:])
	k.at += n
	if k.len() > 0 {
		return k, n
	}
	p.put(k)
	return nil, n
}
