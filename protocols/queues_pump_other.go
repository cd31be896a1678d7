//go:build !linux

package protocols

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// listenTCP opens a listening socket of the pump.
func listenTCP(ln *Listener, a netip.AddrPort, _ *slog.Logger) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: keepAliveIdle * time.Second}
	l, err := lc.Listen(context.Background(), "tcp", a.String())
	if err == nil {
		ln.queues.Store(1)
	}
	return l, err
}
