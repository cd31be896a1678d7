package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// validator is a struct that can judge its own values.
type validator interface {
	Validate() error
}

// Validate asks src, a pointer to a struct, and every struct inside that has
// Validate() error, and returns all their faults as Faults, each with the
// path of its section. For those who fill the struct without Load.
func Validate(src any) error {
	v := structOf(src)
	l := newLoader(v.Type(), nil)
	l.validate(v, "")
	if len(l.faults) == 0 {
		return nil
	}
	return Faults(l.faults)
}

func (l *loader) validate(v reflect.Value, file string) {
	walk("", v, field{}, func(path string, v reflect.Value, _ field) {
		if v.Kind() != reflect.Struct {
			return
		}
		if judge, ok := addressable(v).Addr().Interface().(validator); ok {
			for _, fault := range flatten(judge.Validate()) {
				l.invalid(path, file, fault)
			}
		}
	})
}

// told: the user hears of the key already, and what Validate sees is not what
// the user has written.
func (l *loader) told(key string) bool {
	return slices.ContainsFunc(l.faults, func(f Fault) bool {
		return f.layer != layerValidate && key != "" && (f.Key == key || f.meant == key)
	})
}

// invalid places a fault at the key that it begins with, or else at its
// section, if either was given somewhere.
func (l *loader) invalid(section, file string, err error) {
	key, rest := section, err.Error()
	if name, after, ok := cutKey(rest); ok {
		key, rest = name, after
		if section != "" {
			key = section + "." + name
		}
	}
	if l.told(key) {
		return
	}
	at, given := l.origins[key]
	if !given {
		at, given = l.headers[section]
	}
	if !given {
		at = place{source: file}
	}
	at.layer = layerValidate
	l.fault(at, key, rest, "")
}

// cutKey takes "key: what is wrong" or "key = value: what is wrong" apart.
func cutKey(text string) (key, rest string, ok bool) {
	key, rest, ok = strings.Cut(text, ": ")
	if !ok {
		return "", "", false
	}
	if name, value, given := strings.Cut(key, " = "); given {
		key, rest = name, value+": "+rest
	}
	for _, part := range strings.Split(key, ".") {
		if !bareKey(part) {
			return "", "", false
		}
	}
	return key, rest, true
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	switch e := err.(type) {
	case nil:
		return nil
	case interface{ Unwrap() []error }:
		var all []error
		for _, inner := range e.Unwrap() {
			all = append(all, flatten(inner)...)
		}
		return all
	}
	return []error{err}
}

// walk visits every value below v, children before parents, with its dotted
// key; names in maps in their order.
func walk(path string, v reflect.Value, f field, visit func(path string, v reflect.Value, f field)) {
	t := v.Type()
	switch {
	case t.Kind() == reflect.Pointer && !readsText(t):
		if !v.IsNil() {
			walk(path, v.Elem(), f, visit)
		}
		return
	case t.Kind() == reflect.Struct && isTable(t):
		v = addressable(v)
		for _, f := range fieldsOf(t) {
			walk(join(path, f.key), v.FieldByIndex(f.index), f, visit)
		}
	case t.Kind() == reflect.Map && isTable(t):
		for _, key := range sortedKeys(v) {
			walk(join(path, key.String()), v.MapIndex(key), f, visit)
		}
	case t.Kind() == reflect.Slice && isTable(t.Elem()):
		for i := range v.Len() {
			walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i), f, visit)
		}
	}
	visit(path, v, f)
}

func sortedKeys(m reflect.Value) []reflect.Value {
	keys := m.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

// addressable copies a value that has no address, such as a map's element, so
// that methods of its pointer can be called.
func addressable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return v
	}
	fresh := reflect.New(v.Type()).Elem()
	fresh.Set(v)
	return fresh
}
