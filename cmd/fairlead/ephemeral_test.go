package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEphemeral: a file's addresses give way to free ports, those of --set stay.
func TestEphemeral(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	path := filepath.Join(t.TempDir(), "c.toml")
	text := "[listeners.mqtt]\naddress = \"0.0.0.0:1883\"\n[listeners.unix]\naddress = \"/run/x.sock\"\n[listeners.ws]\nenabled = false\n[node]\ndata_dir = \"/var/lib/x\"\n[store]\npath = \"/fast\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func(sets ...string) (*loaded, func()) {
		l, err := (&settings{path: path, sets: sets}).load()
		if err != nil {
			t.Fatal(err)
		}
		remove, err := makeEphemeral(l)
		if err != nil {
			t.Fatal(err)
		}
		return l, remove
	}
	l, remove := load()
	active := l.ActiveListeners()
	if a := active["mqtt"].Address; a != "127.0.0.1:0" {
		t.Errorf("mqtt on %s", a)
	}
	if a := active["unix"].Address; !strings.HasPrefix(a, os.Getenv("TMPDIR")) {
		t.Errorf("unix on %s", a)
	}
	if active["ws"] != nil {
		t.Error("ws is on")
	}
	if l.Admin.Address != "127.0.0.1:0" || l.Store.Path != "" || !strings.HasPrefix(l.Node.DataDir, os.Getenv("TMPDIR")) {
		t.Errorf("admin on %s, store in %q, data in %s", l.Admin.Address, l.Store.Path, l.Node.DataDir)
	}
	remove()
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	l, remove = load("listeners.mqtt.address=127.0.0.1:21883", "node.data_dir=/kept", "store.path=/keptfast", "admin.address=off")
	defer remove()
	if a := l.ActiveListeners()["mqtt"].Address; a != "127.0.0.1:21883" || l.Node.DataDir != "/kept" || l.Store.Path != "/keptfast" || !l.Admin.Off() {
		t.Errorf("what --set says has changed: %s, %+v, %s", a, l.Node, l.Store.Path)
	}
}
