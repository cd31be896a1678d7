package main

import (
	"fmt"
	"maps"
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
		Short: "write the configuration of EMQ X Enterprise 2.4 and 3.x as TOML",
		Long: `Reads the directory etc of EMQ X: emqx.conf, acl.conf, and of etc/plugins emqx_backend_*.conf,
emqx_auth_*.conf, emqx_modules.conf and emqx_retainer.conf, as far as loaded_plugins names
their plugins; and writes the sections for them to the standard output. DIR may be
etc/plugins as well: what lies beside it is read, too.
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
	f.StringVar(&o.loadedPlugins, "loaded-plugins", "", "file that names the plugins that were loaded; where emqx.conf says otherwise, and such as /var/lib/emqx/loaded_plugins")
	f.StringVar(&o.aclFile, "acl-file", "", "file for access rules, which must not exist")
	c.AddCommand(emqx)
	return c
}

// importOptions are the flags of import emqx.
type importOptions struct {
	strict              bool
	passwdFile, aclFile string
	loadedPlugins       string
}

// maxImport is the largest file that is read, in bytes.
const maxImport = 16 << 20

func (t *terminal) importEMQX(dir string, o *importOptions) error {
	files, root, err := filesOfEMQX(dir, o.loadedPlugins)
	if err != nil {
		return err
	}
	r := emqximport.Read(files, emqximport.Options{Root: root, Missing: func(path string) bool { return !isFile(path) }})
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

// filesOfEMQX reads the files of EMQ X in dir, which is its etc or its etc/plugins; root is
// the directory that paths in them begin from.
func filesOfEMQX(dir, loaded string) (files []emqximport.File, root string, err error) {
	etc, plugins := dir, filepath.Join(dir, "plugins")
	if info, err := os.Stat(plugins); err != nil || !info.IsDir() {
		if plugins = dir; !isFile(filepath.Join(dir, "emqx.conf")) {
			etc = filepath.Join(dir, "..")
		}
	}
	if root, err = filepath.Abs(filepath.Join(etc, "..")); err != nil {
		return nil, "", err
	}
	entries, err := os.ReadDir(plugins)
	if err != nil {
		return nil, "", hint(usageError{err}, "name the directory etc of EMQ X")
	}
	paths := map[string]string{} // by name
	for _, e := range entries {
		if ok, _ := filepath.Match("emqx*.conf", e.Name()); (ok || e.Name() == "acl.conf") && !e.IsDir() {
			paths[e.Name()] = filepath.Join(plugins, e.Name())
		}
	}
	for _, name := range []string{"emqx.conf", "acl.conf"} {
		if beside := filepath.Join(etc, name); paths[name] == "" && isFile(beside) {
			paths[name] = beside
		}
	}
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		text, err := readLimited(paths[name], maxImport)
		if err != nil {
			return nil, "", err
		}
		files = append(files, emqximport.File{Name: name, Text: text})
	}
	if !slices.ContainsFunc(files, func(f emqximport.File) bool { return emqximport.Knows(f.Name) }) {
		return nil, "", hint(usagef("%s holds no emqx.conf, emqx_backend_*.conf, emqx_bridge_*.conf or emqx_auth_*.conf that could be read", dir),
			"name the directory etc of EMQ X")
	}
	list, err := loadedPlugins(files, root, loaded)
	return append(files, list...), root, err
}

// loadedPlugins reads the file that names the loaded plugins: path, or else where emqx.conf
// says that it is, or where it usually is; none where there is none.
func loadedPlugins(files []emqximport.File, root, path string) ([]emqximport.File, error) {
	if path == "" {
		places := []string{emqximport.LoadedPlugins(files), filepath.Join("data", "loaded_plugins")}
		for _, place := range places {
			if place != "" && !filepath.IsAbs(place) {
				place = filepath.Join(root, place)
			}
			if place != "" && isFile(place) {
				path = place
				break
			}
		}
	}
	if path == "" {
		return nil, nil
	}
	text, err := readLimited(path, maxImport)
	if err != nil {
		return nil, err
	}
	return []emqximport.File{{Name: "loaded_plugins", Text: text}}, nil
}
