package protocols

import (
	"fmt"
	"net"
	"slices"
)

// ServePacket takes datagrams from c for the listener name, whose configuration is
// marked Given and whose transport is udp or dtls: a tunnel, a network in memory, a
// socket that the service manager opened. Answers leave through c, so it must not be
// connected to one peer. Otherwise it is as Serve: it blocks until the last connection
// is gone after the server ends or drains, or until c fails, and c is closed then.
func (s *Server) ServePacket(c net.PacketConn, name string) error {
	p, err := s.joinPacket(c, name)
	if err != nil {
		c.Close()
		return err
	}
	<-p.given
	return nil
}

func (s *Server) joinPacket(c net.PacketConn, name string) (*port, error) {
	of := s.listeners[name]
	if of == nil || !of.cfg.Given || !s.datagrams.serves(of.cfg.Transport) {
		return nil, fmt.Errorf("protocols: ServePacket: the configuration has no listener %q that waits for datagrams; add it with Given: true and the transport udp or dtls", name)
	}
	s.life.Lock()
	defer s.life.Unlock()
	if s.state != stateOpen && s.state != stateRunning {
		return nil, ErrNotServing
	}
	p := newPort(s.datagrams, of, newPacketSocket(c, of.datagramLimit()))
	p.given = make(chan struct{})
	setBeacon(of, []*port{p})
	if of.cfg.Transport == DTLS {
		guardPorts(of, []*port{p})
	}
	e := s.datagrams
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, ErrNotServing
	}
	e.ports = append(e.ports, p)
	if e.started {
		e.wg.Go(p.run)
	}
	return p, nil
}

// addGiven adds the addresses of given sockets to those of the others.
func (e *datagrams) addGiven(to map[string][]net.Addr) {
	e.each(func(p *port) {
		if p.given != nil {
			to[p.listener.name] = append(slices.Clip(to[p.listener.name]), p.socket.addr())
		}
	})
}

// ended forgets a port whose socket was given and is closed.
func (e *datagrams) ended(p *port) {
	e.mu.Lock()
	e.ports = slices.DeleteFunc(slices.Clone(e.ports), func(o *port) bool { return o == p })
	e.mu.Unlock()
	close(p.given)
}

// datagramLimit is the largest datagram that is taken.
func (l *Listener) datagramLimit() int {
	if l.cfg.Transport == DTLS {
		return min(l.cfg.MaxPacketSize, dtlsReadSize)
	}
	return min(l.cfg.MaxPacketSize, maxDatagram)
}
