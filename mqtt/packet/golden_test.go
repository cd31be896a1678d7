package packet

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// golden is one case of testdata/*.txt. testdata/README.md explains the files.
type golden struct {
	name    string // "file: case"
	version Version
	bytes   []byte
	want    string // the meaning, empty for a bad case
	writes  []byte // what Append makes of it
	code    ReasonCode
	clause  string
}

// goldens reads all files.
func goldens(t testing.TB) []golden {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	var all []golden
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split(string(text), "\n\n") {
			gs, err := parseGolden(filepath.Base(file), part)
			if err != nil {
				t.Fatalf("%s: %v in:\n%s", file, err, part)
			}
			all = append(all, gs...)
		}
	}
	return all
}

// parseGolden reads one case: one golden for each version it names.
func parseGolden(file, part string) ([]golden, error) {
	g, versions := golden{}, []Version(nil)
	for _, line := range strings.Split(strings.TrimSpace(part), "\n") {
		key, value, _ := strings.Cut(line, ": ")
		var err error
		switch {
		case line == "" || line[0] == '#':
		case key == "case":
			g.name = file + ": " + value
		case key == "version":
			versions, err = parseVersions(value)
		case key == "bytes":
			g.bytes, err = parseBytes(value)
			g.writes = g.bytes
		case key == "want":
			g.want = value
		case key == "writes":
			g.writes, err = parseBytes(value)
		case key == "error":
			err = g.parseError(value)
		default:
			err = fmt.Errorf("unknown line %q", line)
		}
		if err != nil {
			return nil, err
		}
	}
	if g.name == "" && versions == nil {
		return nil, nil // only comments
	}
	if g.name == "" || versions == nil || (g.want == "") == (g.clause == "") {
		return nil, errors.New("incomplete case")
	}
	var all []golden
	for _, v := range versions {
		one := g
		one.version, one.name = v, g.name+" ("+v.String()+")"
		all = append(all, one)
	}
	return all, nil
}

func (g *golden) parseError(s string) error {
	code, clause, ok := strings.Cut(s, " ")
	n, err := strconv.ParseUint(code, 16, 8)
	if err != nil || !ok {
		return fmt.Errorf("error line %q is not a code and a clause", s)
	}
	g.code, g.clause = ReasonCode(n), clause
	return nil
}

func parseVersions(s string) ([]Version, error) {
	var vs []Version
	for _, f := range strings.Fields(s) {
		v, ok := map[string]Version{"3.1": V31, "3.1.1": V311, "5": V5}[f]
		if !ok {
			return nil, fmt.Errorf("unknown version %q", f)
		}
		vs = append(vs, v)
	}
	return vs, nil
}

// parseBytes reads hex digits, "text" in quotes, and hex*count for repetitions.
func parseBytes(s string) ([]byte, error) {
	var out []byte
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		if s[0] == '"' {
			text, rest, ok := strings.Cut(s[1:], `"`)
			if !ok {
				return nil, fmt.Errorf("open quote before %q", s)
			}
			out, s = append(out, text...), rest
			continue
		}
		word, rest, _ := strings.Cut(s, " ")
		digits, times, repeated := strings.Cut(word, "*")
		b, err := hex.DecodeString(digits)
		if err != nil {
			return nil, err
		}
		n := 1
		if repeated {
			if n, err = strconv.Atoi(times); err != nil {
				return nil, err
			}
		}
		out, s = append(out, bytes.Repeat(b, n)...), rest
	}
	return out, nil
}

// decodeOne reads the packet at the start of b; n is 0 if it is not whole.
func decodeOne(v Version, b []byte) (p Packet, n int, err error) {
	f, n, err := Next(b, 0)
	if err != nil || n == 0 {
		return nil, 0, err
	}
	p = New(f.Type)
	return p, n, p.Decode(v, f.Header, f.Body)
}

