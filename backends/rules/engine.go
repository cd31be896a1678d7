package rules

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
)

// Options is what an Engine is made of.
type Options struct {
	Driver Driver
	Config Config
	Pools  map[string]Database // the engine closes them
	Rules  []Rule              // valid ones; none: the driver's Defaults
	Node   string              // name of this node
	// Queue makes the queue of a pool; nil: one in memory, of Config.Queue bytes, which
	// loses what waits when the process ends.
	Queue func(pool string, lanes int) (Queue, error)
	// Refused is the directory for what databases refuse for good and rules keep; it is made
	// when it is needed. "" where no rule keeps any.
	Refused string
	// Lanes is how many jobs of one pool are done side by side, by its name; 8 for
	// those that are not there.
	Lanes map[string]int
	Log   *slog.Logger // nil: nothing is logged
}

// Engine does the rules of one backend.
type Engine struct {
	cfg     Config
	driver  string
	node    string
	run     uint64 // tells this run's entries from those that were waiting
	pools   []*pool
	log     *slog.Logger
	ending  atomic.Bool
	started atomic.Bool // or closed

	gateway *core.Gateway
	turnMu  sync.Mutex // turn
	own     *core.Turn

	sayMu sync.Mutex
	said  map[string]time.Time
}

// defaultLanes is EMQ X's pool_size.
const defaultLanes = 8

// New makes the engine of one backend. Its sinks, sources and retained topics go into
// core.Options; Run works once there is a gateway. An error closes the pools.
func New(o Options) (*Engine, error) {
	e := &Engine{cfg: o.Config, driver: o.Driver.Name, node: o.Node, run: rand.Uint64(), log: o.Log, said: map[string]time.Time{}}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	rules := o.Rules
	if len(rules) == 0 {
		rules = o.Driver.Defaults
	}
	names := slices.Sorted(maps.Keys(o.Pools))
	if len(names) == 0 {
		return nil, fmt.Errorf("backend %s has no pool", e.driver)
	}
	for _, name := range names {
		p := &pool{engine: e, name: e.driver + "." + name, short: name, db: o.Pools[name], byID: map[uint64]*planned{}}
		p.refusals = newRefusals(o.Refused, p.name, o.Config.Refused)
		for i := range rules {
			if r := rules[i]; r.Pool == name || r.Pool == "" && name == names[0] {
				p.add(plan(r, i))
			}
		}
		p.confirms.init(p)
		p.barriers.init(p)
		p.reads = newReads(p)
		e.pools = append(e.pools, p)
	}
	if err := e.openQueues(&o); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (p *pool) add(r *planned) {
	p.rules = append(p.rules, r)
	if p.byID[r.id] == nil {
		p.byID[r.id] = r
	}
}

func (e *Engine) openQueues(o *Options) error {
	open := o.Queue
	if open == nil {
		open = func(_ string, lanes int) (Queue, error) { return NewMemoryQueue(lanes, o.Config.Queue), nil }
	}
	for _, p := range e.pools {
		lanes := o.Lanes[p.short]
		if lanes < 1 {
			lanes = defaultLanes
		}
		q, err := open(p.short, lanes)
		if err != nil {
			return fmt.Errorf("queue of %s: %w", p.name, err)
		}
		p.queue = q
	}
	return nil
}

// Close closes what is open where Run never comes; else it does nothing.
func (e *Engine) Close() (err error) {
	if e.started.Swap(true) {
		return nil
	}
	for _, p := range e.pools {
		if p.queue != nil {
			err = errors.Join(err, p.queue.Close())
		}
		err = errors.Join(err, p.db.Close())
	}
	return err
}

// Sinks are the engine's, for core.Options, in this order.
func (e *Engine) Sinks() (list []core.Sink) {
	for _, p := range e.pools {
		for _, s := range []core.Sink{published{p}, others{p}} { // what is published first: reading waits for it
			if kinds, _ := s.Wants(); kinds != 0 {
				list = append(list, s)
			}
		}
	}
	return list
}

// OwnsRetained implements core.RetainedOwner: topics whose retained messages a rule
// writes and a rule looks up.
func (e *Engine) OwnsRetained(name string) bool {
	for _, p := range e.pools {
		if p.ownsRetained(name) {
			return true
		}
	}
	return false
}

func (p *pool) ownsRetained(name string) bool {
	written, read := false, false
	for _, r := range p.rules {
		switch r.Function {
		case OnMessageRetain:
			written = written || r.Topic == "" || topic.Match(r.Topic, name)
		case OnRetainLookup:
			read = true
		}
	}
	return written && read
}

// Run works for g, which was made with the engine's sinks and sources, until ctx ends.
// What waits then goes on being written for as long as grace, and is kept if the queue
// can. Run closes the pools.
func (e *Engine) Run(ctx context.Context, g *core.Gateway, grace time.Duration) {
	if e.started.Swap(true) {
		return
	}
	e.turnMu.Lock()
	e.gateway, e.own = g, g.NewTurn()
	e.turnMu.Unlock()
	last, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		e.ending.Store(true)
		time.AfterFunc(grace, cancel)
	})
	defer stop()
	var wg sync.WaitGroup
	for _, p := range e.pools {
		wg.Go(func() { p.run(ctx, last) })
	}
	wg.Wait()
	e.turnMu.Lock()
	defer e.turnMu.Unlock()
	e.own.Close()
	e.own = nil
}

