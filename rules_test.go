// Package fairlead_test holds the house rules of this repository as tests:
// what the layers are, how long a function may be, what a package must say
// about itself. A broken rule names the file, the row and what to do.
//
// The rules stand one theme a file: rules_layers_test.go, rules_size_test.go,
// rules_state_test.go, rules_docs_test.go, rules_text_test.go and
// rules_deps_test.go. Each rule is tested itself in rules_planted_test.go,
// where a violation is planted and must be found.
package fairlead_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const modulePath = "github.com/fairlead-iot/fairlead"

// source is one Go file of the tree under test.
type source struct {
	name      string // slash path below the tree's root
	dir       string // its folder, "." for the root
	text      []byte
	syntax    *ast.File
	test      bool // name ends in _test.go
	generated bool // carries the standard "Code generated" line
}

// tree is a module's text as the rules see it.
type tree struct {
	root  string
	fset  *token.FileSet
	files []*source         // Go files, in order of their names
	texts map[string][]byte // every text file, Go or not, by slash path
}

// rule is one house rule; check returns one line for each violation.
type rule struct {
	name  string
	check func(*tree) []string
}

func rules() []rule {
	return []rule{
		{"layers", checkLayers},
		{"drivers", checkDrivers},
		{"function length", checkFunctionLength},
		{"file length", checkFileLength},
		{"no init", checkNoInit},
		{"no mutable package variables", checkPackageVars},
		{"package comment", checkPackageComment},
		{"exported docs", checkExportedDocs},
		{"no sleeps in tests", checkSleeps},
		{"names", checkNames},
		{"gofmt", checkFormat},
		{"no notes to self", checkNotes},
		{"no local paths", checkLocalPaths},
	}
}

func TestHouseRules(t *testing.T) {
	tr, err := loadTree(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			for _, fault := range r.check(tr) {
				t.Error(fault)
			}
		})
	}
}

// maxTextFile bounds what the text rules read of one file.
const maxTextFile = 4 << 20

// loadTree reads every text file below root and parses the Go files in it.
func loadTree(root string) (*tree, error) {
	tr := &tree{root: root, fset: token.NewFileSet(), texts: map[string][]byte{}}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if entry.IsDir() {
			return skipFolder(rel)
		}
		if !entry.Type().IsRegular() || entry.Name() == ".git" { // a file in a work tree beside the clone
			return nil
		}
		return tr.add(file, rel)
	})
	return tr, err
}

// skipFolder keeps out what is not the repository's own text.
func skipFolder(rel string) error {
	switch base := path.Base(rel); {
	case base == ".git", base == "node_modules", base == "fairlead-data":
		return fs.SkipDir
	}
	return nil
}

func (tr *tree) add(file, rel string) error {
	info, err := os.Stat(file)
	if err != nil || info.Size() > maxTextFile {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil // a binary: test certificates, built commands
	}
	tr.texts[rel] = text
	if !strings.HasSuffix(rel, ".go") || outsideBuild(rel) {
		return nil
	}
	syntax, err := parser.ParseFile(tr.fset, rel, text, parser.ParseComments)
	if err != nil {
		return fmt.Errorf("rules: parse %s: %w", rel, err)
	}
	tr.files = append(tr.files, &source{
		name: rel, dir: path.Dir(rel), text: text, syntax: syntax,
		test:      strings.HasSuffix(rel, "_test.go"),
		generated: ast.IsGenerated(syntax),
	})
	return nil
}

// outsideBuild tells whether the go command ignores the file's folder.
func outsideBuild(rel string) bool {
	for _, part := range strings.Split(path.Dir(rel), "/") {
		if part == "testdata" || part != "." && strings.HasPrefix(part, ".") || strings.HasPrefix(part, "_") {
			return true
		}
	}
	return false
}

// at writes a place the way the compiler does, so that editors can jump to it.
func (tr *tree) at(pos token.Pos) string {
	p := tr.fset.Position(pos)
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// lines counts the rows from one place to another, both included.
func (tr *tree) lines(from, to token.Pos) int {
	return tr.fset.Position(to).Line - tr.fset.Position(from).Line + 1
}
