package mqttsn

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var updateConformance = flag.Bool("update", false, "rewrite conformance.md from the obligations, the code and the tests")

// obligation is one row of testdata/obligations.txt.
type obligation struct {
	number, binds, words string
	same                 string // number of another one with the same meaning
	reason               string // why no test shows it
	code, tests          []string
}

func obligations(t testing.TB, text string) (all []*obligation) {
	for _, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, " | ")
		if len(f) < 3 || len(f) > 4 || !strings.Contains("SCB", f[1]) {
			t.Fatalf("%q is no obligation", line)
		}
		o := &obligation{number: "SN-" + f[0], binds: f[1], words: f[2]}
		if len(f) == 4 {
			if same, ok := strings.CutPrefix(f[3], "= "); ok {
				o.same = "SN-" + same
			} else {
				o.reason = f[3]
			}
		}
		all = append(all, o)
	}
	return all
}

var (
	clausePattern = regexp.MustCompile(`\bSN-\d+(?:\.\d+)*-\d+\b`)
	namePattern   = regexp.MustCompile(`^TestSN_((?:\d+_)+)`)
)

// evidence is where a clause is named, by clause.
type evidence struct{ code, tests map[string][]string }

// scanClauses looks through the code and tests of the adapter and of what it stands on.
func scanClauses(t testing.TB) evidence {
	t.Helper()
	e := evidence{map[string][]string{}, map[string][]string{}}
	for _, dir := range []string{"mqttsn", "core", "protocols"} {
		err := filepath.WalkDir(filepath.Join("..", dir), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel("..", name)
			if err != nil {
				return err
			}
			return e.file(name, filepath.ToSlash(rel))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range chapters() {
		for _, s := range c.scenes {
			title := strings.TrimSpace(clausePattern.ReplaceAllString(s.name, ""))
			for _, clause := range clausePattern.FindAllString(s.name, -1) {
				e.tests[clause] = append(e.tests[clause], "wire/"+c.name+": "+title)
			}
		}
	}
	return e
}

func (e *evidence) file(name, rel string) error {
	golden := path.Dir(rel) == "mqttsn/packet/testdata" && path.Ext(rel) == ".txt"
	base := path.Base(rel)
	if path.Ext(rel) != ".go" && !golden || strings.HasPrefix(base, "wire_") || strings.HasPrefix(base, "conformance_") {
		return nil // scenes are asked themselves
	}
	text, err := os.ReadFile(name)
	switch {
	case err != nil:
		return err
	case golden:
		e.golden(string(text), base)
	case strings.HasSuffix(rel, "_test.go"):
		return e.testFile(text, rel)
	default:
		for _, c := range clausePattern.FindAllString(string(text), -1) {
			e.code[c] = append(e.code[c], rel)
		}
	}
	return nil
}

// golden finds the cases of the codec that name what they show or break.
func (e *evidence) golden(text, file string) {
	for _, part := range strings.Split(text, "\n\n") {
		name, clauses := "", []string(nil)
		for _, line := range strings.Split(part, "\n") {
			switch key, value, _ := strings.Cut(line, ": "); key {
			case "case":
				name = value
			case "shows", "error":
				clauses = clausePattern.FindAllString(value, -1)
			}
		}
		for _, c := range clauses {
			e.tests[c] = append(e.tests[c], "packet TestGolden/"+strings.TrimSuffix(file, ".txt")+": "+name)
		}
	}
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
		shown := strings.TrimPrefix(strings.TrimPrefix(path.Dir(rel), "mqttsn")+" "+fn.Name.Name, "/")
		clauses := clausePattern.FindAllString(string(text[fset.Position(from).Offset:fset.Position(fn.End()).Offset]), -1)
		for _, c := range append(clauses, clauseOfName(fn.Name.Name)...) {
			e.tests[c] = append(e.tests[c], strings.TrimSpace(shown))
		}
	}
	return nil
}

// clauseOfName reads TestSN_6_14_3_Subject.
func clauseOfName(name string) []string {
	m := namePattern.FindStringSubmatch(name)
	if m == nil {
		return nil
	}
	digits := strings.Split(strings.Trim(m[1], "_"), "_")
	if len(digits) < 2 {
		return nil
	}
	last := len(digits) - 1
	return []string{"SN-" + strings.Join(digits[:last], ".") + "-" + digits[last]}
}

// fill gives the obligations their code and tests, and says what is wrong.
func fill(all []*obligation, e evidence) (faults []string) {
	known := map[string]*obligation{}
	for _, o := range all {
		if known[o.number] != nil {
			faults = append(faults, o.number+" stands twice in the table")
		}
		known[o.number] = o
		o.code, o.tests = sorted(e.code[o.number]), sorted(e.tests[o.number])
	}
	for _, o := range all {
		if o.same == "" {
			continue
		}
		if known[o.same] == nil {
			faults = append(faults, o.number+" is said to be "+o.same+", which does not exist")
			continue
		}
		o.tests = sorted(append(o.tests, known[o.same].tests...))
	}
	for _, found := range []map[string][]string{e.code, e.tests} {
		for c, where := range found {
			if known[c] == nil {
				faults = append(faults, fmt.Sprintf("%s names %s, which does not exist", strings.Join(sorted(where), ", "), c))
			}
		}
	}
	for _, o := range all {
		if o.binds != "C" && len(o.tests) == 0 && o.reason == "" {
			faults = append(faults, o.number+" "+o.words+": binds a gateway and has neither a test nor a reason")
		}
	}
	slices.Sort(faults)
	return faults
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}

// TestConformance keeps conformance.md true: every obligation of a gateway has a test or a
// reason why not, and no clause is named that does not exist.
func TestConformance(t *testing.T) {
	text, err := os.ReadFile("testdata/obligations.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := obligations(t, string(text))
	for _, fault := range fill(all, scanClauses(t)) {
		t.Error(fault)
	}
	t.Log(counts(all))
	want := conformance(all)
	if *updateConformance {
		if err := os.WriteFile("conformance.md", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("conformance.md")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("conformance.md is stale (%v); write it with: go test ./mqttsn -run Conformance -update", err)
	}
}

func counts(all []*obligation) string {
	gateway, tested, client := 0, 0, 0
	for _, o := range all {
		switch {
		case o.binds == "C":
			client++
		case len(o.tests) > 0:
			tested++
			gateway++
		default:
			gateway++
		}
	}
	return fmt.Sprintf("%d obligations; %d bind a gateway: %d tested, %d with a reason why not; %d bind only the client", len(all), gateway, tested, gateway-tested, client)
}

// conformance writes the table.
func conformance(all []*obligation) []byte {
	var b bytes.Buffer
	b.WriteString(`<!-- Code generated by go test ./mqttsn -run Conformance -update; DO NOT EDIT. -->

# Conformance

What MQTT-SN 1.2 asks of a gateway, in our own short words; where the code obeys, and which
tests show it. The specification has no numbers: these are ours, below its sections; those of
section 0 are what this gateway adds. Tests named wire/… play bytes written by hand to a real
core (mqttsn/wire_test.go); those of TestGolden show the codec messages.

`)
	fmt.Fprintf(&b, "%s.\n\n| number | binds | what | code | tests, or why there is none |\n|---|---|---|---|---|\n", counts(all))
	who := map[string]string{"S": "gateway", "C": "client", "B": "both"}
	for _, o := range all {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", strings.TrimPrefix(o.number, "SN-"), who[o.binds], o.words, strings.Join(o.code, ", "), o.shown())
	}
	return b.Bytes()
}

// maxTests is how many tests a row lists.
const maxTests = 6

func (o *obligation) shown() string {
	tests := o.tests
	switch {
	case o.reason != "":
		return o.reason
	case len(tests) == 0:
		return "binds only the client"
	}
	if more := len(tests) - maxTests; more > 0 {
		tests = append(slices.Clone(tests[:maxTests]), fmt.Sprintf("%d more", more))
	}
	return strings.ReplaceAll(strings.Join(tests, ", "), "|", "\\|")
}

// TestConformanceFinds plants what must not be.
func TestConformanceFinds(t *testing.T) {
	for _, c := range []struct{ name, table, test, want string }{
		{"unknown clause", "1-1 | C | x", "SN-1-2", "SN-1-2, which does not exist"},
		{"no test", "1-1 | S | x", "", "SN-1-1 x"},
		{"a test", "1-1 | S | x", "SN-1-1", ""},
		{"a reason", "1-1 | B | x | because", "", ""},
		{"the client's", "1-1 | C | x", "", ""},
		{"the same", "1-1 | S | x\n1-2 | S | y | = 1-1", "SN-1-1", ""},
		{"the same as nothing", "1-1 | C | x | = 1-9", "", "which does not exist"},
		{"twice", "1-1 | C | x\n1-1 | C | x", "", "twice"},
	} {
		e := evidence{map[string][]string{}, map[string][]string{}}
		if c.test != "" {
			e.tests[c.test] = []string{"a test"}
		}
		got := strings.Join(fill(obligations(t, c.table), e), "; ")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: found %q, want %q", c.name, got, c.want)
		}
	}
}
