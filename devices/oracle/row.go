package oracle

// row is what one receiver got of one stream.
type row struct {
	receiver   int32 // session, or group behind them
	stream     int32
	sibling    int32     // next row of the receiver
	head, tail int32     // deliveries that have to come
	cursor     int32     // where the last one was found: the next is near
	next       uint64    // number after the highest that came
	seen       [4]uint64 // bit k: next-1-k came
	before     uint64    // next when the present connection began
	epoch      uint32    // of the session when before was set
	last       [3]uint64 // by QoS of publishing: number after the last that first came
	lastQoS    [3]uint8  // with which it came
}

const window = 256

type sight uint8

const (
	fresh  sight = iota // had not come
	again               // has come before
	beyond              // too long ago to say
)

// look tells whether a number has come before.
func (r *row) look(seq uint64) sight {
	if seq >= r.next {
		return fresh
	}
	k := r.next - 1 - seq
	switch {
	case k >= window:
		return beyond
	case r.seen[k/64]&(1<<(k%64)) != 0:
		return again
	}
	return fresh
}

// see notes that a number came.
func (r *row) see(seq uint64) {
	if seq >= r.next {
		r.shift(seq - r.next + 1)
		r.next = seq + 1
	}
	if k := r.next - 1 - seq; k < window {
		r.seen[k/64] |= 1 << (k % 64)
	}
}

func (r *row) shift(n uint64) {
	if n >= window {
		r.seen = [4]uint64{}
		return
	}
	for ; n >= 64; n -= 64 {
		r.seen[3], r.seen[2], r.seen[1], r.seen[0] = r.seen[2], r.seen[1], r.seen[0], 0
	}
	if n == 0 {
		return
	}
	for i := 3; i > 0; i-- {
		r.seen[i] = r.seen[i]<<n | r.seen[i-1]>>(64-n)
	}
	r.seen[0] <<= n
}

// row gives the row of a receiver and a stream, 0 if there is none.
func (j *judge) row(receiver, stream int32) int32 {
	return j.rowOf[uint64(uint32(receiver))<<32|uint64(uint32(stream))]
}

// openRow gives it in any case, 0 only for want of memory.
func (j *judge) openRow(receiver, stream int32) int32 {
	key := uint64(uint32(receiver))<<32 | uint64(uint32(stream))
	if i := j.rowOf[key]; i != 0 {
		return i
	}
	if j.rows.used() >= j.cfg.MaxRows {
		j.skip("memory: more pairs of receiver and publisher's topic than MaxRows")
		return 0
	}
	list := j.rowsOf(receiver)
	i := j.rows.add(row{receiver: receiver, stream: stream, sibling: *list})
	*list = i
	j.rowOf[key] = i
	return i
}

// expect notes that a message has to come in a row.
func (j *judge) expect(at int32, message int32, qos uint8) {
	if at == 0 {
		j.full = true
		return
	}
	if j.deliveries.used() >= j.cfg.MaxDeliveries {
		j.skip("memory: more outstanding deliveries than MaxDeliveries")
		j.full = true
		return
	}
	r := &j.rows.all[at]
	i := j.deliveries.add(delivery{message: message, row: at, prev: r.tail, qos: qos})
	if r.tail != 0 {
		j.deliveries.all[r.tail].next = i
	} else {
		r.head = i
	}
	r.tail = i
	j.messages.all[message].open++
}

// find gives the delivery of a message in a row, 0 if it does not have to come.
func (j *judge) find(at int32, message int32) int32 {
	if at == 0 || message == 0 {
		return 0
	}
	r := &j.rows.all[at]
	for i := r.cursor; i != 0; i = j.deliveries.all[i].next {
		if j.deliveries.all[i].message == message {
			return i
		}
	}
	for i := r.head; i != 0 && i != r.cursor; i = j.deliveries.all[i].next {
		if j.deliveries.all[i].message == message {
			return i
		}
	}
	return 0
}

// strike takes a delivery off its row: it came, or need not come any more.
func (j *judge) strike(i int32) {
	d := j.deliveries.all[i]
	r := &j.rows.all[d.row]
	if d.prev != 0 {
		j.deliveries.all[d.prev].next = d.next
	} else {
		r.head = d.next
	}
	if d.next != 0 {
		j.deliveries.all[d.next].prev = d.prev
	} else {
		r.tail = d.prev
	}
	if r.cursor = d.next; d.next == 0 {
		r.cursor = d.prev // the next one will be added behind it
	}
	j.deliveries.remove(i)
	m := &j.messages.all[d.message]
	m.open--
	j.forgetIfDone(d.message)
}
