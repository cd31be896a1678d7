package emqximport

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fairlead-iot/fairlead/backends/rules"
)

// TOML is the sections, as they stand in our configuration file.
func (r *Result) TOML() []byte {
	var w strings.Builder
	for _, b := range r.Backends {
		for _, p := range b.Pools {
			writePool(&w, b.Name, &p)
		}
		if len(b.Identities) > 0 {
			writeSection(&w, "backends."+b.Name+".identities", b.Identities)
		}
		for _, rule := range b.Rules {
			writeRule(&w, b.Name, &rule)
		}
	}
	for _, s := range r.Sections {
		writeSection(&w, s.Name, s.Settings)
	}
	for _, t := range r.Tables {
		writeSection(&w, "["+t.Name+"]", t.Settings)
	}
	return []byte(strings.TrimPrefix(w.String(), "\n"))
}

func writePool(w *strings.Builder, backend string, p *Pool) {
	writeSection(w, "backends."+backend+".pools."+p.Name, p.Settings)
}

func writeSection(w *strings.Builder, name string, settings []Setting) {
	fmt.Fprintf(w, "\n[%s]\n", name)
	for _, s := range settings {
		fmt.Fprintf(w, "%s = %s\n", s.Key, literal(s.Value))
	}
}

// writeRule writes what differs from a rule that says nothing.
func writeRule(w *strings.Builder, backend string, r *rules.Rule) {
	fmt.Fprintf(w, "\n[[backends.%s.rules]]\n", backend)
	for _, s := range []Setting{
		{"hook", string(r.Hook)}, {"topic", r.Topic}, {"function", string(r.Function)}, {"statements", r.Statements}, {"pool", r.Pool},
		{"expiry", r.Expiry}, {"max_returned", r.MaxReturned}, {"time_range", r.TimeRange}, {"payload_format", r.Format},
	} {
		if text := literal(s.Value); text != `""` && text != "[]" && text != "0" && text != `"0s"` {
			fmt.Fprintf(w, "%s = %s\n", s.Key, text)
		}
	}
}

func literal(v any) string {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case time.Duration:
		return quote(short(v))
	case []string:
		list := make([]string, len(v))
		for i := range v {
			list[i] = quote(v[i])
		}
		return "[" + strings.Join(list, ", ") + "]"
	case string:
		return quote(v)
	}
	panic(fmt.Sprintf("emqximport: no literal of %T", v)) // only our own tables name values
}

// short is a time without parts that are zero: 2h, not 2h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// quote writes a basic string of TOML.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
