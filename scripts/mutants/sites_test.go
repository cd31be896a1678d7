package mutants

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// mutant is one check taken away: what is written before and behind an expression.
type mutant struct {
	number     int
	file       string
	start, end int // offsets of the expression
	before     string
	after      string
	about      string // file:row and what is changed
	key        string // function, expression and change: what exceptions name
}

// A decider answers whether something is allowed.
var decider = regexp.MustCompile(`^(may[A-Z]\w*|authorize|decide|[cC]overs|stillVetted|administrator|local|localHost|sameRights|` +
	`anonymous|Authorize|Authenticate|authenticateWith|ofThisMachine)$`)

// refusals are the reasons that say who somebody is, or is not.
var refusals = []string{"NotAuthorized", "BadCredentials", "BadAuthenticationMethod", "AuthUnavailable", "Banned",
	"DeliverNotAuthorized", "WillNotAuthorized", "ClientIDNotValid"}

// permissive is what each kind of answer is when it allows.
var permissive = map[string]string{"bool": "true", "Verdict": "Allow", "core.Verdict": "core.Allow", "Reason": "Success", "*Error": "nil"}

// pack is the source of one package.
type pack struct {
	dir     string
	fset    *token.FileSet
	files   map[string]*ast.File
	texts   map[string][]byte
	results map[string]string // of deciders: the kind of their answer
	mutants []mutant
}

// load reads the files of dir that are no tests, and finds the mutants; only limits
// them to these files, if there are any.
func load(dir string, only ...string) (*pack, error) {
	p := &pack{dir: dir, fset: token.NewFileSet(), files: map[string]*ast.File{}, texts: map[string][]byte{}, results: map[string]string{}}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if err := p.add(name, text); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		if f := p.files[name]; f != nil && (len(only) == 0 || slices.Contains(only, filepath.Base(name))) {
			p.find(name, f)
		}
	}
	return p, nil
}

func (p *pack) add(name string, text []byte) error {
	f, err := parser.ParseFile(p.fset, name, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	p.files[name], p.texts[name] = f, text
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			p.note(n.Name.Name, n.Type)
		case *ast.Field: // of structs and interfaces
			if ft, ok := n.Type.(*ast.FuncType); ok && len(n.Names) == 1 {
				p.note(n.Names[0].Name, ft)
			}
		}
		return true
	})
	return nil
}

// note remembers a decider with one answer.
func (p *pack) note(name string, ft *ast.FuncType) {
	if !decider.MatchString(name) || ft.Results == nil || len(ft.Results.List) != 1 {
		return
	}
	if kind := p.text(ft.Results.List[0].Type); permissive[kind] != "" {
		p.results[name] = kind
	}
}

// text is an expression as it is written.
func (p *pack) text(n ast.Node) string {
	start, end := p.fset.Position(n.Pos()), p.fset.Position(n.End())
	return string(p.texts[start.Filename][start.Offset:end.Offset])
}

// find finds the mutants of one file.
func (p *pack) find(name string, f *ast.File) {
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				p.call(fn, n)
			case *ast.IfStmt:
				p.branch(fn, n.Body.List, n.Cond)
			case *ast.SwitchStmt:
				p.cases(fn, n)
			}
			return true
		})
		if decider.MatchString(fn.Name.Name) {
			p.conditions(fn)
		}
	}
}

// call lets a decider allow whatever it is asked.
func (p *pack) call(fn *ast.FuncDecl, c *ast.CallExpr) {
	name := ""
	switch f := c.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	kind := p.results[name]
	switch {
	case kind == "":
	case kind == "bool":
		p.put(fn, c, "(mutantOn(%d) || ", ")", "allows")
	default:
		p.put(fn, c, "mutantGives(%d, "+permissive[kind]+", ", ")", "allows")
	}
}

// branch never takes a branch that refuses.
func (p *pack) branch(fn *ast.FuncDecl, body []ast.Stmt, conds ...ast.Expr) {
	if !refuses(body) {
		return
	}
	for _, c := range conds {
		if u, ok := c.(*ast.UnaryExpr); ok && u.Op == token.NOT {
			if _, ok := u.X.(*ast.CallExpr); ok && len(conds) == 1 && decider.MatchString(callee(u.X)) {
				continue // its call is mutated
			}
		}
		p.put(fn, c, "(!mutantOn(%d) && (", "))", "never")
	}
}

