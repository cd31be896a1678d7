package protocols

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/fairlead-iot/fairlead/core"
)

// Server is the edge: it opens the listeners, carries bytes between sockets and
// machines, and ends connections. Use: NewServer, Open, Run; Drain before Run's
// context ends for a graceful stop.
type Server struct {
	cfg       Config
	log       *slog.Logger
	engines   []engine
	datagrams *datagrams
	pumps     *pumps // the last of engines; it carries what Serve is given
	listeners map[string]*Listener
	tally     *tally

	mu    sync.Mutex
	addrs map[string][]net.Addr

	life  sync.Mutex // held while engines start or stop
	state serverState
}

// serverState is how far a Server's life has come.
type serverState uint8

const (
	stateNew serverState = iota
	stateOpen
	stateRunning
	stateClosed
)

// engine drives the connections of some listeners.
type engine interface {
	serves(transport string) bool
	bind(ln *Listener) ([]net.Addr, error)
	start() error
	stopAccepting()
	stopSome(n int, r core.Reason) int
	shut()
}

type makeEngine func(*Config, gateway, *slog.Logger, *tally) (engine, error)

// pools are the buffers that connections share; an idle one has none of them.
type pools struct {
	batches  batches
	pendings pendings
	helds    helds
}

// NewServer checks cfg and makes the edge of it; it opens nothing but the event
// loops' own descriptors. adapters are the protocols that listeners may name. log
// may be nil.
func NewServer(cfg Config, g *core.Gateway, adapters []Adapter, log *slog.Logger) (*Server, error) {
	return newServer(cfg, g, adapters, log, newLoops)
}

// newServer takes the maker of the system's own engine; the pump serves what that
// one does not.
func newServer(cfg Config, g gateway, adapters []Adapter, log *slog.Logger, own makeEngine) (*Server, error) {
	byName := map[string]Adapter{}
	for _, a := range adapters {
		byName[a.Name()] = a
	}
	if err := cfg.Validate(slices.Sorted(maps.Keys(byName))...); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, log: log, listeners: map[string]*Listener{}, tally: &tally{}, addrs: map[string][]net.Addr{}}
	for name, c := range cfg.Listeners {
		if c.IsEnabled() {
			s.listeners[name] = newListener(name, c, byName[c.Protocol])
		}
	}
	if err := s.checkAdapters(); err != nil {
		return nil, err
	}
	if err := s.Reload(); err != nil {
		return nil, err
	}
	e, err := own(&cfg, g, log, s.tally)
	if err != nil {
		return nil, err
	}
	if e != nil {
		s.engines = append(s.engines, e)
	}
	s.datagrams = newDatagrams(&cfg, g, log, s.tally)
	s.pumps = newPumps(g, log, s.tally)
	s.engines = append(s.engines, s.datagrams, s.pumps)
	return s, nil
}

// checkAdapters reports listeners of datagrams whose protocol knows none.
func (s *Server) checkAdapters() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.listeners)) {
		ln := s.listeners[name]
		if _, ok := ln.adapter.(DatagramAdapter); ln.cfg.Datagrams() && !ok {
			errs = append(errs, fmt.Errorf("listeners.%s.transport = %q: the protocol %s does not travel in datagrams; choose tcp, tls, ws, wss or quic", name, ln.cfg.Transport, ln.cfg.Protocol))
		}
	}
	return errors.Join(errs...)
}

// Open binds every listener but those that are Given. Clients may connect from then on, and are served
// once Run is called. On an error nothing stays open.
func (s *Server) Open() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.listeners)) {
		ln := s.listeners[name]
		if ln.cfg.Given {
			continue
		}
		addrs, err := s.engineOf(ln).bind(ln)
		if err != nil {
			errs = append(errs, openError(ln, err))
			continue
		}
		s.mu.Lock()
		s.addrs[name] = addrs
		s.mu.Unlock()
	}
	if len(errs) > 0 {
		s.Close()
		return errors.Join(errs...)
	}
	s.life.Lock()
	s.state = stateOpen
	s.life.Unlock()
	return nil
}

// openError says which listener failed, where, and who may be in the way.
func openError(ln *Listener, err error) error {
	what := fmt.Sprintf("protocols: listener %q: cannot listen on %s %s", ln.name, ln.cfg.Transport, ln.cfg.Address)
	hint := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "; stop it, or choose another address with listeners." + ln.name + ".address"
		if who := holderOf(ln.cfg.Address); who != "" && ln.cfg.Transport != QUIC && !ln.cfg.Datagrams() { // it knows those of TCP
			hint = "; it is held by " + who + hint
		}
	case errors.Is(err, syscall.EACCES):
		hint = "; ports below 1024 and foreign folders need privileges (CAP_NET_BIND_SERVICE)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "; this machine has no such address"
	}
	return fmt.Errorf("%s: %w%s", what, err, hint)
}

