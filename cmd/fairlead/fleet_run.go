package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-iot/fairlead"
	"github.com/fairlead-iot/fairlead/devices/fleet"
	"github.com/fairlead-iot/fairlead/devices/report"
	"github.com/fairlead-iot/fairlead/devices/scenario"
)

// fleetOptions are the flags of fleet run.
type fleetOptions struct {
	scenarioChoice
	urls      []string
	names     []string
	pids      []int
	sources   string
	processes int
	loops     int
	embedded  bool
	quiet     bool
	json      string
	html      string
	csv       string
	lines     string
	part      string
}

func (t *terminal) fleetRunCommand() *cobra.Command {
	o := &fleetOptions{}
	c := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "run a profile or a scenario file",
		Long: `Runs a scenario and prints what came of it. Its exit code is 0 only if all that the
scenario expects holds. With several --url the scenario runs against each in turn, and
the results stand side by side.

` + exitHelp(),
		Example: `  fairlead fleet run smoke --embedded
  fairlead fleet run house --url mqtt://127.0.0.1:1883 --html report.html
  fairlead fleet run sensors --set groups.sensor.count=10000 --processes 2
  fairlead fleet run house --url mqtt://127.0.0.1:1883 --url mqtt://127.0.0.1:1884 --name ours --name theirs`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return t.fleetRun(c.Context(), o, args[0]) },
	}
	o.scenarioChoice.flags(c)
	f := c.Flags()
	f.StringArrayVarP(&o.urls, "url", "L", nil, "the broker, instead of the scenario's; repeat it to compare several")
	f.StringArrayVar(&o.names, "name", nil, "what to call the broker in the results; one for each --url")
	f.IntSliceVar(&o.pids, "pid", nil, "the broker's process, to watch its processor time and memory; one for each --url")
	f.BoolVar(&o.embedded, "embedded", false, "run a gateway in this process and talk to it in memory")
	f.StringVar(&o.sources, "sources", "", "loopback addresses to connect from: 127.1.0.0/22")
	f.IntVar(&o.processes, "processes", 1, "spread the devices over so many processes; there is one verdict")
	f.IntVar(&o.loops, "loops", 0, "event loops of each process; 0: one for each processor")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show no progress")
	f.StringVar(&o.json, "json", "", "write the whole result to this file; - is the standard output, instead of the summary")
	f.StringVar(&o.html, "html", "", "write a report for the browser to this file")
	f.StringVar(&o.csv, "csv", "", "write the timeline to this file as CSV")
	f.StringVar(&o.lines, "jsonl", "", "write the timeline to this file as lines of JSON")
	f.StringVar(&o.part, "part", "", "hold a part of the fleet for the process that judges: NUMBER/OF")
	_ = f.MarkHidden("part") // a protocol between our own processes
	return c
}

func (o *fleetOptions) check() error {
	switch {
	case o.embedded && len(o.urls) > 0:
		return usagef("--embedded and --url: the one is a broker in this process, the other one elsewhere")
	case o.embedded && o.processes > 1:
		return usagef("--embedded and --processes: memory is not shared between processes")
	case len(o.names) > max(len(o.urls), 1) || len(o.pids) > max(len(o.urls), 1):
		return usagef("more of --name or --pid than of --url")
	case o.processes < 1 || o.processes > 1000:
		return usagef("--processes %d: choose 1 to 1000", o.processes)
	}
	return nil
}

func (t *terminal) fleetRun(ctx context.Context, o *fleetOptions, name string) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.part != "" {
		return t.fleetPart(o, name)
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	var runs []*report.Run
	for i := range max(len(o.urls), 1) {
		r, err := t.fleetOnce(ctx, o, name, i)
		if err != nil {
			return err
		}
		runs = append(runs, r)
		o.seed = r.Seed // all of them play the same
	}
	if len(runs) > 1 {
		if err := report.WriteComparison(t.out, runs); err != nil {
			return err
		}
	}
	for _, r := range runs {
		if !r.Passed {
			return errVerdict
		}
	}
	return nil
}

// fleetOnce runs the scenario against broker i of those named, and writes the results.
func (t *terminal) fleetOnce(ctx context.Context, o *fleetOptions, name string, i int) (*report.Run, error) {
	s, err := o.scenario(name, i)
	if err != nil {
		return nil, err
	}
	fo := fleet.Options{Scenario: s, Version: fairlead.Version().String(), Sources: o.sources, Loops: o.loops, Processes: o.processes}
	if i < len(o.names) {
		fo.Name = o.names[i]
	}
	if i < len(o.pids) {
		fo.BrokerPIDs = []int{o.pids[i]}
	}
	if o.embedded {
		end, err := t.embed(ctx, &fo)
		if err != nil {
			return nil, err
		}
		defer end()
	}
	p := t.fleetProgress(o)
	fo.Progress = func(s *report.Status) { _ = p.Show(s) } // who does not look misses nothing that lasts
	fo.Spawn = func(part fleet.Part, seed uint64) (fleet.Child, error) { return o.spawn(s, name, seed, part) }
	f, err := fleet.New(fo)
	if err != nil {
		return nil, usageOrRoom(err)
	}
	if !o.embedded {
		if err := f.Reach(ctx); err != nil {
			return nil, err
		}
	}
	r, err := f.Run(ctx)
	_ = p.Clear()
	if err != nil {
		return nil, err
	}
	return r, t.fleetResults(o, r, i)
}

