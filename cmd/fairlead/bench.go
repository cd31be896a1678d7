package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fairlead-iot/fairlead"
	"github.com/fairlead-iot/fairlead/devices/bench"
	"github.com/fairlead-iot/fairlead/devices/report"
	"github.com/fairlead-iot/fairlead/devices/scenario"
)

// benchOptions are the flags of bench.
type benchOptions struct {
	size    bench.Parameters // those that were given
	given   *pflag.FlagSet
	url     string
	compare []string
	names   []string
	pids    []int
	rounds  int
	seed    uint64
	tls     scenario.TLS
	sources string
	json    string
	list    bool
	quiet   bool
}

func (t *terminal) benchCommand() *cobra.Command {
	o := &benchOptions{}
	c := &cobra.Command{
		Use:   "bench MEASUREMENT… | all",
		Short: "measure a broker, or compare two",
		Long: `Measures any MQTT broker with simulated devices: rates, latencies, and with --pid what
it costs the broker in processor time and memory. The devices are judged meanwhile as in
fairlead fleet, so figures of a broker that loses messages are known to be worthless.

With --compare both brokers take turns on the same machine, and the medians of the
rounds stand side by side.

` + exitHelp(),
		Example: `  fairlead bench --list
  fairlead bench fan-in --url mqtt://127.0.0.1:1883 --pid 4711
  fairlead bench fan-out --devices 1000 --rate 50 --qos 0
  fairlead bench all --compare mqtt://127.0.0.1:1883 mqtt://127.0.0.1:1884 --pid 4711,4712 --name ours --name theirs`,
		RunE: func(c *cobra.Command, args []string) error { return t.bench(c.Context(), o, args) },
	}
	f := c.Flags()
	o.given = f
	f.BoolVar(&o.list, "list", false, "list the measurements and what they begin with")
	f.StringVarP(&o.url, "url", "L", defaultURL, "the broker; user and password may stand in it")
	f.StringSliceVar(&o.compare, "compare", nil, "two brokers to measure in turn: --compare URL_A URL_B")
	f.StringArrayVar(&o.names, "name", nil, "what to call the broker in the results; one for each")
	f.IntSliceVar(&o.pids, "pid", nil, "the broker's process, to watch its processor time and memory; one for each: A,B")
	o.sizeFlags(f)
	f.IntVar(&o.rounds, "rounds", 3, "how often each broker is measured")
	f.Uint64Var(&o.seed, "seed", 0, "repeat the choices of the bench that printed this seed in its JSON")
	f.StringVar(&o.tls.CAFile, "cafile", "", "authorities that may have signed the broker's certificate, PEM")
	f.BoolVar(&o.tls.Insecure, "insecure", false, "do not check the broker's certificate")
	f.StringVar(&o.sources, "sources", "", "loopback addresses to connect from: 127.1.0.0/22")
	f.StringVar(&o.json, "json", "", "write the whole result to this file; - is the standard output, instead of the table")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show no progress")
	f.SortFlags = false
	return c
}

// sizeFlags are those of a measurement's size. Their defaults are the measurement's.
func (o *benchOptions) sizeFlags(f *pflag.FlagSet) {
	p := &o.size
	f.IntVar(&p.Devices, "devices", 0, "how many devices (default: see --list)")
	f.Float64Var(&p.Rate, "rate", 0, "messages a second, all publishers together; connections: connects begun; 0: as fast as acknowledgements allow (default: see --list)")
	f.IntVar(&p.QoS, "qos", 0, "0, 1 or 2 (default 1)")
	f.IntVar(&p.Payload, "payload", 0, "bytes of a message (default 64)")
	f.Float64Var(&p.Seconds, "seconds", 0, "how long each round measures, besides its beginning and its end (default 5)")
	f.IntVar(&p.Window, "window", 0, "QoS 1 and 2: unacknowledged messages, all publishers together (default 500)")
	f.IntVar(&p.Topics, "topics", 0, "retained-storm: how many retained messages (default 1000)")
	f.IntVar(&p.Queued, "queued", 0, "reconnect-storm: messages that wait for each device (default 10)")
	f.StringVar(&p.Protocol, "protocol", "", "mqtt5 or mqtt3.1.1 (default mqtt5)")
}

// parameters are the measurement's, with what was given over them.
func (o *benchOptions) parameters(m *bench.Measurement) bench.Parameters {
	p := m.Defaults
	for name, take := range map[string]func(){
		"devices":  func() { p.Devices = o.size.Devices },
		"rate":     func() { p.Rate = o.size.Rate },
		"qos":      func() { p.QoS = o.size.QoS },
		"payload":  func() { p.Payload = o.size.Payload },
		"seconds":  func() { p.Seconds = o.size.Seconds },
		"window":   func() { p.Window = o.size.Window },
		"topics":   func() { p.Topics = o.size.Topics },
		"queued":   func() { p.Queued = o.size.Queued },
		"protocol": func() { p.Protocol = o.size.Protocol },
	} {
		if o.given.Changed(name) {
			take()
		}
	}
	return p
}

