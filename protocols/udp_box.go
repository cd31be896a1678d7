package protocols

import (
	"net/netip"
	"sync/atomic"

	"github.com/fairlead-iot/fairlead/core"
)

// outbox collects the datagrams of one turn, so that many go out in one system call
// whoever they are for. It belongs to its turn's goroutine.
type outbox struct {
	out   Out // Buf holds the bytes of all datagrams
	items []outItem
	send  sender // the system's part
}

var _ core.Outbox = (*outbox)(nil)

// outItem is one datagram in an outbox.
type outItem struct {
	via      *port
	to       netip.AddrPort
	from     *localAddr // nil: as the system chooses
	low, end int        // in Buf
}

const (
	// boxItems and boxBytes are when an outbox is sent before the turn's end.
	boxItems = 256
	boxBytes = 128 << 10
	// fairBytes is what one connection may put into a box at once; the rest follows
	// after others had their turn.
	fairBytes = 16 << 10
)

// boxOf gives the turn's outbox.
func boxOf(t *core.Turn) *outbox {
	if b, ok := t.Outbox.(*outbox); ok {
		return b
	}
	b := &outbox{}
	t.Outbox = b
	return b
}

// add puts one datagram in.
func (b *outbox) add(via *port, to netip.AddrPort, from *localAddr, datagram []byte) {
	low := len(b.out.Buf)
	b.out.Buf = append(b.out.Buf, datagram...)
	b.items = append(b.items, outItem{via, to, from, low, len(b.out.Buf)})
}

// full tells whether it is time to send.
func (b *outbox) full() bool { return len(b.items) >= boxItems || len(b.out.Buf) >= boxBytes }

// Send implements core.Outbox: one batch for each socket.
func (b *outbox) Send(t *core.Turn) {
	for begin := 0; begin < len(b.items); {
		via := b.items[begin].via
		end := b.gather(begin, via)
		b.sendVia(t, via, b.items[begin:end])
		begin = end
	}
	clear(b.items)
	b.items = b.items[:0]
	if cap(b.out.Buf) > 2*boxBytes {
		b.out.Buf = nil
	}
	b.out.Buf = b.out.Buf[:0]
}

// gather brings the items of one socket together, from begin on, and gives their end.
// It keeps the order of each socket's.
func (b *outbox) gather(begin int, via *port) int {
	end := begin
	for i := begin; i < len(b.items); i++ {
		if b.items[i].via != via {
			continue
		}
		if i != end {
			it := b.items[i]
			copy(b.items[end+1:i+1], b.items[end:i])
			b.items[end] = it
		}
		end++
	}
	return end
}

func (b *outbox) sendVia(t *core.Turn, via *port, items []outItem) {
	calls, sent, failed := via.socket.send(b, items)
	t.Count(core.WriteCalls, uint64(calls))
	t.Count(core.BytesSent, uint64(sent))
	via.countUnsent(t, uint64(failed))
}

// countUnsent counts datagrams that the system did not take: its buffer is full, or it
// knows no way.
func (p *port) countUnsent(t *core.Turn, n uint64) {
	if n > 0 {
		p.listener.refused[core.OutgoingFull].Add(n)
		t.CountReason(core.OutgoingFull, n)
	}
}

// sentAside counts what was sent outside of turns, until the port's next one.
type sentAside struct{ calls, bytes, unsent atomic.Uint64 }

func (a *sentAside) moveTo(t *core.Turn, p *port) {
	if a.calls.Load() == 0 {
		return
	}
	t.Count(core.WriteCalls, a.calls.Swap(0))
	t.Count(core.BytesSent, a.bytes.Swap(0))
	p.countUnsent(t, a.unsent.Swap(0))
}
