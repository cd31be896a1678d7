package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

func (l *loader) bindScalar(path string, v reflect.Value, f field, n *node) {
	problem, hint := l.setScalar(v, f, n)
	switch {
	case problem == "":
	case f.secret && !f.file:
		l.fault(n.at, path, "must be "+wanted(v.Type(), f), "") // and not a word of what it holds
	default:
		l.fault(n.at, path, problem, hint)
	}
}

// setScalar sets v, or says what is wrong with n.
func (l *loader) setScalar(v reflect.Value, f field, n *node) (problem, hint string) {
	t := v.Type()
	switch {
	case isDuration(t):
		return setDuration(v, f, n)
	case readsText(t):
		return setOwnText(v, f, n)
	}
	switch t.Kind() {
	case reflect.String:
		return setText(v, f, n)
	case reflect.Bool:
		return setBool(v, f, n)
	case reflect.Float32, reflect.Float64:
		return setFloat(v, f, n)
	}
	return setInteger(v, f, n)
}

func wrongKind(v reflect.Value, f field, n *node) string {
	if n.kind == kindRaw {
		return quote(n.text) + " is not " + wanted(v.Type(), f)
	}
	return "must be " + wanted(v.Type(), f) + ", not " + given(n)
}

func setText(v reflect.Value, f field, n *node) (problem, hint string) {
	switch {
	case n.kind == kindText:
	case n.kind != kindRaw:
		if f.oneOf == nil && (n.kind == kindInteger || n.kind == kindFloat || n.kind == kindBool) {
			hint = fmt.Sprintf("write %q, with quotes", n.text)
		}
		return wrongKind(v, f, n), hint
	case !utf8.ValidString(n.text):
		return "is not UTF-8", ""
	}
	if f.oneOf != nil && !slices.Contains(f.oneOf, n.text) {
		if best, ok := nearest(n.text, f.oneOf); ok {
			hint = fmt.Sprintf("did you mean %q?", best)
		}
		return quote(n.text) + " is not " + wanted(v.Type(), f), hint
	}
	v.SetString(n.text)
	return "", ""
}

func setBool(v reflect.Value, f field, n *node) (problem, hint string) {
	if n.kind == kindBool || n.kind == kindRaw {
		switch n.text {
		case "true", "false":
			v.SetBool(n.text == "true")
			return "", ""
		}
	}
	if n.kind == kindText {
		hint = "write true or false without quotes"
	}
	return wrongKind(v, f, n), hint
}

func setFloat(v reflect.Value, f field, n *node) (problem, hint string) {
	if n.kind != kindFloat && n.kind != kindInteger && n.kind != kindRaw {
		return wrongKind(v, f, n), ""
	}
	x, err := strconv.ParseFloat(strings.ReplaceAll(n.text, "_", ""), v.Type().Bits())
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return wrongKind(v, f, n), ""
	}
	v.SetFloat(x)
	return "", ""
}

func setDuration(v reflect.Value, f field, n *node) (problem, hint string) {
	switch n.kind {
	case kindText, kindRaw:
	case kindInteger, kindFloat:
		return "must be " + wanted(v.Type(), f) + ", not the number " + n.text, `say the unit, such as "` + n.text + `s"`
	default:
		return wrongKind(v, f, n), ""
	}
	d, err := parseDuration(n.text)
	if err != nil {
		return quote(n.text) + " " + err.Error(), ""
	}
	v.SetInt(int64(d))
	return "", ""
}

func setInteger(v reflect.Value, f field, n *node) (problem, hint string) {
	number, problem, hint := readInteger(v, f, n)
	if problem != "" {
		return problem, hint
	}
	if v.CanUint() {
		if number < 0 || v.OverflowUint(uint64(number)) {
			return n.text + " is not between 0 and " + strconv.FormatUint(math.MaxUint64>>(64-v.Type().Bits()), 10), ""
		}
		v.SetUint(uint64(number))
		return "", ""
	}
	if v.OverflowInt(number) {
		most := int64(math.MaxInt64 >> (64 - v.Type().Bits()))
		return fmt.Sprintf("%s is not between %d and %d", n.text, -most-1, most), ""
	}
	v.SetInt(number)
	return "", ""
}

func readInteger(v reflect.Value, f field, n *node) (number int64, problem, hint string) {
	switch {
	case n.kind == kindInteger || n.kind == kindRaw && !f.bytes:
		number, err := strconv.ParseInt(n.text, 0, 64) // 0x, 0o, 0b and '_' as in TOML
		switch {
		case errors.Is(err, strconv.ErrRange):
			return 0, n.text + " is too large", ""
		case err != nil:
			return 0, wrongKind(v, f, n), ""
		}
		return number, "", ""
	case f.bytes && (n.kind == kindText || n.kind == kindRaw):
		number, err := parseSize(n.text)
		if err != nil {
			return 0, quote(n.text) + " " + err.Error(), ""
		}
		return number, "", ""
	case n.kind == kindText:
		if _, err := strconv.ParseInt(n.text, 10, 64); err == nil {
			hint = "write " + n.text + " without quotes"
		}
	}
	return 0, wrongKind(v, f, n), hint
}

// setOwnText asks the type itself; for the common ones the fault is worded
// here, as theirs speak of Go.
func setOwnText(v reflect.Value, f field, n *node) (problem, hint string) {
	if n.kind != kindText && n.kind != kindRaw {
		return wrongKind(v, f, n), ""
	}
	fresh := reflect.New(v.Type())
	if v.Kind() == reflect.Pointer {
		fresh.Elem().Set(reflect.New(v.Type().Elem()))
	}
	err := fresh.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text))
	if err == nil {
		v.Set(fresh.Elem())
		return "", ""
	}
	switch fresh.Interface().(type) {
	case *netip.Addr:
		return quote(n.text) + " is not an IP address", `write "192.0.2.1" or "2001:db8::1"`
	case *netip.AddrPort:
		return quote(n.text) + " is not an IP address with a port", `write "192.0.2.1:1883" or "[2001:db8::1]:1883"`
	case *netip.Prefix:
		return quote(n.text) + " is not a network", `write "192.0.2.0/24"`
	case *time.Time:
		return quote(n.text) + " is not a date and time", `write "2006-01-02T15:04:05Z"`
	}
	if v.Type().PkgPath() == "log/slog" {
		return quote(n.text) + " is not a log level", "write debug, info, warn or error"
	}
	return quote(n.text) + ": " + err.Error(), ""
}
