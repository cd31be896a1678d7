package fairlead

import "runtime/debug"

// Build says what this program was built from.
type Build struct {
	Version string // "v1.2.3", or "devel" for a build from a working copy
	Commit  string // "" if unknown
	Changed bool   // the working copy had changes
}

// Version reads what the Go tool wrote into the program.
func Version() Build {
	b := Build{Version: "devel"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == mainModule && m.Version != "" && m.Version != "(devel)" {
			b.Version = m.Version
		}
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Changed = s.Value == "true"
		}
	}
	return b
}

const mainModule = "github.com/fairlead-iot/fairlead"

// String is the version for people and for $SYS.
func (b Build) String() string { return b.Version }
