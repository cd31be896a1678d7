package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fairlead-iot/fairlead"
	"github.com/fairlead-iot/fairlead/backends/emqximport"
	"github.com/fairlead-iot/fairlead/internal/config"
)

// TestImportedLoads has the loader take what the importer makes of complete files.
func TestImportedLoads(t *testing.T) {
	for _, name := range []string{"redis", "mysql", "pgsql", "mongo", "cassa"} {
		t.Run(name, func(t *testing.T) {
			file := "emqx_backend_" + name + ".conf"
			text, err := os.ReadFile(filepath.Join("../../backends/emqximport/testdata", file))
			if err != nil {
				t.Fatal(err)
			}
			r := emqximport.Read([]emqximport.File{{Name: file, Text: text}}, emqximport.Options{})
			if len(r.Backends) != 1 {
				t.Fatalf("%d backends, want 1", len(r.Backends))
			}
			if !hasBackend(r.Backends[0].Name) {
				t.Skipf("this build has no %s", r.Backends[0].Name)
			}
			if err := loadText(t, r.TOML()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestImportedIdentitiesLoad has the loader take what the importer makes of complete files
// of sources of identities, alone and beside data rules.
func TestImportedIdentitiesLoad(t *testing.T) {
	var files []emqximport.File
	for _, pattern := range []string{"emqx_auth_*.conf", "emqx_backend_*.conf"} {
		paths, err := filepath.Glob("../../backends/emqximport/testdata/" + pattern)
		if err != nil || len(paths) < 5 {
			t.Fatalf("%v: %v", paths, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, emqximport.File{Name: filepath.Base(path), Text: text})
			if r := emqximport.Read(files[len(files)-1:], emqximport.Options{}); len(r.TOML()) > 0 {
				if err := loadText(t, r.TOML()); err != nil {
					t.Errorf("%s: %v\n%s", path, err, r.TOML())
				}
			}
		}
	}
	r := emqximport.Read(files, emqximport.Options{})
	if err := loadText(t, r.TOML()); err != nil {
		t.Errorf("all of them: %v\n%s", err, r.TOML())
	}
}

func hasBackend(name string) bool {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[fairlead.BackendsConfig]()) {
		if f.Tag.Get("toml") == name {
			return true
		}
	}
	return false
}

func loadText(t *testing.T, toml []byte) error {
	path := filepath.Join(t.TempDir(), "fairlead.toml")
	if err := os.WriteFile(path, toml, 0o600); err != nil {
		t.Fatal(err)
	}
	c := fairlead.DefaultConfig()
	return config.Load(&c, config.Options{Path: path})
}

// TestImportedTextsLoad: whatever stands in a value comes out of the loader as it was.
func TestImportedTextsLoad(t *testing.T) {
	for _, secret := range []string{`"`, `\`, `a"b\c`, "tab\tin", "\x01\x1f\x7f", "é€😀", "\\u0041", "'", "]", "a#b", "\u2028"} {
		text := "backend.redis.p.server = h:1\nbackend.redis.p.password = x" + secret + "x\n"
		r := emqximport.Read([]emqximport.File{{Name: "emqx_backend_redis.conf", Text: []byte(text)}}, emqximport.Options{})
		path := filepath.Join(t.TempDir(), "fairlead.toml")
		if err := os.WriteFile(path, r.TOML(), 0o600); err != nil {
			t.Fatal(err)
		}
		c := fairlead.DefaultConfig()
		if err := config.Load(&c, config.Options{Path: path}); err != nil {
			t.Fatalf("%q: %v\n%s", secret, err, r.TOML())
		}
		if got := strings.Trim(c.Backends.Redis.Pools["p"].Password, "x"); got != secret {
			t.Errorf("%q came out as %q", secret, got)
		}
	}
}
