package emqximport_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-iot/fairlead/backends/emqximport"
)

// there are the files that listeners of the samples name.
func there(path string) bool {
	return path == "/opt/emqx/etc/certs/key.pem" || path == "/opt/emqx/etc/certs/cert.pem" || path == "/opt/emqx/etc/certs/cacert.pem" || path == "/etc/ssl/private/gateway.key"
}

// etcOf reads the files of a whole directory etc.
func etcOf(t *testing.T, dir string) (files []emqximport.File) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(e.Name(), ".golden") {
			files = append(files, emqximport.File{Name: e.Name(), Text: text})
		}
	}
	return files
}

// TestBroker takes over whole directories: that of 2.4 as it comes, and one with much in it.
func TestBroker(t *testing.T) {
	for _, name := range []string{"etc-2.4", "etc-3"} {
		t.Run(name, func(t *testing.T) {
			r := emqximport.Read(etcOf(t, filepath.Join("testdata", name)), emqximport.Options{Root: "/opt/emqx", Missing: func(path string) bool { return !there(path) }})
			got := string(r.TOML())
			for _, line := range r.Access {
				got += "# acl: " + line + "\n"
			}
			compareGolden(t, filepath.Join("testdata", name, "all.golden"), got+"\n# notes\n"+notes(r))
		})
	}
}

func compareGolden(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("go test -update writes it anew\n%s", d)
	}
}
