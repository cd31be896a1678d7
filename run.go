package fairlead

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fairlead-iot/fairlead/admin"
	"github.com/fairlead-iot/fairlead/backends/hashes"
	"github.com/fairlead-iot/fairlead/backends/passwd"
	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/protocols"
	"github.com/fairlead-iot/fairlead/protocols/exproto"
)

// parts is what a running gateway is made of, opened in the order of the fields
// and closed in the opposite one.
type parts struct {
	g     *Gateway
	store core.Store
	// backends are the engines of data rules, made before the core and run after it.
	backends backends
	core     *core.Gateway
	admins   *passwd.Source
	admin    *admin.Server
	edge     *protocols.Server
	handlers *exproto.Adapter // of private protocols

	undo   []func() error
	failed chan error    // of what runs beside
	gone   chan struct{} // closed when the edge does not run any more
}

// open opens everything. After an error, close takes back what was opened.
func (p *parts) open(ctx context.Context) error {
	steps := []struct {
		stage Stage
		do    func(context.Context) error
	}{
		{StageStore, p.openStore},
		{StageStore, p.restore},
		{StageStore, p.openAdministrators},
		{StageListen, p.openAdmin},
		{StageListen, p.openListeners},
	}
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.do(ctx); err != nil {
			return failedAt(s.stage, err)
		}
	}
	return nil
}

// restore makes the core, gives it what the store holds, and starts its work.
func (p *parts) restore(ctx context.Context) error {
	g := p.g
	if err := p.openBackends(); err != nil {
		return err
	}
	p.undo = append(p.undo, g.closeSources)
	if g.workers != nil {
		p.undo = append(p.undo, g.workers.Close)
	}
	sinks, sources, retained := p.backends.hooks()
	users, access := p.backends.identities()
	p.core = core.New(core.Options{
		Config: g.cfg.Core, Store: p.store, Sinks: sinks, Subscriptions: sources, Retained: retained,
		Authenticators: g.authenticators(users), Exchangers: g.exchangers(), Authorizers: g.authorizers(access),
		Mounts:    g.cfg.mounts(),
		Anonymous: anonymous(g.cfg.Auth.AllowAnonymous, g.cfg.edge().Listeners),
		Node:      g.cfg.nodeName(), Version: Version().String(), Log: g.log,
	})
	began := time.Now()
	if err := p.core.Restore(ctx); err != nil {
		return err
	}
	s := p.core.Stats()
	g.log.Info("sessions restored", "sessions", s.Sessions, "subscriptions", s.Subscriptions,
		"retained", s.Retained, "took", time.Since(began).Round(time.Millisecond).String())
	p.beside(ctx, "core", p.core.Run)
	tuneCollector(ctx)
	p.beside(ctx, "memory", func(ctx context.Context) error { return trimMemory(ctx, p.core) })
	p.runSources(ctx)
	p.runBackends(ctx)
	g.mu.Lock()
	g.parts, g.phase = p, restored
	g.mu.Unlock()
	return nil
}

// beside runs f until its turn to be closed comes. What ends sooner has failed.
func (p *parts) beside(ctx context.Context, name string, f func(context.Context) error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	var stopped error
	wg.Go(func() {
		err := f(own)
		if own.Err() == nil {
			p.failed <- fmt.Errorf("fairlead: %s ended by itself: %w", name, err)
			return
		}
		stopped = err
	})
	p.undo = append(p.undo, func() error {
		cancel()
		wg.Wait()
		return stopped
	})
}

func (p *parts) openAdministrators(context.Context) error {
	if p.g.cfg.Admin.Off() {
		return nil
	}
	// A Maker of their own: they need not wait behind clients who guess.
	users, first, err := administrators(p.g.cfg.Node.DataDir, hashes.NewMaker(p.g.workers))
	if err != nil {
		return err
	}
	p.g.mu.Lock()
	p.admins, p.g.password = users, first
	p.g.mu.Unlock()
	return nil
}

func (p *parts) openAdmin(ctx context.Context) error {
	g := p.g
	if g.cfg.Admin.Off() {
		return nil
	}
	source := newAdminSource(p.core)
	b := Version()
	p.admin = admin.New(admin.Options{
		Config: g.cfg.Admin, Source: source, Authenticate: authenticateWith(p.admins),
		Checks: p.checks, Listeners: p.listenerFigures, Rules: p.backends.figures, Handlers: p.handlerFigures, Hashes: p.hashFigures(),
		Version: b.Version, Commit: b.Commit, Log: g.log,
	})
	if err := p.admin.Open(); err != nil {
		source.close()
		return err
	}
	p.undo = append(p.undo, func() error { source.close(); return nil })
	p.beside(ctx, "the admin server", p.admin.Run)
	g.mu.Lock()
	g.admin = p.admin.Address().String()
	g.mu.Unlock()
	return nil
}

