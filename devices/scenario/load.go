package scenario

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fairlead-iot/fairlead/internal/config"
)

//go:embed profiles/*.toml
var profiles embed.FS

// ProfileInfo is what a profile says of itself.
type ProfileInfo struct{ Name, Title, Description string }

// Load reads a scenario's file and puts the --set arguments (key=value) over it. The
// error is of type config.Faults and holds all that is wrong.
func Load(path string, sets []string) (*Scenario, error) {
	s := newScenario()
	s.folder = filepath.Dir(path)
	if err := config.Load(s, config.Options{Path: path, Sets: sets}); err != nil {
		return nil, err
	}
	return s, nil
}

// Profile reads one of the scenarios that come with the program and puts the --set
// arguments over it.
func Profile(name string, sets []string) (*Scenario, error) {
	text, err := ProfileText(name)
	if err != nil {
		return nil, err
	}
	return parse(name+".toml", text, sets)
}

// ProfileText gives the file of a profile, to begin an own scenario with.
func ProfileText(name string) ([]byte, error) {
	text, err := profiles.ReadFile("profiles/" + name + ".toml")
	if err == nil {
		return text, nil
	}
	names := profileNames()
	hint := "there are " + strings.Join(names, ", ")
	if best := near(name, names); len(best) > 0 {
		hint = "did you mean " + strings.Join(best, " or ") + "?"
	}
	return nil, fmt.Errorf("there is no profile %q; %s", shorten(name), hint)
}

// Profiles lists the scenarios that come with the program: smoke, the first to try, and
// then the others by name.
func Profiles() []ProfileInfo {
	var all []ProfileInfo
	for _, name := range profileNames() {
		s, err := Profile(name, nil)
		if err != nil {
			continue // a test loads each of them
		}
		all = append(all, ProfileInfo{Name: name, Title: s.Title, Description: s.Description})
	}
	return all
}

func profileNames() []string {
	entries, err := profiles.ReadDir("profiles")
	if err != nil {
		return nil
	}
	names := []string{"smoke"}
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".toml"); name != "smoke" {
			names = append(names, name)
		}
	}
	slices.Sort(names[1:])
	return names
}

// parse loads a text that has no file. The loader reads files only, so it gets one for
// as long as it reads; faults say the name.
func parse(name string, text []byte, sets []string) (*Scenario, error) {
	folder, err := os.MkdirTemp("", "fairlead-scenario-")
	if err != nil {
		return nil, fmt.Errorf("%s: no temporary folder to read it from: %w", name, err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "scenario.toml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("%s: no temporary file to read it from: %w", name, err)
	}
	s := newScenario()
	s.folder = "."
	err = config.Load(s, config.Options{Path: path, Sets: sets})
	var found config.Faults
	if !errors.As(err, &found) {
		return s, err
	}
	for i := range found {
		found[i].Where = strings.Replace(found[i].Where, path, name, 1)
	}
	return nil, found
}

// maxLines bounds a payload file, in bytes.
const maxLines = maxSize

// readFiles reads the files of payloads, each once.
func (s *Scenario) readFiles(f *faults) {
	s.lines, s.keys = map[string][][]byte{}, map[string]keyring{}
	for _, name := range sortedNames(s.Groups) {
		g := s.Groups[name]
		if g == nil {
			continue
		}
		if g.PSKFile != "" && s.keys[g.PSKFile] == nil && plainName(name) {
			s.readKeys(f, "groups."+name+".psk_file", g.PSKFile)
		}
		for _, stream := range sortedNames(g.Publish) {
			if p := g.Publish[stream]; p != nil && plainName(name) && plainName(stream) {
				s.readFile(f, "groups."+name+".publish."+stream+".payload.file", &p.Payload)
			}
		}
		for _, answer := range sortedNames(g.Respond) {
			if r := g.Respond[answer]; r != nil && plainName(name) && plainName(answer) {
				s.readFile(f, "groups."+name+".respond."+answer+".payload.file", &r.Payload)
			}
		}
	}
}

func (s *Scenario) readFile(f *faults, key string, p *Payload) {
	if p.kindOf() != "file" || p.File == "" || s.lines[p.File] != nil {
		return
	}
	path := p.File
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.folder, path)
	}
	lines, err := readLines(path)
	if err != nil {
		f.add(key, "%q %w", shorten(p.File), err)
		return
	}
	s.lines[p.File] = lines
}

// readLines reads the lines of a file that are not empty. Its errors follow on the
// file's name.
func readLines(path string) ([][]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", withoutPath(err))
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("is no file of lines")
	}
	text, err := io.ReadAll(io.LimitReader(file, maxLines+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", withoutPath(err))
	case len(text) > maxLines:
		return nil, fmt.Errorf("is larger than %d MiB", maxLines>>20)
	}
	var lines [][]byte
	for line := range bytes.Lines(text) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return nil, errors.New("has no lines")
	}
	return lines, nil
}

func withoutPath(err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

func sortedNames[T any](table map[string]*T) []string {
	names := make([]string, 0, len(table))
	for name := range table {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
