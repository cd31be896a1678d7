package protocols

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/fairlead-iot/fairlead/core"
)

// quicConn is a QUIC connection as a net.Conn: the bytes of its first stream, which
// the client opens. Its address is the one that the client came from: a client that
// moves keeps its connection, and what was decided about its address.
type quicConn struct {
	conn   *quic.Conn
	peer   net.Addr
	stream atomic.Pointer[quic.Stream] // nil until begin
}

func newQUICConn(c *quic.Conn) *quicConn { return &quicConn{conn: c, peer: c.RemoteAddr()} }

// begin waits for the client's first stream.
func (c *quicConn) begin(deadline time.Time) error {
	ctx, cancel := context.WithDeadline(c.conn.Context(), deadline)
	defer cancel()
	s, err := c.conn.AcceptStream(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &refusal{core.ConnectTimeout, "a QUIC connection that opened no stream in time"}
	case err != nil:
		return &refusal{core.ConnectionLost, "closed before a QUIC stream was opened: " + err.Error()}
	}
	c.stream.Store(s)
	return nil
}

// Read implements net.Conn.
func (c *quicConn) Read(b []byte) (int, error) {
	s := c.stream.Load()
	if s == nil {
		return 0, io.EOF
	}
	return s.Read(b)
}

// Write implements net.Conn.
func (c *quicConn) Write(b []byte) (int, error) {
	s := c.stream.Load()
	if s == nil {
		return 0, net.ErrClosed
	}
	return s.Write(b)
}

// writeNow writes all of b if that does not block, else nothing.
func (c *quicConn) writeNow(b []byte) (int, error) {
	s := c.stream.Load()
	if s == nil {
		return 0, net.ErrClosed
	}
	return tryWrite(s, b)
}

func tryWrite(s *quic.Stream, b []byte) (int, error) {
	switch err := s.TryWriteAll(b); {
	case errors.Is(err, quic.ErrWouldBlock):
		return 0, syscall.EAGAIN
	case err != nil:
		return 0, err
	}
	return len(b), nil
}

// CloseWrite ends the stream towards the client.
func (c *quicConn) CloseWrite() error {
	s := c.stream.Load()
	if s == nil {
		return nil
	}
	return s.Close()
}

// Close implements net.Conn. What was not sent yet is lost.
func (c *quicConn) Close() error { return c.conn.CloseWithError(0, "") }

// LocalAddr implements net.Conn.
func (c *quicConn) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *quicConn) RemoteAddr() net.Addr { return c.peer }

// SetReadDeadline implements net.Conn.
func (c *quicConn) SetReadDeadline(t time.Time) error {
	if s := c.stream.Load(); s != nil {
		return s.SetReadDeadline(t)
	}
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *quicConn) SetWriteDeadline(t time.Time) error {
	if s := c.stream.Load(); s != nil {
		return s.SetWriteDeadline(t)
	}
	return nil
}

// quicData is a further stream of a connection as a net.Conn; closing it leaves the
// connection alone.
type quicData struct {
	*quic.Stream
	conn *quicConn
}

// refusedStream is the code that a client gets for a stream of which nothing more is
// taken.
const refusedStream = 1

// writeNow writes all of b if that does not block, else nothing.
func (c *quicData) writeNow(b []byte) (int, error) { return tryWrite(c.Stream, b) }

// refuse tells the client that nothing more is read.
func (c *quicData) refuse() { c.CancelRead(refusedStream) }

// CloseWrite ends the stream towards the client.
func (c *quicData) CloseWrite() error { return c.Stream.Close() }

// Close implements net.Conn. What was not sent yet is lost.
func (c *quicData) Close() error {
	c.CancelRead(refusedStream)
	c.CancelWrite(refusedStream)
	return nil
}

// LocalAddr implements net.Conn.
func (c *quicData) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *quicData) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// SetDeadline implements net.Conn.
func (c *quicConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}
