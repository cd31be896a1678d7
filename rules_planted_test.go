package fairlead_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// planted is a file of a false tree and what the named rule must say of it;
// an empty want means that the rule must be content.
type planted struct {
	name string
	rule string
	file string
	text string
	want string
}

func TestPlantedViolations(t *testing.T) {
	for _, p := range plantedCases() {
		t.Run(p.rule+"/"+p.name, func(t *testing.T) {
			faults := checkPlanted(t, p)
			if p.want == "" {
				if len(faults) > 0 {
					t.Fatalf("the rule refuses what is allowed:\n%s", strings.Join(faults, "\n"))
				}
				return
			}
			if len(faults) != 1 || !strings.Contains(faults[0], p.want) || !strings.HasPrefix(faults[0], p.file) && !strings.HasPrefix(faults[0], filepath.Dir(p.file)) {
				t.Fatalf("want one fault at %s with %q, got:\n%s", p.file, p.want, strings.Join(faults, "\n"))
			}
		})
	}
}

// TestEveryRuleIsPlanted keeps a new rule from being left untested.
func TestEveryRuleIsPlanted(t *testing.T) {
	for _, r := range rules() {
		bad, good := false, false
		for _, p := range plantedCases() {
			bad = bad || p.rule == r.name && p.want != ""
			good = good || p.rule == r.name && p.want == ""
		}
		if !bad || !good {
			t.Errorf("rule %q wants a planted violation and a planted allowed case", r.name)
		}
	}
}

func checkPlanted(t *testing.T, p planted) []string {
	t.Helper()
	root := t.TempDir()
	file := filepath.Join(root, filepath.FromSlash(p.file))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(p.text), 0o644); err != nil {
		t.Fatal(err)
	}
	tr, err := loadTree(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules() {
		if r.name == p.rule {
			return r.check(tr)
		}
	}
	t.Fatalf("no rule is named %q", p.rule)
	return nil
}

func plantedCases() []planted {
	var all []planted
	for _, group := range [][]planted{plantedImports(), plantedSizes(), plantedState(), plantedVars(), plantedDocs(), plantedText()} {
		all = append(all, group...)
	}
	return all
}

func imports(pkg string, paths ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "package %s\n", pkg)
	for _, p := range paths {
		fmt.Fprintf(&b, "import _ %q\n", p)
	}
	return b.String()
}

func plantedImports() []planted {
	const m = modulePath + "/"
	return []planted{
		{"core imports an adapter", "layers", "core/a.go", imports("core", m+"mqtt"), "core may not import mqtt"},
		{"codec imports core", "layers", "mqtt/packet/a.go", imports("packet", m+"core"), "may not import core"},
		{"topic imports route", "layers", "core/topic/a.go", imports("topic", m+"core/route"), "nothing of ours"},
		{"adapter imports adapter", "layers", "coap/a.go", imports("coap", m+"mqtt"), "may not import mqtt"},
		{"edge imports adapter", "layers", "protocols/a.go", imports("protocols", m+"mqtt"), "may not import mqtt"},
		{"backend imports sibling", "layers", "backends/redis/a.go", imports("redis", m+"backends/pebble"), "may not import backends/pebble"},
		{"devices import core", "layers", "devices/a.go", imports("devices", m+"core"), "may not import core"},
		{"package imports test support", "layers", "mqtt/a.go", imports("mqtt", m+"core/coretest"), "may not import core/coretest"},
		{"core test imports devices", "layers", "core/a_test.go", imports("core", m+"devices"), "may not import devices"},
		{"root imported from below", "layers", "admin/a.go", imports("admin", modulePath), "admin may not import ."},
		{"unknown folder", "layers", "gadgets/a.go", imports("gadgets"), `folder "gadgets" has no row in layers()`},
		{"adapter's row", "layers", "mqtt/a.go", imports("mqtt", m+"core", m+"core/topic", m+"protocols", m+"mqtt/packet", "net"), ""},
		{"test support in a test", "layers", "mqtt/a_test.go", imports("mqtt_test", m+"mqtt", m+"core/coretest", m+"internal/simnet", m+"devices"), ""},
		{"the root wires all", "layers", "fairlead.go", imports("fairlead", m+"mqtt", m+"backends/pebble", m+"cluster/rpc"), ""},
		{"a backend's spool", "layers", "backends/redis/a.go", imports("redis", m+"core", m+"backends/spool"), ""},
		{"the spool imports core", "layers", "backends/spool/a.go", imports("spool", m+"core"), "nothing of ours"},
		{"a table of backends", "layers", "backends/backends.go", imports("backends", m+"core", m+"backends/pebble"), ""},

		{"pebble in core", "drivers", "core/a.go", imports("core", "github.com/cockroachdb/pebble/v2/vfs"), "keeps it in backends/pebble"},
		{"websocket in an adapter", "drivers", "mqtt/a.go", imports("mqtt", "github.com/gorilla/websocket"), "keeps it in protocols, devices"},
		{"prometheus in core", "drivers", "core/a.go", imports("core", "github.com/prometheus/client_golang/prometheus"), "keeps it in admin"},
		{"test module in a package", "drivers", "core/a.go", imports("core", "github.com/google/go-cmp/cmp"), "test files"},
		{"x/sys in a codec", "drivers", "mqtt/packet/a.go", imports("packet", "golang.org/x/sys/unix"), "may not import golang.org/x/sys/unix"},
		{"unlisted module", "drivers", "admin/a.go", imports("admin", "example.org/novelty"), "in no row of drivers()"},
		{"golang.org/x in core", "drivers", "core/a.go", imports("core", "golang.org/x/sync/errgroup"), ""},
		{"cmp in a test", "drivers", "core/a_test.go", imports("core", "github.com/google/go-cmp/cmp"), ""},
		{"cmp in the suites", "drivers", "core/coretest/a.go", imports("coretest", "github.com/google/go-cmp/cmp"), ""},
		{"driver at home", "drivers", "backends/pebble/a.go", imports("pebble", "github.com/cockroachdb/pebble/v2", "os"), ""},
	}
}

