package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/fairlead-iot/fairlead/devices/loop"
	"github.com/fairlead-iot/fairlead/devices/report"
	"github.com/fairlead-iot/fairlead/devices/scenario"
)

// crew is what a run gives its orders to: the workers of this process, or processes.
type crew interface {
	// start lets the groups with (or without) warm_up begin; begun is the begin of the
	// run, now that of these groups.
	start(warm bool, begun, now int64)
	// order has all devices do something.
	order(o order)
	status() status
	// finish ends the crew once all its events are handed on.
	finish() (harvest, error)
}

// order is what all devices are to do.
type order uint8

const (
	hush  order = iota // publish nothing new, and come back
	cut                // lingering groups go without DISCONNECT
	leave              // all go in order
)

// status is how a crew stands, a moment ago.
type status struct {
	Cold      int `json:"cold"`      // devices of warm-up groups that do not stand yet
	Connected int `json:"connected"` // devices
	Unacked   int `json:"unacked"`   // messages sent or waiting, and not acknowledged
	Open      int `json:"open"`      // connections, also those being opened or closed
}

// harvest is what a crew has to tell at the end, besides its events.
type harvest struct {
	Shortfalls []report.Shortfall `json:"shortfalls"`
	Incidents  []report.Shortfall `json:"incidents"`
	Connected  map[string]int     `json:"connected"` // by group: connected at least once
	Usage      report.Usage       `json:"usage"`
}

// local is the crew of this process.
type local struct {
	workers []*worker
	groups  []*group
	cold    atomic.Int64
	usage   *watch
	stop    context.CancelFunc
	running sync.WaitGroup
	failed  chan error
}

// newLocal makes the part's devices and runs their loops. sinkOf gives each worker its
// sink.
func newLocal(o *Options, plan *scenario.Plan, part Part, sinkOf func(worker int) sink) (*local, error) {
	c := &local{failed: make(chan error, o.Loops)}
	if err := c.meetEndpoints(o, plan); err != nil {
		return nil, err
	}
	sources, err := loop.ParseSources(o.Sources, uint64(part.Number)*7919)
	if err != nil {
		return nil, err
	}
	clock := loop.NewClock(o.Portable)
	var ties *atomic.Int64
	if o.Portable {
		ties = &atomic.Int64{}
	}
	for i := range o.Loops {
		l, err := loop.New(loop.Options{Portable: o.Portable, Clock: clock, Sources: sources, Streams: o.Streams, Packets: o.Packets})
		if err != nil {
			c.abandon()
			return nil, err
		}
		c.workers = append(c.workers, &worker{loop: l, clock: clock, sink: sinkOf(i), topics: map[string]string{},
			shorts: tallies{}, incidents: tallies{}, cold: &c.cold, ties: ties})
	}
	c.usage = startWatch(selfPID())
	c.populate(plan, part)
	c.run()
	return c, nil
}

// meetEndpoints reads every group's URL; all that is wrong is told at once.
func (c *local) meetEndpoints(o *Options, plan *scenario.Plan) error {
	known := map[string]*loop.Endpoint{"": nil}
	var errs []error
	meet := func(name, broker string) *loop.Endpoint {
		if e, ok := known[broker]; ok {
			return e
		}
		e, err := loop.ParseEndpoint(broker, loop.TLS(o.Scenario.TLS))
		if err == nil {
			err = e.Resolve(context.Background())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("groups.%s: %w", name, err))
			return nil
		}
		known[broker] = e
		return e
	}
	for _, g := range plan.Groups {
		c.groups = append(c.groups, newGroup(g, meet(g.Name, g.Broker), meet(g.Name, g.DTLSBroker), plan.Seed))
	}
	return errors.Join(errs...)
}

// populate makes the devices, spread over the workers.
func (c *local) populate(plan *scenario.Plan, part Part) {
	devices, sensors := make([]int, len(c.workers)), make([]int, len(c.workers))
	c.each(plan, part, func(g *group, _ uint32, worker int) {
		if g.plan.Group.Sensor() {
			sensors[worker]++
		} else {
			devices[worker]++
		}
	})
	for i, w := range c.workers {
		w.devices, w.sensors = make([]device, 0, devices[i]), make([]sensor, 0, sensors[i])
	}
	c.each(plan, part, func(g *group, number uint32, worker int) {
		w := c.workers[worker]
		if g.plan.Group.Sensor() {
			w.sensors = append(w.sensors, sensor{unit: unit{w: w, shared: g}})
			s := &w.sensors[len(w.sensors)-1]
			plan.InitState(&s.state, number)
			s.init()
		} else {
			w.devices = append(w.devices, device{unit: unit{w: w, shared: g}})
			d := &w.devices[len(w.devices)-1]
			plan.InitState(&d.state, number)
			d.speech.Init(g.config)
		}
		if g.plan.Group.WarmUp {
			c.cold.Add(1)
		}
	})
}

func (c *local) each(plan *scenario.Plan, part Part, f func(g *group, number uint32, worker int)) {
	n := 0
	for _, g := range c.groups {
		for i := g.plan.First; i < g.plan.First+g.plan.Count; i++ {
			if part.holds(i) {
				f(g, i, n%len(c.workers))
				n++
			}
		}
	}
}

func (c *local) run() {
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	for _, w := range c.workers {
		c.running.Go(func() {
			if err := w.loop.Run(ctx); err != nil {
				c.failed <- err
			}
		})
	}
}

func (c *local) abandon() {
	for _, w := range c.workers {
		w.loop.Close()
	}
}

// all has every worker do f on its loop, and waits until it is done.
func (c *local) all(f func(w *worker)) {
	var done sync.WaitGroup
	for _, w := range c.workers {
		done.Add(1)
		if !w.loop.Post(func() { defer done.Done(); f(w) }) {
			done.Done()
		}
	}
	done.Wait()
}

func (c *local) start(warm bool, begun, now int64) {
	c.all(func(w *worker) { w.start(warm, begun, now) })
}

func (c *local) order(o order) {
	c.all(func(w *worker) {
		switch o {
		case hush:
			w.hush()
		case cut:
			w.cut()
		case leave:
			w.leave()
		}
	})
}

func (c *local) status() status {
	s := status{Cold: int(c.cold.Load())}
	for _, w := range c.workers {
		s.Connected += int(w.status.connected.Load())
		s.Unacked += int(w.status.unacked.Load())
		s.Open += int(w.status.open.Load())
	}
	return s
}

func (c *local) finish() (harvest, error) {
	c.all((*worker).finish)
	h := harvest{Connected: map[string]int{}, Usage: c.usage.end()}
	c.stop()
	c.running.Wait()
	for _, g := range c.groups {
		h.Connected[g.plan.Name] += int(g.connected.Load())
	}
	for _, w := range c.workers {
		h.Shortfalls = append(h.Shortfalls, w.shorts.list()...)
		h.Incidents = append(h.Incidents, w.incidents.list()...)
	}
	close(c.failed)
	var errs []error
	for err := range c.failed {
		errs = append(errs, err)
	}
	return h, errors.Join(errs...)
}
