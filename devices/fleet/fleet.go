package fleet

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/devices/loop"
	"github.com/fairlead-iot/fairlead/devices/oracle"
	"github.com/fairlead-iot/fairlead/devices/report"
	"github.com/fairlead-iot/fairlead/devices/scenario"
)

// Fleet is one run of a scenario.
type Fleet struct {
	opt    Options
	plan   *scenario.Plan
	clock  *loop.Clock
	oracle *oracle.Oracle
	crew   crew
	hired  chan struct{} // closed when crew is set, or could not be
	meter  meter
	broker *watch
	self   *watch

	begun   int64 // on the clock
	started time.Time
	phase   string
	samples []report.Sample
	refused uint64 // connects, so far
	last    oracle.Snapshot
	short   []report.Shortfall // of the run itself
	each    uint64             // memory for each connected device, in bytes
	theirs  uint64             // the same of the broker
	laps    []uint64           // messages received until each lap
}

// Times of a run that no scenario chooses.
const (
	look        = 50 * time.Millisecond // between two looks at how far the fleet is
	warmTimeout = 2 * time.Minute       // for the groups with warm_up
	leaveTime   = 5 * time.Second       // for the goodbye
)

// New checks whether the scenario can be played from here. The error says what to do.
func New(o Options) (*Fleet, error) {
	o = o.withDefaults()
	plan, err := o.Scenario.Plan(seedOf(o.Scenario))
	if err != nil {
		return nil, err
	}
	plan.Begun = time.Now().UnixNano()
	f := &Fleet{opt: o, clock: loop.NewClock(o.Portable), plan: plan, hired: make(chan struct{})}
	if err := f.room(); err != nil {
		return nil, err
	}
	return f, nil
}

// seedOf is the scenario's seed, or one from the clock.
func seedOf(s *scenario.Scenario) uint64 {
	if s.Seed != 0 {
		return s.Seed
	}
	return uint64(time.Now().UnixNano())
}

// Seed is the one that makes the run repeatable.
func (f *Fleet) Seed() uint64 { return f.plan.Seed }

// RoomError says that this machine cannot hold the devices.
type RoomError struct {
	Devices, Room int
	Why           string
}

// Error gives the numbers and what to do.
func (e *RoomError) Error() string {
	return fmt.Sprintf("%d devices for each process, but it can hold %d connections: %s; raise the limit, take fewer devices (--set groups.NAME.count=…), or spread them: --processes %d",
		e.Devices, e.Room, e.Why, (e.Devices+max(e.Room, 1)-1)/max(e.Room, 1)+1)
}

// room compares the devices that need a descriptor with what a process may hold.
func (f *Fleet) room() error {
	need := 0
	for _, g := range f.plan.Groups {
		if !strings.HasPrefix(g.Broker, "mem:") && !g.Group.Sensor() { // those need none of their own
			need += int(g.Count)
		}
	}
	each := (need + f.opt.Processes - 1) / f.opt.Processes
	if have, why := loop.Room(); each > have {
		return &RoomError{Devices: each, Room: have, Why: why}
	}
	return nil
}

// Run plays the scenario. It ends early, with a verdict all the same, when ctx does. The
// error is of what kept it from running; a broker's faults stand in the result.
func (f *Fleet) Run(ctx context.Context) (*report.Run, error) {
	f.oracle = oracle.New(f.oracleConfig())
	f.self, f.broker = startWatch(selfPID()), startWatch(f.opt.BrokerPIDs...)
	if err := f.hire(); err != nil {
		f.oracle.Finish()
		return nil, err
	}
	f.started = time.Now()
	stopped := f.play(ctx)
	return f.result(stopped)
}

// hire makes the crew.
func (f *Fleet) hire() (err error) {
	defer close(f.hired)
	var c crew
	if f.opt.Processes > 1 {
		c, err = newProcesses(f)
	} else {
		c, err = newLocal(&f.opt, f.plan, Part{}, func(int) sink { return f.newSink() })
	}
	if err == nil {
		f.crew = c
	}
	return err
}

// Connected is how many devices are connected; any goroutine may ask.
func (f *Fleet) Connected() int {
	select {
	case <-f.hired:
	default:
		return 0
	}
	if f.crew == nil {
		return 0
	}
	return f.crew.status().Connected
}

func (f *Fleet) newSink() *judged { return &judged{source: f.oracle.Source(), meter: &f.meter} }

func (f *Fleet) oracleConfig() oracle.Config {
	e := &f.opt.Scenario.Expect
	f.begun = f.clock.Now()
	c := oracle.Config{Begun: f.begun, WillWithin: e.WillWithin, Duplicates: e.Duplicates, LossQoS0: e.LossQoS0,
		Refusals: e.Refusals, Flight: min(f.opt.Scenario.Settle, 5*time.Second)}
	for i := range uint32(f.plan.Len()) {
		d := f.plan.Device(i)
		m := d.Group.Group.Misbehave
		c.Devices = append(c.Devices, oracle.Device{Name: d.ClientID(), Group: d.Group.Name, Slow: m != nil && m.SlowRead > 0 && d.Misbehaves()})
	}
	return c
}

