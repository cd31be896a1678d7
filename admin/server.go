package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
)

const (
	maxHeader = 16 << 10 // bytes of a request's header
	maxBody   = 64 << 10 // bytes of a request's body
	idleTime  = time.Minute
	graceTime = 2 * time.Second // for answers under way when the server ends
)

// Server answers on the admin address. Use: New, Open, Run.
type Server struct {
	opts   Options
	log    *slog.Logger
	http   *http.Server
	listen net.Listener
}

// New makes a server; it opens nothing.
func New(o Options) *Server {
	s := &Server{opts: o, log: o.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	c := &o.Config
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: min(c.RequestTimeout, 5*time.Second), // slow strangers hold a connection no longer
		ReadTimeout:       c.RequestTimeout,
		WriteTimeout:      c.RequestTimeout,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return s
}

// Open binds the address. Requests wait until Run.
func (s *Server) Open() error {
	ln, err := net.Listen("tcp", s.opts.Config.Address)
	if err != nil {
		hint := ""
		if errors.Is(err, syscall.EADDRINUSE) {
			hint = "; stop who holds it, or choose another address with admin.address (off for none)"
		}
		return fmt.Errorf("admin: cannot listen on %s: %w%s", s.opts.Config.Address, cause(err), hint)
	}
	s.listen = limit(ln, s.opts.Config.MaxConnections)
	return nil
}

// cause leaves out what net says again: the address.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// Address is where the server listens, once it was opened.
func (s *Server) Address() net.Addr { return s.listen.Addr() }

// Run answers requests until ctx ends, then gives those under way two seconds.
func (s *Server) Run(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(s.listen) }()
	select {
	case err := <-failed:
		return fmt.Errorf("admin: serve: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTime)
	defer cancel()
	if err := s.http.Shutdown(grace); err != nil {
		s.http.Close()
	}
	<-failed
	return nil
}

// Close gives the address back where Run was never called.
func (s *Server) Close() {
	if s.listen != nil {
		s.listen.Close()
	}
}

// ServeHTTP answers one request as the server would, without a socket.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.http.Handler.ServeHTTP(w, r) }
