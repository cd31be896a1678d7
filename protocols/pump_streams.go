package protocols

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/fairlead-iot/fairlead/core"
)

// dataStreams is what a connection has more once its client opened a data stream.
// Its methods take nil for a connection that has none.
type dataStreams struct {
	machine StreamMachine
	open    map[Stream]*dataStream // changed with input and mu held, read with one of them
	last    Stream
	busy    bool // the machine's other half is at work: Output waits for the turn's end
}

// dataStream is one of them. It has a goroutine that parks in the stream, as the
// connection has for its first.
type dataStream struct {
	conn *pumpConn
	id   Stream
	inlet
	outlet
	reading bool // the reader runs; then in is its own. Behind input, as the next three.
	stalled bool
	ended   bool // nothing more is taken
	broken  bool // nothing can go out any more
	closed  bool // behind mu: our side was ended, too
}

// streamBacklog is how many bytes may wait for a client that does not read one of its
// streams. Up to there the others go on; above it none of them gets deliveries.
const streamBacklog = 256 << 10

// newMachine makes the machine, for several streams where the transport has them.
func (c *pumpConn) newMachine(info *ConnInfo) Machine {
	if a, ok := c.listener.adapter.(StreamAdapter); ok && c.listener.cfg.Transport == QUIC && c.listener.cfg.QUIC.Streams > 1 {
		return a.NewStreamMachine(info, c)
	}
	return c.listener.adapter.NewMachine(info, c)
}

// expectStreams takes the data streams of a client that was accepted; those that it
// opened before have waited inside QUIC.
func (c *pumpConn) expectStreams() {
	q, ok := c.socket.Conn.(*quicConn)
	m, divides := c.machine.(StreamMachine)
	if !ok || !divides || c.listener.cfg.QUIC.Streams < 2 {
		return
	}
	c.engine.wg.Go(func() {
		for {
			s, err := q.conn.AcceptStream(context.Background())
			if err != nil {
				return // the connection is over
			}
			c.addStream(m, &quicData{s, q})
		}
	})
}

func (c *pumpConn) addStream(m StreamMachine, conn *quicData) {
	c.enter()
	defer c.leave()
	if c.over() {
		conn.Close()
		return
	}
	d := &dataStream{conn: c, reading: true}
	d.socket = newSocket(c.engine, conn)
	d.socket.polling = true
	d.socket.drained = d.drained
	d.stream = plainStream{d.socket}
	c.mu.Lock()
	if c.data == nil {
		c.data = &dataStreams{machine: m, open: map[Stream]*dataStream{}, busy: true}
	}
	c.data.last++
	d.id = c.data.last
	c.data.open[d.id] = d
	c.mu.Unlock()
	c.engine.wg.Go(d.read)
	// A client that no longer reads a stream says so without sending anything.
	context.AfterFunc(conn.Context(), func() {
		if byClient(context.Cause(conn.Context())) {
			c.post(func(*pumpConn) { d.lose() })
		}
	})
}

// at gives an open data stream, nil for the first and for one that is gone.
func (ds *dataStreams) at(s Stream) *dataStream {
	if ds == nil || s == 0 {
		return nil
	}
	return ds.open[s]
}

// proceed starts the readers again that the machine's pause ended.
func (ds *dataStreams) proceed() {
	if ds == nil {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(ds.open)) {
		if d := ds.open[id]; d != nil {
			d.proceed()
		}
	}
}

// forget drops what a connection that is over still holds.
func (ds *dataStreams) forget() {
	if ds != nil {
		for _, d := range ds.open {
			d.ended = true
		}
	}
}

// read is the stream's reader: it ends with the stream, or while the machine pauses.
func (d *dataStream) read() {
	for {
		err := d.readOnce(&d.conn.engine.pools.helds, d.stream, d.take)
		if errors.Is(err, errAgain{}) {
			err = d.stream.wait()
		}
		if errors.Is(err, errPaused) {
			return
		}
		if err != nil {
			d.conn.enter()
			d.end(err)
			d.conn.leave()
			return
		}
	}
}

// take gives b to the machine in a turn of its own.
func (d *dataStream) take(b []byte) error {
	c := d.conn
	c.enter()
	defer c.leave()
	c.engine.touch(c)
	if c.paused || c.throttled {
		d.in = c.engine.pools.helds.replace(d.in, b)
	} else {
		d.feed(b)
	}
	if d.reading = !c.paused && !c.throttled && !d.stalled; !d.reading {
		return errPaused
	}
	return nil
}

// feed gives b to the machine and keeps what it does not take. input is held.
func (d *dataStream) feed(b []byte) {
	c := d.conn
	d.unfed = false
	if d.ended || c.over() {
		return
	}
	c.act.Reset()
	before := c.allow()
	used := c.data.machine.InputStream(c.turn, d.id, b, &c.act)
	left := c.act.Messages
	d.in = c.engine.pools.helds.replace(d.in, b[used:])
	d.unfed = c.act.Again
	over := c.act.EndStream
	k := d.inlet.cost(before - left)
	c.apply()
	c.charge(&d.inlet, k, left)
	switch {
	case over:
		d.ended = true
		d.socket.Conn.(*quicData).refuse()
	case d.in != nil && !c.over() && !c.paused && !d.unfed && len(d.in.b) > c.listener.heldLimit(true):
		c.refuse(core.PacketTooLarge, errHeldTooMuch.Error())
	}
}

