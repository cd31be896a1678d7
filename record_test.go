package fairlead

import (
	"bytes"
	"context"
	"net"
	"sync"
)

// record is what went over a client's connections, datagram by datagram; over a stream
// call by call. Safe for concurrent use.
type record struct {
	mu      sync.Mutex
	packets []recorded
}

type recorded struct {
	up bool // from the client
	b  []byte
}

// dialer gives connections that are recorded.
func (r *record) dialer(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &recordedConn{c, r}, nil
	}
}

func (r *record) add(up bool, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.packets = append(r.packets, recorded{up, bytes.Clone(b)})
}

// take gives what was recorded, and begins anew.
func (r *record) take() []recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.packets
	r.packets = nil
	return p
}

type recordedConn struct {
	net.Conn
	r *record
}

func (c *recordedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err == nil {
		c.r.add(true, b)
	}
	return n, err
}

func (c *recordedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.r.add(false, b[:n])
	}
	return n, err
}
