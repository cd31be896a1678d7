package packet

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// golden is one case of testdata/*.txt. testdata/README.md explains the files.
type golden struct {
	name   string
	bytes  []byte
	want   string
	writes []byte
	clause string
}

func goldens(t testing.TB) (all []golden) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
			g, err := parseGolden(part)
			if err != nil {
				t.Fatalf("%s: %v in:\n%s", file, err, part)
			}
			g.name = strings.TrimSuffix(filepath.Base(file), ".txt") + ": " + g.name
			all = append(all, g)
		}
	}
	return all
}

func parseGolden(part string) (g golden, err error) {
	for _, line := range strings.Split(part, "\n") {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "case":
			g.name = value
		case "bytes":
			g.bytes, err = parseBytes(value)
			g.writes = g.bytes
		case "want":
			g.want = value
		case "writes":
			g.writes, err = parseBytes(value)
		case "error":
			g.clause = value
		case "shows": // for conformance.md
		default:
			err = fmt.Errorf("unknown line %q", line)
		}
		if err != nil {
			return g, err
		}
	}
	if (g.want == "") == (g.clause == "") {
		return g, errors.New("neither a meaning nor an error, or both")
	}
	return g, nil
}

var word = regexp.MustCompile(`"[^"]*"|[0-9a-f]+\*\d+|[0-9a-f]+`)

func parseBytes(s string) (b []byte, err error) {
	for _, w := range word.FindAllString(s, -1) {
		if w[0] == '"' {
			b = append(b, w[1:len(w)-1]...)
			continue
		}
		digits, times, many := strings.Cut(w, "*")
		n := 1
		if many {
			n, _ = strconv.Atoi(times)
		}
		part, err := hex.DecodeString(digits)
		if err != nil {
			return nil, err
		}
		b = append(b, bytes.Repeat(part, n)...)
	}
	return b, nil
}

// describe writes what a message means.
func describe(p Packet) string {
	v := reflect.ValueOf(p).Elem()
	out := v.Type().Name()
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Name, v.Field(i).Interface()
		switch f := f.(type) {
		case []byte:
			if len(f) > 100 {
				out += fmt.Sprintf(" %s=%d bytes", name, len(f))
				continue
			}
			out += fmt.Sprintf(" %s=%q", name, f)
		default:
			out += fmt.Sprintf(" %s=%v", name, f)
		}
	}
	return out
}

func decode(b []byte) (Packet, error) {
	f, err := Parse(b)
	if err != nil {
		return nil, err
	}
	p := New(f.Type)
	if p == nil {
		return nil, fmt.Errorf("%s has no struct", f.Type)
	}
	return p, p.Decode(f)
}

func TestGolden(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.name, func(t *testing.T) {
			p, err := decode(g.bytes)
			if g.clause != "" {
				var e *Error
				if !errors.As(err, &e) || e.Clause != g.clause {
					t.Fatalf("%v, want %s", err, g.clause)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(p); got != g.want {
				t.Errorf("means\n%s, want\n%s", got, g.want)
			}
			if got := p.Append([]byte("x")); !bytes.Equal(got[1:], g.writes) {
				t.Errorf("writes % x, want % x", got[1:], g.writes)
			}
		})
	}
}

// Every type has a case, and no message is taken for one of another type.
func TestGoldenTypes(t *testing.T) {
	seen := map[Type]bool{}
	for _, g := range goldens(t) {
		f, err := Parse(g.bytes)
		if err != nil || g.clause != "" {
			continue
		}
		seen[f.Type] = true
		for other := range typeNames {
			if p := New(other); p != nil && reflect.TypeOf(p) != reflect.TypeOf(New(f.Type)) {
				if err := p.Decode(f); !errors.Is(err, errWrongType) {
					t.Errorf("%s: decoded as %s: %v", g.name, other, err)
				}
			}
		}
	}
	for ty := range typeNames {
		if ty != TypeForwarded && !seen[ty] {
			t.Errorf("%s has no golden bytes", ty)
		}
	}
}

func TestSN_5_5_1_Forwarded(t *testing.T) {
	for _, c := range []struct{ bytes, node, message, err string }{
		{bytes: `05 fe 01 0102 02 16`, node: "\x01\x02", message: "\x02\x16"},
		{bytes: `04 fe 00 07`, node: "\x07"},
		{bytes: `03 fe 00 02 16`, err: "SN-5.5-1"},
		{bytes: `09 fe 00 0102`, err: "SN-5.2.1-2"},
		{bytes: `02 16`, message: "\x02\x16"},
	} {
		b, _ := parseBytes(c.bytes)
		p, message, ok, err := SplitForwarded(b)
		var e *Error
		switch {
		case c.err != "":
			if !ok || !errors.As(err, &e) || e.Clause != c.err {
				t.Errorf("%s: %v %v, want %s", c.bytes, ok, err, c.err)
			}
		case err != nil || ok != (c.node != "") || string(p.Node) != c.node || string(message) != c.message:
			t.Errorf("%s: node %q message %q, %v %v", c.bytes, p.Node, message, ok, err)
		case ok:
			if got := append(p.Append(nil), message...); !bytes.Equal(got, b) {
				t.Errorf("%s: writes % x", c.bytes, got)
			}
		}
	}
}
