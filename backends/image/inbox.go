package image

import (
	"sync"

	"github.com/fairlead-iot/fairlead/core"
)

// Item is a batch on its way.
type Item struct {
	Batch *core.Batch
	Done  func(error) // nil for nobody
	Bytes int64       // an estimate of what it holds in memory and will write
	Err   error       // why it fails alone
}

// Inbox is the bounded list of batches that wait to be written. Safe for concurrent use;
// one goroutine takes.
type Inbox struct {
	maxBytes int64
	maxOps   int
	wake     chan struct{}

	mu      sync.Mutex // guards what follows; held for a few instructions only
	items   []Item
	head    int   // items up to here are taken
	ops     int   // in what waits
	bytes   int64 // of all batches that were not answered yet
	refusal error // why nothing is taken: closed, or the store failed
}

// NewInbox makes one that takes maxBytes of batches that are not answered; maxOps
// operations are a full group.
func NewInbox(maxBytes int64, maxOps int) *Inbox {
	return &Inbox{maxBytes: maxBytes, maxOps: maxOps, wake: make(chan struct{}, 1)}
}

// Wake signals that something waits where nothing did, or that there is a full group.
func (q *Inbox) Wake() chan struct{} { return q.wake }

// Add takes a batch in. An error means that nothing was taken: core.ErrStoreBusy, or the
// reason of Refuse.
func (q *Inbox) Add(b *core.Batch, done func(error)) error {
	size := batchSize(b)
	q.mu.Lock()
	if q.refusal != nil {
		err := q.refusal
		q.mu.Unlock()
		return err
	}
	// A batch that is larger than the bound passes when it is alone.
	if q.bytes > 0 && q.bytes+size > q.maxBytes {
		q.mu.Unlock()
		return core.ErrStoreBusy
	}
	first := q.head == len(q.items)
	before := q.ops
	q.items = append(q.items, Item{Batch: b, Done: done, Bytes: size})
	q.ops += len(b.Ops)
	q.bytes += size
	full := before < q.maxOps && q.ops >= q.maxOps
	q.mu.Unlock()
	if first || full {
		Poke(q.wake)
	}
	return nil
}

// batchSize estimates what b holds in memory and will write, in bytes. A message
// that follows itself is counted once, as it is stored once.
func batchSize(b *core.Batch) int64 {
	const perOp = 64
	size := int64(len(b.Ops)+1) * perOp
	var last *core.Message
	for i := range b.Ops {
		op := &b.Ops[i]
		m := op.Entry.Msg
		if m == nil {
			m = op.Msg
		}
		if m == nil && op.Delayed != nil {
			m = op.Delayed.Msg
		}
		if m != nil && m != last {
			size += int64(m.Length())
			last = m
		}
	}
	return size
}

// Poke signals without waiting; one signal that is not yet taken is enough.
func Poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Take moves what waits to dst, as many batches as make a full group, or maxBytes; more
// says that some are left.
func (q *Inbox) Take(dst []Item, maxBytes int64) (items []Item, bytes int64, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	rest, n, ops := q.items[q.head:], 0, 0
	for n < len(rest) {
		it := &rest[n]
		if n > 0 && (ops+len(it.Batch.Ops) > q.maxOps || bytes+it.Bytes > maxBytes) {
			break
		}
		ops += len(it.Batch.Ops)
		bytes += it.Bytes
		n++
	}
	dst = append(dst, rest[:n]...)
	clear(rest[:n])
	q.ops -= ops
	if q.head += n; q.head > len(q.items)/2 {
		// Moving what is left costs less than what was taken: the list does not
		// grow, and its length does not make a group dearer.
		left := copy(q.items, q.items[q.head:])
		clear(q.items[left:])
		q.items, q.head = q.items[:left], 0
		const roomy = 1 << 16
		if left == 0 && cap(q.items) > roomy {
			q.items = nil // a rare burst must not keep its memory
		}
	}
	return dst, bytes, n < len(rest)
}

// Return puts items, which were taken, before all that waits.
func (q *Inbox) Return(items []Item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range items {
		q.ops += len(items[i].Batch.Ops)
	}
	q.items, q.head = append(items, q.items[q.head:]...), 0
}

// Answered gives the room of batches back whose Done was called.
func (q *Inbox) Answered(bytes int64) {
	q.mu.Lock()
	q.bytes -= bytes
	q.mu.Unlock()
}

// Waiting tells whether something is to be taken.
func (q *Inbox) Waiting() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.head < len(q.items)
}

// Full tells whether a full group waits.
func (q *Inbox) Full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ops >= q.maxOps
}

// Refuse makes Add answer err from here on, nil ends it. A store's end,
// core.ErrStoreClosed, is for good.
func (q *Inbox) Refuse(err error) {
	q.mu.Lock()
	if q.refusal != core.ErrStoreClosed {
		q.refusal = err
	}
	q.mu.Unlock()
}

// Refusal is what Add answers, nil when it takes.
func (q *Inbox) Refusal() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.refusal
}
