package mqtt

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

var updateConformance = flag.Bool("update", false, "rewrite conformance.md from the statements, the code and the tests")

// statement is one normative statement, in our own words.
type statement struct {
	clause clause
	binds  string // S, C or B
	words  string
	same   clause // of 5.0, with the same meaning
	reason string // why no test shows it
	code   []string
	tests  []string
}

// bindsServer says that we have to obey it.
func (s *statement) bindsServer() bool { return s.binds != "C" }

// statements reads one table of testdata/conformance.
func statements(t testing.TB, text, version string) (all []*statement) {
	for _, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, " | ")
		if len(f) < 3 || len(f) > 4 || !strings.Contains("SCB", f[1]) {
			t.Fatalf("%s: %q is not a statement", version, line)
		}
		s := &statement{clause: clause{version, f[0]}, binds: f[1], words: f[2]}
		if len(f) == 4 {
			if number, ok := strings.CutPrefix(f[3], "= "); ok {
				s.same = clause{"MQTT", number}
			} else {
				s.reason = f[3]
			}
		}
		all = append(all, s)
	}
	return all
}

// edition is one specification.
type edition struct {
	title, version, file string
	statements           []*statement
}

func editions(t testing.TB) []edition {
	all := []edition{
		{title: "MQTT 5.0", version: "MQTT", file: "mqtt5.txt"},
		{title: "MQTT 3.1.1", version: "MQTT311", file: "mqtt311.txt"},
		{title: "MQTT 3.1, where it differs from 3.1.1", version: "MQTT31", file: "mqtt31.txt"},
	}
	for i := range all {
		text, err := os.ReadFile(path.Join("testdata/conformance", all[i].file))
		if err != nil {
			t.Fatal(err)
		}
		all[i].statements = statements(t, string(text), all[i].version)
	}
	return all
}

// TestConformance keeps conformance.md true: every statement that binds a server has
// a test or a reason why not, and no clause is named that does not exist.
func TestConformance(t *testing.T) {
	all := editions(t)
	found := scan(t, "..")
	for _, fault := range fill(all, found) {
		t.Error(fault)
	}
	for _, bare := range untested(all) {
		t.Errorf("%s: binds a server and has neither a test nor a reason; name a test after it, or write the reason into testdata/conformance", bare)
	}
	for _, e := range all {
		t.Logf("%s: %s", e.title, counts(e.statements))
	}
	want := conformance(all)
	if *updateConformance {
		if err := os.WriteFile("conformance.md", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("conformance.md")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("conformance.md is stale (%v); write it with: go test ./mqtt -run Conformance -update", err)
	}
}

// fill gives the statements their code and tests, and says what is wrong.
func fill(all []edition, found evidence) (faults []string) {
	known := map[clause]*statement{}
	for _, e := range all {
		for _, s := range e.statements {
			if known[s.clause] != nil {
				faults = append(faults, fmt.Sprintf("%s stands twice in the table", s.clause))
			}
			known[s.clause] = s
			s.code, s.tests = found.code[s.clause], found.tests[s.clause]
		}
	}
	for _, e := range all {
		for _, s := range e.statements {
			if s.same == (clause{}) {
				continue
			}
			if known[s.same] == nil {
				faults = append(faults, fmt.Sprintf("%s is said to be %s, which does not exist", s.clause, s.same))
				continue
			}
			s.code = merge(s.code, found.code[s.same])
			s.tests = merge(s.tests, found.older[s.same])
			if len(s.tests) == 0 {
				s.reason = known[s.same].reason
			}
		}
	}
	for c, where := range found.code {
		if known[c] == nil {
			faults = append(faults, fmt.Sprintf("%s names %s, which does not exist", strings.Join(where, ", "), c))
		}
	}
	for c, where := range found.tests {
		if known[c] == nil {
			faults = append(faults, fmt.Sprintf("%s names %s, which does not exist", strings.Join(where, ", "), c))
		}
	}
	slices.Sort(faults)
	return faults
}

// untested are the statements that bind a server and have neither test nor reason.
func untested(all []edition) (bare []string) {
	for _, e := range all {
		for _, s := range e.statements {
			if s.bindsServer() && len(s.tests) == 0 && s.reason == "" {
				bare = append(bare, s.clause.String()+" "+s.words)
			}
		}
	}
	return bare
}

func merge(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// counts sums up what a table shows.
func counts(all []*statement) string {
	var server, tested, excused, bare, faulty, client, clientTested int
	for _, s := range all {
		switch {
		case !s.bindsServer():
			client++
			if len(s.tests) > 0 {
				clientTested++
			}
			continue
		case strings.HasPrefix(s.reason, "known fault"):
			faulty++
		case len(s.tests) > 0:
			tested++
		case s.reason != "":
			excused++
		default:
			bare++
		}
		server++
	}
	return fmt.Sprintf("%d statements; %d bind a server: %d tested, %d with a reason why not, %d without either, %d known faults; %d bind only the client, of which %d are tested for what the server does when they are broken",
		len(all), server, tested, excused, bare, faulty, client, clientTested)
}

// conformance writes the table.
func conformance(all []edition) []byte {
	var b bytes.Buffer
	b.WriteString(`<!-- Code generated by go test ./mqtt -run Conformance -update; DO NOT EDIT. -->

# Conformance

What the specifications of MQTT demand, by number, in our own short words; where the code
obeys, and which tests show it. Tests named wire/… play bytes written by hand to a real core
(mqtt/wire_test.go), in the versions given behind them; those of TestGolden show the codec
bytes that it must refuse. A statement that binds a server and has no test has a reason.

`)
	for _, e := range all {
		fmt.Fprintf(&b, "- %s: %s.\n", e.title, counts(e.statements))
	}
	for _, e := range all {
		fmt.Fprintf(&b, "\n## %s\n\n| number | binds | what | code | tests, or why there is none |\n|---|---|---|---|---|\n", e.title)
		for _, s := range e.statements {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", s.clause.number, s.who(), cell(s.words), cell(strings.Join(s.code, ", ")), cell(s.shown()))
		}
	}
	return b.Bytes()
}

func (s *statement) who() string {
	return map[string]string{"S": "server", "C": "client", "B": "both"}[s.binds]
}

// shown is the last column.
func (s *statement) shown() string {
	text := cmp.Or(s.reason, "")
	if len(s.tests) == 0 && s.binds == "C" && text == "" {
		return "binds only the client"
	}
	tests := s.tests
	if more := len(tests) - maxTests; more > 0 {
		tests = append(slices.Clone(tests[:maxTests]), fmt.Sprintf("%d more", more))
	}
	if s.same != (clause{}) {
		text = strings.TrimPrefix(text+"; as "+s.same.number+" of 5.0", "; ")
	}
	return strings.Trim(strings.Join(tests, ", ")+"; "+text, "; ")
}

// maxTests is how many tests a row lists.
const maxTests = 6

// cell makes text fit a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
