package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/fairlead-iot/fairlead/backends/emqximport"
)

func (t *terminal) importCommand() *cobra.Command {
	c := &cobra.Command{Use: "import", Short: "take over the configuration of another broker"}
	strict := false
	emqx := &cobra.Command{
		Use:   "emqx DIR",
		Short: "write the backends of EMQ X Enterprise 2.4 and 3.x as TOML",
		Long: `Reads emqx_backend_redis.conf, _mysql, _pgsql, _mongo and _cassa in DIR, which is
etc/plugins of EMQ X, and writes the sections [backends.…] for them to the standard
output. Whatever cannot be taken over, bridges and sources of identities among it, is
named on the standard error: file and line, key, why, and what to do.

Passwords are written as they stand in the files. See docs/import.md.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return t.importEMQX(args[0], strict) },
	}
	emqx.Flags().BoolVar(&strict, "strict", false, "end with exit code 1 when something was named on the standard error; the output is written all the same")
	c.AddCommand(emqx)
	return c
}

// maxImport is the largest file that is read, in bytes.
const maxImport = 16 << 20

func (t *terminal) importEMQX(dir string, strict bool) error {
	files, err := filesOfEMQX(dir)
	if err != nil {
		return err
	}
	r := emqximport.Read(files)
	for _, n := range r.Notes {
		fmt.Fprintln(t.err, n)
	}
	if _, err := t.out.Write(r.TOML()); err != nil {
		return err
	}
	if strict && len(r.Notes) > 0 {
		return fmt.Errorf("%d settings were not taken over as they stood; see the lines above", len(r.Notes))
	}
	return nil
}

// filesOfEMQX reads the files of EMQ X in dir, by their names.
func filesOfEMQX(dir string) (files []emqximport.File, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, hint(usageError{err}, "name the directory etc/plugins of EMQ X")
	}
	for _, e := range entries {
		name := e.Name()
		if ok, _ := filepath.Match("emqx*.conf", name); !ok || e.IsDir() {
			continue
		}
		text, err := readLimited(filepath.Join(dir, name), maxImport)
		if err != nil {
			return nil, err
		}
		files = append(files, emqximport.File{Name: name, Text: text})
	}
	if !slices.ContainsFunc(files, func(f emqximport.File) bool { return emqximport.Knows(f.Name) }) {
		return nil, hint(usagef("%s holds no emqx_backend_*.conf, emqx_bridge_*.conf or emqx_auth_*.conf that could be read", dir),
			"name the directory etc/plugins of EMQ X")
	}
	return files, nil
}
