package core

import (
	"fmt"
	"strings"
	"testing"
)

// Whatever a destination is, its pieces are all of it, and rewriting does not fail but
// by a value that may not stand there.
func FuzzRewriteDestination(f *testing.F) {
	for _, s := range []string{"a/$1/%c", "$delayed/5/$1", "%%c$", "$12$999$", "%u%x$$1", ""} {
		f.Add(s, "x/y")
	}
	f.Fuzz(func(t *testing.T, dest, name string) {
		back := ""
		for _, p := range parseDest(dest) {
			switch p.kind {
			case 0:
				back += p.text
			case '$':
				back += fmt.Sprint("$", p.group)
			default:
				back += "%" + string(p.kind)
			}
		}
		if back != dest && !strings.Contains(dest, "$0") { // leading zeros
			t.Fatalf("%q was read as %q", dest, back)
		}
		r := RewriteRule{Action: rewriteAll, Source: "#", Re: "^(.)(.*)$", Dest: dest}
		c, err := r.compile()
		if err != nil {
			return
		}
		to, fault := c.apply(name, &placer{id: "c1", user: "u1"})
		if fault != "" {
			t.Fatalf("%q with %q: %s", name, dest, fault)
		}
		if strings.Contains(to, "%c") && !strings.Contains(name+dest, "%") {
			t.Fatalf("%q became %q", dest, to)
		}
	})
}
