package main

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

// run is the whole command; it gives the exit code.
func run() int {
	// A reader that left must not kill us in the middle: the write fails instead,
	// and the command ends in order.
	signal.Ignore(syscall.SIGPIPE)
	t := &terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	return t.run(os.Args[1:])
}

// terminal is where a command reads and writes.
type terminal struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

func (t *terminal) run(args []string) int {
	root := t.rootCommand()
	root.SetArgs(joinProperties(args))
	began := false
	for _, c := range root.Commands() {
		onRun(c, func() { began = true })
	}
	err := root.Execute()
	if err != nil && !began {
		// cobra did not understand the arguments.
		err = hint(usageError{err}, "fairlead --help lists the commands, fairlead COMMAND --help their flags")
	}
	t.tell(err)
	return exitCode(err)
}

// onRun has note called when the command itself begins, all arguments understood.
func onRun(c *cobra.Command, note func()) {
	for _, below := range c.Commands() {
		onRun(below, note)
	}
	if work := c.RunE; work != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			note()
			return work(c, args)
		}
	}
}

func (t *terminal) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "fairlead",
		Short:         "a multi-protocol IoT gateway",
		Long:          "Fairlead is a multi-protocol IoT gateway: fairlead serve runs it.\n\n" + exitHelp(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(t.in)
	root.SetOut(t.out)
	root.SetErr(t.err)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		t.serveCommand(),
		t.checkCommand(),
		t.configCommand(),
		t.importCommand(),
		t.passwdCommand(),
		t.hashWorkerCommand(),
		t.pubCommand(),
		t.subCommand(),
		t.fleetCommand(),
		t.benchCommand(),
		t.ctlCommand(),
		t.versionCommand(),
	)
	return root
}
