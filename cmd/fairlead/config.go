package main

import (
	"github.com/spf13/cobra"

	"github.com/fairlead-iot/fairlead"
	"github.com/fairlead-iot/fairlead/internal/config"
)

func (t *terminal) configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "write a configuration file"}
	c.AddCommand(&cobra.Command{
		Use:   "sample",
		Short: "write the defaults as a commented file to the standard output",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := t.out.Write(sample())
			return err
		},
	})
	return c
}

const sampleHead = `# Configuration of Fairlead. Every key is shown with its default; a key that is
# left out keeps it. Each one can also be set by --set section.key=value and by
# a variable FAIRLEAD_SECTION_KEY. "fairlead check --config FILE" validates.
# Written by "fairlead config sample".

`

// sample is fairlead.toml: all defaults with what they mean.
func sample() []byte {
	c := fairlead.DefaultConfig()
	return append([]byte(sampleHead), config.Sample(&c)...)
}
