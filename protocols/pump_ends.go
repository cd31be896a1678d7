package protocols

import (
	"io"
	"time"
)

// outlet is where one byte stream goes out. All but what is set before the machine
// runs is behind the connection's mu.
type outlet struct {
	socket  *socket
	stream  stream   // set before machine
	own     *pending // replies of the machine, nil for none
	rest    [][]byte // of a batch that was cut short
	blocked bool     // the socket's writer is at work
}

// say queues an answer of the machine. stalled says that the client does not read
// what it asks for.
func (o *outlet) say(p *pendings, b []byte) (stalled bool) {
	if o.own == nil {
		o.own = p.get()
	}
	o.own.own = append(o.own.own, b...)
	return o.blocked && len(o.own.own) > stallAbove
}

// send puts segments through the stream and hands them to the kernel, until it
// has no room. It gives the bytes taken, of which the socket keeps what is left.
func (o *outlet) send(segs [][]byte) (sent int) {
	size := 0
	for _, s := range segs {
		for len(s) > 0 {
			n := min(len(s), batchLimit-size)
			if o.stream.write(s[:n]) != nil {
				return total(segs) // broken: the reader ends the connection
			}
			s = s[n:]
			sent += n
			if size += n; size < batchLimit {
				continue
			}
			size = 0
			if o.blocked = !o.socket.flush(); o.blocked {
				return sent
			}
		}
	}
	o.blocked = !o.socket.flush()
	return sent
}

func total(segs [][]byte) (n int) {
	for _, s := range segs {
		n += len(s)
	}
	return n
}

// inlet is where one byte stream comes in: what the machine has not taken yet.
type inlet struct {
	in    *held
	fresh int           // bytes that were read and are not charged yet, see rate.go
	layer time.Duration // that the stream itself worked and that is not charged yet
	room  int           // bytes to read at once, 0 for readSize
	unfed bool          // whole packets are held: they come first, nothing more is read
}

// readOnce reads once and hands over what is there now. A buffer is held only
// meanwhile.
func (i *inlet) readOnce(p *helds, s stream, feed func([]byte) error) error {
	if i.unfed && i.in != nil {
		return feed(i.in.b)
	}
	front := 0
	if i.in != nil {
		front = len(i.in.b)
	}
	var h *held
	var into []byte
	if front > readSize {
		i.in = p.grow(i.in, readSize)
		into = i.in.rest()
	} else {
		h = p.room(max(readSize, front+readSize/4))
		defer p.put(h)
		into = h.b[front:cap(h.b)]
	}
	if i.room > 0 && i.room < len(into) {
		into = into[:i.room]
	}
	n, err := s.read(into)
	if n <= 0 {
		if err == nil {
			err = io.EOF
		}
		return err
	}
	i.fresh = n
	all := into[:n]
	if h == nil {
		i.in.b = i.in.b[:front+n]
		all = i.in.b
	} else if front > 0 {
		all = h.b[:front+n]
		copy(all, i.in.b)
	}
	return feed(all)
}
