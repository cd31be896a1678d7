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
	edge, err := g.edgeFor("Serve", name)
	if err != nil {
		ln.Close()
		return err
	}
	return failedAt(StageServe, edge.Serve(ln, name))
}

// ServePacket is Serve for a listener of datagrams, whose transport is udp or dtls; c
// takes and sends those of all clients.
func (g *Gateway) ServePacket(c net.PacketConn, name string) error {
	edge, err := g.edgeFor("ServePacket", name)
	if err != nil {
		c.Close()
		return err
	}
	return failedAt(StageServe, edge.ServePacket(c, name))
}

// edgeFor waits until there is an edge that takes sockets for the listener name.
func (g *Gateway) edgeFor(what, name string) (*protocols.Server, error) {
	if l := g.cfg.ActiveListeners()[name]; l == nil || !l.Given {
		return nil, failedAt(StageConfig, fmt.Errorf("fairlead: %s: no listener %q waits for a socket; configure it with Given: true", what, name))
	}
	select {
	case <-g.ready:
	case <-g.ended:
	}
	g.mu.Lock()
	p := g.parts
	g.mu.Unlock()
	if p == nil || p.edge == nil {
		return nil, failedAt(StageServe, protocols.ErrNotServing)
	}
	return p.edge, nil
}
