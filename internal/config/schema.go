package config

import (
	"encoding"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
)

// field is one key of a struct.
type field struct {
	key    string
	index  []int // for reflect.Value.FieldByIndex
	doc    string
	bytes  bool     // unit:"bytes"
	secret bool     // never shown
	file   bool     // the made-up key x_file of a secret x
	oneOf  []string // the only texts allowed, nil = any
}

// fieldsOf lists the keys of a struct type in the order of its fields, those
// of embedded structs in their place.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for _, f := range reflect.VisibleFields(t) {
		tag, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		if !f.IsExported() || tag == "-" || underPointer(t, f.Index) {
			continue
		}
		flat := f.Anonymous && tag == "" && f.Type.Kind() == reflect.Struct && !readsText(f.Type)
		if flat || leftOut(t, f.Index) || !settable(f.Type) {
			continue
		}
		if tag == "" {
			tag = snakeCase(f.Name)
		}
		one := field{key: tag, index: f.Index, doc: f.Tag.Get("doc"), bytes: f.Tag.Get("unit") == "bytes", secret: f.Tag.Get("secret") == "true"}
		if list := f.Tag.Get("oneof"); list != "" {
			one.oneOf = strings.Split(list, ",")
		}
		fields = append(fields, one)
	}
	return fields
}

// withFiles adds the keys x_file of secrets, for reading.
func withFiles(fields []field) []field {
	all := slices.Clone(fields)
	for _, f := range fields {
		key := f.key + "_file"
		taken := slices.ContainsFunc(fields, func(other field) bool { return other.key == key })
		if f.secret && !taken {
			all = append(all, field{key: key, index: f.index, secret: true, file: true})
		}
	}
	return all
}

// underPointer: fields promoted through an embedded pointer may not exist.
func underPointer(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		t = t.Field(i).Type
		if t.Kind() != reflect.Struct {
			return true
		}
	}
	return false
}

// leftOut: a field promoted from an embedded struct that is itself a key, or
// left out, does not lie flat.
func leftOut(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		f := t.Field(i)
		if f.Tag.Get("toml") != "" || readsText(f.Type) {
			return true
		}
		t = f.Type
	}
	return false
}

// settable tells whether a key can stand for the type at all.
func settable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.Interface, reflect.UnsafePointer, reflect.Uintptr, reflect.Complex64, reflect.Complex128:
		return false
	case reflect.Map:
		return t.Key().Kind() == reflect.String && settable(t.Elem())
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return t.Kind() != reflect.Array && settable(t.Elem()) || readsText(t)
	}
	return true
}

// readsText: the type has its own UnmarshalText.
func readsText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func isDuration(t reflect.Type) bool { return t == reflect.TypeFor[time.Duration]() }

// isTable: the type's keys are settings, or names of settings.
func isTable(t reflect.Type) bool {
	if readsText(t) {
		return false
	}
	return t.Kind() == reflect.Struct || t.Kind() == reflect.Map
}

// wanted names a type in the words of the documentation.
func wanted(t reflect.Type, f field) string {
	switch {
	case t.Kind() == reflect.Pointer && !readsText(t):
		return wanted(t.Elem(), f)
	case f.file:
		return "the name of a file"
	case isDuration(t):
		return `a duration such as "5s"`
	case readsText(t):
		return "a text"
	}
	switch t.Kind() {
	case reflect.String:
		if f.oneOf != nil {
			return "one of " + strings.Join(f.oneOf, ", ")
		}
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice:
		if isTable(t.Elem()) {
			return "a list of tables"
		}
		return "a list"
	case reflect.Struct, reflect.Map:
		return "a table"
	}
	if f.bytes {
		return `a size such as "64KiB"`
	}
	return "a whole number"
}

// snakeCase turns a field's name into a key: MaxQueued is max_queued,
// ClientIDLength is client_id_length.
func snakeCase(name string) string {
	runes := []rune(name)
	var b strings.Builder
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 {
			endOfWord := !unicode.IsUpper(runes[i-1])
			endOfLetters := i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if endOfWord || endOfLetters {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
