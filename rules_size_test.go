package fairlead_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"strings"
)

const (
	maxFunction = 80  // lines: what one reader holds in mind
	maxTable    = 150 // lines of a data table or a table-driven test
	maxFile     = 600 // lines
)

func checkFunctionLength(tr *tree) []string {
	var faults []string
	for _, f := range tr.files {
		if f.generated {
			continue
		}
		for _, decl := range f.syntax.Decls {
			name, node := functionOf(decl)
			if node == nil {
				continue
			}
			limit := maxFunction
			if fn, ok := decl.(*ast.FuncDecl); ok && (onlyTable(fn) || f.test && testFunction(fn)) {
				limit = maxTable
			}
			if n := tr.lines(node.Pos(), node.End()); n > limit {
				faults = append(faults, fmt.Sprintf("%s: %s has %d lines, allowed are %d; split it where a comment would begin", tr.at(node.Pos()), name, n, limit))
			}
		}
	}
	return faults
}

// functionOf gives the function that a declaration holds: a func, or a
// function literal in a package variable.
func functionOf(decl ast.Decl) (string, ast.Node) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		return "func " + d.Name.Name, d
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			vs, ok := spec.(*ast.ValueSpec)
			if !ok {
				continue
			}
			for i, value := range vs.Values {
				if lit, ok := value.(*ast.FuncLit); ok && i < len(vs.Names) {
					return "the function in " + vs.Names[i].Name, lit
				}
			}
		}
	}
	return "", nil
}

// onlyTable: the body is a single return of a composite literal, so it is data.
func onlyTable(fn *ast.FuncDecl) bool {
	if fn.Body == nil || len(fn.Body.List) != 1 {
		return false
	}
	ret, ok := fn.Body.List[0].(*ast.ReturnStmt)
	if !ok || len(ret.Results) != 1 {
		return false
	}
	_, ok = ret.Results[0].(*ast.CompositeLit)
	return ok
}

func testFunction(fn *ast.FuncDecl) bool {
	if fn.Recv != nil {
		return false
	}
	for _, prefix := range []string{"Test", "Fuzz", "Benchmark", "Example"} {
		if strings.HasPrefix(fn.Name.Name, prefix) {
			return true
		}
	}
	return false
}

func checkFileLength(tr *tree) []string {
	var faults []string
	for _, f := range tr.files {
		if n := bytes.Count(f.text, []byte("\n")); n > maxFile && !f.generated {
			faults = append(faults, fmt.Sprintf("%s: %d lines, allowed are %d; one theme a file", f.name, n, maxFile))
		}
	}
	return faults
}