func plantedSizes() []planted {
	fn := func(head string, rows int) string {
		return "package p\n\n" + head + " {\n" + strings.Repeat("\tprintln()\n", rows) + "}\n"
	}
	table := func(rows int) string {
		return "package p\n\nfunc t() []int {\n\treturn []int{\n" + strings.Repeat("\t\t1,\n", rows) + "\t}\n}\n"
	}
	return []planted{
		{"81 lines", "function length", "p/a.go", fn("func f()", 79), "func f has 81 lines"},
		{"80 lines", "function length", "p/a.go", fn("func f()", 78), ""},
		{"literal in a variable", "function length", "p/a.go", fn("var f = func()", 79), "the function in f has 81 lines"},
		{"test of 150 lines", "function length", "p/a_test.go", fn("func TestF(t *testing.T)", 148), ""},
		{"test of 151 lines", "function length", "p/a_test.go", fn("func TestF(t *testing.T)", 149), "allowed are 150"},
		{"a test's assistant", "function length", "p/a_test.go", fn("func check()", 79), "allowed are 80"},
		{"data table", "function length", "p/a.go", table(146), ""},
		{"endless data table", "function length", "p/a.go", table(147), "allowed are 150"},

		{"601 lines", "file length", "p/a.go", "package p\n" + strings.Repeat("\n", 600), "601 lines"},
		{"600 lines", "file length", "p/a.go", "package p\n" + strings.Repeat("\n", 599), ""},
		{"generated", "file length", "p/a.go", "// Code generated by x. DO NOT EDIT.\n\npackage p\n" + strings.Repeat("\n", 600), ""},
	}
}

func plantedState() []planted {
	return []planted{
		{"init", "no init", "p/a.go", "package p\n\nfunc init() {}\n", "init() is not used here"},
		{"method named init", "no init", "p/a.go", "package p\n\ntype t int\n\nfunc (t) init() {}\n", ""},

		{"sleep", "no sleeps in tests", "p/a_test.go", "package p\n\nimport \"time\"\n\nfunc f() { time.Sleep(1) }\n", "time.Sleep in a test"},
		{"sleep by another name", "no sleeps in tests", "p/a_test.go", "package p\n\nimport clock \"time\"\n\nfunc f() { clock.Sleep(1) }\n", "time.Sleep in a test"},
		{"sleep in a bubble", "no sleeps in tests", "p/a_test.go", "package p\n\nimport (\n\t\"testing/synctest\"\n\t\"time\"\n)\n\nfunc f() { time.Sleep(1); synctest.Wait() }\n", ""},
		{"sleep outside tests", "no sleeps in tests", "p/a.go", "package p\n\nimport \"time\"\n\nfunc f() { time.Sleep(1) }\n", ""},
	}
}

