package protocols

import "sync"

const (
	// batchLimit is how much one write should carry: the kernel's cost of a
	// write is flat up to about 40 KB.
	batchLimit = 64 << 10
	// readSize is what one read takes at most: the fairness between connections.
	readSize = 64 << 10
	// batchKeep is the largest buffer that goes back to the pool.
	batchKeep = 2 * batchLimit
	// maxSegments is how many parts one vectored write may have (IOV_MAX).
	maxSegments = 1024
	// stallAbove is how many bytes of replies may wait for a client that does not
	// read; above it nothing more is read from it.
	stallAbove = 64 << 10
)

// batch is what one write is put together in. It is pooled: there are about as
// many as processors.
type batch struct {
	Out
	segs [][]byte
}

// batches is the pool of them; a type of its own so that whoever owns it gives
// it a name.
type batches struct{ pool sync.Pool }

func (p *batches) get() *batch {
	if b, ok := p.pool.Get().(*batch); ok {
		return b
	}
	return &batch{Out: Out{Buf: make([]byte, 0, batchLimit+4096), Limit: batchLimit}}
}

func (p *batches) put(b *batch) {
	if cap(b.Buf) > batchKeep {
		return
	}
	b.Buf = b.Buf[:0]
	clear(b.refs)
	b.refs = b.refs[:0]
	clear(b.segs)
	b.segs = b.segs[:0]
	b.marks = b.marks[:0]
	b.size = 0
	p.pool.Put(b)
}

// segments lists what goes out, in order.
func (b *batch) segments() [][]byte {
	return b.between(mark{}, mark{at: len(b.Buf), refs: len(b.refs)})
}

// between lists what lies between two marks.
func (b *batch) between(from, to mark) [][]byte {
	b.segs = b.segs[:0]
	at := from.at
	for _, r := range b.refs[from.refs:to.refs] {
		if r.at > at {
			b.segs = append(b.segs, b.Buf[at:r.at:r.at])
			at = r.at
		}
		if len(r.b) > 0 {
			b.segs = append(b.segs, r.b)
		}
	}
	if at < to.at {
		b.segs = append(b.segs, b.Buf[at:to.at:to.at])
	}
	return b.segs
}

// rest lists what is left once n bytes were written, as slices that outlive the
// batch: what lay in Buf is copied, what was referenced stays shared.
func (b *batch) rest(n int) [][]byte {
	kept := append([]byte(nil), b.Buf...)
	at := 0
	var segs [][]byte
	add := func(s []byte) {
		if n >= len(s) {
			n -= len(s)
			return
		}
		segs = append(segs, s[n:])
		n = 0
	}
	for _, r := range b.refs {
		add(kept[at:r.at:r.at])
		add(r.b)
		at = r.at
	}
	add(kept[at:])
	return segs
}

// advance drops the first n bytes of segs.
func advance(segs [][]byte, n int) [][]byte {
	for n > 0 {
		if n < len(segs[0]) {
			segs[0] = segs[0][n:]
			return segs
		}
		n -= len(segs[0])
		segs[0] = nil
		segs = segs[1:]
	}
	return segs
}

// pending is what waits to be written on one connection; an idle one has none.
type pending struct {
	rest [][]byte // of a write that the kernel cut short; goes first
	own  []byte   // replies of the machine, behind it
}

// pendings is the pool of them.
type pendings struct{ pool sync.Pool }

func (p *pendings) get() *pending {
	if w, ok := p.pool.Get().(*pending); ok {
		return w
	}
	return &pending{own: make([]byte, 0, 64)}
}

func (p *pendings) put(w *pending) {
	if cap(w.own) > 4096 {
		return
	}
	w.own, w.rest = w.own[:0], nil
	p.pool.Put(w)
}
