package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// expand turns the text of a variable or --set into the list or table that is
// wanted: TOML, or for a list of scalars also "a,b". Nil after a fault.
func (l *loader) expand(path string, f field, t reflect.Type, n *node) *node {
	if n.kind != kindRaw {
		return n
	}
	text := strings.TrimSpace(n.text)
	if t.Kind() == reflect.Slice && !strings.HasPrefix(text, "[") {
		return splitList(n, text)
	}
	value, ok := inline(n.at, text)
	if !ok {
		problem := quote(n.text) + " is not " + wanted(t, f)
		if f.secret {
			problem = "must be " + wanted(t, f)
		}
		l.fault(n.at, path, problem, `write it as in the file: ["a", "b"] or {key = "value"}`)
		return nil
	}
	return value
}

func splitList(n *node, text string) *node {
	list := &node{key: n.key, kind: kindList, keyAt: n.keyAt, at: n.at}
	if text == "" {
		return list
	}
	for part := range strings.SplitSeq(text, ",") {
		list.items = append(list.items, &node{kind: kindRaw, text: strings.TrimSpace(part), keyAt: n.at, at: n.at})
	}
	return list
}

// inline reads one TOML value that stands alone.
func inline(at place, text string) (*node, bool) {
	root, faults, readable := parse(at.source, at.layer, []byte("v = "+text))
	if !readable || len(faults) > 0 || len(root.keys) != 1 || root.keys[0].key != "v" {
		return nil, false
	}
	value := root.keys[0]
	relocate(value, at)
	return value, true
}

// relocate gives a value from a variable or argument that one's place.
func relocate(n *node, at place) {
	n.keyAt, n.at = at, at
	for _, c := range slices.Concat(n.keys, n.items) {
		relocate(c, at)
	}
}

// nest wraps a value into the tables of its key, so that bind walks to it as
// it does in a file.
func nest(parts []string, value *node) *node {
	root := &node{kind: kindTable, keyAt: value.keyAt, at: value.at}
	table := root
	for _, part := range parts[:len(parts)-1] {
		next := &node{key: part, kind: kindTable, keyAt: value.keyAt, at: value.at}
		table.add(next)
		table = next
	}
	value.key = parts[len(parts)-1]
	table.add(value)
	return root
}

// set applies one --set argument.
func (l *loader) set(v reflect.Value, argument string) {
	key, text, found := strings.Cut(argument, "=")
	key = strings.TrimSpace(key)
	at := place{layer: layerSet, source: "--set " + key}
	if !found {
		l.fault(at, "", "has no value", "write --set section.key=value")
		return
	}
	parts, ok := keyParts(key)
	if !ok {
		l.fault(at, "", "is not a key", "write --set section.key=value")
		return
	}
	l.bindStruct("", v, nest(parts, &node{kind: kindRaw, text: text, keyAt: at, at: at}))
}

// keyParts splits a dotted key as TOML does, quoted parts included.
func keyParts(key string) ([]string, bool) {
	if strings.ContainsAny(key, "#\n\r") {
		return nil, false
	}
	var p unstable.Parser
	p.Reset([]byte(key + " = 0"))
	if !p.NextExpression() || p.Expression().Kind != unstable.KeyValue {
		return nil, false
	}
	var parts []string
	for it := p.Expression().Key(); it.Next(); {
		parts = append(parts, string(it.Node().Data))
	}
	return parts, true
}

// environment applies the variables that begin with the prefix.
func (l *loader) environment(v reflect.Value, o Options) {
	vars := slices.Clone(o.Env)
	slices.Sort(vars) // the order of faults is the same in every run
	for _, pair := range vars {
		name, text, found := strings.Cut(pair, "=")
		rest, ours := strings.CutPrefix(name, o.Prefix+"_")
		if !found || !ours || o.Prefix == "" || reserved(rest) || slices.Contains(o.Ignore, name) {
			continue
		}
		at := place{layer: layerEnv, source: name}
		parts := resolve(v, rest)
		switch {
		case parts != nil:
			l.bindStruct("", v, nest(parts, &node{kind: kindRaw, text: text, keyAt: at, at: at}))
		case !fromKubernetes(rest, text):
			l.unknownVariable(v, at, name, o.Prefix)
		}
	}
}

