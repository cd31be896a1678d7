package protocols

import (
	"math"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// dgramQueue is datagrams that wait to be sent on one connection.
type dgramQueue struct {
	b    []byte
	ends []int
}

func (q *dgramQueue) add(d []byte) {
	q.b = append(q.b, d...)
	q.ends = append(q.ends, len(q.b))
}

// dgramQueues is the pool of them: an idle connection has none.
type dgramQueues struct{ pool sync.Pool }

func (p *dgramQueues) get() *dgramQueue {
	if q, ok := p.pool.Get().(*dgramQueue); ok {
		return q
	}
	return &dgramQueue{b: make([]byte, 0, 128), ends: make([]int, 0, 4)}
}

func (p *dgramQueues) put(q *dgramQueue) {
	if cap(q.b) > 4096 {
		return
	}
	q.b, q.ends = q.b[:0], q.ends[:0]
	p.pool.Put(q)
}

// alarmTicks is d on the wheel of alarms: not earlier, and at most two ticks later.
func alarmTicks(d time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	return uint32(min((d+alarmTick-1)/alarmTick, math.MaxInt32/2)) + 1
}

// Wake implements core.Conn: it puts a batch of the machine's output into the turn's
// outbox, which is sent once all that the turn touched had theirs.
func (c *dgramConn) Wake(t *core.Turn) {
	c.mu.Lock()
	if c.ready && c.phase == phaseOpen {
		c.flush(t)
	}
	c.mu.Unlock()
}

// push sends the machine's replies at the end of the port's turn, and what Output has
// behind them.
func (c *dgramConn) push(t *core.Turn) {
	c.mu.Lock()
	c.asked = false
	if c.phase != phaseGone {
		c.flush(t)
	}
	ended := c.phase == phaseLinger
	left := c.out
	if ended {
		c.phase, c.out = phaseGone, nil
	}
	c.mu.Unlock()
	if !ended {
		return
	}
	if left != nil {
		c.port.refuse(core.AmplificationLimit, c.peer, "replies that waited until the address was proven, when the connection ended")
	}
	if c.session != nil {
		c.session.leave(c.port, c)
	}
}

// flush puts what waits into the turn's outbox, then one batch. mu is held.
func (c *dgramConn) flush(t *core.Turn) {
	b := boxOf(t)
	if !c.flushQueue(b) {
		return // the address must be proven, or send more
	}
	if !c.ready || c.phase != phaseOpen || !c.proven && c.budget == 0 {
		return
	}
	if c.flushOutput(t, b) && !c.asked {
		// After others had their turn.
		c.asked = true
		c.port.post(func(p *port) { c.mark(p) })
	}
	if b.full() {
		b.Send(t)
	}
}

// flushQueue sends the datagrams that wait, and tells whether all of them went.
func (c *dgramConn) flushQueue(b *outbox) bool {
	q := c.out
	if q == nil {
		return true
	}
	at := 0
	for i, end := range q.ends {
		if !c.spend(end - at) {
			q.keep(at, i)
			return false
		}
		c.put(b, q.b[at:end])
		at = end
	}
	c.out = nil
	c.port.engine.queues.put(q)
	return true
}

// keep drops the first n datagrams, which end at byte at.
func (q *dgramQueue) keep(at, n int) {
	q.b = q.b[:copy(q.b, q.b[at:])]
	q.ends = q.ends[:copy(q.ends, q.ends[n:])]
	for i := range q.ends {
		q.ends[i] -= at
	}
}

// spend takes n bytes from what may be sent, or tells that they must wait.
func (c *dgramConn) spend(n int) bool {
	if c.proven {
		return true
	}
	if uint32(n) > c.budget {
		return false
	}
	c.budget -= uint32(n)
	return true
}

// put sends one datagram.
func (c *dgramConn) put(b *outbox, d []byte) {
	if c.session != nil {
		c.session.write(d)
		return
	}
	b.add(c.port, c.peer, c.local, d)
}

// flushOutput sends one batch of the machine's output, and tells whether more is left.
// What an address that is not proven may not be sent yet waits, and nothing more is
// taken from core meanwhile.
func (c *dgramConn) flushOutput(t *core.Turn, b *outbox) (more bool) {
	limit := fairBytes
	if !c.proven {
		limit = min(limit, int(c.budget))
	}
	o := &b.out
	low := len(o.Buf)
	o.Limit = o.Len() + limit
	more = c.machine.Output(t, o)
	if n := len(o.Buf); n > low && (len(o.ends) == 0 || o.ends[len(o.ends)-1].buf < n) || len(o.refs) > 0 {
		o.EndDatagram()
	}
	if len(o.refs) > 0 {
		o.inline(low)
	}
	waits := false
	for _, end := range o.ends {
		d := o.Buf[low:end.buf]
		switch {
		case len(d) == 0:
		case waits || !c.spend(len(d)):
			waits = true
			if c.out == nil {
				c.out = c.port.engine.queues.get()
			}
			c.out.add(d)
		case c.session != nil:
			c.session.write(d)
		default:
			b.items = append(b.items, outItem{c.port, c.peer, c.local, low, end.buf})
		}
		low = end.buf
	}
	o.ends, o.marks = o.ends[:0], o.marks[:0]
	return more && !waits
}

// inline copies what was referenced since Buf[low:] began to where it belongs: a
// datagram is one piece.
func (o *Out) inline(low int) {
	tail := append([]byte(nil), o.Buf[low:]...)
	at, ref := 0, 0
	o.Buf = o.Buf[:low]
	for i := range o.ends {
		end := &o.ends[i]
		for ; ref < end.refs; ref++ {
			upTo := o.refs[ref].at - low
			o.Buf = append(o.Buf, tail[at:upTo]...)
			at = upTo
			o.Buf = append(o.Buf, o.refs[ref].b...)
		}
		o.Buf = append(o.Buf, tail[at:end.buf-low]...)
		at = end.buf - low
		end.buf = len(o.Buf)
	}
	clear(o.refs)
	o.refs, o.size = o.refs[:0], 0
}