func plantedVars() []planted {
	const rule = "no mutable package variables"
	plant := func(name, text, want string) planted {
		return planted{name, rule, "p/a.go", "package p\n\n" + text + "\n", want}
	}
	return []planted{
		plant("assigned", "var n int\n\nfunc f() { n = 1 }", "n is assigned here"),
		plant("counted", "var n int\n\nfunc f() { n++ }", "n is counted here"),
		plant("element assigned", "var m = map[int]int{}\n\nfunc f() { m[1] = 2 }", "m is assigned here"),
		plant("field assigned", "var s struct{ x int }\n\nfunc f() { s.x = 2 }", "s is assigned here"),
		plant("address taken", "var n int\n\nfunc f() *int { return &n }", "by its address"),
		plant("deleted from", "var m = map[int]int{}\n\nfunc f() { delete(m, 1) }", "changed by delete()"),
		plant("mutex", "import \"sync\"\n\nvar mu sync.Mutex", "a sync.Mutex"),
		plant("pool", "import \"sync\"\n\nvar pool = sync.Pool{}", "a sync.Pool"),
		plant("atomic", "import \"sync/atomic\"\n\nvar p atomic.Pointer[int]", "a atomic.Pointer"),
		plant("made map", "var m = make(map[int]int)", "made by make()"),
		plant("channel", "var c chan int", "a channel"),
		plant("pointer", "type t struct{}\n\nvar p = &t{}", "a pointer to a fresh value"),
		plant("error value", "import \"errors\"\n\nvar ErrFull = errors.New(\"full\")", ""),
		plant("typed error value", "type wrong struct{}\n\nvar errFull = &wrong{}", ""),
		plant("guard", "type i interface{}\n\nvar _ i = (*int)(nil)", ""),
		plant("pattern", "import \"regexp\"\n\nvar word = regexp.MustCompile(\"a+\")", ""),
		plant("table", "var names = [...]string{\"a\", \"b\"}\n\nfunc f(i int) string { return names[i] }", ""),
		plant("shadowed", "var n = 3\n\nfunc f() int { n := n; n++; p := &n; return *p }", ""),
		plant("field of that name", "var n = 3\n\ntype t struct{ n int }\n\nfunc f(x *t) { x.n = n }", ""),
		plant("composite address", "var n = 3\n\ntype t struct{ n int }\n\nfunc f() *t { return &t{n: n} }", ""),
	}
}

func plantedDocs() []planted {
	const doc = "// Package p is planted.\npackage p\n\n"
	return []planted{
		{"no doc.go", "package comment", "p/a.go", doc, "no doc.go"},
		{"bare doc.go", "package comment", "p/doc.go", "package p\n", "no doc.go with a package comment"},
		{"doc.go", "package comment", "p/doc.go", doc, ""},
		{"command", "package comment", "p/doc.go", "// Command p does it.\npackage main\n", ""},
		{"tests alone", "package comment", "p/a_test.go", "package p_test\n", ""},

		{"function", "exported docs", "p/a.go", doc + "func F() {}\n", "exported F"},
		{"method", "exported docs", "p/a.go", doc + "type t[K any] int\n\n// T is.\ntype T[K any] int\n\nfunc (*T[K]) M() {}\n\nfunc (t[K]) M() {}\n", "exported M"},
		{"type", "exported docs", "p/a.go", doc + "type T int\n", "exported T"},
		{"constant", "exported docs", "p/a.go", doc + "const (\n\tA = 1\n\tb = 2\n)\n", "exported A"},
		{"group", "exported docs", "p/a.go", doc + "// Both are.\nconst (\n\tA = 1\n\tB = 2\n)\n\nvar (\n\tC = 1 // C is.\n\t// D is.\n\tD = 2\n)\n", ""},
		{"command", "exported docs", "p/a.go", "package main\n\nfunc F() {}\n", ""},
	}
}

func plantedText() []planted {
	return []planted{
		{"file", "names", "p/string_util.go", "package p\n", `"util" says nothing`},
		{"package", "names", "p/a.go", "package common\n", `"common" says nothing`},
		{"folder", "names", "helpers/a.go", "package p\n", `"helpers" says nothing`},
		{"part of a word", "names", "p/utility.go", "package p\n", ""},

		{"crooked", "gofmt", "p/a.go", "package p\nvar  x=1\n", "run gofmt -w p/a.go"},
		{"straight", "gofmt", "p/a.go", "package p\n\nvar x = 1\n", ""},

		{"note", "no notes to self", "p/a.go", "package p\n\n// TO" + "DO: more\n", "finish it"},
		{"context", "no notes to self", "p/a.go", "package p\n\nvar c = context.TO" + "DO()\n", "finish it"},
		{"word", "no notes to self", "p/a.go", "package p\n\nvar masTO" + "DOn = 1\n", ""},

		{"checkout", "no local paths", "p/a.go", "package p\n\nvar x = \"/wo" + "rk/main/x\"\n", "one machine's folders"},
		{"home", "no local paths", "docs/a.md", "see /ro" + "ot/x\n", "docs/a.md:1"},
		{"registry", "no local paths", "scripts/x", "curl https://registry.npmjs" + ".org/x\n", "registry's host"},
		{"a path of URLs", "no local paths", "docs/a.md", "https://example.org/work/main and net/work/x\n", ""},
	}
}

func TestCompareDeps(t *testing.T) {
	linked := []string{"a", "b"}
	for _, tc := range []struct {
		name   string
		listed []string
		want   string
	}{
		{"equal", []string{"a", "b"}, ""},
		{"lacking", []string{"a"}, "lacks b"},
		{"too much", []string{"a", "b", "c"}, "lists c"},
		{"out of order", []string{"b", "a"}, "not sorted"},
		{"twice", []string{"a", "a", "b"}, "names a module twice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := strings.Join(compareDeps(tc.listed, linked), "\n")
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Fatalf("want %q, got %q", tc.want, got)
			}
		})
	}
}
