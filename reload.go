package fairlead

import (
	"errors"
	"slices"

	"github.com/fairlead-iot/fairlead/internal/config"
)

// Reloaded says what a Reload did.
type Reloaded struct {
	Done []string // what was read anew: "users", "access rules", …
	// Restart are the dotted keys whose new values need a restart.
	Restart []string
}

// Reload reads users, access rules, administrators and certificates anew, from
// the files that the gateway was started with. Whatever is faulty stays as it
// was; the error tells all of it. next is the configuration as it is now: what
// differs from the running one is listed and takes effect with a restart only.
func (g *Gateway) Reload(next Config) (Reloaded, error) {
	var r Reloaded
	var errs []error
	try := func(what string, do func() error) {
		if err := do(); err != nil {
			errs = append(errs, err)
			return
		}
		r.Done = append(r.Done, what)
	}
	if g.users != nil {
		try("users", g.users.Reload)
	}
	for _, s := range g.sources {
		if keys, ok := s.(interface{ Reload() error }); ok {
			try("keys of tokens", keys.Reload)
		}
	}
	if g.cfg.Auth.ACLFile != "" {
		try("access rules", g.rules.Reload)
	}
	g.mu.Lock()
	p := g.parts
	g.mu.Unlock()
	if p != nil {
		p.reload(try)
	}
	r.Restart = g.differences(next)
	return r, errors.Join(errs...)
}

// differences lists the keys in which next differs from what runs.
func (g *Gateway) differences(next Config) []string {
	next.Node.DataDir = absolute(next.Node.DataDir)
	running := map[string]string{}
	for _, k := range config.Describe(&g.cfg) {
		running[k.Path] = k.Value
	}
	var keys []string
	for _, k := range config.Describe(&next) {
		if v, ok := running[k.Path]; !ok || v != k.Value {
			keys = append(keys, k.Path)
		}
		delete(running, k.Path)
	}
	for path := range running {
		keys = append(keys, path)
	}
	slices.Sort(keys)
	return keys
}