// runner is an adapter that has something to do beside its connections. It runs from
// before the first of them until after the last.
type runner interface {
	Run(ctx context.Context) error
}

func (p *parts) openListeners(ctx context.Context) error {
	g := p.g
	var speak []protocols.Adapter
	var private *exproto.Adapter
	for _, a := range g.cfg.adapters() {
		made, err := a.make(g, p.core)
		if err != nil {
			return err
		}
		if made == nil || made.Name() != a.name {
			return fmt.Errorf("fairlead: protocol %q: its New must give an adapter of that Name", a.name)
		}
		speak = append(speak, made)
		if x, is := made.(*exproto.Adapter); is {
			private = x
		}
		if r, runs := made.(runner); runs {
			p.beside(ctx, a.name, r.Run)
		}
	}
	edge, err := protocols.NewServer(g.cfg.edge(), p.core, speak, g.log)
	if err != nil {
		return err
	}
	if err := edge.Open(); err != nil {
		edge.Close()
		return err
	}
	g.mu.Lock()
	for name, a := range edge.Addresses() {
		g.addresses[name] = a.String()
	}
	p.edge, p.handlers = edge, private
	g.mu.Unlock()
	p.gone = make(chan struct{})
	p.beside(ctx, "the edge", func(ctx context.Context) error {
		defer close(p.gone)
		return edge.Run(ctx)
	})
	p.undo = append(p.undo, p.drain)
	all := edge.AllAddresses()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, a := range all[name] {
			g.log.Info("listening", "listener", name, "address", a.String())
		}
	}
	return nil
}

// serve waits for the end, or for a part that fails.
func (p *parts) serve(ctx context.Context) error {
	p.g.enter(serving)
	close(p.g.ready)
	select {
	case <-ctx.Done():
		return nil
	case err := <-p.failed:
		return failedAt(StageServe, err)
	}
}

// close closes what was opened, last first, and tells all that went wrong.
func (p *parts) close() error {
	p.g.enter(stopping)
	var errs []error
	for len(p.undo) > 0 {
		last := len(p.undo) - 1
		errs = append(errs, p.undo[last]())
		p.undo = p.undo[:last]
	}
	p.g.mu.Lock()
	p.g.parts = nil
	p.g.mu.Unlock()
	p.g.log.Info("stopped")
	return errors.Join(errs...)
}

// progressEvery is how often a drain says how far it is.
const progressEvery = time.Second

