package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fairlead-iot/fairlead"
	"github.com/fairlead-iot/fairlead/internal/config"
	"github.com/fairlead-iot/fairlead/protocols"
)

func (t *terminal) checkCommand() *cobra.Command {
	var s settings
	all := false
	c := &cobra.Command{
		Use:   "check",
		Short: "validate the configuration and explain what it means",
		Long: `Reads file, variables and --set as serve does, and the files that they name, and
tells all faults at once. Without faults it explains what would hold: where the
gateway listens, who may connect, and which keys differ from their defaults. It
opens no address and no data directory, so it may run beside the gateway.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return t.check(&s, all) },
	}
	s.flags(c)
	c.Flags().BoolVar(&all, "all", false, "show every key, not only those that differ from their defaults")
	return c
}

func (t *terminal) check(s *settings, all bool) error {
	l, err := s.load()
	if err != nil {
		return err
	}
	g, err := fairlead.New(l.Config, nil)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(t.out, 0, 4, 2, ' ', 0)
	explainListeners(w, l)
	explainAccess(w, l)
	explainKeys(w, l, all)
	if l.overlooked != "" {
		fmt.Fprintf(w, "warning: the file %s here is not read: name it by --config %[1]s\n", l.overlooked)
	}
	for _, warning := range g.Warnings() {
		fmt.Fprintf(w, "warning: %s\n", warning)
	}
	fmt.Fprintln(w, "The configuration is valid.")
	return w.Flush()
}

func explainListeners(w io.Writer, l *loaded) {
	fmt.Fprintln(w, "Listeners:")
	active := l.ActiveListeners()
	for _, name := range slices.Sorted(maps.Keys(l.Listeners)) {
		a := active[name]
		if a == nil {
			fmt.Fprintf(w, "  %s\toff\n", name)
			continue
		}
		reach := "every machine that reaches it"
		if a.Loopback() {
			reach = "this machine only"
		}
		fmt.Fprintf(w, "  %s\t%s over %s\t%s\t%s\t%s\n", name, a.Protocol, a.Transport, a.Address, reach, anonymousHere(l, a))
	}
	if l.Admin.Off() {
		fmt.Fprintf(w, "  admin\toff\n")
	} else {
		fmt.Fprintf(w, "  admin\thttp\t%s\n", l.Admin.Address)
	}
	fmt.Fprintln(w)
}

// anonymousHere says in words who needs no password.
func anonymousHere(l *loaded, a *protocols.ListenerConfig) string {
	switch {
	case a.AllowAnonymous != nil && *a.AllowAnonymous, a.AllowAnonymous == nil && l.Auth.AllowAnonymous == fairlead.AnonymousAlways:
		return "anyone may connect without credentials"
	case a.AllowAnonymous == nil && l.Auth.AllowAnonymous == fairlead.AnonymousLoopback && a.Loopback():
		return "clients of this machine need no credentials"
	}
	return "credentials are needed"
}

func explainAccess(w io.Writer, l *loaded) {
	users := "none: a user name is not checked where credentials are not needed"
	if l.Auth.PasswdFile != "" {
		users = l.Auth.PasswdFile
	}
	rules := "built in: this machine and users who have proven their name may use every topic, $SYS is for this machine"
	if l.Auth.ACLFile != "" {
		rules = l.Auth.ACLFile
	}
	fmt.Fprintf(w, "Users:\t%s\nAccess rules:\t%s\nData directory:\t%s\n\n", users, rules, l.Node.DataDir)
}

// explainKeys lists what differs from the defaults, or everything.
func explainKeys(w io.Writer, l *loaded, all bool) {
	defaults := map[string]string{}
	d := fairlead.DefaultConfig()
	for _, k := range config.Describe(&d) {
		defaults[k.Path] = k.Value
	}
	title := "Keys that differ from their defaults:\n"
	if all {
		title = "Keys:\n"
	}
	for _, k := range config.Describe(&l.Config) {
		usual, known := defaults[k.Path]
		if !all && known && usual == k.Value {
			continue
		}
		where := "default"
		if at, given := l.origins[k.Path]; given {
			where = at
		} else if !all {
			continue // a new table's own defaults
		}
		fmt.Fprintf(w, "%s  %s = %s\t(%s)\n", title, k.Path, k.Value, where)
		title = ""
	}
	if title == "" {
		fmt.Fprintln(w)
	}
}