func (s *Server) engineOf(ln *Listener) engine {
	for _, e := range s.engines {
		if e.serves(ln.cfg.Transport) {
			return e
		}
	}
	return s.engines[len(s.engines)-1]
}

// Addresses gives the first real address of each open listener by its name.
func (s *Server) Addresses() map[string]net.Addr {
	out := map[string]net.Addr{}
	for name, addrs := range s.AllAddresses() {
		out[name] = addrs[0]
	}
	return out
}

// AllAddresses gives every real address: localhost has two.
func (s *Server) AllAddresses() map[string][]net.Addr {
	s.mu.Lock()
	out := maps.Clone(s.addrs)
	s.mu.Unlock()
	s.pumps.addGiven(out)
	s.datagrams.addGiven(out)
	return out
}

// Listeners gives the listeners by name. Read only.
func (s *Server) Listeners() map[string]*Listener { return s.listeners }

// Connections is how many are open.
func (s *Server) Connections() int { return s.tally.count() }

// Run serves until ctx ends, then closes every connection without goodbye and
// returns once nothing of the edge is left.
func (s *Server) Run(ctx context.Context) error {
	defer s.Close()
	if err := s.start(); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (s *Server) start() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.state != stateOpen {
		return errors.New("protocols: Run needs a server that was opened and neither ran nor was closed")
	}
	s.state = stateRunning
	for _, e := range s.engines {
		if err := e.start(); err != nil {
			return fmt.Errorf("protocols: start: %w", err)
		}
	}
	return nil
}

// Close closes everything at once. Run does it too; it is for a server that was
// opened and never ran. Repeated calls are ignored.
func (s *Server) Close() {
	s.life.Lock()
	defer s.life.Unlock()
	if s.state == stateClosed {
		return
	}
	s.state = stateClosed
	for _, e := range s.engines {
		e.shut()
	}
}

// stopAccepting closes the listening sockets of a running server.
func (s *Server) stopAccepting() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.state != stateRunning {
		return errors.New("protocols: Drain needs a server that runs")
	}
	for _, e := range s.engines {
		e.stopAccepting()
	}
	return nil
}

// drainSlice is how many connections are told to leave at a time.
const drainSlice = 256

// Drain ends service gracefully: no connection is accepted any more, each one is
// told in its protocol's words that the server goes, at drain_rate, and Drain
// returns once all are gone or ctx ends, with ctx's error. progress, which may
// be nil, gets the number still open after each slice. Call it while Run runs.
func (s *Server) Drain(ctx context.Context, progress func(open int)) error {
	if progress == nil {
		progress = func(int) {}
	}
	if err := s.stopAccepting(); err != nil {
		return err
	}
	pause := time.Duration(0)
	if s.cfg.DrainRate > 0 {
		pause = time.Second * drainSlice / time.Duration(s.cfg.DrainRate)
	}
	for _, e := range s.engines {
		for s.stopSome(e) > 0 {
			progress(s.tally.count())
			select {
			case <-ctx.Done():
				return fmt.Errorf("protocols: drain: %d connections left: %w", s.tally.count(), ctx.Err())
			case <-time.After(pause):
			}
		}
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("protocols: drain: %d connections left: %w", s.tally.count(), ctx.Err())
	case <-s.tally.whenIdle():
	}
	progress(0)
	return nil
}

// stopSome tells a slice of e's connections to leave.
func (s *Server) stopSome(e engine) int {
	s.life.Lock()
	defer s.life.Unlock()
	if s.state != stateRunning {
		return 0
	}
	return e.stopSome(drainSlice, core.ServerShuttingDown)
}

// Reload reads the certificates and shared keys of all listeners anew. Connections that are
// open keep theirs. On an error every listener keeps what it has.
func (s *Server) Reload() error {
	fresh := map[*Listener]*tls.Config{}
	keys := map[*Listener]*pskTable{}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.listeners)) {
		ln := s.listeners[name]
		if err := ln.loadKeys(keys); err != nil {
			errs = append(errs, fmt.Errorf("protocols: listener %q: %w", name, err))
		}
		if !ln.cfg.HasCertificate() {
			continue
		}
		c, err := ln.loadTLS()
		if err != nil {
			errs = append(errs, fmt.Errorf("protocols: listener %q: %w", name, err))
			continue
		}
		fresh[ln] = c
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	for ln, c := range fresh {
		ln.tls.Store(c)
	}
	for ln, t := range keys {
		ln.psk.Store(t)
	}
	return nil
}
