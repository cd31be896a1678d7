package fairlead_test

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite deps.txt from what cmd/fairlead links")

// TestDeps holds deps.txt to the modules that the command links, so that a new
// dependency is a visible line in the diff and is argued for there.
func TestDeps(t *testing.T) {
	if _, err := os.Stat("cmd/fairlead/main.go"); errors.Is(err, fs.ErrNotExist) {
		t.Skip("deps.txt is not checked: cmd/fairlead/main.go does not exist")
	}
	linked := linkedModules(t)
	if *update {
		if err := os.WriteFile("deps.txt", []byte(strings.Join(linked, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("deps.txt")
	if err != nil {
		t.Fatalf("%v; write it with: go test . -run Deps -update", err)
	}
	for _, fault := range compareDeps(strings.Fields(string(text)), linked) {
		t.Error(fault)
	}
}

// linkedModules lists the modules of every package the command links, sorted.
func linkedModules(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/fairlead")
	// The list is one for all machines: what a system or a missing C compiler
	// leaves out is still ours to answer for.
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	modules := strings.Fields(string(out))
	modules = slices.DeleteFunc(modules, func(m string) bool { return m == modulePath })
	slices.Sort(modules)
	return slices.Compact(modules)
}

// compareDeps says what deps.txt lacks, has too much, or has out of order.
func compareDeps(listed, linked []string) []string {
	const advice = "; run: go test . -run Deps -update, and say in the commit why"
	var faults []string
	for _, m := range linked {
		if !slices.Contains(listed, m) {
			faults = append(faults, "deps.txt lacks "+m+advice)
		}
	}
	for _, m := range listed {
		if !slices.Contains(linked, m) {
			faults = append(faults, "deps.txt lists "+m+", which cmd/fairlead does not link"+advice)
		}
	}
	if len(faults) == 0 && !slices.Equal(listed, linked) {
		faults = append(faults, "deps.txt is not sorted, or names a module twice"+advice)
	}
	return faults
}