// proceed starts the reader again where it had ended. input is held.
func (d *dataStream) proceed() {
	c := d.conn
	if d.reading || d.ended || d.stalled || c.paused || c.throttled || c.over() {
		return
	}
	if d.in != nil {
		d.feed(d.in.b)
	}
	if !c.paused && !c.throttled && !d.stalled {
		d.reading = true
		c.engine.wg.Go(d.read)
	}
}

// end follows the last byte of the client. input is held.
func (d *dataStream) end(err error) {
	c := d.conn
	d.reading = false
	if d.in != nil {
		c.engine.pools.helds.put(d.in)
		d.in = nil
	}
	// Any other error is ours or the connection's, whose own reader sees it.
	if !c.over() && !d.ended && (errors.Is(err, io.EOF) || byClient(err)) {
		d.tell(false)
	}
}

// byClient tells whether the client broke off one direction of a stream.
func byClient(err error) bool {
	var reset *quic.StreamError
	return errors.As(err, &reset) && reset.Remote
}

// lose gives up a stream that the client no longer reads. input is held.
func (d *dataStream) lose() {
	if d.broken || d.conn.over() {
		return
	}
	d.broken = true
	d.socket.Conn.Close()
	d.tell(true)
	d.conn.sweep()
}

// tell tells the machine, once for the end and once for the loss.
func (d *dataStream) tell(lost bool) {
	c := d.conn
	d.ended = true
	c.act.Reset()
	c.data.machine.StreamEnded(c.turn, d.id, lost, &c.act)
	c.apply()
}

// drained goes on once QUIC took everything. The socket's writer calls it.
func (d *dataStream) drained() {
	d.conn.post(func(c *pumpConn) {
		c.mu.Lock()
		d.blocked = false
		c.flush(c.turn)
		free := !d.blocked
		c.mu.Unlock()
		if free && d.stalled {
			d.stalled = false
			d.proceed()
		}
	})
}

// sweep forgets the streams that are over on both sides. input is held.
func (c *pumpConn) sweep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.data.open, func(_ Stream, d *dataStream) bool { return d.broken || d.closed })
}

// flushStreams is flush for a connection with data streams: it writes what waits at
// each, then one batch of the machine's. mu is held.
func (c *pumpConn) flushStreams(t *core.Turn) {
	clear := c.outlet.pass(&c.engine.pools.pendings)
	for _, d := range c.data.open {
		clear = d.outlet.pass(&c.engine.pools.pendings) && clear
	}
	more := false
	if clear && c.ready && c.phase == phaseOpen && !c.data.busy {
		b := c.engine.pools.batches.get()
		more = c.machine.Output(t, &b.Out)
		c.share(b)
		c.engine.pools.batches.put(b)
	}
	c.closeStreams()
	switch {
	case more:
		c.post((*pumpConn).nothing)
	case !c.blocked && len(c.rest) == 0:
		c.farewell()
	}
}

// closeStreams ends our side of the streams of which the client has ended its own and
// to which nothing more is owed. mu is held.
func (c *pumpConn) closeStreams() {
	for _, d := range c.data.open {
		if !d.ended || d.closed || d.blocked || len(d.rest) > 0 || c.data.busy || c.data.machine.Owes(d.id) {
			continue
		}
		d.closed = true
		d.socket.finish(time.Now().Add(lingerTime))
		c.post((*pumpConn).sweep)
	}
}

// share sends the parts of a batch by their streams; what is meant for one that is
// gone goes by the first. mu is held.
func (c *pumpConn) share(b *batch) {
	from := mark{}
	part := func(to mark) {
		segs := b.between(from, to)
		if len(segs) == 0 {
			return
		}
		o := &c.outlet
		if d := c.data.at(from.stream); d != nil {
			o = &d.outlet
		}
		o.give(segs)
	}
	for _, m := range b.marks {
		part(m)
		from = m
	}
	part(mark{at: len(b.Buf), refs: len(b.refs)})
}

// give sends segs behind what waits, or has them wait, too.
func (o *outlet) give(segs [][]byte) {
	sent := 0
	if !o.blocked && len(o.rest) == 0 {
		sent = o.send(segs)
	}
	for _, s := range segs {
		if n := min(sent, len(s)); n < len(s) {
			o.rest = append(o.rest, append([]byte(nil), s[n:]...))
			sent -= n
			continue
		}
		sent -= len(s)
	}
}

// pass sends what waits and the machine's answers. It tells whether more may come.
func (o *outlet) pass(p *pendings) bool {
	if !o.blocked && len(o.rest) > 0 {
		o.rest = advance(o.rest, o.send(o.rest))
	}
	if !o.blocked && len(o.rest) == 0 && o.own != nil {
		own := o.own
		o.own = nil
		o.give([][]byte{own.own})
		p.put(own)
	}
	return total(o.rest) < streamBacklog
}
