package devices

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/quic-go/quic-go"
)

// quicALPN is the protocol's name in the handshake.
const quicALPN = "mqtt"

// openQUIC connects over QUIC and opens the stream that MQTT runs on.
func (a *address) openQUIC(ctx context.Context, o *Options) (net.Conn, error) {
	conn, err := a.connectQUIC(ctx, o)
	if err != nil {
		return nil, err
	}
	s, err := conn.OpenStreamSync(ctx)
	if err != nil {
		conn.CloseWithError(0, "")
		return nil, err
	}
	return &quicConn{s, conn}, nil
}

// connectQUIC connects without opening a stream.
func (a *address) connectQUIC(ctx context.Context, o *Options) (*quic.Conn, error) {
	if o.DialContext != nil {
		return nil, errors.New("a network of connections (DialContext) carries no QUIC: use mqtts://")
	}
	secure, err := o.TLS.config(a.host)
	if err != nil {
		return nil, err
	}
	secure.MinVersion = tls.VersionTLS13
	secure.NextProtos = []string{quicALPN}
	addrs, err := a.resolveUDP(ctx)
	if err != nil {
		return nil, err
	}
	for i, to := range addrs {
		// UDP does not tell that nobody is there: each address gets its share of time.
		one, cancel := shareOf(ctx, len(addrs)-i)
		var c *quic.Conn
		c, err = dialQUIC(one, to, secure)
		cancel()
		if err == nil {
			return c, nil
		}
		if !isTimeout(err) {
			break
		}
	}
	return nil, err
}

// resolveUDP gives the addresses to try in turn.
func (a *address) resolveUDP(ctx context.Context) ([]*net.UDPAddr, error) {
	names := []string{a.hostPort()}
	if strings.EqualFold(a.host, "localhost") {
		names = []string{net.JoinHostPort("127.0.0.1", a.port), net.JoinHostPort("::1", a.port)}
	}
	var out []*net.UDPAddr
	for _, name := range names {
		host, port, err := net.SplitHostPort(name)
		if err != nil {
			return nil, err
		}
		n, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
		if err != nil {
			return nil, err
		}
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return nil, err
		}
		out = append(out, &net.UDPAddr{IP: found[0].Unmap().AsSlice(), Zone: found[0].Zone(), Port: n})
	}
	return out, nil
}

// shareOf is ctx with one of n equal shares of the time that is left.
func shareOf(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok || n < 2 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/time.Duration(n))
}

func dialQUIC(ctx context.Context, to *net.UDPAddr, secure *tls.Config) (*quic.Conn, error) {
	conn, err := quic.DialAddr(ctx, to.String(), secure, &quic.Config{
		MaxIdleTimeout: quicIdle, KeepAlivePeriod: quicIdle / 2, MaxIncomingStreams: -1, MaxIncomingUniStreams: -1,
	})
	var silent net.Error
	if errors.As(err, &silent) && silent.Timeout() {
		err = fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return conn, err
}

// quicIdle is how long a server may be silent before it is gone; both sides ask
// sooner.
const quicIdle = 30 * time.Second

// quicConn is one stream of a connection of its own.
type quicConn struct {
	*quic.Stream
	conn *quic.Conn
}

// Read tells a plain end of the connection as io.EOF.
func (c *quicConn) Read(b []byte) (int, error) {
	n, err := c.Stream.Read(b)
	var end *quic.ApplicationError
	if errors.As(err, &end) && end.ErrorCode == 0 {
		err = io.EOF
	}
	return n, err
}

// CloseWrite says that nothing more comes.
func (c *quicConn) CloseWrite() error { return c.Stream.Close() }

// Close ends the connection; what was not sent yet is lost.
func (c *quicConn) Close() error { return c.conn.CloseWithError(0, "") }

// LocalAddr implements net.Conn.
func (c *quicConn) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *quicConn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }
