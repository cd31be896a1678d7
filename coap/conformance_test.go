package coap

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var updateConformance = flag.Bool("update", false, "rewrite conformance.md from the statements, the code and the tests")

// statement is one obligation, in our own words.
type statement struct {
	name   string // "CoAP-4.2-1"
	binds  string // S, C or B
	words  string
	reason string // why no test shows it
	code   []string
	tests  []string
}

// edition is one file of statements.
type edition struct {
	title, prefix, file string
	statements          []*statement
}

func editions(t testing.TB) []edition {
	all := []edition{
		{title: "RFC 7252, CoAP", prefix: "CoAP-", file: "coap.txt"},
		{title: "RFC 7641, Observe", prefix: "Observe-", file: "observe.txt"},
		{title: "RFC 7959, block-wise transfer", prefix: "Block-", file: "block.txt"},
		{title: "draft-ietf-core-coap-pubsub-21", prefix: "PubSub-", file: "pubsub.txt"},
		{title: "RFC 8323, CoAP over TCP", prefix: "TCP-", file: "tcp.txt"},
		{title: "Others", file: "more.txt"},
	}
	for i := range all {
		text, err := os.ReadFile(filepath.Join("testdata/conformance", all[i].file))
		if err != nil {
			t.Fatal(err)
		}
		all[i].statements = statements(t, string(text), all[i].prefix)
	}
	return all
}

func statements(t testing.TB, text, prefix string) (all []*statement) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, " | ")
		if len(f) < 3 || len(f) > 4 || !strings.Contains("SCB", f[1]) {
			t.Fatalf("%q is not a statement", line)
		}
		s := &statement{name: prefix + f[0], binds: f[1], words: f[2]}
		if len(f) == 4 {
			s.reason = f[3]
		}
		all = append(all, s)
	}
	return all
}

var clausePattern = regexp.MustCompile(`\b(?:CoAP|Observe|Block|Link|Echo|NoResponse|PubSub|EMQX|Fairlead|TCP)-[0-9a-z.]+-\d+`)

// evidence is what was found: files with clause comments, and tests.
type evidence struct{ code, tests map[string][]string }

// scan looks through the package's files and scenes.
func scan(t testing.TB) evidence {
	t.Helper()
	e := evidence{code: map[string][]string{}, tests: map[string][]string{}}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasPrefix(name, "wire_"), strings.HasPrefix(name, "conformance_"):
			// Scenes are asked themselves.
		case strings.HasSuffix(name, "_test.go"):
			e.testFile(t, text, name)
		default:
			e.note(e.code, string(text), "coap/"+name)
		}
	}
	for _, c := range chapters() {
		for _, s := range c.scenes {
			_, title, _ := strings.Cut(s.name, ": ")
			e.note(e.tests, s.name, "wire/"+c.name+": "+title)
		}
	}
	return e
}

func (e *evidence) note(in map[string][]string, text, where string) {
	for _, c := range clausePattern.FindAllString(text, -1) {
		if !slices.Contains(in[c], where) {
			in[c] = append(in[c], where)
		}
	}
}

// testFile finds the tests that name clauses.
func (e *evidence) testFile(t testing.TB, text []byte, name string) {
	fset := gotoken.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
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
		e.note(e.tests, string(text[fset.Position(from).Offset:fset.Position(fn.End()).Offset]), fn.Name.Name)
	}
}

// TestConformance keeps conformance.md true: every statement that binds a server has
// a test or a reason why not, and no clause is named that does not exist.
func TestConformance(t *testing.T) {
	all := editions(t)
	for _, fault := range fill(all, scan(t)) {
		t.Error(fault)
	}
	want := conformance(all)
	if *updateConformance {
		if err := os.WriteFile("conformance.md", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("conformance.md")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("conformance.md is stale (%v); write it with: go test ./coap -run Conformance -update", err)
	}
}

// fill gives the statements their code and tests, and says what is wrong.
func fill(all []edition, found evidence) (faults []string) {
	known := map[string]*statement{}
	for _, e := range all {
		for _, s := range e.statements {
			if known[s.name] != nil {
				faults = append(faults, s.name+" stands twice in the table")
			}
			known[s.name] = s
			s.code, s.tests = found.code[s.name], found.tests[s.name]
			if s.binds != "C" && len(s.tests) == 0 && s.reason == "" {
				faults = append(faults, s.name+" binds a server and has neither a test nor a reason: "+s.words)
			}
		}
	}
	for _, in := range []map[string][]string{found.code, found.tests} {
		for c, where := range in {
			if known[c] == nil {
				faults = append(faults, fmt.Sprintf("%s names %s, which does not exist", strings.Join(where, ", "), c))
			}
		}
	}
	slices.Sort(faults)
	return faults
}

// conformance writes the table.
func conformance(all []edition) []byte {
	var b bytes.Buffer
	b.WriteString(`<!-- Code generated by go test ./coap -run Conformance -update; DO NOT EDIT. -->

# Conformance

What the specifications of CoAP demand of a server, in our own short words; where the code
obeys, and which tests show it. The specifications have no numbers: ours are their section
and a count. Tests named wire/… play messages written by hand to a real core
(coap/scene_test.go). A statement that binds a server and has no test has a reason.

`)
	for _, e := range all {
		fmt.Fprintf(&b, "- %s: %s.\n", e.title, counts(e.statements))
	}
	for _, e := range all {
		fmt.Fprintf(&b, "\n## %s\n\n| number | what | code | tests, or why there is none |\n|---|---|---|---|\n", e.title)
		for _, s := range e.statements {
			shown := strings.Trim(strings.Join(s.tests, ", ")+"; "+s.reason, "; ")
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", s.name, s.words, strings.Join(s.code, ", "), shown)
		}
	}
	return b.Bytes()
}

// counts sums up what a table shows.
func counts(all []*statement) string {
	tested, excused := 0, 0
	for _, s := range all {
		if len(s.tests) > 0 {
			tested++
		} else if s.reason != "" {
			excused++
		}
	}
	return fmt.Sprintf("%d statements: %d tested, %d with a reason why not", len(all), tested, excused)
}

// TestConformanceFinds plants what must not be.
func TestConformanceFinds(t *testing.T) {
	for _, c := range []struct{ name, table, test, want string }{
		{"no test", "1-1 | S | x", "", "neither a test nor a reason"},
		{"a test", "1-1 | S | x", "CoAP-1-1", ""},
		{"a reason", "1-1 | S | x | because", "", ""},
		{"the client's", "1-1 | C | x", "", ""},
		{"nothing", "1-1 | S | x", "CoAP-1-1 CoAP-2-1", "CoAP-2-1, which does not exist"},
		{"twice", "1-1 | C | x\n1-1 | C | x", "", "twice"},
	} {
		found := evidence{code: map[string][]string{}, tests: map[string][]string{}}
		found.note(found.tests, c.test, "a test")
		got := strings.Join(fill([]edition{{statements: statements(t, c.table, "CoAP-")}}, found), "; ")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: found %q, want %q", c.name, got, c.want)
		}
	}
}
