package fairlead_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
)

func checkNoInit(tr *tree) []string {
	var faults []string
	for _, f := range tr.files {
		if f.generated { // what protoc makes registers itself
			continue
		}
		for _, decl := range f.syntax.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				faults = append(faults, fmt.Sprintf("%s: init() is not used here; wire it explicitly from fairlead.go or cmd/fairlead", tr.at(fn.Pos())))
			}
		}
	}
	return faults
}

// packageKey separates a folder's package from its external test package.
type packageKey struct{ dir, name string }

// packageVar is a package-level variable and where it is declared.
type packageVar struct {
	ident *ast.Ident
	spec  *ast.ValueSpec
	value ast.Expr // nil when it starts as zero
}

// checkPackageVars allows a package variable that is never written: error
// values, interface guards, compiled patterns, embedded files, tables. The
// check is syntactic: it sees assignments, addresses, ++, delete, clear, copy,
// and types that exist to be changed; it does not follow method calls.
func checkPackageVars(tr *tree) []string {
	packages := map[packageKey][]*source{}
	var order []packageKey
	for _, f := range tr.files {
		if f.generated {
			continue
		}
		key := packageKey{f.dir, f.syntax.Name.Name}
		if packages[key] == nil {
			order = append(order, key)
		}
		packages[key] = append(packages[key], f)
	}
	var faults []string
	for _, key := range order {
		faults = append(faults, checkOnePackageVars(tr, packages[key])...)
	}
	return faults
}

func checkOnePackageVars(tr *tree, files []*source) []string {
	vars := map[string]packageVar{}
	var faults []string
	for _, f := range files {
		for _, v := range packageVars(f.syntax) {
			vars[v.ident.Name] = v
			if why := madeToChange(v); why != "" {
				faults = append(faults, fmt.Sprintf("%s: package variable %s is %s: state belongs in a struct that somebody owns", tr.at(v.ident.Pos()), v.ident.Name, why))
			}
		}
	}
	for _, f := range files {
		eachWrite(f.syntax, func(id *ast.Ident, how string) {
			v, ok := vars[id.Name]
			if !ok || !denotes(id, v) {
				return
			}
			faults = append(faults, fmt.Sprintf("%s: package variable %s is %s here: state belongs in a struct that somebody owns", tr.at(id.Pos()), id.Name, how))
		})
	}
	return faults
}

// packageVars lists a file's package variables but for `var _ I = …` guards.
func packageVars(file *ast.File) []packageVar {
	var vars []packageVar
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.VAR {
			continue
		}
		for _, s := range gen.Specs {
			spec := s.(*ast.ValueSpec)
			for i, id := range spec.Names {
				if id.Name == "_" {
					continue
				}
				v := packageVar{ident: id, spec: spec}
				if i < len(spec.Values) {
					v.value = spec.Values[i]
				}
				vars = append(vars, v)
			}
		}
	}
	return vars
}

// denotes tells whether the identifier means the package variable: the parser
// leaves it unresolved (another file) or resolves it to the declaration.
func denotes(id *ast.Ident, v packageVar) bool {
	return id.Obj == nil || id.Obj.Decl == v.spec
}

// madeToChange names types and values whose only use is to be changed.
func madeToChange(v packageVar) string {
	typ := v.spec.Type
	if lit, ok := v.value.(*ast.CompositeLit); ok && typ == nil {
		typ = lit.Type
	}
	if generic, ok := typ.(*ast.IndexExpr); ok {
		typ = generic.X
	}
	if sel, ok := typ.(*ast.SelectorExpr); ok {
		if pkg, ok := sel.X.(*ast.Ident); ok && (pkg.Name == "sync" || pkg.Name == "atomic") {
			return "a " + pkg.Name + "." + sel.Sel.Name
		}
	}
	if _, ok := typ.(*ast.ChanType); ok {
		return "a channel"
	}
	if call, ok := v.value.(*ast.CallExpr); ok {
		if fn, ok := call.Fun.(*ast.Ident); ok && (fn.Name == "make" || fn.Name == "new") {
			return "made by " + fn.Name + "()"
		}
	}
	if unary, ok := v.value.(*ast.UnaryExpr); ok && unary.Op == token.AND && !errorValue(v.ident.Name) {
		return "a pointer to a fresh value"
	}
	return ""
}

// errorValue: a sentinel of a concrete error type is a pointer to a fresh value.
func errorValue(name string) bool {
	return strings.HasPrefix(name, "Err") || strings.HasPrefix(name, "err")
}

// eachWrite calls found for the root of everything the file writes to.
func eachWrite(file *ast.File, found func(id *ast.Ident, how string)) {
	report := func(e ast.Expr, how string) {
		if id := rootOf(e); id != nil {
			found(id, how)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				return true
			}
			for _, left := range n.Lhs {
				report(left, "assigned")
			}
		case *ast.IncDecStmt:
			report(n.X, "counted")
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				report(n.Key, "assigned")
				report(n.Value, "assigned")
			}
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				report(n.X, "made writable by its address")
			}
		case *ast.CallExpr:
			if fn, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && strings.Contains(" delete clear copy ", " "+fn.Name+" ") {
				report(n.Args[0], "changed by "+fn.Name+"()")
			}
		}
		return true
	})
}

// rootOf finds the variable below x.f, x[i], x[i:j], *x and (x). A composite
// literal or a call has no root: &T{} and f().x write to nothing of ours.
func rootOf(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}
