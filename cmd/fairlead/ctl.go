package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-iot/fairlead"
)

// backendTimeout bounds what ctl backend does with all databases.
const backendTimeout = 5 * time.Minute

func (t *terminal) ctlCommand() *cobra.Command {
	c := &cobra.Command{Use: "ctl", Short: "look after what the gateway uses"}
	backend := &cobra.Command{Use: "backend", Short: "the databases of the configuration"}
	backend.AddCommand(t.backendInitCommand())
	c.AddCommand(backend)
	return c
}

func (t *terminal) backendInitCommand() *cobra.Command {
	var s settings
	look := false
	c := &cobra.Command{
		Use:   "init",
		Short: "make the tables and indexes that the data rules need",
		Long: `Looks into every database of the configuration, tells which of the documented
tables and indexes are missing, and makes them. What is there is never altered. It
may run beside the gateway.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return t.backendInit(c.Context(), &s, !look) },
	}
	s.flags(c)
	c.Flags().BoolVar(&look, "look", false, "only tell what is missing")
	return c
}

func (t *terminal) backendInit(ctx context.Context, s *settings, create bool) error {
	l, err := s.load()
	if err != nil {
		return err
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, backendTimeout)
	defer cancel()
	pools := 0
	err = fairlead.InitBackends(ctx, &l.Config, create, func(pool, missing string) {
		pools++
		fmt.Fprintf(t.out, "%s: %s\n", pool, cmp.Or(missing, "all is there"))
	})
	switch {
	case err == nil && pools == 0 && l.overlooked != "":
		return hint(usagef("the configuration has no database"), "the file "+l.overlooked+" here is not read: name it by --config "+l.overlooked)
	case err == nil && pools == 0:
		return hint(usagef("the configuration has no database"), "add one, such as [backends.redis.pools.main]; see docs/backends.md")
	}
	return err
}
