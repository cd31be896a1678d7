package fairlead_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"strings"
)

// checkPackageComment wants a doc.go with a package comment in every folder
// that holds a package: purpose, owner of state, terms.
func checkPackageComment(tr *tree) []string {
	var faults []string
	seen, good := map[string]bool{}, map[string]bool{}
	var order []string
	for _, f := range tr.files {
		if f.test {
			continue
		}
		if !seen[f.dir] {
			order = append(order, f.dir)
		}
		seen[f.dir] = true
		if path.Base(f.name) == "doc.go" && packageComment(f.syntax) {
			good[f.dir] = true
		}
	}
	for _, dir := range order {
		if !good[dir] {
			faults = append(faults, fmt.Sprintf("%s: no doc.go with a package comment that begins with \"Package NAME\" (or \"Command NAME\"); say the purpose, who owns the state, the terms", dir))
		}
	}
	return faults
}

func packageComment(file *ast.File) bool {
	text := strings.ToLower(file.Doc.Text())
	if file.Name.Name == "main" {
		return strings.HasPrefix(text, "command ")
	}
	return strings.HasPrefix(text, "package "+file.Name.Name+" ")
}

// checkExportedDocs wants a comment at every exported name of a package that
// others import. In a group of constants or variables the group's comment, a
// comment above or one at the end of the row will do.
func checkExportedDocs(tr *tree) []string {
	var faults []string
	for _, f := range tr.files {
		if f.test || f.generated || f.syntax.Name.Name == "main" {
			continue
		}
		for _, decl := range f.syntax.Decls {
			for _, id := range undocumented(decl) {
				faults = append(faults, fmt.Sprintf("%s: exported %s has no doc comment; say meaning, units, bounds, errors, owner of the bytes, what may block", tr.at(id.Pos()), id.Name))
			}
		}
	}
	return faults
}

func undocumented(decl ast.Decl) []*ast.Ident {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && exportedReceiver(d) && d.Doc.Text() == "" {
			return []*ast.Ident{d.Name}
		}
	case *ast.GenDecl:
		return undocumentedSpecs(d)
	}
	return nil
}

func undocumentedSpecs(d *ast.GenDecl) []*ast.Ident {
	var bare []*ast.Ident
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			alone := d.Lparen == token.NoPos && d.Doc.Text() != ""
			if s.Name.IsExported() && !alone && s.Doc.Text() == "" && s.Comment.Text() == "" {
				bare = append(bare, s.Name)
			}
		case *ast.ValueSpec:
			if d.Doc.Text() != "" || s.Doc.Text() != "" || s.Comment.Text() != "" {
				continue
			}
			for _, id := range s.Names {
				if id.IsExported() {
					bare = append(bare, id)
				}
			}
		}
	}
	return bare
}

// exportedReceiver: a function, or a method of a type that others can name.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch t := typ.(type) {
		case *ast.StarExpr:
			typ = t.X
		case *ast.IndexExpr:
			typ = t.X
		case *ast.IndexListExpr:
			typ = t.X
		case *ast.Ident:
			return t.IsExported()
		default:
			return true
		}
	}
}