// play gives the orders of the run's phases; it tells why it ended early.
func (f *Fleet) play(ctx context.Context) (stopped string) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	p := &player{f: f, ctx: ctx, tick: tick, sampled: f.begun}
	f.crew.start(true, f.begun, f.begun)
	if n := f.crew.status().Cold; n > 0 {
		f.phase = "warm-up"
		p.until(f.warmLimit(), func() bool { return f.crew.status().Cold == 0 })
		if n = f.crew.status().Cold; n > 0 && ctx.Err() == nil {
			f.short = append(f.short, report.Shortfall{Reason: "devices of warm-up groups that did not stand in time", Count: uint64(n),
				Advice: "look at why their connections or subscriptions failed"})
		}
	}
	if n := f.crew.status().Connected; n > 0 {
		f.theirs = f.broker.grown() / uint64(n)
	}
	f.lap()
	f.phase = "running"
	f.crew.start(false, f.begun, f.clock.Now())
	p.until(f.opt.Scenario.Duration, func() bool { return false })
	if err := context.Cause(ctx); ctx.Err() != nil {
		stopped = "interrupted: " + err.Error()
	}
	f.windUp(p)
	return stopped
}

// windUp ends a run; it takes a moment even when the run was interrupted.
func (f *Fleet) windUp(p *player) {
	p.ctx = context.WithoutCancel(p.ctx)
	if n := f.crew.status().Connected; n > 0 && f.opt.Streams == nil {
		f.each = f.self.grown() / uint64(n)
	}
	f.phase = "settling"
	f.crew.order(hush)
	hushed := f.clock.Now()
	p.until(f.opt.Scenario.Settle, func() bool { return f.settled(hushed) })
	f.lap()
	if wait := f.lingering(); wait > 0 {
		f.phase = "wills"
		f.crew.order(cut)
		p.until(wait, func() bool { return false })
	}
	f.phase = "leaving"
	f.crew.order(leave)
	p.until(leaveTime, func() bool { return f.crew.status().Open == 0 })
	p.sample()
}

// lap ends a part of the run for those who are watched.
func (f *Fleet) lap() {
	f.self.lap()
	f.broker.lap()
	f.laps = append(f.laps, f.oracle.Snapshot().Total.Received)
}

// warmLimit is how long the groups with warm_up may take, from when the last of them is to
// connect on.
func (f *Fleet) warmLimit() (limit time.Duration) {
	for _, g := range f.plan.Groups {
		if r := g.Group.Ramp; g.Group.WarmUp && r > 0 {
			limit = max(limit, g.Group.Start+time.Duration(float64(g.Count)/float64(r)*float64(time.Second)))
		}
	}
	return limit + warmTimeout
}

// settled tells whether nothing is outstanding: what the workers know is a heartbeat
// old, so some of them have to pass first.
func (f *Fleet) settled(hushed int64) bool {
	if f.clock.Now()-hushed < 4*int64(heartbeat) {
		return false
	}
	s := f.oracle.Snapshot()
	return f.crew.status().Unacked == 0 && s.Outstanding == 0 && s.Queued == 0
}

// lingering is how long the Wills of lingering groups may take; 0: there are none.
func (f *Fleet) lingering() (wait time.Duration) {
	for _, g := range f.plan.Groups {
		if g.Group.Linger && g.Group.Will != nil {
			wait = max(wait, g.Group.Will.Delay+f.opt.Scenario.Expect.WillWithin+time.Second)
		}
	}
	return wait
}

// result ends the crew and asks for the verdict.
func (f *Fleet) result(stopped string) (*report.Run, error) {
	h, err := f.crew.finish()
	v := f.oracle.Finish()
	s := f.opt.Scenario
	r := &report.Run{
		Format: report.Format, Title: s.Title, Description: s.Description, Broker: shown(f.plan), Name: f.opt.Name,
		Seed: f.plan.Seed, Begun: f.started, Took: time.Since(f.started), Planned: s.Duration + s.Settle, Stopped: stopped,
		Version: f.opt.Version, Machine: fmt.Sprintf("%s/%s, %d processors", runtime.GOOS, runtime.GOARCH, runtime.NumCPU()),
		Scenario: s.Text(), Devices: f.plan.Len(), Processes: f.opt.Processes, Verdict: v, Timeline: f.samples, Fleet: h.Usage,
	}
	for _, g := range f.plan.Groups {
		n := h.Connected[g.Name]
		r.Connected += n
		r.Groups = append(r.Groups, report.GroupInfo{Name: g.Name, Description: g.Group.Description, Protocol: g.Group.Protocol,
			Devices: int(g.Count), Connected: n})
	}
	if len(f.opt.BrokerPIDs) > 0 {
		u := f.broker.end()
		u.PerDevice = f.theirs
		r.BrokerUsage = &u
	}
	r.Shortfalls = mergeShortfalls(append(f.short, h.Shortfalls...))
	r.Incidents = mergeShortfalls(h.Incidents)
	r.Fleet.PerDevice = f.each
	if len(f.laps) == 2 {
		r.Played = f.laps[1] - f.laps[0]
	}
	r.Checks = report.Judge(s.Expect, v, r.Devices, r.Connected)
	r.Passed = stopped == "" && report.Passes(r.Checks)
	return r, err
}

// shown is the broker's URL without a password.
func shown(p *scenario.Plan) string {
	if len(p.Groups) == 0 {
		return p.Scenario.Broker
	}
	e, err := loop.ParseEndpoint(p.Groups[0].Broker, loop.TLS(p.Scenario.TLS))
	if err != nil {
		return ""
	}
	return e.String()
}

// mergeShortfalls adds up the same reasons, the most frequent first.
func mergeShortfalls(all []report.Shortfall) (out []report.Shortfall) {
	for _, s := range all {
		i := slices.IndexFunc(out, func(o report.Shortfall) bool { return o.Reason == s.Reason })
		if i < 0 {
			out = append(out, s)
			continue
		}
		out[i].Count += s.Count
	}
	slices.SortFunc(out, func(a, b report.Shortfall) int { return int(b.Count) - int(a.Count) })
	return out
}

// errNoSpawn says that a caller asked for processes and gave no way to start one.
var errNoSpawn = errors.New("fleet: Processes needs Spawn")