// turn calls f with a turn of the engine's own.
func (e *Engine) turn(f func(*core.Gateway, *core.Turn)) {
	e.turnMu.Lock()
	defer e.turnMu.Unlock()
	if e.own == nil {
		return
	}
	e.own.Begin(time.Now())
	f(e.gateway, e.own)
	e.own.End()
}

// explain leaves a record.
func (e *Engine) explain(r core.Reason, clientID, detail string) {
	e.turn(func(g *core.Gateway, t *core.Turn) {
		g.Refuse(t, core.Refusal{Reason: r, ClientID: clientID, Detail: detail})
	})
}

// complain logs, and what it has logged once not again for a minute.
func (e *Engine) complain(text string, args ...any) {
	key := fmt.Sprint(text, args[:min(len(args), 4)])
	e.sayMu.Lock()
	now := time.Now()
	again := now.Sub(e.said[key]) < time.Minute
	if !again && len(e.said) < 1000 {
		e.said[key] = now
	}
	e.sayMu.Unlock()
	if !again {
		e.log.Error(text, args...)
	}
}

// Stats are the figures of all rules. Those that do the same are one; statements are
// named after their place, such as rules[2].
func (e *Engine) Stats() (list []RuleStats) {
	for _, p := range e.pools {
		away := p.trouble.away().Seconds()
		at := map[RuleStats]int{}
		for _, r := range p.rules {
			s := RuleStats{Backend: e.driver, Pool: p.short, Hook: r.Hook, Topic: r.Topic, Function: r.label()}
			i, twice := at[s]
			if !twice {
				i = len(list)
				at[s] = i
				list = append(list, s)
				list[i].AwayForSeconds = away
			}
			r.addTo(&list[i])
		}
	}
	return list
}

func (r *planned) label() Function {
	if r.Function == "" {
		return Function(fmt.Sprintf("rules[%d]", r.place))
	}
	return r.Function
}

func (r *planned) addTo(s *RuleStats) {
	done, dropped, kept := r.done.Load(), r.dropped.Load(), r.kept.Load()
	s.Done, s.Dropped, s.Kept = s.Done+done, s.Dropped+dropped, s.Kept+kept
	s.Failed, s.Retried, s.Read = s.Failed+r.failed.Load(), s.Retried+r.retried.Load(), s.Read+r.read.Load()
	if taken := r.taken.Load(); r.work.kind == writes && taken > done+dropped+kept {
		s.Waiting += taken - done - dropped - kept
	}
}