func usageOrRoom(err error) error {
	var room *fleet.RoomError
	if errors.As(err, &room) {
		return err
	}
	return usageError{err}
}

// scenario loads it with broker i in place.
func (o *fleetOptions) scenario(name string, i int) (*scenario.Scenario, error) {
	choice := o.scenarioChoice
	if o.embedded {
		choice.sets = append(choice.sets, "broker=mem://"+embeddedAddress)
	}
	if i < len(o.urls) {
		choice.sets = append(choice.sets, "broker="+o.urls[i])
	}
	return choice.load(name)
}

// fleetProgress shows how a run goes, on a terminal in place.
func (t *terminal) fleetProgress(o *fleetOptions) *report.Progress {
	if o.quiet {
		return report.NewProgress(io.Discard, nil, time.Hour)
	}
	return report.NewProgress(t.err, widthOf(t.err), 0)
}

// fleetResults writes what was asked for; several runs get their number in the
// files' names.
func (t *terminal) fleetResults(o *fleetOptions, r *report.Run, i int) error {
	if o.json != "-" {
		if err := report.WriteText(t.out, r); err != nil {
			return err
		}
	}
	files := []struct {
		name  string
		write func(io.Writer) error
	}{
		{o.json, func(w io.Writer) error { return report.WriteJSON(w, r) }},
		{o.html, func(w io.Writer) error { return report.WriteHTML(w, r) }},
		{o.csv, func(w io.Writer) error { return report.WriteCSV(w, r.Timeline) }},
		{o.lines, func(w io.Writer) error { return report.WriteLines(w, r.Timeline) }},
	}
	for _, f := range files {
		if f.name == "" {
			continue
		}
		if err := t.fleetFile(numbered(f.name, i, len(o.urls)), f.write); err != nil {
			return err
		}
	}
	return nil
}

func (t *terminal) fleetFile(name string, write func(io.Writer) error) error {
	if name == "-" {
		return write(t.out)
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// numbered is report-2.html for the second of several.
func numbered(name string, i, of int) string {
	if of < 2 || name == "-" {
		return name
	}
	base, ext := name, ""
	if dot := strings.LastIndexByte(name, '.'); dot > strings.LastIndexAny(name, `/\`) {
		base, ext = name[:dot], name[dot:]
	}
	return fmt.Sprintf("%s-%d%s", base, i+1, ext)
}

// spawn starts this program for a part of the fleet.
func (o *fleetOptions) spawn(s *scenario.Scenario, name string, seed uint64, part fleet.Part) (fleet.Child, error) {
	self, err := os.Executable()
	if err != nil {
		return fleet.Child{}, err
	}
	args := []string{"fleet", "run", name, "--part", fmt.Sprintf("%d/%d", part.Number, part.Of), "--loops", fmt.Sprint(o.loops)}
	for _, set := range o.sets {
		args = append(args, "--set", set)
	}
	args = append(args, "--set", "broker="+s.Broker, "--seed", fmt.Sprint(seed))
	if o.duration != 0 {
		args = append(args, "--duration", fmt.Sprint(o.duration))
	}
	if o.sources != "" {
		args = append(args, "--sources", o.sources)
	}
	c := exec.Command(self, args...)
	c.Stderr = os.Stderr
	orders, err := c.StdinPipe()
	if err != nil {
		return fleet.Child{}, err
	}
	frames, err := c.StdoutPipe()
	if err != nil {
		return fleet.Child{}, err
	}
	if err := c.Start(); err != nil {
		return fleet.Child{}, err
	}
	return fleet.Child{PID: c.Process.Pid, Orders: orders, Frames: frames, Wait: c.Wait, Kill: func() { _ = c.Process.Kill() }}, nil
}

// fleetPart is the other side of spawn.
func (t *terminal) fleetPart(o *fleetOptions, name string) error {
	var part fleet.Part
	if _, err := fmt.Sscanf(o.part, "%d/%d", &part.Number, &part.Of); err != nil {
		return usagef("--part %q: write NUMBER/OF", o.part)
	}
	s, err := o.scenario(name, 0)
	if err != nil {
		return err
	}
	// An interrupt goes to the whole process group; the process that judges decides.
	signal.Ignore(os.Interrupt)
	return fleet.Serve(fleet.Options{Scenario: s, Sources: o.sources, Loops: o.loops}, part, t.in, t.out)
}
