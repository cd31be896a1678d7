package protocols

import (
	"errors"
	"fmt"
	"net"
	"slices"
)

// ErrNotServing says that Serve came too early or too late: the server is not open,
// or it ends.
var ErrNotServing = errors.New("protocols: the server is not open")

// Serve accepts connections from ln for the listener name, whose configuration is
// marked Given: a tunnel, a socket that the service manager opened, a network in
// memory. Limits, counters, TLS, WebSocket and PROXY headers, draining and closing
// are those of any listener; the transport says what is spoken over ln, so for bytes
// as they are it is tcp, whatever ln is. Peers have an address where RemoteAddr is a
// *net.TCPAddr; the others share the limits that count all connections only.
//
// Serve may be called once the server is open, any number of times and also for one
// name; clients are served once Run is called. It blocks until nothing more is
// accepted, and ln is closed then. The error is nil when the server ends or drains,
// else what ln said: net.ErrClosed when the caller closed it. Connections that were
// accepted go on in each case. An error that net.Error calls temporary does not end
// it. See PollConn for what connections cost.
func (s *Server) Serve(ln net.Listener, name string) error {
	socket, err := s.join(ln, name)
	if err != nil {
		ln.Close()
		return err
	}
	<-socket.done
	return socket.err
}

func (s *Server) join(ln net.Listener, name string) (*pumpSocket, error) {
	of := s.listeners[name]
	if of == nil || !of.cfg.Given {
		return nil, fmt.Errorf("protocols: Serve: the configuration has no listener %q that waits for one; add it with Given: true", name)
	}
	s.life.Lock()
	defer s.life.Unlock()
	if s.state != stateOpen && s.state != stateRunning {
		return nil, ErrNotServing
	}
	return s.pumps.join(ln, of, s.state == stateRunning)
}

// join takes a socket in; running says that start was called.
func (p *pumps) join(ln net.Listener, of *Listener, running bool) (*pumpSocket, error) {
	s := &pumpSocket{Listener: ln, of: of, given: true, done: make(chan struct{})}
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.sockets = append(p.sockets, s)
	}
	p.mu.Unlock()
	switch {
	case closed:
		return nil, ErrNotServing
	case p.started:
		p.wg.Go(func() { p.acceptFrom(s) })
	case running:
		return s, p.start()
	}
	return s, nil
}

// ended forgets a given socket from which nothing more is accepted.
func (p *pumps) ended(s *pumpSocket) {
	if !s.given {
		return
	}
	s.Close()
	p.mu.Lock()
	if p.closed {
		s.err = nil
	}
	p.sockets = slices.DeleteFunc(p.sockets, func(o *pumpSocket) bool { return o == s })
	p.mu.Unlock()
	close(s.done)
}

// passing tells whether accepting may work again later.
func passing(err error) bool {
	var later interface{ Temporary() bool }
	return outOfResources(err) || errors.As(err, &later) && later.Temporary()
}

// addGiven adds the addresses of given sockets to those of the others.
func (p *pumps) addGiven(to map[string][]net.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.sockets {
		if s.given {
			to[s.of.name] = append(to[s.of.name], s.Addr())
		}
	}
}
