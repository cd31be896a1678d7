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
	o := &importOptions{}
	emqx := &cobra.Command{
		Use:   "emqx DIR",
		Short: "write the backends of EMQ X Enterprise 2.4 and 3.x as TOML",
		Long: `Reads emqx_backend_*.conf and emqx_auth_*.conf in DIR, which is etc/plugins of EMQ X, and
acl.conf there or beside DIR, and writes the sections for them to the standard output.
Users of emqx_auth_username.conf and emqx_auth_clientid.conf go into the file that
--passwd-file names, hashed, and access rules into that of --acl-file. Whatever cannot be
taken over, bridges among it, is named on the standard error: file and line, key, why, and
what to do.

Passwords of databases are written as they stand in the files. See docs/import.md.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return t.importEMQX(args[0], o) },
	}
	f := emqx.Flags()
	f.BoolVar(&o.strict, "strict", false, "end with exit code 1 when something was named on the standard error; the output is written all the same")
	f.StringVar(&o.passwdFile, "passwd-file", "", "file for users, as fairlead passwd makes it; those that are there already keep their passwords")
	f.StringVar(&o.aclFile, "acl-file", "", "file for access rules, which must not exist")
	c.AddCommand(emqx)
	return c
}

// importOptions are the flags of import emqx.
type importOptions struct {
	strict              bool
	passwdFile, aclFile string
}

// maxImport is the largest file that is read, in bytes.
const maxImport = 16 << 20

func (t *terminal) importEMQX(dir string, o *importOptions) error {
	files, err := filesOfEMQX(dir)
	if err != nil {
		return err
	}
	r := emqximport.Read(files)
	if err := o.writeFiles(r); err != nil {
		return err
	}
	for _, n := range r.Notes {
		fmt.Fprintln(t.err, n)
	}
	if _, err := t.out.Write(r.TOML()); err != nil {
		return err
	}
	if o.strict && len(r.Notes) > 0 {
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
	var paths []string
	for _, e := range entries {
		name := e.Name()
		if ok, _ := filepath.Match("emqx*.conf", name); !ok && name != "acl.conf" || e.IsDir() {
			continue
		}
		paths = append(paths, filepath.Join(dir, name))
	}
	if beside := filepath.Join(dir, "..", "acl.conf"); !slices.Contains(paths, filepath.Join(dir, "acl.conf")) && isFile(beside) {
		paths = append(paths, beside)
	}
	for _, path := range paths {
		text, err := readLimited(path, maxImport)
		if err != nil {
			return nil, err
		}
		files = append(files, emqximport.File{Name: filepath.Base(path), Text: text})
	}
	if !slices.ContainsFunc(files, func(f emqximport.File) bool { return emqximport.Knows(f.Name) }) {
		return nil, hint(usagef("%s holds no emqx_backend_*.conf, emqx_bridge_*.conf or emqx_auth_*.conf that could be read", dir),
			"name the directory etc/plugins of EMQ X")
	}
	return files, nil
}
