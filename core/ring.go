package core

// cellState is how far one queued message of a session has come.
type cellState uint8

const (
	cellDone       cellState = iota // acknowledged, dropped or expired: only its place is left
	cellCommitting                  // waits for the store
	cellQueued                      // ready to be sent
	cellSent                        // PUBLISH sent, PUBACK or PUBREC awaited
	cellReleasing                   // PUBREC received, waits for the store to note it
	cellReleased                    // PUBREL sent, PUBCOMP awaited
)

// cell is one QoS 1 or 2 message of a session, from the moment it was matched to
// its last acknowledgement.
type cell struct {
	msg    *Message // nil from cellReleasing on
	subIDs *[]uint32
	subID  uint32
	vetted uint32 // low bits of the rules' version under which it may be delivered
	state  cellState
	qos    uint8
	flags  cellFlags
	rank   uint8 // see priority.go
}

// cellFlags are what else a cell knows.
type cellFlags uint8

const (
	cellRetain cellFlags = 1 << iota // as the receiver shall see it
	cellDup                          // was, or may have been, sent on a former connection
	cellOut                          // was sent on this one
)

// ring is the queue and the inflight window of one session in one: cells in the
// order of their sequence numbers, [base, end) in memory. It exists only while
// it holds something. Guarded by the session's lock.
//
// A message's Packet Identifier is a function of its sequence number (packetID),
// so that it need not be stored, is the same when it is sent again
// [MQTT-4.4.0-1], and cannot be in use twice while end-base stays below 65,535.
type ring struct {
	cells    []cell // length is a power of two
	base     uint64 // the oldest cell kept
	send     uint64 // the next cell to send on this connection
	end      uint64
	spared   uint64  // no cell below it may give way to newer ones
	levels   []level // by rank; nil without priorities: all are sent in order
	bytes    int     // of messages queued here
	inflight int     // sent on this connection and unacknowledged
}

// maxWindow bounds [base, send): more could not be told apart by Packet Identifier.
const maxWindow = 65_535

// packetID is the Packet Identifier of the message with sequence number seq.
func packetID(seq uint64) uint16 { return uint16(seq%maxWindow) + 1 }

// newRing makes a ring that begins at seq, with so many ranks.
func newRing(seq uint64, levels int) *ring {
	r := &ring{cells: make([]cell, 4)}
	if levels > 0 {
		r.levels = make([]level, levels)
	}
	r.restart(seq)
	return r
}

// restart makes an empty ring go on at seq.
func (r *ring) restart(seq uint64) { r.base, r.send, r.end, r.spared = seq, seq, seq, seq }

// ringPool keeps empty rings of a turn: a session that sends and is acknowledged
// message by message would else allocate one each time.
type ringPool struct {
	free   []*ring
	levels int // of each
}

// pooledCells is up to how many cells a ring may keep in the pool.
const pooledCells = 64

func (p *ringPool) get(seq uint64) *ring {
	n := len(p.free)
	if n == 0 {
		return newRing(seq, p.levels)
	}
	r := p.free[n-1]
	p.free = p.free[:n-1]
	r.restart(seq)
	return r
}

// put takes an empty ring back: every cell of it was freed.
func (p *ringPool) put(r *ring) {
	if len(r.cells) <= pooledCells && len(p.free) < pooledMost {
		r.bytes, r.inflight = 0, 0
		p.free = append(p.free, r)
	}
}

func (r *ring) at(seq uint64) *cell { return &r.cells[seq&uint64(len(r.cells)-1)] }

// push appends c at sequence number end.
func (r *ring) push(c cell) {
	if int(r.end-r.base) == len(r.cells) {
		r.grow()
	}
	*r.at(r.end) = c
	if r.levels != nil && c.waits() {
		r.enter(&c, r.end)
	}
	r.end++
	if c.msg != nil {
		r.bytes += c.msg.Size()
	}
}

func (r *ring) grow() {
	next := make([]cell, 2*len(r.cells))
	for s := r.base; s < r.end; s++ {
		next[s&uint64(len(next)-1)] = *r.at(s)
	}
	r.cells = next
}

