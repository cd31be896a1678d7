package loop

import (
	"context"
	"net"
)

// Probe tells whether something accepts connections there, and closes the one it
// made; mem:// and
// datagrams cannot be asked. It blocks until ctx ends at most. The error is a
// *DialError that says what to do.
func (e *Endpoint) Probe(ctx context.Context, d *net.Dialer) error {
	if e.scheme == "mem" {
		return nil
	}
	if err := e.Resolve(ctx); err != nil {
		return err
	}
	if e.Datagrams() {
		return nil
	}
	network, addresses := "tcp", []string{e.path}
	if e.scheme == "unix" {
		network = "unix"
	} else {
		addresses = addresses[:0]
		for _, a := range e.addrs {
			addresses = append(addresses, a.String())
		}
	}
	var err error
	for _, a := range addresses {
		var conn net.Conn
		if conn, err = d.DialContext(ctx, network, a); err == nil {
			return conn.Close()
		}
	}
	return explain(e, err)
}
