package fairlead

import (
	"fmt"
	"net"

	"github.com/fairlead-iot/fairlead/protocols"
)

// Serve accepts connections from ln, a listening socket of the program's own: a
// tunnel, a socket of the service manager, a network in memory. They are those of the
// listener name, which the configuration describes and marks as Given:
//
//	cfg.Listeners["tunnel"] = &protocols.ListenerConfig{Protocol: "mqtt", Transport: protocols.TCP, Given: true}
//	g, err := fairlead.New(cfg, log)
//	if err != nil { … }
//	go g.Serve(ln, "tunnel")
//	err = g.Run(ctx)
//
// All that holds for other listeners holds for it: limits, counters, TLS and
// WebSocket by its transport, draining. It is nowhere taken for loopback, so clients
// without credentials need its allow_anonymous, or auth.allow_anonymous = "always".
//
// Serve may be called before Run and as often as there are sockets. It blocks until
// the gateway ends, with nil, or ln fails, with its error (net.ErrClosed when the
// caller closed it); ln is closed then. A gateway that does not run any more or could
// not start gives protocols.ErrNotServing. What a connection costs is told at
// [protocols.PollConn].
func (g *Gateway) Serve(ln net.Listener, name string) error {
	if l := g.cfg.ActiveListeners()[name]; l == nil || !l.Given {
		ln.Close()
		return failedAt(StageConfig, fmt.Errorf("fairlead: Serve: no listener %q waits for a socket; configure it with Given: true", name))
	}
	select {
	case <-g.ready:
	case <-g.ended:
	}
	g.mu.Lock()
	p := g.parts
	g.mu.Unlock()
	if p == nil || p.edge == nil {
		ln.Close()
		return failedAt(StageServe, protocols.ErrNotServing)
	}
	return failedAt(StageServe, p.edge.Serve(ln, name))
}
