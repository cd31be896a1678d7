package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzLoad reads any file, variable and argument: no panic, every fault in one
// line, and what was taken can be written and is read back equal.
func FuzzLoad(f *testing.F) {
	f.Add(goodFile, "CORE_MAX_QUEUED=5", "core.load=0.5")
	f.Add("[[sources]]\nkind='x'\n[[sources]]\n[sources.x]\na.b.c={d=[1,{}]}", "LISTENERS_A_B_ADDRESS=1", `labels."a b"={}`)
	f.Add("listeners.a.b.c = 1\n[listeners.a]\n[listeners]", "_=", "=")
	f.Add("node_name = \"\"\"\nx\\\n  y\"\"\"\n[labels]\n\"\" = ''", "USERS_X_PASSWORD_FILE=f", "users.x={password_file='f', groups=[]}")
	f.Fuzz(func(t *testing.T, text, variable, argument string) {
		got := defaults()
		v := structOf(got)
		l := newLoader(v.Type(), func(name string) (string, error) {
			if strings.Contains(name, "no") {
				return "", errors.New("cannot be read")
			}
			return name, nil
		})
		root, faults, _ := parse("f.toml", layerFile, []byte(text))
		l.faults = append(l.faults, faults...)
		l.bindStruct("", v, root)
		l.environment(v, Options{Env: []string{"F_" + variable}, Prefix: "F"})
		l.set(v, argument)
		l.validate(v, "f.toml")
		for _, fault := range l.faults {
			if line := fault.String(); fault.Problem == "" || strings.ContainsAny(fault.Problem, "\n\r") {
				t.Errorf("a fault is not one line: %q", line)
			}
		}
		if len(l.faults) > 0 {
			return
		}
		writesBack(t, got)
	})
}

func writesBack(t *testing.T, c *gateway) {
	t.Helper()
	for name, u := range c.Users {
		c.Users[name].Password = "" // secrets are not written
		_ = u
	}
	for name, l := range c.Listeners {
		l.TLS.Password = ""
		c.Listeners[name] = l
	}
	text := Marshal(c)
	again := &gateway{}
	root, faults, ok := parse("again.toml", layerFile, text)
	l := newLoader(structOf(again).Type(), nil)
	l.bindStruct("", structOf(again), root)
	if !ok || len(faults)+len(l.faults) > 0 {
		t.Fatalf("what was written is refused: %v %v\n%s", faults, l.faults, text)
	}
	if diff := cmp.Diff(c, again, same()); diff != "" {
		t.Fatalf("%s\n%s", diff, text)
	}
}
