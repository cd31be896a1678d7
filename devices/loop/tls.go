package loop

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// maxHandshake is how many bytes of a server may wait for a handshake to take them.
const maxHandshake = 128 << 10

// tlsWire lets crypto/tls run on a transport that does not block. During the
// handshake, which crypto/tls cannot interrupt, a goroutine waits here for what the
// loop reads, and the loop writes what it says; the goroutine never touches the
// transport. Afterwards the wire is live: crypto/tls is called by the loop only,
// reads the transport itself, and is told to come back when there is nothing.
type tlsWire struct {
	conn *tls.Conn
	loop *Loop
	c    *Conn
	live bool // the loop's, and read by the goroutine only before it is set

	mu    sync.Mutex
	in    []byte
	inErr error
	out   []byte
	done  bool
	err   error
	wake  chan struct{}
}

var errHandshakeLeft = errors.New("the connection was given up during the TLS handshake")

// secure begins the handshake, or queues it where enough are under way.
func (l *Loop) secure(c *Conn) {
	w := &tlsWire{loop: l, c: c, wake: make(chan struct{}, 1)}
	w.conn = tls.Client(w, c.e.secure)
	c.x.tls = w
	c.state = stateSecuring
	l.toSecure = append(l.toSecure, w)
	l.startHandshakes()
}

// startHandshakes takes from the queue as many as may run. What is in the queue and
// was given up meanwhile costs nothing.
func (l *Loop) startHandshakes() {
	for len(l.toSecure) > 0 && int(l.securing.Load()) < l.opt.Handshakes {
		w := l.toSecure[0]
		l.toSecure[0] = nil
		if l.toSecure = l.toSecure[1:]; len(l.toSecure) == 0 {
			l.toSecure = nil
		}
		if w.c.state != stateSecuring || w.c.x.tls != w {
			continue
		}
		l.securing.Add(1)
		l.secured.Add(1)
		go w.handshake()
		l.rewatch(w.c)
		if w.c.sticky() {
			w.c.markAgain()
		}
	}
}

// handshake is the goroutine.
func (w *tlsWire) handshake() {
	defer w.loop.secured.Done()
	err := w.conn.HandshakeContext(context.Background()) // abort ends it
	w.mu.Lock()
	w.done, w.err = true, err
	w.mu.Unlock()
	w.loop.securing.Add(-1)
	w.loop.note(w.c)
}

// feedHandshake gives the goroutine what has come.
func (l *Loop) feedHandshake(c *Conn) {
	w := c.x.tls
	n, err := c.raw.tryRead(l.buf[:l.opt.ReadSize])
	w.mu.Lock()
	w.in = append(w.in, l.buf[:max(n, 0)]...)
	if err != nil && !again(err) {
		w.inErr = err
	} else if len(w.in) > maxHandshake {
		w.inErr = errors.New("the server sent too much during the TLS handshake")
	}
	ended := w.inErr != nil
	w.mu.Unlock()
	w.signal()
	if ended {
		l.stop(c, stopLeft, true) // the goroutine tells how it ends
		l.rewatch(c)
	} else if n > 0 && c.raw.edges() {
		c.markAgain()
	}
}

// attendHandshake writes what the goroutine said, and takes over when it is done.
func (l *Loop) attendHandshake(c *Conn) {
	w := c.x.tls
	w.mu.Lock()
	c.x.wire = append(c.x.wire, w.out...)
	w.out = w.out[:0]
	done, err := w.done, w.err
	if done {
		w.out, w.live = nil, true
	}
	w.mu.Unlock()
	if len(c.x.wire) > 0 {
		if c.flags&flagBlocked == 0 {
			l.push(c)
		}
		if c.state != stateSecuring {
			return
		}
	}
	switch {
	case done && err != nil:
		l.fail(c, err)
	case done:
		c.stops &^= stopLeft // an end is read again behind what came before it
		l.proceed(c)
	}
}

// abort ends a handshake that nobody waits for any more.
func (w *tlsWire) abort() {
	w.mu.Lock()
	w.inErr = errHandshakeLeft
	w.mu.Unlock()
	w.signal()
}

func (w *tlsWire) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Read implements net.Conn for crypto/tls.
func (w *tlsWire) Read(b []byte) (int, error) {
	for {
		w.mu.Lock()
		live, n, err := w.live, copy(b, w.in), w.inErr
		if w.in = w.in[n:]; len(w.in) == 0 {
			w.in = nil
		}
		w.mu.Unlock()
		switch {
		case n > 0:
			return n, nil
		case err != nil:
			return 0, err
		case live:
			return w.readLive(b)
		}
		<-w.wake
	}
}

func (w *tlsWire) readLive(b []byte) (int, error) {
	if w.c.raw == nil {
		return 0, io.EOF
	}
	n, err := w.c.raw.tryRead(b)
	if n > 0 {
		return n, nil
	}
	if err == nil || again(err) {
		err = errAgain // crypto/tls has to know it as temporary
	}
	return 0, err
}

// Write implements net.Conn for crypto/tls: it only notes b.
func (w *tlsWire) Write(b []byte) (int, error) {
	if w.live {
		x := w.c.x
		if x.wire == nil {
			x.wire = w.loop.buffers.get()
		}
		x.wire = append(x.wire, b...)
		return len(b), nil
	}
	w.mu.Lock()
	w.out = append(w.out, b...)
	w.mu.Unlock()
	w.loop.note(w.c)
	return len(b), nil
}

// Close implements net.Conn; the loop owns the transport.
func (w *tlsWire) Close() error { return nil }

// LocalAddr implements net.Conn; crypto/tls does not look at it.
func (w *tlsWire) LocalAddr() net.Addr { return nil }

// RemoteAddr implements net.Conn; crypto/tls does not look at it.
func (w *tlsWire) RemoteAddr() net.Addr { return nil }

// SetDeadline implements net.Conn; the loop's timers are the deadlines.
func (w *tlsWire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (w *tlsWire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (w *tlsWire) SetWriteDeadline(time.Time) error { return nil }