func callee(e ast.Expr) string {
	switch f := e.(*ast.CallExpr).Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// cases are the branches of a switch: on conditions, or on a Verdict.
func (p *pack) cases(fn *ast.FuncDecl, s *ast.SwitchStmt) {
	for _, c := range s.Body.List {
		clause := c.(*ast.CaseClause)
		if s.Tag == nil {
			p.branch(fn, clause.Body, clause.List...)
		}
	}
}

// refuses says whether the statements name a refusal themselves, not in a branch of
// their own.
func refuses(body []ast.Stmt) (found bool) {
	for _, s := range body {
		switch s.(type) {
		case *ast.IfStmt, *ast.SwitchStmt, *ast.ForStmt, *ast.RangeStmt:
			continue
		}
		ast.Inspect(s, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && slices.Contains(refusals, id.Name) {
				found = true
			}
			_, closure := n.(*ast.FuncLit)
			return !closure
		})
	}
	return found
}

// conditions makes each term of each condition of a decider always true, and never.
func (p *pack) conditions(fn *ast.FuncDecl) {
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			p.terms(fn, n.Cond)
		case *ast.ReturnStmt:
			for _, r := range n.Results {
				if b, ok := r.(*ast.BinaryExpr); ok && boolean(b) {
					p.terms(fn, b)
				}
			}
		case *ast.SwitchStmt:
			for _, c := range n.Body.List {
				for _, e := range c.(*ast.CaseClause).List {
					if n.Tag == nil {
						p.terms(fn, e)
					}
				}
			}
		}
		return true
	})
}

func boolean(b *ast.BinaryExpr) bool {
	return slices.Contains([]token.Token{token.LAND, token.LOR, token.EQL, token.NEQ, token.LSS, token.GTR, token.LEQ, token.GEQ}, b.Op)
}

func (p *pack) terms(fn *ast.FuncDecl, e ast.Expr) {
	switch b := e.(type) {
	case *ast.ParenExpr:
		p.terms(fn, b.X)
		return
	case *ast.BinaryExpr:
		if b.Op == token.LAND || b.Op == token.LOR {
			p.terms(fn, b.X)
			p.terms(fn, b.Y)
			return
		}
	}
	p.put(fn, e, "(mutantOn(%d) || (", "))", "always")
	p.put(fn, e, "(!mutantOn(%d) && (", "))", "never")
}

// put notes a mutant, once.
func (p *pack) put(fn *ast.FuncDecl, n ast.Node, before, after, change string) {
	start, end := p.fset.Position(n.Pos()), p.fset.Position(n.End())
	text := strings.Join(strings.Fields(p.text(n)), " ")
	m := mutant{file: start.Filename, start: start.Offset, end: end.Offset, after: after,
		key:   fmt.Sprintf("%s: %s %s", fn.Name.Name, change, text),
		about: fmt.Sprintf("%s:%d %s: %s %s", filepath.Base(start.Filename), start.Line, fn.Name.Name, change, text)}
	for _, o := range p.mutants {
		if o.file == m.file && o.start == m.start && o.end == m.end && strings.HasSuffix(o.before, strings.SplitN(before, "%d", 2)[1]) && o.key == m.key {
			return
		}
	}
	m.number = len(p.mutants) + 1
	m.before = fmt.Sprintf(before, m.number)
	p.mutants = append(p.mutants, m)
}

// mutated is a file's text with all its mutants, asleep.
func (p *pack) mutated(file string) []byte {
	type insert struct {
		at, rank int // of those at one place the lower rank comes first
		text     string
	}
	var ins []insert
	for _, m := range p.mutants {
		if m.file != file {
			continue
		}
		size := m.end - m.start
		// What begins here encloses what is smaller; what ends here is the smaller the sooner.
		ins = append(ins, insert{m.start, 1<<30 - size<<8 + m.number%256, m.before}, insert{m.end, -1<<30 + size<<8 - m.number%256, m.after})
	}
	slices.SortStableFunc(ins, func(a, b insert) int {
		if a.at != b.at {
			return a.at - b.at
		}
		return a.rank - b.rank
	})
	var out []byte
	text, from := p.texts[file], 0
	for _, i := range ins {
		out = append(append(out, text[from:i.at]...), i.text...)
		from = i.at
	}
	return append(out, text[from:]...)
}