// find gives the cell that was sent as packet identifier id, or nil.
func (r *ring) find(id uint16) (*cell, uint64) {
	if id == 0 {
		return nil, 0
	}
	low := r.base % maxWindow
	seq := r.base + (uint64(id-1)+maxWindow-low)%maxWindow
	if seq >= r.send || r.at(seq).flags&cellOut == 0 {
		return nil, 0
	}
	return r.at(seq), seq
}

// next is the cell whose turn to be sent it is, or nil while none may be.
func (r *ring) next() (*cell, uint64) {
	if r.levels != nil {
		return r.nextByRank()
	}
	for r.send < r.end && r.send-r.base < maxWindow {
		c := r.at(r.send)
		if c.state == cellCommitting {
			break // order: nothing overtakes it
		}
		if c.state != cellDone {
			return c, r.send
		}
		r.send++
	}
	return nil, 0
}

// take notes that the cell which next gave is sent.
func (r *ring) take(c *cell, seq uint64) {
	c.flags |= cellOut
	r.send = max(r.send, seq+1)
	if r.levels != nil {
		r.levels[c.rank].waiting--
	}
}

// free ends a cell and moves base over what is done. It leaves the counts to the
// caller but for the bytes.
func (r *ring) free(c *cell) {
	if c.msg != nil {
		r.bytes -= c.msg.Size()
	}
	if r.levels != nil && c.waits() {
		r.levels[c.rank].waiting--
	}
	*c = cell{}
	r.skipDone()
}

// skipDone moves base over leading cells that are done.
func (r *ring) skipDone() {
	for r.base < r.end && r.at(r.base).state == cellDone {
		r.base++
	}
	r.send = max(r.send, r.base)
}

// empty says that nothing is left.
func (r *ring) empty() bool { return r.base == r.end }

// waiting is how many cells wait to be sent the first time.
func (r *ring) waiting() int {
	if r.levels != nil {
		return r.total()
	}
	return int(r.end - r.send)
}

// outbox is what one connection has to send: filled under the session's lock by
// any turn, emptied by Take. It exists only while it holds something.
type outbox struct {
	items []Delivery
	next  int // items before it were taken
	bytes int // of the QoS 0 messages from next on; the ring counts the others
}

func (o *outbox) push(d Delivery) {
	o.items = append(o.items, d)
	o.bytes += d.loose()
}

// loose is the size of a message that nothing but the outbox holds.
func (d *Delivery) loose() int {
	if d.Msg == nil || d.QoS > 0 {
		return 0
	}
	return d.Msg.Size()
}

func (o *outbox) len() int { return len(o.items) - o.next }

// take moves at most max items behind dst. A box that is never empty gives back
// the room of what was taken all the same.
func (o *outbox) take(dst []Delivery, max int) []Delivery {
	taken := o.items[o.next : o.next+min(max, o.len())]
	dst = append(dst, taken...)
	for i := range taken {
		o.bytes -= taken[i].loose()
	}
	o.next += len(taken)
	if left := o.len(); left > 0 && o.next >= left {
		copy(o.items, o.items[o.next:])
		clear(o.items[left:])
		o.items, o.next = o.items[:left], 0
	}
	return dst
}

// boxPool keeps empty outboxes of a turn in two sizes, so that an idle session
// holds none and a busy one does not allocate.
type boxPool struct{ small, large []*outbox }

const (
	smallBox   = 4
	largeBox   = 256
	hugeBox    = 8192 // grown beyond it: left to the collector
	pooledMost = 2048
)

func (p *boxPool) get() *outbox {
	if n := len(p.small); n > 0 {
		o := p.small[n-1]
		p.small = p.small[:n-1]
		return o
	}
	if n := len(p.large); n > 0 {
		o := p.large[n-1]
		p.large = p.large[:n-1]
		return o
	}
	return &outbox{items: make([]Delivery, 0, smallBox)}
}

// put takes an emptied outbox back.
func (p *boxPool) put(o *outbox) {
	clear(o.items)
	o.items, o.next, o.bytes = o.items[:0], 0, 0
	switch c := cap(o.items); {
	case c < largeBox && len(p.small) < pooledMost:
		p.small = append(p.small, o)
	case c >= largeBox && c <= hugeBox && len(p.large) < 64:
		p.large = append(p.large, o)
	}
}
