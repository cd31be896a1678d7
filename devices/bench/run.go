package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/fairlead-iot/fairlead/devices/fleet"
	"github.com/fairlead-iot/fairlead/devices/report"
	"github.com/fairlead-iot/fairlead/devices/scenario"
)

// Target is a broker that is measured.
type Target struct {
	Name string // "": its URL
	URL  string
	PIDs []int // its processes on this machine; none: not watched
}

// Options say how to make a measurement.
type Options struct {
	Parameters Parameters
	Targets    []Target // one, or several to compare
	Rounds     int      // with each target; 0: one
	Seed       uint64   // of the first round, below 2^32; the others have the next ones
	TLS        scenario.TLS
	Sources    string // loopback addresses to connect from; "": loop.DefaultSources
	Version    string // of the program, for the result
	// Progress is told how a round stands, on the goroutine of Run; nil: nobody is.
	Progress func(s *report.Status)
}

// ErrInterrupted says that the context ended before the last round. The result holds the
// rounds before.
var ErrInterrupted = errors.New("interrupted before the last round; the figures are of the rounds before")

// Run measures every target in turn, round after round, and turns the order round each
// time. It waits for all rounds. The error is of what kept it from measuring, such as a
// broker that cannot be reached; a broker's faults stand in the result.
func Run(ctx context.Context, m *Measurement, o Options) (*Result, error) {
	if err := m.CheckParameters(o.Parameters); err != nil {
		return nil, err
	}
	b := &bench{m: m, o: o, result: newResult(m, &o)}
	for round := range max(o.Rounds, 1) {
		for _, i := range order(round, len(o.Targets)) {
			if err := b.round(ctx, i, round); err != nil {
				b.result.sum(m)
				return b.result, err
			}
		}
	}
	b.result.sum(m)
	return b.result, nil
}

// order is which target comes when: forth in one round, and back in the next.
func order(round, targets int) []int {
	list := make([]int, targets)
	for i := range list {
		list[i] = i
	}
	if round%2 == 1 {
		slices.Reverse(list)
	}
	return list
}

// bench is a Run under way.
type bench struct {
	m      *Measurement
	o      Options
	result *Result
}

// round measures one target once.
func (b *bench) round(ctx context.Context, target, round int) error {
	t := &b.o.Targets[target]
	o := &outcome{p: b.o.Parameters, scenario: b.m.Scenario(b.o.Parameters), trace: &trace{}, cores: runtime.NumCPU()}
	seed := b.o.Seed + uint64(round)
	b.address(o.scenario, t, seed, fmt.Sprintf("%s, round %d of %d, %s", b.m.Name, round+1, max(b.o.Rounds, 1), b.result.Targets[target].Name))
	progress := func(s *report.Status) {
		o.trace.add(s)
		if b.o.Progress != nil {
			b.o.Progress(s)
		}
	}
	var err error
	o.run, err = b.play(ctx, o.scenario, t, progress)
	left := b.cleanUp(ctx, t, seed)
	switch {
	case err != nil:
		return err
	case o.run.Stopped != "":
		return ErrInterrupted
	}
	o.watched = o.run.BrokerUsage != nil && o.run.BrokerUsage.PeakRSS > 0
	b.result.note(b.m, o, target, round, t.PIDs, left)
	return nil
}

// address points a scenario at a target.
func (b *bench) address(s *scenario.Scenario, t *Target, seed uint64, title string) {
	s.Title, s.Broker, s.Seed, s.TLS = title, t.URL, seed, b.o.TLS
}

// play runs one scenario.
func (b *bench) play(ctx context.Context, s *scenario.Scenario, t *Target, progress func(*report.Status)) (*report.Run, error) {
	f, err := fleet.New(fleet.Options{Scenario: s, Name: t.Name, Version: b.o.Version, Sources: b.o.Sources, BrokerPIDs: t.PIDs,
		Interval: interval, Progress: progress})
	if err != nil {
		return nil, advise(err)
	}
	if err := f.Reach(ctx); err != nil {
		return nil, err
	}
	return f.Run(ctx)
}

// advise puts the advice of a fleet's error into words that fit a bench.
func advise(err error) error {
	var room *fleet.RoomError
	if errors.As(err, &room) {
		return fmt.Errorf("the measurement needs %d connections, and this process can hold %d: %s; raise the limit, or take fewer --devices", room.Devices, room.Room, room.Why)
	}
	return err
}

// cleanUp takes away what the measurement leaves in the broker; it tells what could not
// be.
func (b *bench) cleanUp(ctx context.Context, t *Target, seed uint64) []Remark {
	if b.m.Cleanup == nil {
		return nil
	}
	s := b.m.Cleanup(b.o.Parameters)
	b.address(s, t, seed, b.m.Name+", cleaning up, "+t.Name)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	r, err := b.play(ctx, s, t, func(*report.Status) {})
	switch {
	case err != nil:
		return []Remark{{Name: "not cleaned up", Text: "what the round left in the broker could not be removed: " + err.Error()}}
	case r.Connected < r.Devices || b.m.Name == "retained-storm" && int(r.Verdict.Total.Acked) < cleared(b.o.Parameters):
		return []Remark{{Name: "not cleaned up", Text: "not all that the round left in the broker could be removed in the time for it"}}
	}
	return nil
}

// cleared is how many retained messages are to be removed.
func cleared(p Parameters) int {
	keeper, each := kept(&p)
	return keeper.Count * each
}

// machine describes where the load ran.
func machine() string {
	text := fmt.Sprintf("%s/%s, %s for the load", runtime.GOOS, runtime.GOARCH, counted(runtime.NumCPU(), "processor"))
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		var one float64
		if _, err := fmt.Sscan(string(load), &one); err == nil {
			text += fmt.Sprintf(", load average %.2f at the begin", one)
		}
	}
	return text
}
