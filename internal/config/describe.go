package config

import (
	"encoding"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Key is one setting as Describe lists it.
type Key struct {
	Path   string // dotted, as --set takes it
	Env    string // the variable without the prefix and its '_'
	Kind   string // what is wanted: "a text", "a whole number", …
	Value  string // as it would stand in the file; of a secret only whether it is set
	Doc    string // the doc tag
	Secret bool   // Value tells nothing
}

// Describe lists every setting of src, a pointer to a struct, with its present
// value, in the order of the struct.
func Describe(src any) []Key {
	var keys []Key
	walk("", structOf(src), field{}, func(path string, v reflect.Value, f field) {
		if t := v.Type(); isTable(t) || t.Kind() == reflect.Slice && isTable(t.Elem()) {
			return
		}
		k := Key{Path: path, Env: variable(path), Kind: wanted(v.Type(), f), Doc: f.doc, Secret: f.secret}
		switch {
		case !f.secret:
			k.Value = literal(v, f)
		case !v.IsZero():
			k.Value = "(set)"
		default:
			k.Value = "(not set)"
		}
		keys = append(keys, k)
	})
	return keys
}

// literal writes a value as it stands in a file. v is no table.
func literal(v reflect.Value, f field) string {
	t := v.Type()
	switch {
	case isDuration(t):
		return quoteTOML(formatDuration(time.Duration(v.Int())))
	case readsText(t):
		return quoteTOML(ownText(v))
	}
	switch t.Kind() {
	case reflect.Pointer:
		return literal(v.Elem(), f)
	case reflect.String:
		return quoteTOML(v.String())
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Float32, reflect.Float64:
		return formatFloat(v.Float(), t.Bits())
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = literal(v.Index(i), f)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	if v.CanUint() {
		return strconv.FormatUint(v.Uint(), 10)
	}
	if text, exact := formatSize(v.Int()); f.bytes && exact {
		return quoteTOML(text)
	}
	return strconv.FormatInt(v.Int(), 10)
}

func ownText(v reflect.Value) string {
	if m, ok := addressable(v).Addr().Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		switch {
		case err == nil && v.Type() == reflect.TypeFor[slog.Level]():
			return strings.ToLower(string(text)) // as all other words of the file
		case err == nil:
			return string(text)
		}
	}
	return ""
}

// formatFloat keeps the point that makes a TOML float of it.
func formatFloat(x float64, bits int) string {
	text := strconv.FormatFloat(x, 'g', -1, bits)
	if !strings.ContainsAny(text, ".en") {
		text += ".0"
	}
	return text
}

// quoteTOML writes a basic string; TOML knows fewer escapes than Go.
func quoteTOML(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(text, "\ufffd") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r == 0x7f:
			b.WriteString(`\u00`)
			b.WriteString(strconv.FormatInt(int64(r)+0x100, 16)[1:])
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
