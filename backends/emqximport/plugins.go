package emqximport

import (
	"maps"
	"slices"
	"strings"
)

// pluginsFile names the plugins that EMQ X loads when it starts.
const pluginsFile = "loaded_plugins"

// LoadedPlugins is where emqx.conf says that the names of the loaded plugins are; "" where it
// says nothing.
func LoadedPlugins(files []File) string {
	for _, f := range files {
		if f.Name != mainFile {
			continue
		}
		entries, _ := parse(f)
		for _, e := range entries {
			if e.key == "plugins.loaded_file" {
				return e.value
			}
		}
	}
	return ""
}

// readPlugins gives the loaded plugins: NAME. or {NAME, true}. each; known is false where no
// file says which they are.
func (r *Result) readPlugins(files []File) (loaded map[string]int, known bool) {
	at := slices.IndexFunc(files, func(f File) bool { return f.Name == pluginsFile })
	if at < 0 {
		if slices.ContainsFunc(files, func(f File) bool { return f.Name == mainFile }) {
			r.Notes = append(r.Notes, Note{File: pluginsFile, Why: "was not found, so every file counts as if its plugin were loaded", Do: "name it with --loaded-plugins FILE, such as /var/lib/emqx/loaded_plugins"})
		}
		return nil, false
	}
	loaded = map[string]int{}
	s := &scanner{rest: string(files[at].Text), line: 1}
	for s.space(); s.rest != ""; s.space() {
		line := s.line
		t, err := s.term(0)
		if whole := s.dot(); err != nil || !whole {
			r.Notes = append(r.Notes, Note{File: pluginsFile, Line: line, Why: "is neither NAME. nor {NAME, true}.", Do: "mend the line, and import again"})
			continue
		}
		switch {
		case t.kind == atom:
			loaded[t.text] = line
		case t.kind == tuple && len(t.items) == 2 && t.items[1].text == "true":
			loaded[t.items[0].text] = line
		}
	}
	return loaded, true
}

// withPlugins gives the files of the plugins that are loaded, and names the others, and the
// plugins that have no file here.
func (r *Result) withPlugins(files []File) (kept []File) {
	loaded, known := r.readPlugins(files)
	seen := map[string]bool{}
	for _, f := range files {
		plugin, is := strings.CutSuffix(f.Name, ".conf")
		is = is && strings.HasPrefix(plugin, "emqx_")
		seen[plugin] = true
		switch _, on := loaded[plugin]; {
		case f.Name == pluginsFile:
		case is && known && !on:
			r.Notes = append(r.Notes, Note{File: f.Name, Why: "the plugin was not loaded, so nothing of the file was taken", Do: "name it in loaded_plugins and import again, if it is wanted"})
		default:
			kept = append(kept, f)
		}
	}
	byLine := func(x, y string) int { return loaded[x] - loaded[y] }
	for _, plugin := range slices.SortedFunc(maps.Keys(loaded), byLine) {
		if why, do := pluginHere(plugin); !seen[plugin] && why != "" {
			r.Notes = append(r.Notes, Note{File: pluginsFile, Line: loaded[plugin], Key: plugin, Why: why, Do: do})
		}
	}
	return kept
}

// pluginHere says what becomes of a loaded plugin without a file; why is "" where nothing
// need be said.
func pluginHere(plugin string) (why, do string) {
	switch plugin {
	case "emqx_retainer", "emqx_delayed_publish": // as here
		return "", ""
	case "emqx_management", "emqx_dashboard":
		return "the REST API is another here", "see docs/observe.md"
	case "emqx_recon", "emqx_reloader", "emqx_psk_file", "emqx_telemetry":
		return "is about how EMQ X works inside", "nothing is left to do"
	}
	return "was loaded, and there is no file of its settings here", "name the directory that holds " + plugin + ".conf, or set by hand what does the like"
}
