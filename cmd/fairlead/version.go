package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/fairlead-iot/fairlead"
)

func (t *terminal) versionCommand() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:   "version",
		Short: "say what this program was built from",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return t.version(asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (t *terminal) version(asJSON bool) error {
	b := fairlead.Version()
	platform := runtime.GOOS + "/" + runtime.GOARCH
	if asJSON {
		return json.NewEncoder(t.out).Encode(map[string]any{
			"version": b.Version, "commit": b.Commit, "changed": b.Changed,
			"go": runtime.Version(), "platform": platform,
		})
	}
	commit := b.Commit
	if commit == "" {
		commit = "unknown"
	}
	if b.Changed {
		commit += " with changes"
	}
	_, err := fmt.Fprintf(t.out, "fairlead %s (commit %s, %s, %s)\n", b.Version, commit, runtime.Version(), platform)
	return err
}