func TestGolden(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.name, func(t *testing.T) {
			p, n, err := decodeOne(g.version, g.bytes)
			if g.clause != "" {
				checkError(t, g, n, err)
				return
			}
			if err != nil || n != len(g.bytes) {
				t.Fatalf("read %d of %d bytes: %v", n, len(g.bytes), err)
			}
			if got := describe(p); got != g.want {
				t.Errorf("means\n%s, want\n%s", got, g.want)
			}
			got := p.Append(nil, g.version)
			if !bytes.Equal(got, g.writes) {
				t.Errorf("writes\n% x, want\n% x", got, g.writes)
			}
			if p.Size(g.version) != len(got) {
				t.Errorf("Size %d, wrote %d", p.Size(g.version), len(got))
			}
		})
	}
}

func checkError(t *testing.T, g golden, n int, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v after %d bytes, want code %x", err, n, byte(g.code))
	}
	if e.Code != g.code || e.Clause != g.clause {
		t.Errorf("error %x %s (%s), want %x %s", byte(e.Code), e.Clause, e.Msg, byte(g.code), g.clause)
	}
}

// Every packet type and every property stands in a good case, and every clause that an error names in a bad one.
func TestGoldenIsComplete(t *testing.T) {
	types, props, clauses := map[Type]bool{}, PropertySet(0), map[string]bool{}
	for _, g := range goldens(t) {
		if g.clause != "" {
			clauses[g.clause] = true
			continue
		}
		types[Type(g.bytes[0]>>4)] = true
		for id := range propLast + 1 {
			if strings.Contains(g.want, id.String()+"=") {
				props |= 1 << id
			}
		}
	}
	for ty := TypeConnect; ty <= TypeAuth; ty++ {
		if !types[ty] {
			t.Errorf("no good case of %s", ty)
		}
	}
	for id := range propLast + 1 {
		if propTypes[id] != noType && !props.Has(id) {
			t.Errorf("no good case with %s", id)
		}
	}
	for _, c := range namedClauses(t) {
		if !clauses[c] {
			t.Errorf("no bad case of clause %s", c)
		}
	}
}

// namedClauses finds the clauses that error.go names, but those of faults that are not in the bytes alone: a maximum
// that the caller gives, and what only Validate finds.
func namedClauses(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("error.go")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	pattern := regexp.MustCompile(`err[A-Z]\w* += (?:malformed\(|protocol\(|&Error\{Reason\w+, )"([^"]+)"`)
	for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
		if m[1] != errTooLarge.Clause && m[1] != errFieldLong.Clause && m[1] != errUserList.Clause {
			all = append(all, m[1])
		}
	}
	if len(all) < 40 {
		t.Fatalf("found only %d clauses in error.go", len(all))
	}
	return all
}

// TestGoldenSplit cuts the stream of all good packets of a version at every byte: each packet comes out whole, once,
// as soon as its last byte is there, and not before.
func TestGoldenSplit(t *testing.T) {
	for _, v := range []Version{V31, V311, V5} {
		var stream []byte
		want := map[int]string{} // by where the packet ends
		for _, g := range goldens(t) {
			if g.clause == "" && g.version == v && len(g.bytes) < 1000 {
				stream = append(stream, g.bytes...)
				want[len(stream)] = g.want
			}
		}
		start, seen := 0, 0
		for end := 1; end <= len(stream); end++ {
			p, n, err := decodeOne(v, stream[start:end])
			if err != nil {
				t.Fatalf("version %s, bytes %d to %d: %v", v, start, end, err)
			}
			meaning, due := want[end]
			if (n != 0) != due {
				t.Fatalf("version %s, bytes %d to %d: packet of %d bytes, due: %t", v, start, end, n, due)
			}
			if !due {
				continue
			}
			if start+n != end || describe(p) != meaning {
				t.Errorf("version %s, bytes %d to %d: %s, want %s", v, start, end, describe(p), meaning)
			}
			start, seen = end, seen+1
		}
		if seen != len(want) {
			t.Errorf("version %s: %d packets, want %d", v, seen, len(want))
		}
	}
}
