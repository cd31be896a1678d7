package protocols

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// quicClient is the other end of a QUIC connection, with the stream that a client
// opens first.
type quicClient struct {
	*quic.Stream
	conn *quic.Conn
}

// dialQUIC connects; secure is as for TLS.
func dialQUIC(t testing.TB, address string, secure *tls.Config, cfg *quic.Config) (*quicClient, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if secure.NextProtos == nil {
		secure = secure.Clone()
		secure.NextProtos = []string{"line"}
	}
	conn, err := quic.DialAddr(ctx, address, secure, cfg)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.CloseWithError(0, "") })
	s, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	return &quicClient{s, conn}, nil
}

// Read tells a plain end as io.EOF.
func (c *quicClient) Read(b []byte) (int, error) {
	n, err := c.Stream.Read(b)
	var end *quic.ApplicationError
	if errors.As(err, &end) && end.ErrorCode == 0 {
		err = io.EOF
	}
	return n, err
}

func (c *quicClient) Close() error         { return c.conn.CloseWithError(0, "") }
func (c *quicClient) LocalAddr() net.Addr  { return c.conn.LocalAddr() }
func (c *quicClient) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }
