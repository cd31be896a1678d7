package fairlead_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// checkSleeps: a test that sleeps is slow or flaky. Inside a synctest bubble
// the clock is false and sleeping is free, so those files are left alone.
func checkSleeps(tr *tree) []string {
	var faults []string
	for _, f := range tr.files {
		if !f.test || importName(f.syntax, "testing/synctest") != "" {
			continue
		}
		clock := importName(f.syntax, "time")
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Sleep" {
				return true
			}
			if id, ok := sel.X.(*ast.Ident); ok && clock != "" && id.Name == clock {
				faults = append(faults, fmt.Sprintf("%s: time.Sleep in a test; wait for the event, or use testing/synctest", tr.at(sel.Pos())))
			}
			return true
		})
	}
	return faults
}

// importName is the name by which a file speaks of an import, "" if it is absent.
func importName(file *ast.File, imp string) string {
	for _, spec := range file.Imports {
		if importPath(spec) != imp {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(imp)
	}
	return ""
}

// checkNames refuses packages and files named for having no subject.
func checkNames(tr *tree) []string {
	banned := []string{"util", "utils", "common", "helper", "helpers", "manager", "managers", "misc"}
	var faults []string
	for _, f := range tr.files {
		stem := strings.TrimSuffix(path.Base(f.name), ".go")
		words := append(strings.Split(stem, "_"), f.syntax.Name.Name, path.Base(f.dir))
		for _, word := range words {
			if slices.Contains(banned, word) {
				faults = append(faults, fmt.Sprintf("%s: %q says nothing; name it by what it holds", f.name, word))
				break
			}
		}
	}
	return faults
}

func checkFormat(tr *tree) []string {
	var faults []string
	for _, f := range tr.files {
		neat, err := format.Source(f.text)
		if err != nil || !bytes.Equal(neat, f.text) {
			faults = append(faults, fmt.Sprintf("%s: run gofmt -w %s", f.name, f.name))
		}
	}
	return faults
}

// checkNotes: unfinished work stands in the issues, not in the code.
func checkNotes(tr *tree) []string {
	note := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	var faults []string
	for _, f := range tr.files {
		faults = append(faults, grep(f.name, f.text, note, "finish it, or write an issue")...)
	}
	return faults
}

// checkLocalPaths: nothing in the repository may know the machine it was
// written on, or the package registries' hosts.
func checkLocalPaths(tr *tree) []string {
	folders := `(^|[\s"'=:(,` + "`" + `])(/wo` + `rk/(main|shared)|/ro` + `ot/|/tm` + `p/gc\b|/home/[a-z])`
	hosts := `\b(proxy\.golang` + `\.org|sum\.golang` + `\.org|registry\.npmjs` + `\.org|files\.pythonhosted` + `\.org|pypi` + `\.org)\b`
	local := regexp.MustCompile(folders + "|" + hosts)
	var faults []string
	for _, name := range slices.Sorted(maps.Keys(tr.texts)) {
		faults = append(faults, grep(name, tr.texts[name], local, "nothing here may name one machine's folders or a registry's host")...)
	}
	return faults
}

// grep lists the rows of a text that match, each with the advice.
func grep(name string, text []byte, pattern *regexp.Regexp, advice string) []string {
	if !pattern.Match(text) {
		return nil
	}
	var faults []string
	row := 0
	for line := range bytes.Lines(text) {
		row++
		if hit := pattern.Find(bytes.TrimSuffix(line, []byte("\n"))); hit != nil {
			faults = append(faults, fmt.Sprintf("%s:%d: %q: %s", name, row, bytes.TrimSpace(hit), advice))
		}
	}
	return faults
}
