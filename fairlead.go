package fairlead

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/fairlead-iot/fairlead/backends/aclfile"
	"github.com/fairlead-iot/fairlead/backends/hashes"
	"github.com/fairlead-iot/fairlead/backends/passwd"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/internal/config"
)

// Stage is a part of a gateway's life in which it may fail.
type Stage int

// The stages, in their order.
const (
	StageConfig Stage = iota // configuration, users, access rules, certificates
	StageStore               // data directory and store, and what is restored from it
	StageListen              // admin address and listeners
	StageServe               // while clients were served
	StageStop                // while stopping
)

// phase is how far a running gateway is, for its readiness.
type phase int

const (
	opening phase = iota
	restored
	serving
	stopping
)

// Error says at which stage a gateway failed.
type Error struct {
	Stage Stage
	Err   error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

func failedAt(s Stage, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Stage: s, Err: err}
}

// Gateway is one gateway. Make it by New, use it by Run; its other methods may
// be called from any goroutine.
type Gateway struct {
	cfg   Config
	log   *slog.Logger
	users *passwd.Source // nil when no file is configured
	// sources are the other sources of identities of the section [auth].
	sources []identitySource
	rules   *aclfile.Source
	workers *hashes.Workers // nil: hashes of passwords are made here
	hashes  *hashes.Maker   // for all sources that are asked about clients
	ready   chan struct{}
	ended   chan struct{} // closed when Run returns
	hurry   chan struct{}
	once    sync.Once // of hurry

	mu        sync.Mutex
	ran       bool
	phase     phase
	parts     *parts // nil unless it runs
	addresses map[string]string
	admin     string
	password  string // the administrator's first one
}

// New checks cfg and reads users, access rules and certificates; it opens
// nothing and makes nothing. The error is of type *Error; what it wraps lists
// all faults of the configuration, one a line.
func New(cfg Config, log *slog.Logger) (*Gateway, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := config.Validate(&cfg); err != nil {
		return nil, failedAt(StageConfig, err)
	}
	cfg.Node.DataDir = absolute(cfg.Node.DataDir)
	g := &Gateway{cfg: cfg, log: log, ready: make(chan struct{}), ended: make(chan struct{}), hurry: make(chan struct{}), addresses: map[string]string{}}
	if cfg.HashWorker != nil {
		g.workers = hashes.NewWorkers(log, cfg.HashWorker)
	}
	g.hashes = hashes.NewMaker(g.workers)
	if err := g.readFiles(); err != nil {
		return nil, failedAt(StageConfig, err)
	}
	return g, nil
}

// readFiles reads what the configuration names, and tells all that is wrong.
func (g *Gateway) readFiles() error {
	var errs []error
	keep := func(err error) { errs = append(errs, err) }
	var err error
	if g.cfg.Auth.PasswdFile != "" {
		c := g.cfg.Auth.passwd()
		c.Hashes = g.hashes
		g.users, err = passwd.Open(c)
		keep(err)
	}
	g.rules, err = aclfile.Open(g.cfg.Auth.acl())
	keep(err)
	keep(checkCertificates(g.cfg.edge()))
	keep(g.openSources())
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, w := range g.Warnings() {
		g.log.Warn(w)
	}
	return nil
}

// Run opens everything, serves until ctx ends, drains and closes. It returns nil
// after an orderly end, and else an *Error. A Gateway runs once.
func (g *Gateway) Run(ctx context.Context) error {
	g.mu.Lock()
	again := g.ran
	g.ran = true
	g.mu.Unlock()
	if again {
		return failedAt(StageStop, errors.New("fairlead: a Gateway runs once; make another by New"))
	}
	defer close(g.ended)
	p := &parts{g: g, failed: make(chan error, 8)}
	err := p.open(ctx)
	if err == nil {
		err = p.serve(ctx)
	} else if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil // asked to stop before it was ready
	}
	return errors.Join(err, failedAt(StageStop, p.close()))
}

// Ready is closed when clients can connect.
func (g *Gateway) Ready() <-chan struct{} { return g.ready }

// Hurry ends a drain at once: connections that are left are closed without
// goodbye. What was acknowledged is kept all the same.
func (g *Gateway) Hurry() { g.once.Do(func() { close(g.hurry) }) }

// Addresses gives the real address of each listener that Run opened by its name; it
// is empty before Ready. The map is the caller's.
func (g *Gateway) Addresses() map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := map[string]string{}
	for name, a := range g.addresses {
		out[name] = a
	}
	return out
}

// AdminAddress is the real address of the admin server, "" when it is off or not
// open yet.
func (g *Gateway) AdminAddress() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.admin
}

// FirstPassword is the password of the user admin that this start has made up,
// known to nobody else; "" when there was one already. Show it once.
func (g *Gateway) FirstPassword() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.password
}

// DataDir is the data directory as an absolute path.
func (g *Gateway) DataDir() string { return g.cfg.Node.DataDir }

// Stats are the gateway's figures now; zero unless it runs.
func (g *Gateway) Stats() core.Stats {
	g.mu.Lock()
	p := g.parts
	g.mu.Unlock()
	if p == nil {
		return core.Stats{}
	}
	return p.core.Stats()
}

// absolute makes a path mean the same wherever the process goes. It only fails
// where there is no working directory; then the path is used as it is.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func (g *Gateway) enter(ph phase) {
	g.mu.Lock()
	g.phase = ph
	g.mu.Unlock()
}

func (g *Gateway) at() phase {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.phase
}

// Config is the configuration that the gateway was made with, its data directory
// as an absolute path. It must not be changed.
func (g *Gateway) Config() *Config { return &g.cfg }

// AdministratorsFile is the password file of those who may use the REST API.
func (g *Gateway) AdministratorsFile() string {
	return filepath.Join(g.cfg.Node.DataDir, adminFile)
}
