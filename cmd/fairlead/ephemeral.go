package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/fairlead-iot/fairlead"
	"github.com/fairlead-iot/fairlead/protocols"
)

// makeEphemeral moves a configuration to free ports of loopback and a temporary
// data directory, but for what --set says. remove takes the directory away.
func makeEphemeral(l *loaded) (remove func(), err error) {
	dir, err := os.MkdirTemp("", "fairlead-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary data directory: %w", err)
	}
	if !l.commanded("node.data_dir") {
		l.Node.DataDir = filepath.Join(dir, "data")
	}
	if !l.commanded("store.path") {
		l.Store.Path = ""
	}
	if !l.commanded("store.engine") {
		l.Store.Engine, l.Store.Pool = fairlead.EnginePebble, ""
	}
	if !l.Admin.Off() && !l.commanded("admin.address") {
		l.Admin.Address = "127.0.0.1:0"
	}
	for name, a := range l.ActiveListeners() {
		switch {
		case l.commanded("listeners." + name + ".address"):
		case a.Transport == protocols.Unix:
			a.Address = filepath.Join(dir, name+".sock")
		default:
			a.Address = "127.0.0.1:0"
		}
		l.Listeners[name] = a
	}
	return func() { os.RemoveAll(dir) }, nil
}
