package scenario

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

const (
	docsFile  = "../../docs/fleets.md"
	docsBegin = "<!-- keys: written by go test ./devices/scenario -write-docs -->\n"
	docsEnd   = "<!-- end of keys -->"
)

// TestDocsNameEveryKey compares the tables of the documentation with the structs.
func TestDocsNameEveryKey(t *testing.T) {
	text, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), docsBegin)
	old, tail, closed := strings.Cut(rest, docsEnd)
	if !ok || !closed {
		t.Fatalf("%s has lost the comments around its tables", docsFile)
	}
	tables := keyTables()
	if old == tables {
		return
	}
	if f := flag.Lookup("write-docs"); f != nil && f.Value.String() == "true" {
		if err := os.WriteFile(docsFile, []byte(head+docsBegin+tables+docsEnd+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("the tables in %s are not those of the structs; run go test ./devices/scenario -run Docs -write-docs", docsFile)
}

// _ is the flag of TestDocsNameEveryKey.
var _ = flag.Bool("write-docs", false, "write the tables of docs/fleets.md instead of comparing them")

// keyTables writes a table for each section, with defaults.
func keyTables() string {
	group, publish := &Group{}, &Publish{}
	group.SetDefaults("NAME")
	publish.SetDefaults("NAME")
	var b strings.Builder
	for _, section := range []struct {
		title string
		value any
	}{
		{"The scenario", newScenario()},
		{"`[expect]`", &newScenario().Expect},
		{"`[tls]`", &TLS{}},
		{"`[network.NAME]`", &Network{}},
		{"`[groups.NAME]`", group},
		{"`[groups.NAME.will]`", &Will{}},
		{"`[groups.NAME.subscribe.NAME]`", &Subscribe{}},
		{"`[groups.NAME.publish.NAME]`", publish},
		{"`[groups.NAME.respond.NAME]`", &Respond{}},
		{"`payload`, of `publish` and `respond`", &publish.Payload},
		{"`[groups.NAME.reconnect]`", &group.Reconnect},
		{"`[groups.NAME.sleep]`", &Sleep{}},
		{"`[groups.NAME.misbehave]`", &Misbehave{}},
	} {
		fmt.Fprintf(&b, "\n### %s\n\n| key | default | meaning |\n|---|---|---|\n", section.title)
		v := reflect.ValueOf(section.value).Elem()
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			doc := f.Tag.Get("doc")
			if list := f.Tag.Get("oneof"); list != "" && !strings.Contains(doc, ": ") {
				doc += ": " + strings.ReplaceAll(list, ",", ", ")
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Tag.Get("toml"), defaultText(v.Field(i)), strings.ReplaceAll(doc, "|", "\\|"))
		}
	}
	return b.String() + "\n"
}

func defaultText(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		if x == 0 {
			return "0"
		}
		return "`\"" + strings.Replace(x.String(), "m0s", "m", 1) + "\"`"
	case string:
		if x != "" {
			return "`\"" + x + "\"`"
		}
	case int, uint64, float64, bool:
		return fmt.Sprint(x)
	}
	return ""
}

func TestEveryKeyIsDocumented(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			if f := typ.Field(i); f.IsExported() {
				if f.Tag.Get("doc") == "" || f.Tag.Get("toml") == "" {
					t.Errorf("%s.%s has no doc or toml tag", typ.Name(), f.Name)
				}
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[Scenario]())
	if len(seen) != 13 {
		t.Errorf("there are %d sections; the documentation has tables for 13", len(seen))
	}
}

func TestDocsNameEveryProfileAndPlaceholder(t *testing.T) {
	text, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range profileNames() {
		if !strings.Contains(string(text), "| `"+name+"` |") {
			t.Errorf("the profile %s is not in the table of profiles", name)
		}
	}
	for _, p := range placeholders() {
		if !strings.Contains(string(text), "| `{"+p.name) {
			t.Errorf("the placeholder {%s} is not in the table of placeholders", p.name)
		}
	}
}
