package config

import (
	"fmt"
	"reflect"
	"slices"
)

// maxConfig bounds the configuration file. Ours have some tens of KiB; the
// library's search for keys given twice is quadratic, at 1 MiB it takes 20 s.
const maxConfig = 256 << 10

// Options says where the settings come from.
type Options struct {
	Path   string   // the file; "" means none
	Sets   []string // "section.key=value", in the order given
	Env    []string // as os.Environ gives it; nil means none
	Prefix string   // of the variables, without its '_': "FAIRLEAD"
	Ignore []string // whole names of variables with the prefix that are no keys

	// Origin, if set, is told for each key that was given where it was given
	// last: "fairlead.toml:3:7", a variable, "--set …". Keys that it does not
	// hear of have their default. It is called after all layers are read.
	Origin func(key, where string)
}

// Load puts the file, the environment and the arguments over what dst, a
// pointer to a struct, holds. The error is of type Faults and holds all that
// is wrong; dst is then partly changed and must not be used. A missing file is
// a fault. Load reads files and nothing else.
func Load(dst any, o Options) error {
	v := structOf(dst)
	l := newLoader(v.Type(), readSecret)
	complete := true
	if o.Path != "" {
		complete = l.file(v, o.Path)
	}
	l.environment(v, o)
	for _, argument := range o.Sets {
		l.set(v, argument)
	}
	if complete {
		l.validate(v, o.Path)
	}
	if o.Origin != nil {
		for key, at := range l.origins {
			o.Origin(key, at.String())
		}
	}
	if len(l.faults) == 0 {
		return nil
	}
	sortFaults(l.faults)
	return Faults(l.faults)
}

// structOf panics for anything but a pointer to a struct: only a programmer
// can be wrong here.
func structOf(dst any) reflect.Value {
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("config: want a pointer to a struct, not %T", dst))
	}
	return v.Elem()
}

// file reads and binds the file; false when it could not be read to its end,
// so that what is missing need not be the user's omission.
func (l *loader) file(v reflect.Value, path string) bool {
	text, err := readFile(path, maxConfig)
	if err != nil {
		l.fault(place{source: path}, "", err.Error(), "")
		return false
	}
	root, faults, readable := parse(path, layerFile, text)
	l.bindStruct("", v, root)
	for _, f := range faults {
		sameRow := func(other Fault) bool { return other.layer == layerFile && other.row == f.row }
		if f.Key != "" || !slices.ContainsFunc(l.faults, sameRow) {
			l.report(f) // else bind has said it of the key, and better
		}
	}
	return readable
}
