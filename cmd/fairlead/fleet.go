package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-iot/fairlead/devices/report"
	"github.com/fairlead-iot/fairlead/devices/scenario"
)

func (t *terminal) fleetCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "fleet",
		Short: "simulate fleets of devices, and judge the broker by what they saw",
		Long: `Runs devices by the thousand against any MQTT broker: what they are and do stands in
a scenario file, or in one of the profiles that come with fairlead. The fleet knows what
had to arrive, so it finds what a broker lost, doubled, reordered or got wrong.`,
		Example: `  fairlead fleet profiles
  fairlead fleet run smoke
  fairlead fleet run house --url mqtt://127.0.0.1:1883 --html report.html
  fairlead fleet show sensors >mine.toml; fairlead fleet run mine.toml`,
	}
	c.AddCommand(t.fleetRunCommand(), t.fleetProfilesCommand(), t.fleetShowCommand(), t.fleetPlanCommand(), t.fleetKeysCommand(), t.fleetCompareCommand())
	return c
}

func (t *terminal) fleetProfilesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "profiles",
		Short: "list the scenarios that come with fairlead",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
			for _, p := range scenario.Profiles() {
				fmt.Fprintf(w, "%s\t%s\n", p.Name, p.Title)
			}
			return w.Flush()
		},
	}
}

func (t *terminal) fleetShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show PROFILE",
		Short: "print a profile's scenario file, to change it",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := scenario.ProfileText(args[0])
			if err != nil {
				return usageError{err}
			}
			_, err = t.out.Write(text)
			return err
		},
	}
}

func (t *terminal) fleetPlanCommand() *cobra.Command {
	o := &scenarioChoice{}
	var devices, actions int
	c := &cobra.Command{
		Use:   "plan SCENARIO",
		Short: "print what devices will do and when, without doing it",
		Long:  "Prints the schedule of a scenario's first devices. The same seed gives the same schedule.",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := o.load(args[0])
			if err != nil {
				return err
			}
			seed := s.Seed
			if seed == 0 {
				seed = uint64(time.Now().UnixNano())
			}
			p, err := s.Plan(seed)
			if err != nil {
				return usageError{err}
			}
			return p.Dump(t.out, devices, actions)
		},
	}
	o.flags(c)
	c.Flags().IntVar(&devices, "devices", 10, "how many devices of each group")
	c.Flags().IntVar(&actions, "actions", 20, "how many actions of each device")
	return c
}

func (t *terminal) fleetKeysCommand() *cobra.Command {
	o := &scenarioChoice{}
	c := &cobra.Command{
		Use:   "keys SCENARIO",
		Short: "print the shared keys of the devices over DTLS, for the gateway",
		Long: `Prints a line IDENTITY:KEY for each device of a scenario that speaks over DTLS, as a
listener's dtls.psk_file wants them. Without psk_file the keys are made of the client
identifiers: anybody can make them, so they are for tests only.`,
		Example: `  fairlead fleet keys coap-meters --set groups.meter.dtls=0.5 >keys
  fairlead serve --set listeners.coaps.dtls.psk_file=keys`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := o.load(args[0])
			if err != nil {
				return err
			}
			p, err := s.Plan(1)
			if err != nil {
				return usageError{err}
			}
			_, err = t.out.Write(p.AppendKeys(nil))
			return err
		},
	}
	o.flags(c)
	return c
}

func (t *terminal) fleetCompareCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "compare REPORT.json REPORT.json…",
		Short: "put reports of the same scenario side by side",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			var runs []*report.Run
			for _, name := range args {
				f, err := os.Open(name)
				if err != nil {
					return usageError{err}
				}
				r, err := report.ReadJSON(f)
				f.Close()
				if err != nil {
					return usageError{fmt.Errorf("%s: %w", name, err)}
				}
				runs = append(runs, r)
			}
			return report.WriteComparison(t.out, runs)
		},
	}
}

// scenarioChoice is which scenario, and what is changed in it.
type scenarioChoice struct {
	sets     []string
	seed     uint64
	duration time.Duration
}

func (o *scenarioChoice) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&o.sets, "set", nil, "change a key of the scenario: groups.sensor.count=500 (repeatable)")
	f.Uint64Var(&o.seed, "seed", 0, "repeat the run that printed this seed")
	f.DurationVar(&o.duration, "duration", 0, "how long the devices publish, instead of what the scenario says")
}

// load reads a profile by its name, or a file: whatever has a slash or a dot.
func (o *scenarioChoice) load(name string) (*scenario.Scenario, error) {
	sets := o.sets
	if o.seed != 0 {
		sets = append(sets, fmt.Sprint("seed=", o.seed))
	}
	if o.duration != 0 {
		sets = append(sets, fmt.Sprint("duration=", o.duration))
	}
	load := scenario.Profile
	if strings.ContainsAny(name, `./\`) {
		load = scenario.Load
	}
	found, err := load(name, sets)
	if err != nil {
		return nil, usageError{err}
	}
	return found, nil
}

// errVerdict says that a run's expectations do not hold.
var errVerdict = errors.New("the expectations of the scenario do not hold")