// drain tells the clients to leave and waits for them within drain_timeout.
// Clients that are left then are closed, which is no failure.
func (p *parts) drain() error {
	g := p.g
	select {
	case <-p.gone: // it has failed: nobody is left who could be told
		return nil
	default:
	}
	open := p.edge.Connections()
	g.log.Info("stopping: no new connections; clients are told to leave", "connections", open, "at_most", g.cfg.Node.DrainTimeout.String())
	p.core.Stopping()
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.Node.DrainTimeout)
	defer cancel()
	go func() {
		select {
		case <-g.hurry:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := p.edge.Drain(ctx, reporter(g.log)); err != nil {
		g.log.Warn("clients that did not leave are disconnected", "connections", p.edge.Connections())
	}
	return nil
}

// reporter logs progress at most once a second.
func reporter(log *slog.Logger) func(open int) {
	var last time.Time
	return func(open int) {
		if now := time.Now(); open > 0 && now.Sub(last) >= progressEvery {
			last = now
			log.Info("waiting for clients to leave", "connections", open)
		}
	}
}

// checks are the conditions of readiness.
func (p *parts) checks() []admin.Check {
	store := admin.Check{Name: "store"}
	if err := p.store.Health(); err != nil {
		store.Detail = err.Error()
	}
	ph := p.g.at()
	sessions, listeners := admin.Check{Name: "restored"}, admin.Check{Name: "listeners"}
	if ph == opening {
		sessions.Detail = "sessions are being restored"
	}
	switch ph {
	case serving:
	case stopping:
		listeners.Detail = "the gateway is stopping"
	default:
		listeners.Detail = "not open yet"
	}
	return []admin.Check{store, sessions, listeners}
}

// listenerFigures are the listeners' counters for metrics.
func (p *parts) listenerFigures() []admin.ListenerFigures {
	p.g.mu.Lock()
	edge := p.edge
	p.g.mu.Unlock()
	if edge == nil {
		return nil
	}
	var out []admin.ListenerFigures
	for name, l := range edge.Listeners() {
		s := l.Stats()
		out = append(out, admin.ListenerFigures{
			Name: name, Open: s.Open, Unauthenticated: s.Unauthenticated,
			Accepted: s.Accepted, Delayed: s.Delayed, Refused: s.Refused, Throttled: s.Throttled, Throttles: s.Throttles, Rests: s.Rests, Rested: s.Rested, Queues: s.Queues,
		})
	}
	return out
}

// hashFigures are those of the processes for hashes, nil where there are none.
func (p *parts) hashFigures() func() admin.HashFigures {
	workers := p.g.workers
	if workers == nil {
		return nil
	}
	return func() admin.HashFigures { return admin.HashFigures(workers.Stats()) }
}

// handlerFigures are those of private protocols' handlers for metrics.
func (p *parts) handlerFigures() (list []admin.HandlerFigures) {
	p.g.mu.Lock()
	handlers := p.handlers
	p.g.mu.Unlock()
	if handlers == nil {
		return nil
	}
	for name, s := range handlers.Stats() {
		list = append(list, admin.HandlerFigures{Listener: name, Streams: s.Streams, Up: s.Up, Clients: s.Clients,
			Waiting: s.Waiting, Blocked: s.Blocked, Faults: s.Faults, Lost: s.Lost, Ends: s.Ends})
	}
	return list
}

// reload reads anew what the running parts hold.
func (p *parts) reload(try func(what string, do func() error)) {
	p.g.mu.Lock()
	admins, edge := p.admins, p.edge
	p.g.mu.Unlock()
	if admins != nil {
		try("administrators", admins.Reload)
	}
	if edge != nil {
		try("certificates", edge.Reload)
	}
}

// adminSource is the core as the admin server sees it, with a turn of its own.
type adminSource struct {
	*core.Gateway
	mu   sync.Mutex
	turn *core.Turn
}

var _ admin.Source = (*adminSource)(nil)

func newAdminSource(g *core.Gateway) *adminSource { return &adminSource{Gateway: g, turn: g.NewTurn()} }

// Kick implements admin.Source.
func (a *adminSource) Kick(id string) bool {
	return a.work(func(t *core.Turn) bool { return a.Gateway.Kick(t, id) })
}

// Redirect implements admin.Source.
func (a *adminSource) Redirect(id string) bool {
	return a.work(func(t *core.Turn) bool { return a.Gateway.Redirect(t, id) })
}

// CancelDelayed implements admin.Source.
func (a *adminSource) CancelDelayed(id uint64) bool {
	return a.work(func(t *core.Turn) bool { return a.Gateway.CancelDelayed(t, id) })
}

func (a *adminSource) work(f func(t *core.Turn) bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turn.Begin(time.Now())
	ok := f(a.turn)
	a.turn.End()
	return ok
}

// DeleteRetained implements admin.Source.
func (a *adminSource) DeleteRetained(ctx context.Context, topics []string, about string) error {
	kept := make(chan error, 1)
	a.work(func(t *core.Turn) bool {
		a.Gateway.DeleteRetained(t, topics, about, func(err error) { kept <- err })
		return true
	})
	return await(ctx, kept)
}

// Bans implements admin.Source.
func (a *adminSource) Bans() []core.Ban {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turn.Begin(time.Now())
	return a.Gateway.Bans(a.turn)
}

// Ban implements admin.Source.
func (a *adminSource) Ban(ctx context.Context, b *core.Ban) error {
	kept := make(chan error, 1)
	a.mu.Lock()
	a.turn.Begin(time.Now())
	err := a.Gateway.Ban(a.turn, b, func(err error) { kept <- err })
	a.turn.End()
	a.mu.Unlock()
	if err != nil {
		return err
	}
	return await(ctx, kept)
}

// Unban implements admin.Source.
func (a *adminSource) Unban(ctx context.Context, kind core.BanKind, value string) (bool, error) {
	kept := make(chan error, 1)
	a.mu.Lock()
	a.turn.Begin(time.Now())
	found := a.Gateway.Unban(a.turn, kind, value, func(err error) { kept <- err })
	a.turn.End()
	a.mu.Unlock()
	if !found {
		return false, nil
	}
	return true, await(ctx, kept)
}

func await(ctx context.Context, kept <-chan error) error {
	select {
	case err := <-kept:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *adminSource) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turn.Close()
}
