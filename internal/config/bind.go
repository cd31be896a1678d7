package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Defaulter is a table element that does not begin as zero: SetDefaults is
// called with the name in [listeners.NAME], or "" in a list of tables, before
// the element's own keys are read.
type Defaulter interface {
	SetDefaults(name string)
}

// loader is one Load under way.
type loader struct {
	root    reflect.Type
	faults  []Fault
	origins map[string]place // where each key was last given
	headers map[string]place // where each table begins in the file
	files   func(name string) (string, error)
}

// newLoader makes a loader for the type; files reads the file of a secret.
func newLoader(root reflect.Type, files func(string) (string, error)) *loader {
	return &loader{root: root, origins: map[string]place{}, headers: map[string]place{}, files: files}
}

func (l *loader) fault(at place, key, problem, hint string) {
	l.report(at.fault(key, problem, hint))
}

// bind sets v, which stands at path, to what n says. On a fault v keeps what
// it had.
func (l *loader) bind(path string, v reflect.Value, f field, n *node) {
	t := v.Type()
	l.remember(path, n)
	switch {
	case t.Kind() == reflect.Pointer && !readsText(t):
		fresh := reflect.New(t.Elem())
		if !v.IsNil() {
			fresh.Elem().Set(v.Elem())
		}
		l.bind(path, fresh.Elem(), f, n)
		v.Set(fresh)
	case isTable(t), t.Kind() == reflect.Slice && !readsText(t):
		l.bindMany(path, v, f, l.expand(path, f, t, n))
	default:
		l.bindScalar(path, v, f, n)
	}
}

func (l *loader) report(f Fault) {
	if len(l.faults) < maxFaults {
		l.faults = append(l.faults, f)
	}
}

// remember keeps where a key was last given, and where a table begins in the
// file.
func (l *loader) remember(path string, n *node) {
	switch {
	case n.kind != kindTable:
		l.origins[path] = n.at
	case n.at.row > 0:
		l.headers[path] = n.at
	}
}

func (l *loader) bindMany(path string, v reflect.Value, f field, n *node) {
	t := v.Type()
	switch {
	case n == nil:
		return // expand has said why
	case t.Kind() == reflect.Slice && (n.kind == kindList || n.kind == kindTables):
		l.bindList(path, v, f, n)
	case t.Kind() == reflect.Struct && n.kind == kindTable:
		l.bindStruct(path, v, n)
	case t.Kind() == reflect.Map && n.kind == kindTable:
		l.bindMap(path, v, f, n)
	default:
		l.mismatch(path, t, f, n)
	}
}

// mismatch words "this kind of value cannot stand here".
func (l *loader) mismatch(path string, t reflect.Type, f field, n *node) {
	problem := "must be " + wanted(t, f) + ", not " + given(n)
	hint := ""
	switch {
	case isTable(t):
		hint = fmt.Sprintf("begin a table with a row [%s]", path)
	case t.Kind() == reflect.Slice && !isTable(t.Elem()) && n.kind == kindText && !f.secret:
		hint = fmt.Sprintf("write [%q]", n.text)
	case t.Kind() == reflect.Slice && isTable(t.Elem()):
		hint = fmt.Sprintf("begin each with a row [[%s]]", path)
	}
	l.fault(n.at, path, problem, hint)
}

// given names a written value.
func given(n *node) string {
	switch n.kind {
	case kindTable:
		return "a table"
	case kindTables:
		return "a list of tables"
	case kindList:
		return "a list"
	case kindText, kindRaw:
		return "a text"
	case kindInteger, kindFloat:
		return "the number " + n.text
	case kindBool:
		return n.text
	}
	return "a date or time"
}

func (l *loader) bindStruct(path string, v reflect.Value, n *node) {
	fields := withFiles(fieldsOf(v.Type()))
	for _, child := range n.keys {
		if len(l.faults) >= maxFaults {
			return // nobody reads more, and looking for near keys is not free
		}
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == child.key })
		if i < 0 {
			l.unknown(path, child, fields)
			continue
		}
		f := fields[i]
		at := join(path, f.key)
		target := v.FieldByIndex(f.index)
		switch {
		case !f.file:
			l.bind(at, target, f, child)
		case n.child(strings.TrimSuffix(f.key, "_file")) != nil:
			plain := join(path, strings.TrimSuffix(f.key, "_file"))
			l.fault(child.keyAt, at, "and "+plain+" are both given", "keep one of them")
		default:
			l.bindSecretFile(path, at, target, f, child)
		}
	}
}

// unknown reports a key that no field has, with the key that was meant: a
// near one here, or the same one elsewhere.
func (l *loader) unknown(path string, n *node, fields []field) {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.key
	}
	key := join(path, n.key)
	if best, ok := nearest(n.key, names); ok {
		l.misspelt(n, key, join(path, best))
		return
	}
	for _, known := range schemaPaths(l.root, "", 0) {
		if strings.HasSuffix(known, "."+n.key) || known == n.key {
			l.misspelt(n, key, known)
			return
		}
	}
	slices.Sort(names)
	if path == "" {
		l.fault(n.keyAt, key, "unknown key", "known are "+strings.Join(names, ", "))
		return
	}
	l.fault(n.keyAt, key, "unknown key", "known in ["+path+"] are "+strings.Join(names, ", "))
}

func (l *loader) misspelt(n *node, key, meant string) {
	f := n.keyAt.fault(key, "unknown key", fmt.Sprintf("did you mean %q?", meant))
	f.meant = meant
	l.report(f)
}

// maxDepth bounds walks over types, which may contain themselves.
const maxDepth = 12

// schemaPaths lists the dotted keys that a type can have, NAME for any name.
func schemaPaths(t reflect.Type, path string, depth int) []string {
	if t.Kind() == reflect.Pointer && !readsText(t) {
		t = t.Elem()
	}
	switch {
	case depth > maxDepth:
		return nil
	case t.Kind() == reflect.Map:
		return schemaPaths(t.Elem(), join(path, "NAME"), depth+1)
	case t.Kind() == reflect.Slice && isTable(t.Elem()):
		return schemaPaths(t.Elem(), path, depth+1)
	case !isTable(t):
		return []string{path}
	}
	var paths []string
	for _, f := range fieldsOf(t) {
		paths = append(paths, schemaPaths(t.FieldByIndex(f.index).Type, join(path, f.key), depth+1)...)
	}
	return paths
}

func (l *loader) bindMap(path string, v reflect.Value, f field, n *node) {
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for _, child := range n.keys {
		key := reflect.ValueOf(child.key).Convert(v.Type().Key())
		element := reflect.New(v.Type().Elem()).Elem()
		if old := v.MapIndex(key); old.IsValid() {
			element.Set(old)
		} else {
			setDefaults(element, child.key)
		}
		l.bind(join(path, child.key), element, f, child)
		v.SetMapIndex(key, element)
	}
}

// setDefaults lets a new element fill itself, also behind a pointer.
func setDefaults(v reflect.Value, name string) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if d, ok := v.Addr().Interface().(Defaulter); ok {
		d.SetDefaults(name)
	}
}

func (l *loader) bindList(path string, v reflect.Value, f field, n *node) {
	list := reflect.Zero(v.Type()) // an empty list is nil, as in a struct that was never set
	for i, item := range n.items {
		element := reflect.New(v.Type().Elem()).Elem()
		setDefaults(element, "")
		l.bind(fmt.Sprintf("%s[%d]", path, i), element, f, item)
		list = reflect.Append(list, element)
	}
	v.Set(list)
}