func (t *terminal) bench(ctx context.Context, o *benchOptions, args []string) error {
	if o.list {
		return t.benchList()
	}
	names, targets, err := o.targets(args)
	if err != nil {
		return err
	}
	chosen, err := o.chosen(names)
	if err != nil {
		return err
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	var results []*bench.Result
	var faults error
	for _, m := range chosen {
		r, err := t.benchOnce(ctx, o, m, targets)
		if r != nil {
			results = append(results, r)
			faults = errors.Join(faults, t.benchShow(o, r))
		}
		if err != nil {
			return errors.Join(err, t.benchFile(o, results))
		}
	}
	return errors.Join(faults, t.benchFile(o, results))
}

// benchOnce makes one measurement.
func (t *terminal) benchOnce(ctx context.Context, o *benchOptions, m *bench.Measurement, targets []bench.Target) (*bench.Result, error) {
	show, clean := t.benchProgress(o.quiet)
	seed := o.seed
	if seed == 0 {
		seed = uint64(uint32(time.Now().UnixNano()))
	}
	r, err := bench.Run(ctx, m, bench.Options{
		Parameters: o.parameters(m), Targets: targets, Rounds: o.rounds, Seed: seed, TLS: o.tls, Sources: o.sources,
		Version: fairlead.Version().String(), Progress: show,
	})
	clean()
	if r != nil && err != nil && len(r.Targets[0].Rounds) == 0 {
		return nil, err // an empty table says nothing
	}
	return r, err
}

// benchProgress shows how a round goes on a terminal, and elsewhere only that it began.
// Who does not look misses nothing that lasts, so errors are nobody's.
func (t *terminal) benchProgress(quiet bool) (show func(*report.Status), clean func()) {
	width := widthOf(t.err)
	title := ""
	switch {
	case quiet:
		return func(*report.Status) {}, func() {}
	case width == nil:
		return func(s *report.Status) {
			if s.Title != title {
				title = s.Title
				fmt.Fprintln(t.err, title)
			}
		}, func() {}
	}
	p := report.NewProgress(t.err, width, 0)
	return func(s *report.Status) { _ = p.Show(s) }, func() { _ = p.Clear() }
}

// benchShow writes the table of a result; the error tells that its broker is at fault.
func (t *terminal) benchShow(o *benchOptions, r *bench.Result) error {
	if o.json != "-" {
		if err := bench.WriteText(t.out, r); err != nil {
			return err
		}
		fmt.Fprintln(t.out)
	}
	if r.Faulty() {
		return fmt.Errorf("%s: %w", r.Measurement, errVerdict)
	}
	return nil
}

func (t *terminal) benchFile(o *benchOptions, results []*bench.Result) error {
	if o.json == "" || len(results) == 0 {
		return nil
	}
	return t.fleetFile(o.json, func(w io.Writer) error { return bench.WriteJSON(w, results) })
}

// targets parts the arguments into names of measurements and brokers: --compare takes
// one URL as a flag does, and the second follows it.
func (o *benchOptions) targets(args []string) (names []string, targets []bench.Target, err error) {
	urls := o.compare
	for _, arg := range args {
		if strings.Contains(arg, "://") {
			urls = append(urls, arg)
		} else {
			names = append(names, arg)
		}
	}
	switch {
	case len(o.compare) == 0 && len(urls) > 0:
		return nil, nil, usagef("a URL stands alone; write --url before one broker, or --compare before two")
	case len(o.compare) == 0:
		urls = []string{o.url}
	case o.given.Changed("url"):
		return nil, nil, usagef("--url and --compare: the brokers stand behind --compare")
	case len(urls) != 2:
		return nil, nil, usagef("--compare takes two URLs, and there are %d", len(urls))
	}
	if len(o.names) > len(urls) || len(o.pids) > len(urls) {
		return nil, nil, usagef("more of --name or --pid than of brokers")
	}
	for i, url := range urls {
		t := bench.Target{URL: url}
		if i < len(o.names) {
			t.Name = o.names[i]
		}
		if i < len(o.pids) {
			t.PIDs = []int{o.pids[i]}
		}
		targets = append(targets, t)
	}
	return names, targets, nil
}

// chosen are the measurements of these names, all of them checked before the first
// begins.
func (o *benchOptions) chosen(names []string) (list []*bench.Measurement, err error) {
	switch {
	case len(names) == 0:
		return nil, usagef("no measurement is named; fairlead bench --list shows them, and all makes them all")
	case o.rounds < 1 || o.rounds > 1000:
		return nil, usagef("--rounds %d: choose 1 to 1000", o.rounds)
	case o.seed > 1<<32-1:
		return nil, usagef("--seed %d is above 4294967295", o.seed)
	}
	if len(names) == 1 && names[0] == "all" {
		list = bench.All()
	} else {
		for _, name := range names {
			m, err := bench.Find(name)
			if err != nil {
				return nil, usageError{err}
			}
			list = append(list, m)
		}
	}
	for _, m := range list {
		if err := m.CheckParameters(o.parameters(m)); err != nil {
			return nil, usageError{err}
		}
	}
	return list, nil
}

// benchList shows the measurements.
func (t *terminal) benchList() error {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	for _, m := range bench.All() {
		fmt.Fprintf(w, "%s\t%s\n", m.Name, m.What)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, m := range bench.All() {
		fmt.Fprintf(t.out, "\n%s (--devices %d", m.Name, m.Defaults.Devices)
		if m.Defaults.Rate > 0 {
			fmt.Fprintf(t.out, " --rate %v", m.Defaults.Rate)
		}
		fmt.Fprintf(t.out, ")\n  %s\n  takes --%s --seconds --protocol\n", m.Detail, strings.Join(m.Uses, " --"))
	}
	return nil
}