// reserved names belong to the tests of this repository.
func reserved(rest string) bool {
	return rest == "REQUIRE" || strings.HasPrefix(rest, "TEST_")
}

// fromKubernetes: for every service, Kubernetes gives each pod variables that
// begin with the service's name. A service named like us must not stop us.
func fromKubernetes(rest, text string) bool {
	switch {
	case strings.HasSuffix(rest, "SERVICE_HOST"), strings.Contains(rest, "SERVICE_PORT"):
		return true
	case strings.HasSuffix(rest, "PORT"):
		return strings.HasPrefix(text, "tcp://") || strings.HasPrefix(text, "udp://")
	}
	return strings.Contains(rest, "PORT_") && (strings.Contains(rest, "_TCP") || strings.Contains(rest, "_UDP"))
}

func (l *loader) unknownVariable(v reflect.Value, at place, name, prefix string) {
	known := schemaPaths(v.Type(), "", 0)
	for _, k := range Describe(v.Addr().Interface()) {
		known = append(known, k.Path)
	}
	for i, path := range known {
		known[i] = prefix + "_" + variable(path)
	}
	hint := "every variable that begins with " + prefix + "_ names a key of the file"
	if best, ok := nearest(name, known); ok {
		hint = fmt.Sprintf("did you mean %s?", best)
	}
	l.fault(at, "", "no key has this name", hint)
}

// variable is the part of a variable's name that stands for a dotted key.
func variable(path string) string {
	return strings.ToUpper(strings.NewReplacer(".", "_", "-", "_", `"`, "").Replace(path))
}

// resolve finds the key that a variable's name stands for, nil if none does.
// '_' both parts and joins words, so every way to part them is tried.
func resolve(v reflect.Value, rest string) []string {
	if v.Kind() == reflect.Pointer && !readsText(v.Type()) {
		if v.IsNil() {
			v = reflect.New(v.Type().Elem())
		}
		v = v.Elem()
	}
	switch {
	case !isTable(v.Type()):
		return nil
	case v.Kind() == reflect.Map:
		return resolveName(v, rest)
	}
	for _, f := range withFiles(fieldsOf(v.Type())) {
		if variable(f.key) == rest {
			return []string{f.key}
		}
	}
	for _, f := range fieldsOf(v.Type()) {
		if below, ok := strings.CutPrefix(rest, variable(f.key)+"_"); ok {
			if parts := resolve(v.FieldByIndex(f.index), below); parts != nil {
				return append([]string{f.key}, parts...)
			}
		}
	}
	return nil
}

// resolveName parts a name in a table of tables from the key below it: a name
// that exists wins, else the shortest new name, in lower case.
func resolveName(v reflect.Value, rest string) []string {
	var names []string
	for _, key := range v.MapKeys() {
		names = append(names, key.String())
	}
	slices.Sort(names)
	for _, name := range names {
		if variable(name) == rest && !isTable(v.Type().Elem()) {
			return []string{name}
		}
		if below, ok := strings.CutPrefix(rest, variable(name)+"_"); ok {
			if parts := resolve(v.MapIndex(reflect.ValueOf(name).Convert(v.Type().Key())), below); parts != nil {
				return append([]string{name}, parts...)
			}
		}
	}
	fresh := reflect.New(v.Type().Elem()).Elem()
	if !isTable(fresh.Type()) && fresh.Kind() != reflect.Pointer {
		return []string{strings.ToLower(rest)}
	}
	for i := 1; i < len(rest); i++ {
		if rest[i] != '_' {
			continue
		}
		if parts := resolve(fresh, rest[i+1:]); parts != nil {
			return append([]string{strings.ToLower(rest[:i])}, parts...)
		}
	}
	return nil
}
