package mqtt

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// clause names a statement: version is MQTT (5.0), MQTT311 or MQTT31.
type clause struct{ version, number string }

func (c clause) String() string { return c.version + "-" + c.number }

// evidence is what was found: files with clause comments, and tests.
type evidence struct {
	code, tests map[clause][]string
	older       map[clause][]string // tests of a statement of 5.0 that run in 3.1.1 too
}

// scanned are the folders that make up a server of MQTT, with their subfolders.
func scanned() []string { return []string{"mqtt", "core", "protocols"} }

// scan looks through the code and tests below root.
func scan(t testing.TB, root string) evidence {
	t.Helper()
	e := evidence{code: map[clause][]string{}, tests: map[clause][]string{}, older: map[clause][]string{}}
	for _, dir := range scanned() {
		err := filepath.WalkDir(filepath.Join(root, dir), func(name string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			return e.file(name, filepath.ToSlash(rel))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	e.scenes()
	for _, m := range []map[clause][]string{e.code, e.tests, e.older} {
		for c := range m {
			m[c] = merge(m[c], nil)
		}
	}
	return e
}

// file takes one file in.
func (e *evidence) file(name, rel string) error {
	golden := path.Dir(rel) == "mqtt/packet/testdata" && path.Ext(rel) == ".txt"
	if path.Ext(rel) != ".go" && !golden {
		return nil
	}
	text, err := os.ReadFile(name)
	switch {
	case err != nil:
		return err
	case golden:
		e.golden(string(text), path.Base(rel))
	case strings.HasPrefix(path.Base(rel), "wire_"), strings.HasPrefix(path.Base(rel), "conformance_"):
		// Scenes are asked themselves.
	case strings.HasSuffix(rel, "_test.go"):
		return e.testFile(text, rel)
	default:
		for _, c := range clausesIn(string(text)) {
			e.code[c] = append(e.code[c], rel)
		}
	}
	return nil
}

// testFile finds the tests that name clauses: in their names, or in their bodies.
func (e *evidence) testFile(text []byte, rel string) error {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, rel, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Test") {
			continue
		}
		from := fn.Pos()
		if fn.Doc != nil {
			from = fn.Doc.Pos()
		}
		body := string(text[fset.Position(from).Offset:fset.Position(fn.End()).Offset])
		name := fn.Name.Name
		if dir := path.Dir(rel); dir != "mqtt" {
			name = strings.TrimPrefix(dir, "mqtt/") + " " + name
		}
		for _, c := range append(clausesIn(body), clausesOfName(fn.Name.Name)...) {
			e.tests[c] = append(e.tests[c], name)
		}
	}
	return nil
}

// golden finds the cases of the codec that name the clause they break.
func (e *evidence) golden(text, file string) {
	for _, part := range strings.Split(text, "\n\n") {
		var name, versions string
		var broken []clause
		for _, line := range strings.Split(part, "\n") {
			key, value, _ := strings.Cut(line, ": ")
			switch key {
			case "case":
				name = value
			case "version":
				versions = value
			case "error":
				broken = clausesIn(value)
			}
		}
		for _, c := range broken {
			shown := "packet TestGolden/" + strings.TrimSuffix(file, ".txt") + ": " + name
			e.tests[c] = append(e.tests[c], shown)
			if c.version == "MQTT" && slices.Contains(strings.Fields(versions), "3.1.1") {
				e.older[c] = append(e.older[c], shown)
			}
		}
	}
}

// scenes takes the scenes in.
func (e *evidence) scenes() {
	for _, ch := range chapters() {
		for _, s := range ch.scenes {
			var versions []string
			for _, v := range s.versions() {
				versions = append(versions, versionName(v))
			}
			title := strings.TrimSpace(clausePattern.ReplaceAllString(s.name, ""))
			shown := "wire/" + ch.name + ": " + title + " (" + strings.Join(versions, " ") + ")"
			for _, c := range clausesIn(s.name) {
				e.tests[c] = append(e.tests[c], shown)
				if c.version == "MQTT" && strings.Contains(s.versions(), "4") {
					e.older[c] = append(e.older[c], shown)
				}
			}
		}
	}
}

var (
	// "MQTT-3.3.1-9", "MQTT-3.3.1-8..13", "MQTT311-3.3.5-2", "[MQTT-3.3.5-2] of 3.1.1"
	clausePattern = regexp.MustCompile(`\b(MQTT(?:311|31)?)-(\d+(?:\.\d+)+)-(\d+)(?:\.\.(\d+))?(\] of 3\.1\.1)?`)
	namePattern   = regexp.MustCompile(`^Test(MQTT(?:311|31)?)_((?:\d+_)+)((?:And_\d+_)*)`)
)

// clausesIn finds the clauses that a text names.
func clausesIn(text string) (all []clause) {
	for _, m := range clausePattern.FindAllStringSubmatch(text, -1) {
		version := m[1]
		if m[5] != "" {
			version = "MQTT311"
		}
		first, _ := strconv.Atoi(m[3])
		last := first
		if m[4] != "" {
			last, _ = strconv.Atoi(m[4])
		}
		for n := first; n <= last; n++ {
			all = append(all, clause{version, m[2] + "-" + strconv.Itoa(n)})
		}
	}
	return all
}

// clausesOfName reads TestMQTT_3_1_2_1_And_2_Subject. A name with a section of the
// text, which has one number more, names no statement.
func clausesOfName(name string) (all []clause) {
	m := namePattern.FindStringSubmatch(name)
	if m == nil {
		return nil
	}
	digits := strings.Split(strings.Trim(m[2], "_"), "_")
	if len(digits) > 4 || len(digits) < 3 {
		return nil
	}
	section := strings.Join(digits[:len(digits)-1], ".")
	all = append(all, clause{m[1], section + "-" + digits[len(digits)-1]})
	for _, n := range strings.Split(m[3], "And_") {
		if n = strings.Trim(n, "_"); n != "" {
			all = append(all, clause{m[1], section + "-" + n})
		}
	}
	return all
}
